"""Inputs of reports, read from the stores: the frames of a day, a cycle or one carrier, and the state of the close.

Imports no Dagster: processes that render reports read their own inputs. The content of reports is in `reporting`.
"""

import datetime as dt
from dataclasses import replace

import pandas as pd

from fleet_audit.closing.contests import contest_outcomes
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.inputs import Frames, records
from fleet_audit.reporting.sections.redaction import CarrierNames
from fleet_audit.schema import facts, reference
from fleet_audit.schema.lake import LEGS
from fleet_audit.schema.model import Table
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.unchanged_tables import read_tables
from fleet_audit.storage.warehouse import Warehouse

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
_OF_CARRIER = "carrier_code = :carrier"
_OF_ITS_TRIPS = """
    trip_id in (
        select trip_id from fact.trips
        where carrier_code = :carrier and operational_date between :first and :last
    )
"""
# What names a carrier in rows of others: codes, plates, ids.
_NAMES = {
    "trips": "select carrier_code, plate, trip_id from fact.trips",
    "findings": "select distinct carrier_code, plate from fact.findings",
    "held_runs": "select carrier_code, plate, declared_run_id from fact.held_runs",
    "declared_runs": "select carrier_code, plate, declared_run_id from fact.declared_runs",
    "coverage": "select distinct carrier_code, plate from fact.vehicle_day_coverage",
}


def day_frames(warehouse: Warehouse, lake: Lake, day: dt.date) -> Frames:
    """The rows of a day with its legs, without the findings of its cycle."""
    frames = _frames(warehouse, [day], REFERENCE)
    # A cycle's findings are dated on its last day; that day's report excludes them: no cycle run may change it.
    of_day = {name: rows[rows["cycle_start"].isna()]
              for name, rows in (("findings", frames.findings), ("incidents", frames.incidents))}  # fmt: skip
    return replace(frames, legs=lake.read_days(LEGS, [day]), **of_day)


def _frames(warehouse: Warehouse, days: list[dt.date], tables: tuple[Table, ...], carrier: str | None = None) -> Frames:
    """The facts of these days, of all carriers or of one, and whole tables of the reference."""
    fields = {_field(table): _facts(warehouse, table, days, carrier) for table in FACTS}
    return Frames(**fields, **read_tables(warehouse, tables))


def _facts(warehouse: Warehouse, table: Table, days: list[dt.date], carrier: str | None) -> pd.DataFrame:
    if carrier is None or table is facts.FIXED_COST_DAYS:  # a vehicle's carrier on a day follows from the reference
        return warehouse.read_partition(table, days)
    if "carrier_code" in table.column_names:
        return warehouse.read_partition(table, days, _OF_CARRIER, {"carrier": carrier})
    return warehouse.read_partition(
        table, days, _OF_ITS_TRIPS, {"carrier": carrier, "first": min(days), "last": max(days)}
    )


def _field(table: Table) -> str:
    """`vehicle_day_coverage` is `coverage` to a report; every other field has its table's name."""
    return "coverage" if table is facts.COVERAGE else table.name


def closing_of(warehouse: Warehouse, start: dt.date) -> Closing:
    """Close of the cycle that starts on a day: the final one, else the provisional one, else none."""
    closes = warehouse.read_dated(facts.CYCLE_CLOSES, "cycle_start", [start])
    rows = {row["status"]: row for row in records(closes)}
    found = rows.get("final") or rows.get("provisional")
    return Closing.of_row(found) if found else Closing()


def cycle_frames(warehouse: Warehouse, cycle: Cycle, carrier: str | None = None) -> Frames:
    """The rows of a cycle's days, the terms of contracts, and what the cycle bills of earlier, closed ones.

    With a carrier's code, large tables have that carrier's rows alone; `Frames.of_carrier` cuts the others.
    """
    return replace(
        _frames(warehouse, cycle_days(cycle), (*REFERENCE, *TERMS), carrier),
        vehicle_cycle_amounts=warehouse.read_partition(facts.VEHICLE_CYCLE_AMOUNTS, [cycle.start]),
        billing_lines=warehouse.read_partition(facts.BILLING_LINES, [cycle.start]),
        review_samples=warehouse.read_partition(facts.REVIEW_SAMPLES, [cycle.start]),
        review_estimates=warehouse.read_partition(facts.REVIEW_ESTIMATES, [cycle.start]),
        adjustments=_adjustments(warehouse, cycle),
        contest_outcomes=contest_outcomes(warehouse),
        rules_not_tested=warehouse.read(_NOT_TESTED, {"start": cycle.start, "end": cycle.end}),
    )


def carrier_names(warehouse: Warehouse, cycle: Cycle) -> CarrierNames:
    """What names carriers in a cycle, read without any other column of the days."""
    dates = {"first": cycle.start, "last": cycle.end}
    of_days = {name: warehouse.read(f"{query} where operational_date between :first and :last", dates)
               for name, query in _NAMES.items()}  # fmt: skip
    whole = read_tables(warehouse, (reference.VEHICLES, reference.CARRIERS))
    return CarrierNames.of({**of_days, **whole, "adjustments": _adjustments(warehouse, cycle)})


def unlocked_frames(warehouse: Warehouse, cycle: Cycle) -> dict[str, pd.DataFrame]:
    """What a cycle's documents read by name and others may change meanwhile, without the columns of who wrote it.

    The cycle's own days are locked by its run.
    """
    frames = {
        **read_tables(warehouse, (*REFERENCE, *TERMS)),
        "adjustments": _adjustments(warehouse, cycle),
        "contests": contest_outcomes(warehouse),
    }
    return {name: rows.drop(columns=["run_id", "updated_at"], errors="ignore") for name, rows in frames.items()}


def _adjustments(warehouse: Warehouse, cycle: Cycle) -> pd.DataFrame:
    return warehouse.read_dated(facts.ADJUSTMENTS, "billed_cycle_start", [cycle.start])


def vehicle_days(warehouse: Warehouse, cycle: Cycle) -> int:
    """How many days of vehicles were run in a cycle: what the size of its documents follows from."""
    counted = warehouse.read(
        "select count(*) as days from fact.vehicle_day_coverage where operational_date between :first and :last",
        {"first": cycle.start, "last": cycle.end},
    )
    return int(counted["days"].iloc[0])
