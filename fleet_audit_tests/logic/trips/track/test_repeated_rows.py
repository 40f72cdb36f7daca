"""A device that repeats a whole row while its bus drives on: that time is a silence, and no stop."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.audited_fleet import audit
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.track.assignments import assignments
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.logic.trips.track.repeated_rows import without_repeated_rows
from fleet_audit.logic.trips.track.tracks import build_tracks
from fleet_audit.schema import lake
from fleet_audit.schema.derive import empty_frame
from fleet_audit_tests.logic.audit_sample import run, runs_frame
from fleet_audit_tests.logic.driving import DAY, GARAGE, MILL, NOWHERE, ZONE, Bus, trips_of, window, world
from fleet_audit_tests.logic.trips.test_whole_days import CONTRACTS, TARIFFS, Said

_ROW = ("latitude", "longitude", "odometer_km", "speed_kmh", "ignition")


def round_trip(every: float = 30, kmh: float = 36, ignition: bool | None = True, **more: object) -> Bus:
    """Garage, mill and, 40 min later, garage; parked, one position every 10 min with the ignition off."""
    bus = Bus("05:00", **more).park(1800).go(MILL, kmh, every).park(2400)  # type: ignore[arg-type]
    bus.go(GARAGE - MILL, kmh, every).park(3600)
    for record in bus.records:
        record["ignition"] = ignition and bool(record["speed_kmh"])
    return bus


def drives(bus: Bus) -> list[int]:
    """Numbers of the moving records of the first trip."""
    moving = [number for number, record in enumerate(bus.records) if record["speed_kmh"]]
    return moving[: len(moving) // 2]


def stuck(bus: Bus, first: int, end: int) -> Bus:
    """The records after `first` and before `end` repeat it."""
    row = {name: bus.records[first][name] for name in _ROW}
    for record in bus.records[first + 1 : end]:
        record |= row
    return bus


def kms(bus: Bus) -> list[float]:
    return trips_of(bus)["km"].to_list()


@pytest.mark.parametrize("ignition", [True, None])
@pytest.mark.parametrize("resolution_km", [0.1, 1.0, None])
@pytest.mark.parametrize(("first", "lasts", "every"), [(4, 50, 30), (0, 50, 30), (10, 30, 30), (3, 20, 60)])
def test_rows_that_repeat_until_a_jump_on_the_way_cut_no_trip(
    first: int, lasts: int, every: int, resolution_km: float | None, ignition: bool | None
) -> None:
    """Two trips of 5 and 3 km were measured of 20 km, and the runs of both were accused."""
    bus = round_trip(every, ignition=ignition, resolution_km=resolution_km or 0.1)
    if resolution_km is None:
        bus.records = [{**record, "odometer_km": None} for record in bus.records]
    moving = drives(bus)
    stuck(bus, moving[first], moving[first] + lasts)
    trips = trips_of(bus)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=(resolution_km or 0.2) + 0.01)
    assert trips[["origin_poi_id", "destination_poi_id"]].to_numpy().tolist() == [["GAR", "USI"], ["USI", "GAR"]]
    observed = window(bus).spans
    is_held = (observed["ended_at"] - observed["started_at"]).dt.total_seconds().sum()
    whole_s = bus.records[-1]["recorded_at"] - bus.records[0]["recorded_at"]  # type: ignore[operator]
    assert is_held == pytest.approx(whole_s - lasts * every, abs=1)


@pytest.mark.parametrize("resolution_km", [0.1, 1.0])
def test_rows_that_repeat_until_the_bus_has_parked_are_no_stop_on_the_way(resolution_km: float) -> None:
    """The jump to the mill is possible within the 10 min of a parked device, so that no filter found it."""
    bus = round_trip(resolution_km=resolution_km)
    moving = drives(bus)
    trips = trips_of(stuck(bus, moving[14], moving[-1] + 2))
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=resolution_km + 0.01)
    assert trips["destination_poi_id"].to_list() == ["USI", "GAR"]


def test_rows_that_repeat_to_the_last_one_with_the_ignition_on_are_not_observed() -> None:
    bus = round_trip()
    moving = drives(bus)
    bus.records = stuck(bus, moving[14], moving[-1]).records[: moving[-1]]
    spans = window(bus).spans
    assert spans["ended_at"].max().timestamp() == bus.records[moving[14]]["recorded_at"]


@pytest.mark.parametrize("ignition", [True, False, None])
@pytest.mark.parametrize("speed_kmh", [6.0, 40.0])
def test_a_parked_device_that_shows_its_last_speed_has_stood(speed_kmh: float, ignition: bool | None) -> None:
    """Such a device repeats its last fix; the first row of the next trip is where a departing bus can be."""
    bus = round_trip()
    moving = drives(bus)
    expected = trips_of(round_trip())
    bus.records[moving[-1]] |= {"speed_kmh": speed_kmh, "ignition": ignition}
    trips = trips_of(stuck(bus, moving[-1], moving[-1] + 5))
    assert trips["km"].to_list() == expected["km"].to_list()
    assert trips["destination_poi_id"].to_list() == ["USI", "GAR"]


@pytest.mark.parametrize(("decimals", "resolution_km", "kmh"), [(2, 1.0, 8), (3, 1.0, 6), (2, 1.0, 12), (3, 0.1, 9)])
def test_rough_rows_in_slow_traffic_are_what_the_device_saw(decimals: int, resolution_km: float, kmh: float) -> None:
    """Whole km/h, coordinates in two or three decimals and whole km repeat themselves for some minutes."""
    bus = round_trip(10, kmh, resolution_km=resolution_km)
    for record in bus.records:
        record |= {name: round(record[name], decimals) for name in ("latitude", "longitude")}  # type: ignore[call-overload]
    tables = world()
    spans = assignments(tables.devices, pd.Series([ZONE] * len(tables.devices)))
    tracks = build_tracks([PositionArrays.of_frame(bus.positions())], spans, DAY)
    rows = np.column_stack([tracks.latitude, tracks.longitude, tracks.odometer_km, tracks.speed_kmh])
    assert (np.diff(rows[tracks.speed_kmh > 0], axis=0) == 0).all(axis=1).any()
    assert without_repeated_rows(tracks, DEFAULT_PARAMETERS) is tracks


def test_a_bus_that_stands_on_the_way_has_stood() -> None:
    bus = Bus("05:00").park(1800).to(NOWHERE).stand(1500).to(MILL).park(1800)
    assert kms(bus) == pytest.approx([10.0, 10.0], abs=0.11)


@pytest.mark.parametrize("until", ["jump", "parked"])
def test_beside_a_stuck_device_an_invented_run_and_one_that_declares_too_much_are_found(until: str) -> None:
    """The honest run of the trip that the device did not see whole is accused of nothing."""
    bus = round_trip()
    moving = drives(bus)
    stuck(bus, moving[10], moving[-10] if until == "jump" else moving[-1] + 2)
    declared = runs_frame(
        run("HONEST", "05:30", "06:04", "20", carrier_code="CAR"),
        run("TOO MUCH", "06:43", "07:17", "30", carrier_code="CAR"),
        run("INVENTED", "07:30", "08:00", "20", carrier_code="CAR"),
    )
    tables = world()
    named = {name: getattr(tables, name) for name in ("units", "vehicles", "devices", "pois")}
    reference = Reference.of({**named, "contracts": CONTRACTS, "tariffs": TARIFFS})
    said = Said(reference, bus.positions(), empty_frame(lake.STAGING_VISIT_LEGS), declared)
    findings = audit(DAY, said).findings
    accused = {
        (rule_id, key)
        for rule_id, evidence in zip(findings["rule_id"], findings["evidence"], strict=True)
        for key in json.loads(evidence)["declared_run_ids"]
        if rule_id in {"D01", "D04", "D05", "D06", "D10"}
    }
    assert {("D01", "TOO MUCH"), ("D05", "INVENTED")} <= accused
    assert "HONEST" not in {key for _, key in accused}
