"""Devices: each day's odometer events (lake), health and calibration (PostgreSQL)."""

import datetime as dt
from collections.abc import Iterator, Sequence

import dagster as dg

from fleet_audit.defs.partitions import daily_backfill, daily_partitions, run_days, window_mapping
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
from fleet_audit.defs.window_positions import DEVICE_PARTS, DevicesOfDay, WindowPositions
from fleet_audit.logic.devices.calibration import day_calibrations
from fleet_audit.logic.devices.device_health import fleet_devices
from fleet_audit.schema.facts import CALIBRATIONS, DEVICE_HEALTH, TRIP_WINDOW, TRIPS
from fleet_audit.schema.lake import LEGS, ODOMETER_EVENTS, STAGING_DECLARED_RUNS, STAGING_POSITIONS
from fleet_audit.schema.reference import DEVICES, PARAMETERS, POIS, UNITS, VEHICLES
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.table_days import Days, LakeDays

_OUTPUTS = {"events": ODOMETER_EVENTS, "health": DEVICE_HEALTH}
DEVICE_DAYS = Computation(
    "devices/days",
    of_window=(STAGING_POSITIONS, STAGING_DECLARED_RUNS),
    of_day=(TRIP_WINDOW,),
    reference=(DEVICES, VEHICLES, UNITS, POIS),
    results=tuple(_OUTPUTS.values()),
)


@dg.multi_asset(
    outs={name: output(table, "devices") for name, table in _OUTPUTS.items()},
    ins={
        "positions": dg.AssetIn(key_of(STAGING_POSITIONS), partition_mapping=window_mapping),
        "runs": dg.AssetIn(key_of(STAGING_DECLARED_RUNS), partition_mapping=window_mapping),
        "windows": dg.AssetIn(key_of(TRIP_WINDOW)),
    },
    deps=[key_of(table) for table in (*DEVICE_DAYS.reference, PARAMETERS)],
    partitions_def=daily_partitions,
    backfill_policy=daily_backfill,
    can_subset=True,
)
@acts_on_errors
def device_days(
    context: dg.AssetExecutionContext, fleet: FleetResource, positions: LakeDays, runs: LakeDays, windows: LakeDays
) -> Iterator[dg.Output]:
    """Odometer events of each day, and the health of each device."""
    days, selected = run_days(context), selected_outputs(context, _OUTPUTS)
    known = UnchangedDays(fleet, DEVICE_DAYS, context.run.run_id)
    fleet_cut = FleetCut.of_days(known.reference, days, fleet.settings())
    kept = WindowPositions(positions, keeps_days(days, fleet_cut, fleet.settings()))
    devices = DevicesOfDay(kept, windows, runs, fleet_cut.reference)

    def compute(changed: Sequence[dt.date]) -> ComputedDays:
        return computed_vehicles(
            changed, fleet_cut, fleet.parameters, devices, DEVICE_PARTS, fleet.settings(), fleet_devices
        )

    yield from each_day_together(known.computed(days, compute), selected)
    if len(selected) == len(_OUTPUTS):
        known.record()


@dg.asset(
    **daily_arguments(CALIBRATIONS, "devices"),
    ins={"day_trips": dg.AssetIn(key_of(TRIPS)), "legs": dg.AssetIn(key_of(LEGS))},
    deps=[key_of(PARAMETERS)],
)
@acts_on_errors
def calibrations(context: dg.AssetExecutionContext, fleet: FleetResource, day_trips: Days, legs: Days) -> DayFrames:
    """Odometer against GPS of each device on each day."""
    return each_day(
        run_days(context),
        lambda day: day_calibrations(day, day_trips.read([day]), legs.read([day]), fleet.parameters(day)),
    )
