"""Movement: each day's window segmented once (lake), and its trips, ledger and coverage (PostgreSQL)."""

import datetime as dt
from collections.abc import Iterator, Sequence

import dagster as dg
import pandas as pd

from fleet_audit.defs.partitions import daily_backfill, daily_partitions, run_days, window_mapping
from fleet_audit.defs.pictures import coverage_shown, ledger_shown
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import (
    DayFrames,
    daily_arguments,
    each_day,
    each_day_together,
    key_of,
    output,
    selected_outputs,
)
from fleet_audit.defs.unchanged_days import Computation, UnchangedDays
from fleet_audit.defs.vehicle_chunks import ComputedDays, FleetCut, computed_vehicles, keeps_days
from fleet_audit.defs.window_positions import WINDOW_PARTS, WindowOfDay, WindowPositions
from fleet_audit.logic.trips.coverage import vehicle_day_coverage
from fleet_audit.logic.trips.ledger import km_ledger
from fleet_audit.schema.facts import COVERAGE, KM_LEDGER, TRIP_WINDOW, TRIPS
from fleet_audit.schema.lake import (
    LEGS,
    OBSERVED_SPANS,
    READINGS,
    ROUNDED_VEHICLES,
    STAGING_DECLARED_RUNS,
    STAGING_POSITIONS,
    STAGING_VISIT_LEGS,
)
from fleet_audit.schema.reference import CALENDAR, CONTRACTS, DEVICES, DRIVERS, POIS, ROUTES, SHIFTS, UNITS, VEHICLES
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.table_days import Days, LakeDays

WINDOWS = Computation(
    "trips/windows",
    of_window=(STAGING_POSITIONS, STAGING_VISIT_LEGS),
    of_listed={STAGING_DECLARED_RUNS: ROUNDED_VEHICLES},
    of_day=(),
    reference=(POIS, DEVICES, VEHICLES, UNITS, CONTRACTS, DRIVERS, SHIFTS, ROUTES),
    results=tuple(WINDOW_PARTS.values()),
)


@dg.multi_asset(
    outs={name: output(table, "trips") for name, table in WINDOW_PARTS.items()},
    deps=[key_of(table) for table in WINDOWS.reference],
    ins={
        "positions": dg.AssetIn(key_of(STAGING_POSITIONS), partition_mapping=window_mapping),
        "visit_legs": dg.AssetIn(key_of(STAGING_VISIT_LEGS), partition_mapping=window_mapping),
        "runs": dg.AssetIn(key_of(STAGING_DECLARED_RUNS), partition_mapping=window_mapping),
    },
    partitions_def=daily_partitions,
    backfill_policy=daily_backfill,
    can_subset=True,
)
@acts_on_errors
def day_windows(
    context: dg.AssetExecutionContext, fleet: FleetResource, positions: LakeDays, visit_legs: LakeDays, runs: LakeDays
) -> Iterator[dg.Output]:
    """Segment the window of each day: stops, legs, trips of positions and visit reports, one trip each."""
    days, selected = run_days(context), selected_outputs(context, WINDOW_PARTS)
    known = UnchangedDays(fleet, WINDOWS, context.run.run_id)
    fleet_cut = FleetCut.of_days(known.reference, days, fleet.settings(), visit_legs)
    kept = WindowPositions(positions, keeps_days(days, fleet_cut, fleet.settings()))
    window = WindowOfDay(kept, visit_legs, runs, fleet_cut.reference)

    def compute(changed: Sequence[dt.date]) -> ComputedDays:
        return computed_vehicles(changed, fleet_cut, fleet.parameters, window, selected, fleet.settings())

    yield from each_day_together(known.computed(days, compute), selected)
    if len(selected) == len(WINDOW_PARTS):
        known.record()


@dg.asset(**daily_arguments(TRIPS, "trips"), ins={"windows": dg.AssetIn(key_of(TRIP_WINDOW))})
@acts_on_errors
def trips(context: dg.AssetExecutionContext, windows: Days) -> DayFrames:
    """The trips that start on each day."""
    return each_day(run_days(context), lambda day: windows.read([day]).query("operational_date == @day"))


@dg.asset(
    **daily_arguments(KM_LEDGER, "trips"),
    deps=[key_of(VEHICLES)],
    ins={
        "day_trips": dg.AssetIn(key_of(TRIPS)),
        "readings": dg.AssetIn(key_of(READINGS)),
        "spans": dg.AssetIn(key_of(OBSERVED_SPANS)),
    },
)
@acts_on_errors
def ledger(
    context: dg.AssetExecutionContext, fleet: FleetResource, day_trips: Days, readings: Days, spans: Days
) -> DayFrames:
    """Odometer km of each vehicle-day by purpose, with the residual."""
    reference = fleet.reference()

    def of_day(day: dt.date) -> pd.DataFrame:
        vehicles = reference.vehicles_on(day)
        return km_ledger(day, day_trips.read([day]), readings.read([day]), spans.read([day]), vehicles)

    frames = [(day, of_day(day)) for day in run_days(context)]
    context.add_asset_metadata(ledger_shown(frames), partition_key=frames[-1][0].isoformat())
    return dg.Output(frames)


@dg.asset(
    **daily_arguments(COVERAGE, "trips"),
    deps=[key_of(VEHICLES), key_of(CALENDAR)],
    ins={
        "legs": dg.AssetIn(key_of(LEGS)),
        "readings": dg.AssetIn(key_of(READINGS)),
        "spans": dg.AssetIn(key_of(OBSERVED_SPANS)),
    },
)
@acts_on_errors
def coverage(
    context: dg.AssetExecutionContext, fleet: FleetResource, legs: Days, readings: Days, spans: Days
) -> DayFrames:
    """Coverage of each vehicle-day: complete, partial or silent."""
    reference = fleet.reference()

    def of_day(day: dt.date) -> pd.DataFrame:
        vehicles = reference.vehicles_on(day)
        return vehicle_day_coverage(day, spans.read([day]), readings.read([day]), legs.read([day]), vehicles)

    frames = [(day, of_day(day)) for day in run_days(context)]
    context.add_asset_metadata(coverage_shown(fleet, frames), partition_key=frames[-1][0].isoformat())
    return dg.Output(frames)
