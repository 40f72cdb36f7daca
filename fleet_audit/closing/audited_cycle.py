"""A cycle's inputs of its rules, read from a warehouse, and the four amounts of its findings.

The rules are in `logic.audit`; which tables hold the results is decided in `defs.cycle`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

import pandas as pd

from fleet_audit.closing.contests import reversed_findings
from fleet_audit.closing.freezing import existing_close
from fleet_audit.ingest.api.windows import api_gaps
from fleet_audit.ingest.incomplete.terms import refused_terms
from fleet_audit.ingest.incomplete.vehicles import refused_vehicles
from fleet_audit.logic.audit.cycle import find_in_cycle
from fleet_audit.logic.audit.incomplete import incomplete_sources, low_days
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle, days_before
from fleet_audit.logic.costs.amounts import vehicle_cycle_amounts, vehicle_day_amounts
from fleet_audit.logic.costs.waterfall import CycleFacts, waterfall_rows
from fleet_audit.logic.primitives.cycles import ONE_DAY, Cycle, cycle_days, cycle_of
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import facts
from fleet_audit.schema.model import Table
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

Parameters = Callable[[dt.date], ParameterSet]
DAY_TABLES = {
    "trips": facts.TRIPS,
    "costs": facts.TRIP_COSTS,
    "runs": facts.DECLARED_RUNS,
    "matches": facts.MATCHES,
    "coverage": facts.COVERAGE,
    "fixed_costs": facts.FIXED_COST_DAYS,
}
AMOUNT_TABLES = {
    "trips": facts.TRIPS,
    "trip_costs": facts.TRIP_COSTS,
    "matches": facts.MATCHES,
    "held_runs": facts.HELD_RUNS,
    "findings": facts.FINDINGS,
}


def audited_cycle(
    warehouse: Warehouse,
    lake: Lake,
    known: Reference,
    parameters_on: Parameters,
    cycle: Cycle,
    past: Warehouse | None = None,
) -> AuditCycle:
    """The results of the cycle's days as inputs of its rules, as far as its days were run.

    Args:
        warehouse: it holds the days of the cycle.
        lake: it holds the pages of the API of these days.
        known: the reference tables.
        parameters_on: returns the parameters in force on a day.
        cycle: the cycle.
        past: warehouse with the days before the cycle, where the first one does not hold them.
    """
    days = cycle_days(cycle)
    frames = {name: warehouse.read_partition(table, days) for name, table in DAY_TABLES.items()}
    run_until = frames["coverage"]["operational_date"].max()
    day = cycle.start if pd.isna(run_until) else run_until
    parameters = parameters_on(day)
    before = days_before(cycle, int(parameters.calibration_days))

    def with_past(table: Table) -> pd.DataFrame:
        earlier = (past or warehouse).read_partition(table, before)
        return pd.concat([earlier, warehouse.read_partition(table, days)], ignore_index=True)

    findings = with_past(facts.FINDINGS)
    files = warehouse.read_partition(facts.INCOMPLETE_DAYS, days)
    acceptance = warehouse.read_partition(facts.DAY_ACCEPTANCE, days)
    refused = pd.concat([low_days(acceptance), refused_vehicles(lake, warehouse, known, days)], ignore_index=True)
    gaps, terms = api_gaps(warehouse, days[0], days[-1]), refused_terms(warehouse, known, days)
    return AuditCycle(
        cycle=cycle,
        day=day,
        calibrations=with_past(facts.CALIBRATIONS),
        plan=known.km_plan,
        calendar=known.calendar,
        contracts=known.contracts,
        exceptions=known.exceptions,
        earlier_trips=(past or warehouse).read_partition(facts.TRIPS, before),
        earlier_runs=(past or warehouse).read_partition(facts.DECLARED_RUNS, _days_of_cycle_before(cycle)),
        earlier_matches=(past or warehouse).read_partition(facts.MATCHES, _days_of_cycle_before(cycle)),
        invoices=known.invoices,
        fixed_cost_terms=known.fixed_costs,
        vehicle_terms=known.vehicles,
        shifts=known.shifts,
        vehicles=known.vehicles_on(day),
        registered=known.vehicles_on_days(each for each in days if each <= day),
        parameters=parameters,
        day_findings=findings[findings["cycle_start"].isna()],
        incomplete=incomplete_sources(files, gaps, refused, acceptance, terms=terms),
        **frames,
    )


def cycle_amounts(
    warehouse: Warehouse, cycle: Cycle, of_cycle: pd.DataFrame | None = None, contested_in: Warehouse | None = None
) -> pd.DataFrame:
    """`fact.vehicle_cycle_amounts` of the cycle without the trace columns; a reversed finding puts nothing in doubt.

    Of a cycle that is closed for good only the findings reversed before its close: what later ones release is billed by
    another cycle (`fact.adjustments`), and is not due to computing this one again.

    Args:
        warehouse: it holds the days of the cycle.
        cycle: the cycle.
        of_cycle: findings of rules over the cycle, in place of those that the warehouse holds.
        contested_in: the warehouse that has the contests, where the first one is a scratch one.
    """
    days = cycle_days(cycle)
    rows = {name: warehouse.read_partition(table, days) for name, table in AMOUNT_TABLES.items()}
    if of_cycle is not None:
        of_days = rows["findings"][rows["findings"]["cycle_start"].isna()]
        rows["findings"] = pd.concat([of_days, of_cycle], ignore_index=True)
    day_amounts = warehouse.read_partition(facts.VEHICLE_DAY_AMOUNTS, days)
    settled = _settled_findings(contested_in or warehouse, cycle)
    doubted = rows["findings"]["finding_id"].isin(settled).to_numpy()
    if doubted.any():
        again = set(rows["findings"].loc[doubted, "operational_date"])
        rows["findings"] = rows["findings"][~doubted]
        day_amounts = _computed_again(day_amounts, again, rows)
    found = CycleFacts(**rows)
    return vehicle_cycle_amounts(cycle, day_amounts, found.findings, waterfall_rows(found))


def _settled_findings(warehouse: Warehouse, cycle: Cycle) -> pd.Series:
    """Ids of the findings whose amount in doubt was reversed, as far as the cycle's rows account for it."""
    decided = reversed_findings(warehouse)
    close = existing_close(warehouse, cycle.start, "final")
    counts = decided["amount"] == "paid_doubtful_brl"
    if close is not None:
        counts &= decided["decided_at"] <= close["closed_at"]
    return decided.loc[counts.to_numpy(dtype=bool), "finding_id"]


def _computed_again(day_amounts: pd.DataFrame, days: set[dt.date], rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The four amounts of vehicle-days, those of some days computed from these findings."""
    parts = [day_amounts[~day_amounts["operational_date"].isin(days).to_numpy(dtype=bool)]]
    for day in sorted(days):
        own = {name: rows[name][rows[name]["operational_date"] == day] for name in ("findings", "matches", "held_runs")}
        parts.append(vehicle_day_amounts(day, **own))
    return pd.concat(parts, ignore_index=True)


def recomputed_amounts(
    warehouse: Warehouse,
    lake: Lake,
    known: Reference,
    parameters_on: Parameters,
    cycle: Cycle,
    past: Warehouse | None = None,
) -> pd.DataFrame:
    """`cycle_amounts` of the cycle's days, with the findings of its rules computed here instead of read.

    The arguments are those of `audited_cycle`.
    """
    findings = find_in_cycle(audited_cycle(warehouse, lake, known, parameters_on, cycle, past))
    return cycle_amounts(warehouse, cycle, findings, past)


def current_amounts(
    warehouse: Warehouse, lake: Lake, known: Reference, parameters_on: Parameters, cycle: Cycle
) -> pd.DataFrame:
    """The four amounts of a cycle as they are: those that its final close froze; of an open cycle, of its days.

    The stored rows of an open cycle are as old as the last run of its rules: days may have been computed since then.
    """
    if existing_close(warehouse, cycle.start, "final") is not None:
        return warehouse.read_partition(facts.VEHICLE_CYCLE_AMOUNTS, [cycle.start])
    return recomputed_amounts(warehouse, lake, known, parameters_on, cycle)


def _days_of_cycle_before(cycle: Cycle) -> list[dt.date]:
    return cycle_days(cycle_of(cycle.start - ONE_DAY, cycle.start.day))
