"""Inputs of reports, read from the stores: the frames of some days, the state of the close, the cut-off.

The content of reports is in `reporting`.
"""

import datetime as dt
from dataclasses import replace
from typing import Any

from fleet_audit.closing.contests import contest_outcomes
from fleet_audit.defs.catalog import group_of, owners_of
from fleet_audit.defs.partitions import single_run
from fleet_audit.defs.resources import FleetResource
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.inputs import Frames, records
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.model import Table
from fleet_audit.storage.unchanged_tables import read_tables

FACTS = (
    facts.TRIPS,
    facts.TRIP_COSTS,
    facts.FIXED_COST_DAYS,
    facts.MATCHES,
    facts.HELD_RUNS,
    facts.FINDINGS,
    facts.INCIDENTS,
    facts.TRIP_SCORES,
    facts.DECLARED_RUNS,
    facts.COVERAGE,
    facts.KM_LEDGER,
    facts.VEHICLE_DAY_AMOUNTS,
)
REFERENCE = (
    reference.UNITS,
    reference.CARRIERS,
    reference.VEHICLES,
    reference.POIS,
    reference.ROUTES,
    reference.KM_PLAN,
)
TERMS = (
    reference.CONTRACTS,
    reference.TARIFFS,
    reference.FIXED_COSTS,
    reference.INVOICES,
    reference.CALENDAR,
    reference.EXCEPTIONS,
)
_NOT_TESTED = """
    select * from ops.rules_not_tested
    where cycle_start = :start
    union all
    select * from ops.rules_not_tested
    where cycle_start is null and operational_date between :start and :end
"""
ARGUMENTS: dict[str, Any] = {
    "group_name": group_of("reports"),
    "owners": owners_of("reports"),
    "io_manager_key": "report_io",
    "backfill_policy": single_run,
}


def frames_of(
    fleet: FleetResource, days: list[dt.date], *, with_legs: bool = False, with_terms: bool = False
) -> Frames:
    """The rows of these days; legs, and the terms of contracts, where a report needs them."""
    warehouse = fleet.warehouse()
    # `vehicle_day_coverage` is `coverage` to a report; every other field has its table's name.
    fields = {_field(table): warehouse.read_partition(table, days) for table in FACTS}
    fields |= read_tables(warehouse, (*REFERENCE, *(TERMS if with_terms else ())))
    if with_legs:
        fields["legs"] = fleet.lake().read_days(lake.LEGS, days)
        # A cycle's findings are dated on its last day; that day's report excludes them: no cycle run may change it.
        for name in ("findings", "incidents"):
            fields[name] = fields[name][fields[name]["cycle_start"].isna()]
    return Frames(**fields)


def _field(table: Table) -> str:
    return "coverage" if table is facts.COVERAGE else table.name


def closing_of(fleet: FleetResource, start: dt.date) -> Closing:
    """Close of the cycle that starts on a day: the final one, else the provisional one, else none."""
    closes = fleet.warehouse().read_dated(facts.CYCLE_CLOSES, "cycle_start", [start])
    rows = {row["status"]: row for row in records(closes)}
    found = rows.get("final") or rows.get("provisional")
    return Closing.of_row(found) if found else Closing()


def cycle_frames(fleet: FleetResource, cycle: Cycle) -> Frames:
    """The rows of a cycle's days, the terms of contracts, and what the cycle bills of earlier, closed ones."""
    warehouse = fleet.warehouse()
    return replace(
        frames_of(fleet, cycle_days(cycle), with_terms=True),
        vehicle_cycle_amounts=warehouse.read_partition(facts.VEHICLE_CYCLE_AMOUNTS, [cycle.start]),
        billing_lines=warehouse.read_partition(facts.BILLING_LINES, [cycle.start]),
        review_samples=warehouse.read_partition(facts.REVIEW_SAMPLES, [cycle.start]),
        review_estimates=warehouse.read_partition(facts.REVIEW_ESTIMATES, [cycle.start]),
        adjustments=warehouse.read_dated(facts.ADJUSTMENTS, "billed_cycle_start", [cycle.start]),
        contest_outcomes=contest_outcomes(warehouse),
        rules_not_tested=warehouse.read(_NOT_TESTED, {"start": cycle.start, "end": cycle.end}),
    )
