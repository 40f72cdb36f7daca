"""The sample of a cycle's trips for a review by hand, and what the reviewed trips say of the cycle."""

import datetime as dt
from collections.abc import Iterator

import dagster as dg

from fleet_audit.defs.partitions import cycle_mapping, cycle_partitions, parse_day, single_run
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import each_day_together, key_of, output, selected_outputs
from fleet_audit.logic.audit.review_samples import ReviewSample, review_sample
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of
from fleet_audit.schema import facts, reference
from fleet_audit.storage.step_errors import acts_on_errors

_OUTPUTS = {"trips": facts.REVIEW_SAMPLES, "estimates": facts.REVIEW_ESTIMATES}


@dg.multi_asset(
    outs={name: output(table, "cycle") for name, table in _OUTPUTS.items()},
    deps=[
        *(dg.AssetDep(key_of(table), partition_mapping=cycle_mapping) for table in (facts.TRIPS, facts.TRIP_COSTS)),
        *(key_of(table) for table in (reference.SAMPLE_REVIEWS, reference.PARAMETERS)),
    ],
    partitions_def=cycle_partitions,
    backfill_policy=single_run,
    can_subset=True,
)
@acts_on_errors
def cycle_reviews(context: dg.AssetExecutionContext, fleet: FleetResource) -> Iterator[dg.Output]:
    """Select the trips of a cycle that a person reviews, and project the errors of the reviewed ones to the cycle."""
    warehouse, reviews = fleet.warehouse(), fleet.warehouse().read_table(reference.SAMPLE_REVIEWS)
    key = fleet.driver_key()

    def one(start: dt.date) -> ReviewSample:
        cycle = cycle_of(start, fleet.settings().closing_day)
        trips, trip_costs = (
            warehouse.read_partition(table, cycle_days(cycle)) for table in (facts.TRIPS, facts.TRIP_COSTS)
        )
        return review_sample(cycle, trips, trip_costs, reviews, fleet.parameters(cycle.end), key)

    starts = [parse_day(key) for key in context.partition_keys]
    yield from each_day_together(((start, one(start)) for start in starts), selected_outputs(context, _OUTPUTS))
