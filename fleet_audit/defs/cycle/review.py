"""The sample of a cycle's trips for a review by hand, and what the reviewed trips say of the cycle."""

from typing import Any

import dagster as dg

from fleet_audit.defs.partitions import cycle_mapping, cycle_partitions, parse_day, single_run
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import DayFrames, asset_arguments, key_of
from fleet_audit.logic.audit.review_samples import ReviewSample, review_sample
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of
from fleet_audit.schema import facts, reference
from fleet_audit.storage.step_errors import acts_on_errors

_ARGUMENTS: dict[str, Any] = {
    "partitions_def": cycle_partitions,
    "backfill_policy": single_run,
    "deps": [
        *(dg.AssetDep(key_of(table), partition_mapping=cycle_mapping) for table in (facts.TRIPS, facts.TRIP_COSTS)),
        *(key_of(table) for table in (reference.SAMPLE_REVIEWS, reference.PARAMETERS)),
    ],
}


@dg.asset(**asset_arguments(facts.REVIEW_SAMPLES, "cycle"), **_ARGUMENTS)
@acts_on_errors
def review_samples(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """Select the trips of a cycle that a person reviews, and put what the review found beside each."""
    return dg.Output([(parse_day(key), _sample(fleet, key).trips) for key in context.partition_keys])


@dg.asset(**asset_arguments(facts.REVIEW_ESTIMATES, "cycle"), **_ARGUMENTS)
@acts_on_errors
def review_estimates(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """Project the errors of the reviewed trips to the cycle, with the upper limit of the overpayment."""
    return dg.Output([(parse_day(key), _sample(fleet, key).estimates) for key in context.partition_keys])


def _sample(fleet: FleetResource, key: str) -> ReviewSample:
    cycle = cycle_of(parse_day(key), fleet.settings().closing_day)
    warehouse, days = fleet.warehouse(), cycle_days(cycle)
    return review_sample(
        cycle,
        warehouse.read_partition(facts.TRIPS, days),
        warehouse.read_partition(facts.TRIP_COSTS, days),
        warehouse.read_table(reference.SAMPLE_REVIEWS),
        fleet.parameters(cycle.end),
    )
