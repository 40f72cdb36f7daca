"""A simulated fleet taken through the whole logic in memory: no Dagster, no database, the same functions in order.

What the results are worth is measured in `accuracy`; here is only how they come about.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from benchmarks.reference_changes import reference_changes
from fleet_audit.formats.parsed import Limits, ParsedFile
from fleet_audit.formats.positions_merge import merge_positions
from fleet_audit.formats.read import parse_file
from fleet_audit.logic.audit.cycle import find_in_cycle
from fleet_audit.logic.audit.day import DayInputs, audit_day, day_context
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.registry import DAY_RULES
from fleet_audit.logic.costs.fixed_costs import fixed_cost_days, serving_plates
from fleet_audit.logic.costs.pricing import price_days
from fleet_audit.logic.devices.calibration import day_calibrations
from fleet_audit.logic.devices.device_health import DeviceDay, device_day
from fleet_audit.logic.primitives.cycles import Cycle, as_days, cycle_days, cycle_of, dates
from fleet_audit.logic.primitives.parameters import parameters_on
from fleet_audit.logic.primitives.wall_clock import to_utc
from fleet_audit.logic.primitives.window import window_days
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.coverage import vehicle_day_coverage
from fleet_audit.logic.trips.day_window import DayWindow, build_window
from fleet_audit.logic.trips.ledger import km_ledger
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.schema import facts, lake
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.model import Table
from fleet_audit.schema.partition import PARTITION_ZONE

ZONE = PARTITION_ZONE
CLOSING_DAY = 16
_RECEIVED_AT = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class AuditedDay:
    """What the logic makes of one day; `untested`: plates that each rule did not test."""

    window: DayWindow
    trips: pd.DataFrame
    costs: pd.DataFrame
    ledger: pd.DataFrame
    runs: pd.DataFrame
    matches: pd.DataFrame
    findings: pd.DataFrame
    coverage: pd.DataFrame
    calibrations: pd.DataFrame
    fixed_costs: pd.DataFrame
    untested: dict[str, set[str]]


class Staged(Protocol):
    """What one day's logic reads."""

    @property
    def reference(self) -> Reference:
        """Frames of `ref` by table name."""

    def positions(self, day: dt.date) -> pd.DataFrame:
        """`staging.positions` of D-2 … D+1."""

    def visit_legs(self, day: dt.date) -> pd.DataFrame:
        """`staging.visit_legs` of D-2 … D+1."""

    def declared_runs(self, day: dt.date) -> pd.DataFrame:
        """`staging.declared_runs` of D-2 … D+1."""

    def notes(self, day: dt.date) -> pd.DataFrame:
        """`staging.source_notes` of D."""


class SimulatedInbox:
    """What a simulation wrote, read by the formats room and dated as the staging of the pipeline is.

    Args:
        folder: of the simulation.
        computed: the days, in order, that had been computed when the inbox corrected the first delivery.
    """

    def __init__(self, folder: Path, computed: Sequence[dt.date] = ()) -> None:
        self._folder = folder
        tables, first = (reference_tables(folder / where / "reference") for where in ("inbox", "first_delivery"))
        changes = {"reference_changes": reference_changes(first, tables, computed, CLOSING_DAY)} if computed else {}
        self.reference = Reference.of({**tables, **changes})
        visits = [self._parse("visit_report", path) for path in self._files("visit_reports")]
        bulletins = [self._parse("bulletin", path) for path in self._files("bulletins")]
        self._visits = _frame([parsed.rows for parsed in visits], lake.PARSED_VISIT_LEGS)
        self._runs = _frame([parsed.rows for parsed in bulletins], lake.PARSED_DECLARED_RUNS)
        self._notes = _frame([parsed.notes for parsed in (*visits, *bulletins)], lake.PARSED_NOTES)
        self._positions = ds.dataset(folder / "api" / "positions.parquet")
        self._cached: dict[dt.date, pd.DataFrame] = {}

    def positions(self, day: dt.date) -> pd.DataFrame:
        """`staging.positions` of D-2 … D+1."""
        days = window_days(day)
        self._cached = {known: frame for known, frame in self._cached.items() if known in days}
        for known in days:
            if known not in self._cached:
                self._cached[known] = self._staged_positions(known)
        return pd.concat([self._cached[known] for known in days], ignore_index=True)

    def visit_legs(self, day: dt.date) -> pd.DataFrame:
        """`staging.visit_legs` of D-2 … D+1."""
        return self._staged(self._visits, as_days(self._visits["departed_local"]), day, lake.STAGING_VISIT_LEGS)

    def declared_runs(self, day: dt.date) -> pd.DataFrame:
        """`staging.declared_runs` of D-2 … D+1."""
        return self._staged(self._runs, as_days(self._runs["declared_date"]), day, lake.STAGING_DECLARED_RUNS)

    def notes(self, day: dt.date) -> pd.DataFrame:
        """`staging.source_notes` of D."""
        return conform(self._notes[self._notes["date"] == day], lake.STAGING_NOTES)

    def _files(self, kind: str) -> list[Path]:
        return sorted((self._folder / "inbox" / kind).iterdir())

    def _parse(self, kind: str, path: Path) -> ParsedFile:
        return parse_file(kind, path.name, path.read_bytes(), received_at=_RECEIVED_AT, limits=Limits(),
                          driver_key=b"benchmark")  # fmt: skip

    def _staged(self, rows: pd.DataFrame, days: np.ndarray, day: dt.date, table: Table) -> pd.DataFrame:
        rows = rows.assign(date=dates(days))[pd.Series(days).isin(as_days(window_days(day))).to_numpy()]
        zones = self.reference.zones(rows["plate"], day)
        instants = {"started_at": "departed_local", "ended_at": "arrived_local"}
        if "next_departure_local" in rows:
            instants["next_departure_at"] = "next_departure_local"
        return conform(rows.assign(**{name: to_utc(rows[wall], zones) for name, wall in instants.items()}), table)

    def _staged_positions(self, day: dt.date) -> pd.DataFrame:
        start, end = (
            pa.scalar(
                pd.Timestamp(day + dt.timedelta(days=offset), tz=ZONE).tz_convert("UTC"), pa.timestamp("us", "UTC")
            )
            for offset in (0, 1)
        )
        at = pc.field("timestamp")
        read = self._positions.to_table(filter=(at >= start) & (at < end)).drop_columns("uploaded_at")
        rows = conform(
            read.to_pandas()
            .rename(columns={"timestamp": "recorded_at"})
            .assign(trip_key=None, source="api", file_sha256="", file_name="", row_number=range(1, len(read) + 1)),
            lake.PARSED_POSITIONS,
        )
        staged = merge_positions(rows)[0]
        return staged.assign(date=dates(np.full(len(staged), as_days(day))))


def day_inputs(day: dt.date, inbox: Staged) -> tuple[DayWindow, DayInputs]:
    """The window of one day, and what its audit reads."""
    parameters, reference_now = parameters_on(day), inbox.reference
    window = build_window(
        day, inbox.positions(day), inbox.visit_legs(day), reference_now, parameters, inbox.declared_runs(day)
    )
    trips = conform(window.trips, facts.TRIP_WINDOW)
    legs, spans = conform(window.legs, lake.LEGS), conform(window.spans, lake.OBSERVED_SPANS)
    dwells = conform(window.dwells, lake.DWELL_COUNTS)
    found = device_day(
        day, [PositionArrays.of_frame(inbox.positions(day))], trips, inbox.declared_runs(day), reference_now, parameters
    )
    devices = DeviceDay(conform(found.events, lake.ODOMETER_EVENTS), found.health)
    return window, DayInputs(day, trips, legs, spans, dwells, devices, inbox.declared_runs(day), inbox.notes(day))


def audit(day: dt.date, inbox: Staged) -> AuditedDay:
    """One day: window, costs, ledger, audit."""
    parameters, reference_now = parameters_on(day), inbox.reference
    window, inputs = day_inputs(day, inbox)
    trips, legs, spans = inputs.trips, inputs.legs, inputs.spans
    own = trips[trips["operational_date"] == day].reset_index(drop=True)
    vehicles = reference_now.vehicles_on(day)
    result = audit_day(inputs, reference_now, parameters)
    readings = conform(window.readings, lake.READINGS)
    return AuditedDay(
        window, own, price_days(own, reference_now, parameters), km_ledger(day, own, readings, spans, vehicles),
        result.declared_runs, result.matches, result.findings,
        vehicle_day_coverage(day, spans, readings, legs, vehicles), day_calibrations(day, own, legs, parameters),
        fixed_cost_days(
            day, reference_now.fixed_costs, reference_now.contracts, reference_now.vehicles,
            serving_plates(own), CLOSING_DAY, parameters,
        ),
        _untested(day_context(inputs, reference_now, parameters)),
    )  # fmt: skip


def _untested(context: AuditDay) -> dict[str, set[str]]:
    """Plates that each rule of a day did not test for lack of data of the vehicle."""
    needs = {rule.rule_id: rule.vehicle_need for rule in DAY_RULES.values() if rule.vehicle_need}
    return {rule_id: need.untested_plates(context) for rule_id, need in needs.items()}


def audited_cycles(results: Mapping[dt.date, AuditedDay], inbox: Staged) -> list[AuditCycle]:
    """The inputs of the rules of each cycle of the days, in order of time."""
    cycles = {cycle_of(day, CLOSING_DAY): day for day in results}
    return [_cycle(cycle, day, results, inbox) for cycle, day in cycles.items()]


def cycle_findings(cycles: Iterable[AuditCycle]) -> pd.DataFrame:
    """`find_in_cycle` of each cycle, in order of time."""
    return pd.concat([find_in_cycle(cycle) for cycle in cycles], ignore_index=True)


def _cycle(cycle: Cycle, last: dt.date, results: Mapping[dt.date, AuditedDay], inbox: Staged) -> AuditCycle:
    def stacked(name: str, days: Iterable[dt.date]) -> pd.DataFrame:
        return pd.concat([getattr(results[day], name) for day in days], ignore_index=True)

    own = [day for day in results if cycle_of(day, CLOSING_DAY) == cycle]
    before = [day for day in results if cycle_of(day, CLOSING_DAY).end < cycle.start]
    earlier = stacked("runs", before) if before else empty_frame(facts.DECLARED_RUNS)
    tables = inbox.reference
    return AuditCycle(
        cycle=cycle, day=last, trips=stacked("trips", own), costs=stacked("costs", own), runs=stacked("runs", own),
        matches=stacked("matches", own), day_findings=stacked("findings", own), coverage=stacked("coverage", own),
        fixed_costs=stacked("fixed_costs", own), plan=tables.km_plan, calendar=tables.calendar,
        calibrations=stacked("calibrations", [day for day in results if day <= last]),
        contracts=tables.contracts, exceptions=tables.exceptions, shifts=tables.shifts,
        vehicles=tables.vehicles_on(last),
        registered=tables.vehicles_on_days(day for day in cycle_days(cycle) if day <= last),
        parameters=parameters_on(last), earlier_runs=earlier, invoices=tables.invoices,
        earlier_matches=stacked("matches", before) if before else empty_frame(facts.MATCHES),
        earlier_trips=stacked("trips", before) if before else empty_frame(facts.TRIPS),
    )  # fmt: skip


def reference_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The reference tables by name of a folder's CSV files; ValueError when a row is rejected."""
    frames: dict[str, pd.DataFrame] = {}
    for path in sorted(folder.glob("*.csv")):
        parsed = parse_file("reference", path.name, path.read_bytes(), received_at=_RECEIVED_AT, limits=Limits(),
                            driver_key=b"benchmark")  # fmt: skip
        if len(parsed.rejected):
            raise ValueError(f"{path}: {parsed.message}")
        frames[path.stem] = parsed.rows
    return frames


def _frame(frames: list[pd.DataFrame], table: Table) -> pd.DataFrame:
    return pd.concat([empty_frame(table), *frames], ignore_index=True)
