"""The audit of one day from its window: runs matched, findings and incidents, held runs, scores, in one call.

Each step has its own module; their order belongs here.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import pandas as pd

from fleet_audit.logic.audit.clock_offsets import minute_offsets, shifted_for_matching
from fleet_audit.logic.audit.findings import find, held_runs
from fleet_audit.logic.audit.incidents.causes import with_roots
from fleet_audit.logic.audit.incidents.rows import day_incidents
from fleet_audit.logic.audit.incomplete import no_incomplete_days
from fleet_audit.logic.audit.matching import match
from fleet_audit.logic.audit.night_shifts import repair_dates, trips_of_next_day
from fleet_audit.logic.audit.not_tested import rules_not_tested
from fleet_audit.logic.audit.repeats import duplicates, of_another_carrier, with_known_carriers, writers
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.doubt import matches_with_unseen_km
from fleet_audit.logic.audit.rules.registry import DAY_RULES
from fleet_audit.logic.audit.scoring import score
from fleet_audit.logic.costs.pricing import price_days
from fleet_audit.logic.costs.tariffs import rates_for_runs
from fleet_audit.logic.devices.device_health import DeviceDay
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.frames import (
    DeclaredRunsFrame,
    DwellCountsFrame,
    FindingsFrame,
    HeldRunsFrame,
    IncidentsFrame,
    LegsFrame,
    MatchesFrame,
    NotesFrame,
    RulesNotTestedFrame,
    SpansFrame,
    TripScoresFrame,
    TripWindowFrame,
    WrittenRunsFrame,
)


@dataclass(frozen=True)
class DayInputs:
    """Inputs of the audit of one operational day D.

    Attributes:
        day: operational day D.
        trips: `trips.trip_window` of D.
        legs: `trips.legs` of D.
        spans: `trips.observed_spans` of D's window.
        dwells: `trips.dwell_counts` of D's window.
        devices: `trips.odometer_events` and `fact.device_health` of D.
        runs: `staging.declared_runs` of DATA D-2 … D+1.
        notes: `staging.source_notes` of D.
        incomplete: days of the window on which a source is incomplete by our own fault
            (`incomplete.incomplete_sources`).
    """

    day: dt.date
    trips: TripWindowFrame
    legs: LegsFrame
    spans: SpansFrame
    dwells: DwellCountsFrame
    devices: DeviceDay
    runs: WrittenRunsFrame
    notes: NotesFrame
    incomplete: pd.DataFrame = field(default_factory=no_incomplete_days)


@dataclass(frozen=True)
class AuditResult:
    """Rows of `fact` tables of one day, without trace columns, and the rules that were not tested."""

    declared_runs: DeclaredRunsFrame
    matches: MatchesFrame
    held_runs: HeldRunsFrame
    findings: FindingsFrame
    incidents: IncidentsFrame
    trip_scores: TripScoresFrame
    rules_not_tested: RulesNotTestedFrame


def audit_day(inputs: DayInputs, reference: Reference, parameters: ParameterSet) -> AuditResult:
    """Matched runs, findings, incidents, held runs and scores of one day, by the parameters in force on it."""
    context = day_context(inputs, reference, parameters)
    findings, held = with_roots(find(context), context.groups), held_runs(context)
    return AuditResult(
        context.runs_of_day,
        matches_with_unseen_km(context),
        held,
        findings,
        day_incidents(findings, context.groups, held),
        score(context.trips_of_day, findings, parameters),
        rules_not_tested(context, DAY_RULES),
    )


def day_context(inputs: DayInputs, reference: Reference, parameters: ParameterSet) -> AuditDay:
    """The inputs of the rules of one day: its runs dated and matched, its trips priced."""
    day, trips = inputs.day, inputs.trips
    vehicles = _vehicles(day, trips, inputs.runs, reference)
    written = [
        _vehicles(each, trips, inputs.runs, reference).assign(operational_date=each)
        for each in sorted({day, *inputs.runs["declared_date"]})
    ]
    runs = repair_dates(inputs.runs, trips, reference.shifts, pd.concat(written), parameters)
    owned = reference.vehicles_on_days(runs["operational_date"].unique())
    runs = with_known_carriers(runs, owned, reference.carrier_codes)
    offsets = minute_offsets(runs, trips, parameters)
    at_device_time = shifted_for_matching(runs, offsets, inputs.devices.health)
    foreign = set(runs.loc[of_another_carrier(runs, owned), "declared_run_id"])
    repeats = duplicates(runs, foreign, parameters)
    return AuditDay(
        day=day,
        trips=trips,
        runs=runs,
        matching=match(
            trips,
            at_device_time,
            reference.contracts,
            parameters,
            set(repeats["later"]),
            trips_of_next_day(runs, trips, parameters),
            writers(runs, foreign, repeats),
        ),
        clock_offsets=offsets,
        incomplete=inputs.incomplete,
        legs=inputs.legs,
        spans=inputs.spans,
        dwells=inputs.dwells,
        devices=inputs.devices,
        registered=reference.devices,
        costs=price_days(trips, reference, parameters),
        notes=inputs.notes,
        vehicles=vehicles,
        contracts=reference.contracts,
        exceptions=reference.exceptions,
        run_rates=rates_for_runs(runs, owned, reference.tariffs),
        parameters=parameters,
        reference_changes=reference.reference_changes,
        reference=reference,
        foreign_runs=foreign,
    )


def _vehicles(day: dt.date, trips: pd.DataFrame, runs: pd.DataFrame, reference: Reference) -> pd.DataFrame:
    """Vehicles as of the day, and a row with a zone alone for each plate that only a source knows."""
    known = reference.vehicles_on(day)
    seen = pd.concat([trips["plate"], runs["plate"]]).drop_duplicates()
    unknown = seen[~seen.isin(known["plate"])].reset_index(drop=True)
    zones = reference.zones(unknown, day)
    return pd.concat([known, pd.DataFrame({"plate": unknown, "timezone": zones})], ignore_index=True)
