"""Coordinates that are rounded to a few decimals, on a diagonal road: no kilometre and no place rests on their grid."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fleet_audit.logic.devices.device_health import DeviceDay, device_day
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.schema import facts, lake
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit_tests.logic.driving import (
    DAY,
    DEGREE_M,
    LATITUDE,
    LONGITUDE,
    Bus,
    registered,
    reported,
    trips_of,
    window,
    world,
)

PLACES = (
    {"poi_id": "USI", "unit_code": "UCP", "name": "USI", "kind": "usina", "radius_m": 300,
     "latitude": LATITUDE, "longitude": LONGITUDE, "address_pattern": "Rua"},
)  # fmt: skip
WAY_KM = 30


def diagonal(bus: Bus, decimals: int, device: str, *, until: int | None = None, shift_m: float = 321.0) -> Bus:
    """The bus on a road to the north-east, its first `until` positions in so many decimals; no place is on a grid."""
    bus.device = device
    for number, record in enumerate(bus.records):
        metres = (float(record["latitude"]) - LATITUDE) * DEGREE_M / math.sqrt(2)  # type: ignore[arg-type]
        north, east = metres / DEGREE_M, metres / DEGREE_M / math.cos(math.radians(LATITUDE))
        place = {"latitude": LATITUDE + north, "longitude": LONGITUDE + shift_m / DEGREE_M + east}
        if until is None or number < until:
            place = {name: round(value, decimals) for name, value in place.items()}
        record |= {"device_id": device, **place}
    return bus


def there_and_back(every: float) -> Bus:
    return Bus("05:00").park(1800).go(WAY_KM * 1000, 40, every).park(3600).go(-WAY_KM * 1000, 40, every).park(1800)


def of_all(buses: list[Bus]) -> pd.DataFrame:
    """Trips of one window of all vehicles."""
    return trips_of(reported(buses), tables=world(*registered(buses), pois=PLACES))


def test_a_sound_odometer_measures_whatever_the_coordinates_are_rounded_to() -> None:
    cases = [(decimals, every) for decimals in (1, 2, 3, 4) for every in (10, 60, 300)]
    trips = of_all([diagonal(there_and_back(every), decimals, f"D{decimals}-{every}") for decimals, every in cases])
    assert set(trips["km_method"]) == {"odometer"}
    assert trips.groupby("device_id").size().to_dict() == {f"D{decimals}-{every}": 2 for decimals, every in cases}
    assert ((trips["km"] - WAY_KM).abs() <= np.minimum(trips["km_uncertainty"].astype(float), 0.15)).all()


def test_an_odometer_that_stands_leaves_a_path_without_the_corners_of_the_grid() -> None:
    """From cell to cell the road is up to 27 % longer."""
    cases = [(2, 60), (2, 300), (3, 10), (3, 60), (4, 10)]
    buses = [diagonal(there_and_back(every), decimals, f"D{decimals}-{every}") for decimals, every in cases]
    for bus in buses:
        for record in bus.records:
            record["odometer_km"] = 1000.0
    trips = of_all(buses)
    assert set(trips["km_method"]) == {"gps"}
    assert len(trips) == 2 * len(cases)
    assert trips["km"].to_numpy() == pytest.approx(WAY_KM, rel=0.05)
    assert ((trips["km"] - WAY_KM).abs() <= trips["km_uncertainty"].astype(float)).all()


def test_an_odometer_that_stands_on_a_shuttle_within_four_cells_hides_no_trip() -> None:
    """Twelve runs of 3 km, on which the odometer never counts."""
    shuttle = Bus("05:00").park(1800)
    for _ in range(6):
        shuttle.go(3000, 30, 60).park(1800).go(-3000, 30, 60).park(1800)
    for record in shuttle.records:
        record["odometer_km"] = 1000.0
    trips = of_all([diagonal(shuttle, 2, "D1")])
    assert (len(trips), set(trips["km_method"])) == (12, {"gps"})
    found = devices_of([shuttle])
    assert set(found.events["kind"]) == {"frozen"}


def test_an_odometer_that_stands_on_one_trip_of_six_hides_no_trip() -> None:
    """The road is 30 % longer than its pieces: over all six trips the odometer counts no less than they are long."""
    bus = Bus("05:00").park(1800)
    for way in (20_000, -20_000) * 3:
        bus.go(way, 40, 60).park(1800)
    for record in bus.records:
        driven = min(float(record["odometer_km"]) - 1000, 100.0)  # type: ignore[arg-type]
        record["odometer_km"] = round(1000 + 1.3 * driven, 1)
    trips = of_all([diagonal(bus, 2, "D1")])
    assert trips["km_method"].to_list() == ["odometer"] * 5 + ["gps"]
    assert trips["km"].to_numpy() == pytest.approx([26.0] * 5 + [20.0], rel=0.1)


def test_an_odometer_that_no_path_confirms_is_not_agreed() -> None:
    """Both trips have one end without a place: a second failure makes grade C."""
    trips = of_all([diagonal(there_and_back(10), decimals, f"D{decimals}", shift_m=0) for decimals in (3, 6)])
    grades = trips.groupby("device_id")["evidence_grade"].agg(list).to_dict()
    assert grades == {"D3": ["C", "C"], "D6": ["B", "B"]}


@pytest.mark.parametrize(("decimals", "rounded"), [(2, 60), (2, None), (3, 60), (3, None)])
def test_the_doubt_of_a_winding_road_holds_it_whatever_part_of_it_is_rounded(
    decimals: int, rounded: int | None
) -> None:
    """26.4 km without an odometer; where the rounding ends, the path of the other fixes is measured as ever."""
    fine, coarse = (winding(device) for device in ("D1", "D2"))
    for record in coarse.records[6:][:rounded]:
        record |= {name: round(float(record[name]), decimals) for name in ("latitude", "longitude")}  # type: ignore[arg-type]
    road, trip = of_all([fine, coarse]).sort_values("device_id").to_dict("records")
    doubt_km = float(trip["km_uncertainty"])
    assert abs(trip["km"] - road["km"]) <= doubt_km
    assert doubt_km <= (0.3 if (decimals, rounded) == (2, None) else 0.11) * road["km"]


def test_the_doubt_of_a_winding_road_in_two_decimals_holds_it_where_the_odometer_stands() -> None:
    """Fixes back and forth between two cells are rejected as drift, so that the path from cell to cell is short too."""
    fine, coarse = (winding(device) for device in ("D1", "D2"))
    for record in coarse.records:
        record |= {name: round(float(record[name]), 2) for name in ("latitude", "longitude")}  # type: ignore[arg-type]
        record["odometer_km"] = 1000.0
    road, trip = of_all([fine, coarse]).sort_values("device_id").to_dict("records")
    assert abs(trip["km"] - road["km"]) <= float(trip["km_uncertainty"]) <= 0.3 * road["km"]


def winding(device: str) -> Bus:
    """20 km to the north-east, 300 m to either side of them, every 10 s, without an odometer."""
    bus = diagonal(Bus("05:00").stand(300, 60).go(20_000, 40, 10).park(3600), 7, device)
    for record in bus.records:
        metres = (float(record["latitude"]) - LATITUDE) * DEGREE_M  # type: ignore[arg-type]
        aside = 300 * math.sin(metres / 1500 * 2 * math.pi) / DEGREE_M
        record["latitude"] = float(record["latitude"]) - aside  # type: ignore[arg-type]
        record["longitude"] = float(record["longitude"]) + aside / math.cos(math.radians(LATITUDE))  # type: ignore[arg-type]
        record["odometer_km"] = None
    return bus


def test_ways_within_a_few_cells_are_measured_by_the_odometer() -> None:
    """2.4 km around a yard of 300 m, where pieces of four cells of three decimals see nothing."""
    bus = Bus("05:00").park(1800)
    for _ in range(4):
        bus.go(300, 20, 10).go(-300, 20, 10)
    bus.park(1800)
    [row] = window(reported([diagonal(bus, 3, "D1")]), tables=world(pois=())).trips.to_dict("records")
    assert (row["km_method"], float(row["km_measured"])) == ("odometer", pytest.approx(2.4, abs=0.11))


def test_a_place_smaller_than_the_grid_is_not_proven() -> None:
    fine_later = diagonal(there_and_back(30), 2, "D5", shift_m=0, until=120)
    buses = [diagonal(there_and_back(30), decimals, f"D{decimals}", shift_m=0) for decimals in (2, 3)]
    trips = of_all([*buses, fine_later])
    ends = trips.groupby("device_id")[["origin_poi_id", "destination_poi_id"]].agg(lambda ids: ids.dropna().to_list())
    assert ends.loc["D2"].to_list() == [[], []]
    assert ends.loc["D3"].to_list() == [["USI"], ["USI"]]
    assert ends.loc["D5"].to_list() == [[], ["USI"]], "of fixes that are no longer rounded"


def test_an_odometer_is_not_held_against_steps_that_are_shorter_than_four_cells() -> None:
    cases = {"D1": (2, 60), "D2": (3, 10), "D3": (3, 60), "D4": (4, 10)}
    found = devices_of([diagonal(there_and_back(every), decimals, name) for name, (decimals, every) in cases.items()])
    health = found.health.set_index("device_id")
    assert health["issues"].map(list).to_dict() == {
        "D1": ["rounded_coordinates", "no_ignition"],
        **{device: ["no_ignition"] for device in ("D2", "D3", "D4")},
    }
    assert np.isnan(health.loc["D1", "odometer_ratio"])
    assert health.loc[["D2", "D3", "D4"], "odometer_ratio"].to_numpy() == pytest.approx(1, abs=0.02)
    assert found.events.empty


def test_the_unit_of_an_odometer_is_known_where_each_step_is_shorter_than_four_cells() -> None:
    units = {"odometer_metres": 1000.0, "odometer_miles": 0.6214, "odometer_tenths": 10.0, "odometer_scale": 1.3}
    cases = {f"{issue} {decimals}": (issue, decimals) for issue in units for decimals in (3, 4)}
    buses = [diagonal(there_and_back(3 if cases[name][1] == 4 else 30), cases[name][1], name) for name in cases]
    for bus, (issue, _) in zip(buses, cases.values(), strict=True):
        for record in bus.records:
            record["odometer_km"] = round(float(record["odometer_km"]) * units[issue], 3)  # type: ignore[arg-type]
    health = devices_of(buses).health.set_index("device_id")
    assert health["issues"].map(list).to_dict() == {name: [issue, "no_ignition"] for name, (issue, _) in cases.items()}


def test_coordinates_in_whole_microdegrees_are_no_true_fix() -> None:
    bus = diagonal(there_and_back(60), 6, "D1")
    for record in bus.records:
        record |= {name: round(float(record[name]) * 1e6) for name in ("latitude", "longitude")}  # type: ignore[arg-type]
    [issues] = devices_of([bus]).health["issues"]
    assert list(issues) == ["no_true_fix", "no_ignition"]


def devices_of(buses: list[Bus]) -> DeviceDay:
    positions, tables = reported(buses), world(*registered(buses), pois=PLACES)
    trips = conform(window(positions, tables=tables).trips, facts.TRIP_WINDOW)
    runs = empty_frame(lake.STAGING_DECLARED_RUNS)
    return device_day(DAY, [PositionArrays.of_frame(positions)], trips, runs, tables, DEFAULT_PARAMETERS)
