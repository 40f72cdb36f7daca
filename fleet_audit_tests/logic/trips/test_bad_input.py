"""Wrong values that devices send: each case has one defined result, described in docs/segmentation.md."""

import datetime as dt
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.primitives.window import Window
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.day_window import DayWindow
from fleet_audit.logic.trips.kernels import stops as stop_kernels
from fleet_audit.logic.trips.ledger import km_ledger
from fleet_audit.logic.trips.segmentation import Segmentation, segment
from fleet_audit.logic.trips.track.assignments import assignments
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.logic.trips.track.tracks import build_tracks
from fleet_audit.schema import facts, lake
from fleet_audit.schema.derive import conform
from fleet_audit_tests.logic.driving import (
    DAY,
    DEGREE_M,
    DEVICE,
    GARAGE,
    LATITUDE,
    LONGITUDE,
    MILL,
    NO_SHRINKING,
    NOWHERE,
    PLATE,
    POINT,
    ZONE,
    Bus,
    at,
    fleets,
    place,
    registered,
    reported,
    trips_of,
    window,
    world,
)
from fleet_audit_tests.logic.trips.test_day_window import same

KM = ["service_km", "deadhead_km", "maintenance_km", "yard_km", "unknown_km", "gap_km", "odometer_delta_km"]


def with_all(bus: Bus, **values: object) -> Bus:
    bus.records = [{**record, **values} for record in bus.records]
    return bus


def ledger_row(bus: Bus, day: dt.date = DAY) -> pd.Series:
    seen, tables = window(bus, day=day), world()
    own = conform(seen.trips[seen.trips["operational_date"] == day], facts.TRIP_WINDOW)
    vehicles = tables.vehicles_on(day)
    readings, spans = conform(seen.readings, lake.READINGS), conform(seen.spans, lake.OBSERVED_SPANS)
    return km_ledger(day, own, readings, spans, vehicles).set_index("plate").loc[PLATE]


def test_without_an_odometer_the_path_measures_and_the_ledger_has_nothing_to_balance() -> None:
    bus = with_all(Bus().park(1800).to(MILL).park(1800), odometer_km=None)
    [trip] = trips_of(bus).to_dict("records")
    assert (trip["km_method"], trip["evidence_grade"], trip["km"]) == ("gps", "B", pytest.approx(20.0))
    row = ledger_row(bus)
    assert float(row["service_km"]) == pytest.approx(20.0)
    assert row[["odometer_delta_km", "residual_km", "is_balanced"]].isna().all()


def test_an_odometer_that_only_says_zero_is_none() -> None:
    bus, other = (Bus().park(1800).to(MILL).park(1800) for _ in range(2))
    same(window(with_all(bus, odometer_km=0.0)), window(with_all(other, odometer_km=None)))


@settings(NO_SHRINKING, max_examples=4)
@given(fleets(most=3), st.randoms(use_true_random=False))
def test_ignition_decides_nothing_so_that_its_chatter_cannot(buses: list[Bus], chance: object) -> None:
    tables, positions = world(*registered(buses)), reported(buses)
    chatter = [chance.choice([True, False, None]) for _ in range(len(positions))]  # type: ignore[attr-defined]
    flickering = positions.assign(ignition=pd.array(chatter, dtype="boolean"))
    same(*(_without_ignition(window(each, tables=tables)) for each in (positions, flickering)))


def _without_ignition(seen: DayWindow) -> DayWindow:
    """The window without what its legs state of the ignition itself (read by G02)."""
    return replace(seen, legs=seen.legs.assign(is_ignition_off_before=None, is_ignition_off_after=None))


def test_coordinates_that_never_change_are_no_fix_and_what_the_odometer_counts_was_driven() -> None:
    bus = with_all(Bus().park(1800).to(MILL).park(1800), latitude=LATITUDE, longitude=LONGITUDE)
    trip = trips_of(bus).iloc[0]
    assert (trip["km_method"], trip["km"], trip["origin_poi_id"]) == ("odometer", 20.0, "GAR")
    assert pd.isna(trip["destination_poi_id"])
    assert trip["evidence_grade"] == "C"
    assert ledger_row(bus)["is_balanced"]


def test_one_position_a_day_is_no_trip_and_no_zero() -> None:
    bus = Bus(at("12:00") - 86_400).unseen(86_400, MILL).unseen(86_400, -MILL)
    assert trips_of(bus).empty
    row = ledger_row(bus)
    assert row[KM].isna().all()
    assert pd.isna(row["is_balanced"])


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf, 1e12])
def test_a_number_that_measures_nothing_is_as_one_that_is_missing(nonsense: float) -> None:
    bus, other = (Bus().park(1800).to(MILL).park(1800).to(GARAGE).park(1800) for _ in range(2))
    for at_record in (7, 15):
        bus.records[at_record].update(odometer_km=nonsense, speed_kmh=None)
        other.records[at_record].update(odometer_km=None, speed_kmh=None)
    same(window(bus), window(other))


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf])
def test_a_point_without_a_place_on_earth_is_no_point_of_the_path(nonsense: float) -> None:
    bus = Bus().park(1800).to(MILL).park(1800)
    bus.records[15]["longitude"] = nonsense
    assert trips_of(bus)["km"].tolist() == [20.0]


def test_many_rows_of_one_instant_are_one_point() -> None:
    bus = Bus().stand(3000, every=1)
    for number, record in enumerate(bus.records):
        record.update(recorded_at=at("06:00"), odometer_km=1000.0 + number)
    seen = window(bus)
    assert seen.trips.empty
    assert seen.readings["positions"].tolist() == [1]


def many(points: int, metres: np.ndarray, east_m: float | np.ndarray = 0.0, lasts_s: float = 86_399) -> Segmentation:
    """One vehicle's day of so many points at these places of the road, or beside it."""
    instants = pd.Timestamp(DAY, tz=ZONE).tz_convert("UTC") + pd.to_timedelta(
        np.linspace(0, lasts_s, points) * 1e6, unit="us"
    )
    nothing = pd.Series([None] * points, dtype="str")
    positions = pd.DataFrame(
        {
            "device_id": pd.Series([DEVICE] * points, dtype="str"),
            "recorded_at": instants.as_unit("us"),
            "latitude": LATITUDE + metres / DEGREE_M,
            "longitude": LONGITUDE + east_m / DEGREE_M / math.cos(math.radians(LATITUDE)),
            "odometer_km": np.round(np.cumsum(np.abs(np.diff(metres, prepend=metres[0]))) / 1000, 1),
            "speed_kmh": np.nan,
            "passengers": np.nan,
            "ignition": nothing,
            "driver_id": nothing,
            "trip_key": nothing,
        }
    )
    tables = world()
    spans = assignments(tables.devices, pd.Series([ZONE] * len(tables.devices)))
    return segment(
        build_tracks([PositionArrays.of_frame(positions)], spans, DAY), Places(tables.pois), DEFAULT_PARAMETERS
    )


def test_a_million_positions_of_one_vehicle_take_time_in_proportion() -> None:
    """Were anything quadratic, this would not end: to and fro between garage and mill, an hour each."""
    hours = np.linspace(0, 23.999, 1_000_000)
    way = np.clip((hours % 2 - 0.5) * 2, 0, 1) * (hours // 2 % 2 == 0) + np.clip(1 - (hours % 2 - 0.5) * 2, 0, 1) * (
        hours // 2 % 2 == 1
    )
    seen = many(len(hours), way * MILL)
    assert len(seen.legs) == 12
    assert seen.legs["km_gps"].to_numpy() == pytest.approx(np.full(12, 20.0), rel=1e-3)


def test_a_million_positions_of_a_crawl_that_never_quite_stops_do_too() -> None:
    """At 4.2 km/h each step is standing, and each point leaves its radius after 130 s: no place, so no stop."""
    seen = many(1_000_000, 80_000 + np.linspace(0, 2_000, 1_000_000) % 800 * 50)
    assert len(seen.tracks.seconds) + len(seen.rejected) == 1_000_000
    assert len(seen.stops) == 0


@pytest.mark.parametrize("points", [4_500, 18_000])
def test_a_crawl_around_a_place_is_searched_a_few_times_whatever_its_length(
    points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 4.2 km/h and ten points per second, 440 m from the middle of a place of 300 m: each point begins a stop that
    is too brief for nowhere. 4,500 of them were searched 1,292 times.
    """
    searches = []
    search = stop_kernels.find_stops
    monkeypatch.setattr(stop_kernels, "find_stops", lambda *given: searches.append(given) or search(*given))
    angle = 4.2 / 3.6 / 440 * np.arange(points) / 10
    seen = many(points, POINT + 440 * np.cos(angle), 440 * np.sin(angle), (points - 1) / 10)
    assert len(seen.stops) == 0
    assert len(searches) <= 2 * (2 + math.log2(points))  # two threads


@pytest.mark.parametrize(("day", "hours"), [(dt.date(2018, 11, 4), 23), (dt.date(2018, 2, 17), 25)])
def test_days_of_23_and_25_hours_lose_no_kilometre_and_count_none_twice(day: dt.date, hours: int) -> None:
    """São Paulo skipped midnight in November 2018 and lived 23:00 to 24:00 twice in February: a trip in each hour."""
    zone = Window(day, _zone())
    assert (zone.midnight(1) - zone.midnight()).total_seconds() == hours * 3600
    start = zone.midnight().timestamp()
    bus = Bus(start - 7200, resolution_km=0.01).park(7200)
    for hour in range(1, hours + 2):
        bus.park(start + hour * 3600 - 1500 - bus.seconds).to(MILL if bus.metres == GARAGE else GARAGE, kmh=90)
    bus.park(7200)
    counted = [ledger_row(bus, day + dt.timedelta(days=offset)) for offset in (0, 1)]
    assert [float(row["odometer_delta_km"]) for row in counted] == [pytest.approx(20.0 * hours), pytest.approx(20.0)]
    assert all(row["is_balanced"] for row in counted)
    assert len(trips_of(bus, day=day)) == hours


def test_a_movement_inside_one_place_is_yard_and_joins_no_trip() -> None:
    """A stop at a gate of a meeting point, 600 m on another inside it, then the way to the mill."""
    pois = (place("PON", "ponto", NOWHERE, 900), place("USI", "usina", MILL, 1000), place("GAR", "garagem", GARAGE))
    bus = Bus().park(1800).to(NOWHERE - 400).stand(200).go(600, kmh=20).stand(200).to(MILL).park(1800)
    seen = window(bus, tables=world(pois=pois))
    assert seen.trips.sort_values("started_at")[["purpose", "legs"]].to_numpy().tolist() == [
        ["service", 2],
        ["yard", 1],
    ]
    trip = seen.trips[seen.trips["purpose"] == "service"].iloc[0]
    assert float(trip["km_measured"]) == pytest.approx(9.6 + 9.8, abs=0.11)


def _zone() -> object:
    from zoneinfo import ZoneInfo

    return ZoneInfo(ZONE)
