"""Billing of a cycle: the lines of the measurement package, and the four amounts of its findings."""

import dagster as dg

from fleet_audit.closing.audited_cycle import AMOUNT_TABLES
from fleet_audit.closing.audited_cycle import cycle_amounts as amounts_of_cycle
from fleet_audit.defs.partitions import run_cycles
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import DayFrames, cycle_arguments, cycle_deps, key_of
from fleet_audit.logic.costs.billing_lines import CycleDays, billing_lines
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.schema import facts, reference
from fleet_audit.storage.step_errors import acts_on_errors

_DAYS = {
    "trips": facts.TRIPS,
    "trip_costs": facts.TRIP_COSTS,
    "fixed_cost_days": facts.FIXED_COST_DAYS,
    "coverage": facts.COVERAGE,
}


@dg.asset(
    **cycle_arguments(facts.BILLING_LINES, "cycle"),
    deps=[
        *cycle_deps(*_DAYS.values()),
        *(key_of(table) for table in (reference.VEHICLES, reference.CONTRACTS, reference.FIXED_COSTS)),
    ],
)
@acts_on_errors
def cycle_billing_lines(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """Put each priced trip and each fixed share of a cycle in one line."""
    known, cycles = fleet.reference(), run_cycles(context, fleet.settings().closing_day)
    return dg.Output([(cycle.start, billing_lines(_days(fleet, cycle), known, cycle)) for cycle in cycles])


@dg.asset(
    **cycle_arguments(facts.VEHICLE_CYCLE_AMOUNTS, "cycle"),
    deps=[*cycle_deps(facts.VEHICLE_DAY_AMOUNTS, *AMOUNT_TABLES.values()), key_of(facts.CYCLE_FINDINGS)],
)
@acts_on_errors
def cycle_amounts(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """Sum the findings of each vehicle of a cycle per amount, no kilometre twice."""
    cycles = run_cycles(context, fleet.settings().closing_day)
    return dg.Output([(cycle.start, amounts_of_cycle(fleet.warehouse(), cycle)) for cycle in cycles])


def _days(fleet: FleetResource, cycle: Cycle) -> CycleDays:
    days = cycle_days(cycle)
    return CycleDays(**{name: fleet.warehouse().read_partition(table, days) for name, table in _DAYS.items()})
