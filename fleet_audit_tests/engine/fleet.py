"""Staging of a fleet made by hand in a lake: what is hard to cut is in it, and its windows and devices are computed.

Two devices in a vehicle, a device that moves to a vehicle in another zone, two devices that are exchanged without a
word, a vehicle that changes its unit, one with rounded coordinates and a bulletin, one of visit reports alone, and a
plate that the reference lacks.
"""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa

from fleet_audit.defs.vehicle_chunks import ComputedDays, FleetCut, computed_vehicles
from fleet_audit.defs.window_positions import DEVICE_PARTS, WINDOW_PARTS, DevicesOfDay, WindowOfDay, WindowPositions
from fleet_audit.logic.devices.device_health import fleet_devices
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS, ParameterSet
from fleet_audit.logic.primitives.window import window_days
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.derive import to_arrow
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.table_days import LakeDays
from fleet_audit_tests.logic.driving import DAY, GARAGE, MILL, NOWHERE, POINT, Bus, at, reported, world
from fleet_audit_tests.logic.frames import rows
from fleet_audit_tests.logic.trips.rounded.test_documented_places import OUT_AND_BACK, declared, rounded, to_the_mill
from fleet_audit_tests.logic.trips.test_trips import visit, visits

DAYS = [DAY, DAY + dt.timedelta(days=1)]
DEVICES = {"events": lake.ODOMETER_EVENTS, "health": facts.DEVICE_HEALTH}
MOVED, SECOND, ROUNDED = "D3", "T2", "D7"


def stage(store: Lake) -> Reference:
    """Writes the staging of the window's days; returns the reference."""
    positions = reported(_buses())
    legs = visits(
        visit("05:10", "05:50"), visit("13:00", "13:45", "21", "USI", "GAR"),
        *({**visit("08:00", "08:40"), "plate": plate} for plate in ("BBB2B22", "EEE5E55", "ZZZ9Z99")),
    )  # fmt: skip
    runs = declared(*({**one, "plate": "HHH8H88"} for one in OUT_AND_BACK))
    for day in sorted({read for one in DAYS for read in window_days(one)}):
        for table, frame in (
            (lake.STAGING_POSITIONS, positions),
            (lake.STAGING_VISIT_LEGS, legs),
            (lake.STAGING_DECLARED_RUNS, runs),
        ):
            store.write_day(table, day, frame[frame["date"] == day])
    return _reference()


def _buses() -> list[Bus]:
    """D1 to D4 and D6 drive; D2 has a second device beside it; D4 jumps, and falls; D1 and D6 are exchanged at noon."""
    buses = []
    for number, device in enumerate(("D1", "D2", MOVED, "D4", "D6")):
        bus = Bus(at("16:00", DAY - dt.timedelta(days=1)), odometer_km=1000.0 * (number + 1), device=device).park(3600)
        for _ in range(2):
            bus.to(MILL).stand(900).to(NOWHERE).unseen(1800).to(POINT).stand(40 + 30 * number).to(GARAGE).park(36_000)
        buses.append(bus)
    second = Bus(buses[1].seconds, device=SECOND)
    second.records = [
        record | {"device_id": SECOND, "odometer_km": float(record["odometer_km"]) + 50_000}  # type: ignore[arg-type]
        for record in buses[1].records[::2]
    ]
    buses[3].records[40] |= {"latitude": 0.0, "longitude": 0.0}
    for record in buses[3].records[60:]:
        record |= {"odometer_km": float(record["odometer_km"]) - 700}  # type: ignore[arg-type]
    buses[3].report(off_m=90_000)
    for record in (*buses[0].records, *buses[4].records):
        if float(record["recorded_at"]) >= at("12:00"):  # type: ignore[arg-type]
            record["device_id"] = "D6" if record["device_id"] == "D1" else "D1"
    return [*buses, second, rounded(to_the_mill(ROUNDED))]


def _reference() -> Reference:
    before = (DAY - dt.timedelta(days=1)).isoformat()
    known = world()
    vehicle = known.vehicles.iloc[0].to_dict()

    def of(plate: str, unit: str = "UCP", **validity: str) -> dict:
        return {**vehicle, "plate": plate, "unit_code": unit, **validity}

    return known.with_tables(
        units=rows(
            reference.UNITS,
            {"unit_code": "UCP", "timezone": "America/Sao_Paulo"},
            {"unit_code": "UMS", "timezone": "America/Manaus"},
        ),
        vehicles=rows(
            reference.VEHICLES, of("AAA1A11"), of("BBB2B22"), of("CCC3C33"), of("DDD4D44", "UMS"), of("EEE5E55"),
            of("FFF6F66"), of("GGG7G77", valid_to=before), of("GGG7G77", "UMS", valid_from=DAY.isoformat()),
            of("HHH8H88"),
        ),
        devices=rows(
            reference.DEVICES,
            {"device_id": "D1", "plate": "AAA1A11"},
            {"device_id": "D2", "plate": "BBB2B22"},
            {"device_id": SECOND, "plate": "BBB2B22"},
            {"device_id": MOVED, "plate": "CCC3C33", "valid_to": before},
            {"device_id": MOVED, "plate": "DDD4D44", "valid_from": DAY.isoformat()},
            {"device_id": "D4", "plate": "FFF6F66"},
            {"device_id": "D6", "plate": "GGG7G77"},
            {"device_id": ROUNDED, "plate": "HHH8H88"},
        ),
    )  # fmt: skip


def computed(store: Lake, fleet: Reference, settings: Settings) -> dict[tuple[dt.date, str], pa.Table]:
    """The tables of the windows of two days, and of the devices of the first, as they are written."""
    positions, legs, runs, trips = (
        LakeDays(store, table, DAYS)
        for table in (lake.STAGING_POSITIONS, lake.STAGING_VISIT_LEGS, lake.STAGING_DECLARED_RUNS, facts.TRIP_WINDOW)
    )
    found: dict[tuple[dt.date, str], pa.Table] = {}

    def add(results: ComputedDays, tables: dict) -> None:
        for day, result in results:
            found.update({(day, name): _written(result, name, table) for name, table in tables.items()})

    def in_force(_: dt.date) -> ParameterSet:
        return DEFAULT_PARAMETERS

    fleet_cut = FleetCut.of_days(fleet, DAYS, settings, legs)
    windows = WindowOfDay(WindowPositions(positions, is_kept=True), legs, runs, fleet_cut.reference)
    add(computed_vehicles(DAYS, fleet_cut, in_force, windows, WINDOW_PARTS, settings), WINDOW_PARTS)
    store.write_day(facts.TRIP_WINDOW, DAY, found[DAY, "trips"])
    fleet_cut = FleetCut.of_days(fleet, [DAY], settings)
    devices = DevicesOfDay(WindowPositions(positions, is_kept=False), trips, runs, fleet_cut.reference)
    add(computed_vehicles([DAY], fleet_cut, in_force, devices, DEVICE_PARTS, settings, fleet_devices), DEVICES)
    return found


def _written(result: SimpleNamespace, name: str, table: lake.Table) -> pa.Table:
    frame: pd.DataFrame = getattr(result, name)
    return to_arrow(frame, table.untraced)
