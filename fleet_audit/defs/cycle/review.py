"""The sample of a cycle's trips for a review by hand, and what the reviewed trips say of the cycle."""

from collections.abc import Iterator

import dagster as dg

from fleet_audit.defs.partitions import run_cycles
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import OF_CYCLES, cycle_deps, each_day_together, key_of, output, selected_outputs
from fleet_audit.logic.audit.review_samples import ReviewSample, review_sample
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.schema import facts, reference
from fleet_audit.storage.step_errors import acts_on_errors

_OUTPUTS = {"trips": facts.REVIEW_SAMPLES, "estimates": facts.REVIEW_ESTIMATES}


@dg.multi_asset(
    outs={name: output(table, "cycle") for name, table in _OUTPUTS.items()},
    deps=[
        *cycle_deps(facts.TRIPS, facts.TRIP_COSTS),
        *(key_of(table) for table in (reference.SAMPLE_REVIEWS, reference.PARAMETERS)),
    ],
    **OF_CYCLES,
    can_subset=True,
)
@acts_on_errors
def cycle_reviews(context: dg.AssetExecutionContext, fleet: FleetResource) -> Iterator[dg.Output]:
    """Select the trips of a cycle that a person reviews, and project the errors of the reviewed ones to the cycle."""
    warehouse, reviews = fleet.warehouse(), fleet.warehouse().read_table(reference.SAMPLE_REVIEWS)
    key = fleet.driver_key()

    def one(cycle: Cycle) -> ReviewSample:
        trips, trip_costs = (
            warehouse.read_partition(table, cycle_days(cycle)) for table in (facts.TRIPS, facts.TRIP_COSTS)
        )
        return review_sample(cycle, trips, trip_costs, reviews, fleet.parameters(cycle.end), key)

    cycles = run_cycles(context, fleet.settings().closing_day)
    yield from each_day_together(((cycle.start, one(cycle)) for cycle in cycles), selected_outputs(context, _OUTPUTS))
