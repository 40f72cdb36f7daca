"""Devices as they fail, and ferries: what was driven is one trip, and nobody is accused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from fleet_audit.formats.api_page.positions import parse_page
from fleet_audit.logic.devices.device_health import device_day
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.schema import lake
from fleet_audit.schema.derive import empty_frame
from fleet_audit_tests.logic.driving import (
    DAY,
    DEGREE_M,
    DEVICE,
    FRONT,
    GARAGE,
    LATITUDE,
    LONGITUDE,
    MILL,
    NOWHERE,
    Bus,
    staged,
    trips_of,
    window,
    world,
)
from fleet_audit_tests.logic.trips.test_missed_km import read_seldom

SENTINEL_KM = 2**32 / 1000 - 0.001


def to_the_mill(**more: object) -> Bus:
    return Bus("05:00", **more).park(1800).to(MILL).park(1800)  # type: ignore[arg-type]


def driving(bus: Bus) -> list[int]:
    """Records between garage and mill, ends excluded."""
    moving = [number for number, record in enumerate(bus.records) if record["speed_kmh"]]
    return moving[:-1]


def events(bus: Bus | pd.DataFrame) -> list[str]:
    positions = bus.positions() if isinstance(bus, Bus) else bus
    seen = window(positions)
    rows = [PositionArrays.of_frame(positions)]
    found = device_day(
        DAY, rows, seen.trips, empty_frame(lake.STAGING_DECLARED_RUNS), world(), DEFAULT_PARAMETERS
    ).events
    return found.loc[~found["is_lone"].astype(bool), "kind"].to_list()


def assert_one_trip(bus: Bus, km: float = 20.0, method: str = "odometer") -> pd.Series:
    trips = trips_of(bus)
    assert len(trips) == 1
    trip = trips.iloc[0]
    assert (trip["origin_poi_id"], trip["destination_poi_id"], trip["km_method"]) == ("GAR", "USI", method)
    assert trip["km"] == pytest.approx(km, abs=0.11 if method == "odometer" else 0.3)
    assert abs(trip["km"] - km) <= trip["km_uncertainty"] + 0.005
    assert events(bus) == []
    return trip


def with_fix(bus: Bus, numbers: list[int], latitude: float | None, longitude: float | None) -> Bus:
    for number in numbers:
        bus.records[number].update(latitude=latitude, longitude=longitude)
    return bus


@pytest.mark.parametrize("resolution_km", [0.1, 1.0])
@pytest.mark.parametrize(("first", "count"), [(5, 16), (0, 20), (20, 19), (12, 1), (12, 3)])
@pytest.mark.parametrize("fix", [(0.0, 0.0), (91.0, 181.0), (None, None), "repeated"])
def test_points_without_a_fix_are_driven_by_the_odometer(
    fix: object, first: int, count: int, resolution_km: float
) -> None:
    bus = to_the_mill(resolution_km=resolution_km)
    numbers = driving(bus)[first : first + count]
    if fix == "repeated":
        before = bus.records[numbers[0] - 1]
        fix = (before["latitude"], before["longitude"])
    trips = trips_of(with_fix(bus, numbers, *fix))  # type: ignore[misc]
    assert trips["km"].sum() == pytest.approx(20.0, abs=resolution_km + 0.01)
    assert trips["destination_poi_id"].iloc[-1] == "USI"
    assert trips["origin_poi_id"].iloc[0] == "GAR"
    assert set(trips["km_method"]) == {"odometer"}
    assert events(bus) == []
    if resolution_km < 1:
        assert len(trips) == 1


def test_a_cluster_at_null_island_splits_no_trip_without_an_odometer_either() -> None:
    bus = to_the_mill()
    bus.records = [{**record, "odometer_km": None} for record in bus.records]
    with_fix(bus, driving(bus)[10:16], 0.0, 0.0)
    trip = assert_one_trip(bus, method="gps")
    assert trip["evidence_grade"] == "B"


def test_a_fix_that_freezes_without_an_odometer_is_bridged_when_it_returns() -> None:
    bus = to_the_mill()
    bus.records = [{**record, "odometer_km": None} for record in bus.records]
    numbers = driving(bus)[10:26]
    before = bus.records[numbers[0] - 1]
    with_fix(bus, numbers, before["latitude"], before["longitude"])
    assert_one_trip(bus, method="gps")


def test_single_stale_fixes_are_outliers_each() -> None:
    bus = to_the_mill()
    for number in driving(bus)[6:30:4]:
        stale = bus.records[number - 2]
        with_fix(bus, [number], stale["latitude"], stale["longitude"])
    assert_one_trip(bus)


@pytest.mark.parametrize("odometer", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_the_first_fixes_after_a_sleep_may_be_elsewhere(count: int, odometer: bool) -> None:
    bus = Bus("01:00").park(600).unseen(4 * 3600).to(MILL).park(1800)
    if not odometer:
        bus.records = [{**record, "odometer_km": None} for record in bus.records]
    awake = next(number for number, record in enumerate(bus.records) if record["speed_kmh"])
    with_fix(bus, list(range(awake, awake + count)), LATITUDE - 3, LONGITUDE + 1)
    trips = trips_of(bus)
    assert trips["km"].sum() == pytest.approx(20.0, abs=1.2)
    assert trips["destination_poi_id"].iloc[-1] == "USI"


@pytest.mark.parametrize("odometer", [True, False])
@pytest.mark.parametrize("count", [3, 12])
@pytest.mark.parametrize("kind", ["swapped", "sign lost", "factory"])
def test_fixes_elsewhere_for_some_minutes_split_no_trip(kind: str, count: int, odometer: bool) -> None:
    bus = to_the_mill()
    if not odometer:
        bus.records = [{**record, "odometer_km": None} for record in bus.records]
    for number in driving(bus)[10 : 10 + count]:
        record = bus.records[number]
        lat, lon = record["latitude"], record["longitude"]
        elsewhere = {"swapped": (lon, lat), "sign lost": (-lat, -lon), "factory": (22.5 + number / 1e5, 113.9)}
        with_fix(bus, [number], *elsewhere[kind])
    assert_one_trip(bus, method="odometer" if odometer else "gps")


_FALSE_ALL_DAY = {
    "null island": lambda lat, lon: (0.0, 0.0),
    "out of range": lambda lat, lon: (lat * 60, lon * 60),
    "swapped": lambda lat, lon: (lon, lat),
    "sign lost": lambda lat, lon: (-lat, -lon),
}


@pytest.mark.parametrize("kind", list(_FALSE_ALL_DAY))
def test_a_day_without_a_true_fix_is_driven_by_the_odometer(kind: str) -> None:
    bus = to_the_mill().to(GARAGE).park(1800)
    for number, record in enumerate(bus.records):
        with_fix(bus, [number], *_FALSE_ALL_DAY[kind](record["latitude"], record["longitude"]))
    trips = trips_of(bus)
    assert len(window(bus).readings) == 1  # counted once in the ledger
    assert trips["km"].to_list() == [20.0, 20.0]
    assert set(trips["km_method"]) == {"odometer"}
    assert set(trips["purpose"]) == {"unknown"}
    assert trips[["origin_poi_id", "destination_poi_id"]].isna().all(axis=None)
    assert events(bus) == []


@pytest.mark.parametrize(
    "sent",
    [
        lambda lat, lon: (0, 0),
        lambda lat, lon: (round(lat * 1e6), round(lon * 1e6)),
        lambda lat, lon: (math.trunc(lat) * 100 - lat % 1 * 60, math.trunc(lon) * 100 - lon % 1 * 60),
        lambda lat, lon: (lat, None),
    ],
    ids=["null island", "microdegrees", "degrees and minutes", "one of two"],
)
def test_a_day_that_the_api_sends_without_a_true_fix_is_driven_by_the_odometer(sent: Callable) -> None:
    bus = to_the_mill().to(GARAGE).park(1800)
    seen = window(_sent_by_api(bus, sent))
    assert seen.trips["km_measured"].astype(float).to_list() == [20.0, 20.0]
    assert len(seen.readings) == 1


@pytest.mark.parametrize("absent", [math.nan, math.inf, -math.inf, None])
def test_a_place_that_the_api_writes_as_no_number_is_none(absent: float | None) -> None:
    """NaN was staged at 0/0: a device that reports events drove two trips by its odometer."""
    bus = to_the_mill().to(GARAGE).park(1800)
    assert window(_sent_by_api(bus, lambda lat, lon: (absent, absent))).trips.empty


def _sent_by_api(bus: Bus, sent: Callable) -> pd.DataFrame:
    """The positions of a bus whose places the API sends as a function of them gives."""
    items = []
    for record in bus.records:
        latitude, longitude = sent(record["latitude"], record["longitude"])
        instant = pd.Timestamp(record["recorded_at"], unit="s", tz="UTC").isoformat()
        items.append({"device_id": DEVICE, "timestamp": instant, "latitude": latitude, "longitude": longitude,
                      "odometer_km": record["odometer_km"]})  # fmt: skip
    page = parse_page(json.dumps({"data": items, "next_cursor": None}).encode()).positions.to_pandas()
    page["recorded_at"] = page["recorded_at"].astype("int64") / 1e6
    return staged(page.to_dict("records"))


def test_a_vehicle_that_appears_elsewhere_and_stays_is_there() -> None:
    """Where more fixes are away than at home, nobody knows which ones are false: the point filter accepts both."""
    bus = Bus("05:00").stand(120)
    bus.metres = 500_000.0
    bus.stand(1800).go(5_000).stand(1800)
    bus.metres = GARAGE
    bus.stand(60)
    assert trips_of(bus)["km"].to_list() == [5.0]


def test_a_night_at_null_island_is_a_night_at_the_place_before_it() -> None:
    bus = to_the_mill()
    with_fix(bus, list(range(len(bus.records) - 2, len(bus.records))), 0.0, 0.0)
    bus.to(GARAGE).park(1800)
    trips = trips_of(bus)
    assert trips["origin_poi_id"].to_list() == ["GAR", "USI"]
    assert trips["km"].to_list() == [20.0, 20.0]


def test_a_stop_without_a_fix_ends_a_trip_and_has_no_place() -> None:
    bus = Bus("05:00").park(1800).to(NOWHERE).stand(1800).to(MILL).park(1800)
    away = [number for number, record in enumerate(bus.records) if abs(_metres(record) - NOWHERE) < 2000]
    trips = trips_of(with_fix(bus, away, 0.0, 0.0))
    assert trips["km"].to_list() == [10.0, 10.0]
    assert trips["destination_poi_id"].isna().to_list() == [True, False]


def _metres(record: dict) -> float:
    return (record["latitude"] - LATITUDE) * DEGREE_M


@pytest.mark.parametrize("sentinel", [0.0, SENTINEL_KM, 16_777_215.0])
def test_sentinels_while_parked_or_driving_are_no_readings(sentinel: float) -> None:
    bus = to_the_mill().to(GARAGE).park(1800)
    for number in [0, 1, 2, *range(20, 60, 7), *range(len(bus.records) - 3, len(bus.records))]:
        bus.records[number]["odometer_km"] = sentinel
    trips = trips_of(bus)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.2)
    assert set(trips["km_method"]) == {"odometer"}
    assert events(bus) == []


def test_an_odometer_that_was_reset_to_zero_is_read_on() -> None:
    bus = to_the_mill(odometer_km=5000.0)
    bus.start_km -= 5020.0
    bus.stand(120).to(GARAGE).park(1800)
    assert trips_of(bus)["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.2)
    assert events(bus) == ["reset"]


def test_an_odometer_turned_on_while_parked_jumps_and_measures_the_next_trip() -> None:
    """The new value is repeated for hours, and counts on: no sentinel."""
    bus = to_the_mill().park(7200)
    bus.start_km += 60.0
    bus.park(7200).to(GARAGE).park(1800)
    trips = trips_of(bus)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.2)
    assert set(trips["km_method"]) == {"odometer"}
    assert events(bus) == ["jump"]


def ferried(*, ignition: bool, kmh: float = 12.0) -> pd.DataFrame:
    """10 km, 3.2 km over a river, 10 km."""
    bus = Bus("05:00").park(1800).to(8_400).stand(120)
    ashore = len(bus.records)
    bus.go(3_200, kmh).stand(120)
    afloat = range(ashore, len(bus.records))
    bus.to(MILL + 3_200 - 3_200).park(1800)
    stood = float(bus.records[ashore - 1]["odometer_km"])
    for number, record in enumerate(bus.records):
        if number in afloat:
            record["odometer_km"] = stood
        elif number > ashore:
            record["odometer_km"] = round(float(record["odometer_km"]) - 3.2, 1)  # type: ignore[arg-type]
        record["ignition"] = number not in afloat or ignition
    bus.records[ashore - 1]["ignition"] = ignition
    return staged(bus.records)


def test_a_ferry_is_in_no_trips_km_and_no_accusation() -> None:
    positions = ferried(ignition=False)
    trip = trips_of(positions).iloc[0]
    assert (len(trips_of(positions)), trip["km_method"]) == (1, "odometer")
    assert trip["km"] == pytest.approx(16.8, abs=0.11)
    assert trip["km_gps"] == pytest.approx(16.8, abs=0.11)
    assert events(positions) == []


def test_an_odometer_that_stands_with_the_ignition_on_has_failed() -> None:
    positions = ferried(ignition=True)
    trip = trips_of(positions).iloc[0]
    assert (trip["km_method"], trip["km"]) == ("gps", pytest.approx(20.0, abs=0.11))
    assert events(positions) == ["frozen"]


def test_an_odometer_that_stands_faster_than_a_ferry_goes_has_failed() -> None:
    assert events(ferried(ignition=False, kmh=40.0)) == ["frozen"]


@pytest.mark.parametrize("east_m", [0.0, 40.0])
def test_a_tracker_off_the_bus_is_told_by_fixes_that_vary(east_m: float) -> None:
    bus = Bus("05:00").park(1800)
    for minute in range(30):
        bus.driven_m += 500
        bus.seconds += 60
        bus.report(east_m=east_m * math.sin(minute))
    assert events(bus.park(1800)) == (["parked"] if east_m else [])


@pytest.mark.parametrize(
    ("factor", "count"),
    [(10, 1), (10, 8), (10, None), (1000, 8), (0.1, 8)],
    ids=["tenths once", "tenths for a while", "tenths until the end", "metres", "tens"],
)
def test_readings_in_another_unit_are_none_and_nobody_is_accused(factor: float, count: int | None) -> None:
    bus = Bus("05:00", odometer_km=100_000.0).park(1800).to(MILL).park(1800)
    first = driving(bus)[10]
    for record in bus.records[first : None if count is None else first + count]:
        record["odometer_km"] = record["odometer_km"] * factor
    assert_one_trip(bus, method="odometer" if count else "gps")


@pytest.mark.parametrize("factor", [10, 1000, 0.1], ids=["tenths", "metres", "tens"])
@pytest.mark.parametrize("resolution_km", [0.1, 1.0])
def test_readings_in_another_unit_are_none_where_the_window_begins_with_them(
    factor: float, resolution_km: float
) -> None:
    bus = Bus("05:00", odometer_km=100_000.0, resolution_km=resolution_km).park(1800).to(MILL).park(1800)
    for record in bus.records[:-2]:
        record["odometer_km"] = record["odometer_km"] * factor
    trips = trips_of(bus.to(GARAGE).park(1800))
    assert trips["km_method"].to_list() == ["gps", "odometer"]
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.3 + resolution_km)
    assert events(bus) == []


def test_an_exchanged_odometer_that_reads_a_tenth_by_chance_is_a_fall() -> None:
    bus = Bus("05:00", odometer_km=100_000.0).park(1800).to(MILL).park(1800)
    bus.start_km = 10_002.5 - bus.driven_m / 1000
    bus.park(1800).to(GARAGE).park(1800)
    assert trips_of(bus)["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.3)
    assert events(bus) == ["fall"]


@pytest.mark.parametrize("reading", [150.0, 900.0, 3_000.0, 12_500.0])
def test_an_odometer_turned_back_during_a_silence_is_a_fall_and_no_other_unit(reading: float) -> None:
    """150 km/h over 20 h of silence allow 3,000 km, which are 3 thousands of kilometres and 300 tens of them."""
    bus = Bus("00:30", odometer_km=100_000.0).park(3600)
    bus.start_km = reading
    assert events(bus.unseen(20 * 3600).park(600).to(MILL).park(1800)) == ["fall"]


def test_an_odometer_that_catches_up_with_what_it_missed_did_not_fail() -> None:
    bus = to_the_mill()
    arrived = driving(bus)[-1] + 3
    for record in bus.records[:arrived]:
        record["odometer_km"] = bus.records[0]["odometer_km"]
    assert events(bus) == []


@pytest.mark.parametrize("counts", [0.5, 0.8, 1.3])
def test_an_odometer_that_counts_other_km_than_it_missed_is_accused(counts: float) -> None:
    bus = to_the_mill()
    arrived = driving(bus)[-1] + 3
    for record in bus.records[:arrived]:
        record["odometer_km"] = 1000.0
    for record in bus.records[arrived:]:
        record["odometer_km"] = 1000.0 + 20 * counts
    assert "frozen" in events(bus)


@pytest.mark.parametrize("every_km", [None, 5, 10], ids=["at ignition off", "every 5 km", "every 10 km"])
@pytest.mark.parametrize("resolution_km", [0.1, 1.0])
def test_an_odometer_that_is_refreshed_rarely_measures_each_trip(every_km: float | None, resolution_km: float) -> None:
    """The last trip, of 3 km, shows that its odometer counts no steps of 5 km."""
    bus = to_the_mill(resolution_km=resolution_km).to(GARAGE).park(1800).to(FRONT).park(1800).go(3000, 60).park(1800)
    shown = float(bus.records[0]["odometer_km"])  # type: ignore[arg-type]
    for record in bus.records:
        reading = float(record["odometer_km"])  # type: ignore[arg-type]
        if not record["speed_kmh"] or (every_km and reading - shown >= every_km):
            shown = reading
        record["odometer_km"] = shown
    trips = trips_of(bus)
    assert trips["km"].to_list() == [20.0, 20.0, 40.0, 3.0]
    assert set(trips["km_method"]) == {"odometer"}
    assert events(bus) == []


@pytest.mark.parametrize("every", [120, 300, 600, 900])
def test_an_odometer_that_stands_while_rare_positions_move_is_frozen(every: float) -> None:
    bus = Bus("05:00").park(1800).go(MILL, 30, every).park(1800)
    for record in bus.records:
        record["odometer_km"] = 1000.3
    assert events(bus) == ["frozen"]


@pytest.mark.parametrize("jitter_m", [0.0, 8.0])
@pytest.mark.parametrize(("polled", "every"), [(3, 300), (4, 300), (5, 120), (10, 60)])
def test_an_odometer_read_less_often_than_the_place_accuses_nobody(polled: int, every: float, jitter_m: float) -> None:
    assert events(read_seldom(polled, every, 1, jitter_m=jitter_m)) == []


def test_an_odometer_that_is_read_every_5_km_and_restarts_at_0_accuses_nobody() -> None:
    """The restart, at the mill after the third trip, hides that the last reading would have caught up."""
    bus = Bus("05:00").park(1800)
    for way in (MILL + 4000, -MILL - 4000, MILL + 4000, -MILL - 4000):
        bus.go(way, 40, 60).park(1800)
    shown = restarted_at = float(bus.records[0]["odometer_km"])  # type: ignore[arg-type]
    third = [number for number, record in enumerate(bus.records) if record["odometer_km"] == 1072.0]
    for number, record in enumerate(bus.records):
        counted = float(record["odometer_km"])  # type: ignore[arg-type]
        if number == third[1]:
            shown = restarted_at = counted
        shown = counted if counted - shown >= 5 else shown
        record["odometer_km"] = round(shown - (restarted_at if number >= third[1] else 0), 1)
    assert events(bus) == ["reset"]
    assert trips_of(bus)["km"].to_numpy() == pytest.approx(24.0, abs=0.3)


def test_an_odometer_read_at_halts_that_stood_over_a_trip_and_is_turned_back_is_frozen() -> None:
    """It falls by 3 km, far above 0: no device restarts there."""
    bus = Bus("04:00")
    for way in (MILL, -MILL, MILL, -MILL):
        bus.park(1800).go(way, 40, 60)
    bus.park(1800)
    shown, legs = bus.records[0]["odometer_km"], 0
    for before, record in zip(bus.records[:1] + bus.records, bus.records, strict=False):
        if before["speed_kmh"] and not record["speed_kmh"]:
            shown, legs = float(record["odometer_km"]) - (23 if legs >= 2 else 0), legs + 1  # type: ignore[arg-type]
        record["odometer_km"] = shown
    assert events(bus) == ["fall", "frozen"]


def test_one_silence_over_which_an_odometer_stood_accuses_nobody() -> None:
    """A tracker without power counts nothing, and nobody saw the odometer stand on the way."""
    bus = Bus("05:00").park(1800).to(NOWHERE).unseen(1800, 10_000).park(1800)
    for record in bus.records:
        record["odometer_km"] = min(float(record["odometer_km"]), 1010.0)  # type: ignore[arg-type]
    assert events(bus) == []


def test_a_parked_receiver_that_wanders_between_rare_positions_freezes_no_odometer() -> None:
    bus = Bus("05:00").park(1800)
    for number in range(60):
        bus.seconds += 300
        bus.report(off_m=140.0 * (number % 2))
    assert events(bus.park(1800)) == []


def _with_jitter(bus: Bus) -> Bus:
    off = np.random.default_rng(1).normal(0, 2 / DEGREE_M, len(bus.records))
    for record, east in zip(bus.records, off, strict=True):
        record["longitude"] += east  # type: ignore[operator]
    return bus


@pytest.mark.parametrize("every", [30.0, 300.0])
@pytest.mark.parametrize("order", ["buffer first", "live first", "sent twice"])
def test_rows_that_a_buffer_sends_under_the_time_of_sending_are_no_tampering(order: str, every: float) -> None:
    bus = _with_jitter(Bus("05:00").park(1800).go(20_000, 60, every).park(3600))
    buffered = [bus.records[number] for number in driving(bus)[1:-1]]
    live = bus.records if order == "sent twice" else [one for one in bus.records if one not in buffered]
    online = bus.records[driving(bus)[-1]]["recorded_at"]
    start = online - len(buffered) - 1 if order == "buffer first" else online + 1  # type: ignore[operator]
    late = [{**record, "recorded_at": start + at} for at, record in enumerate(buffered)]
    bus.records = sorted([*live, *late], key=lambda one: one["recorded_at"])  # type: ignore[arg-type,return-value]
    assert_one_trip(bus)


def sent_again(bus: Bus, start: float, **changed: object) -> list[dict[str, object]]:
    """The drive of a bus, one row every 2 s from an instant on."""
    return [{**bus.records[number], "recorded_at": start + 2 * at, **changed} for at, number in enumerate(driving(bus))]


def in_order(bus: Bus, records: list[dict[str, object]]) -> Bus:
    bus.records = sorted(records, key=lambda one: one["recorded_at"])  # type: ignore[arg-type,return-value]
    return bus


@pytest.mark.parametrize("case", ["plain", "nothing after it", "a dip of 0.1 km", "a zero", "a sentinel"])
def test_a_trip_that_is_sent_again_while_parked_is_one_trip(case: str) -> None:
    bus = _with_jitter(to_the_mill())
    start = bus.seconds - 900
    again = sent_again(bus, start)
    if case == "a dip of 0.1 km":
        again[20]["odometer_km"] = round(float(again[19]["odometer_km"]) - 0.1, 1)  # type: ignore[arg-type]
    if case in ("a zero", "a sentinel"):
        again[20]["odometer_km"] = 0.0 if case == "a zero" else SENTINEL_KM
    is_end = case == "nothing after it"
    before = [one for one in bus.records if not is_end or one["recorded_at"] < start]  # type: ignore[operator]
    assert_one_trip(in_order(bus, [*before, *again]))


def test_a_driven_trip_that_is_sent_again_without_places_is_one_trip() -> None:
    """A device without coordinates counts the trips that its driver keyed."""
    bus = Bus("05:00").park(3600).to(MILL).park(3600)
    for number in driving(bus):
        bus.records[number]["trip_key"] = "V1"
    in_order(bus, [*bus.records, *sent_again(bus, bus.seconds - 900)])
    numbers = list(range(len(bus.records)))
    trips = trips_of(with_fix(bus, numbers, None, None))
    assert trips["km"].to_list() == [19.0]


def test_rows_that_are_late_among_events_without_places_make_no_trip_of_those_events() -> None:
    """Lost places would say that the device sends some, and its odometer would then be driven at all hours."""
    bus = Bus("05:00").park(1800).to(MILL).park(1800)
    for number in driving(bus):
        bus.records[number]["trip_key"] = "V1"
    bus.to(GARAGE).park(3600)
    loose = [{**one, "trip_key": None} for one in sent_again(bus, bus.seconds - 900)[:38]]
    in_order(bus, [*bus.records, *loose])
    trips = trips_of(with_fix(bus, list(range(len(bus.records))), None, None))
    assert trips["km"].to_list() == [19.0]


@pytest.mark.parametrize("chunks", [1, 2, 40])
def test_a_buffer_that_sends_its_newest_rows_first_is_no_tampering(chunks: int) -> None:
    bus = to_the_mill()
    rows = np.array_split(np.array(driving(bus)), chunks)[::-1]
    again = sent_again(bus, bus.seconds - 900)
    newest_first = [bus.records[number] for number in np.concatenate(rows)]
    late = [one | {"recorded_at": row["recorded_at"]} for one, row in zip(newest_first, again, strict=True)]
    assert_one_trip(in_order(bus, [*bus.records, *late]))


@pytest.mark.parametrize("is_read", ["while it stands", "never"])
def test_a_trip_that_is_sent_again_at_departure_takes_nothing_from_the_next_ones(is_read: str) -> None:
    """No reading reaches the earlier one until the bus stands again, or none at all."""
    bus = to_the_mill()
    driven, again = len(bus.records), sent_again(bus, bus.seconds + 1)
    bus.to(GARAGE).park(1800).to(MILL).park(1800).to(GARAGE).park(1800)
    for record in bus.records[driven:]:
        if is_read == "never" or record["speed_kmh"]:
            record["odometer_km"] = None
    ends = ["origin_poi_id", "destination_poi_id", "km_measured", "km_method", "evidence_grade"]
    alone = trips_of(bus)[ends]
    assert len(alone) == 4
    pd.testing.assert_frame_equal(trips_of(in_order(bus, [*bus.records, *again]))[ends], alone)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_an_odometer_that_is_put_on_again_in_steps_was_turned_back(steps: int) -> None:
    bus = to_the_mill()
    numbers = driving(bus)[5:25]
    for number in numbers:
        bus.records[number]["odometer_km"] -= 300  # type: ignore[operator]
    for step in range(1, steps):
        for number in numbers[step - steps :]:
            bus.records[number]["odometer_km"] += 300 / steps  # type: ignore[operator]
    assert "fall" in events(bus)


@pytest.mark.parametrize("astray_m", [0.0, 3_300.0, 5_000.0])
def test_a_fix_astray_excuses_no_odometer_that_jumps_by_500_km(astray_m: float) -> None:
    bus = to_the_mill()
    first = driving(bus)[10]
    for record in bus.records[first:]:
        record["odometer_km"] += 500  # type: ignore[operator]
    bus.records[first]["latitude"] += astray_m / DEGREE_M  # type: ignore[operator]
    assert events(bus) == ["jump"]


def test_sentinels_beside_a_jump_hide_no_jump() -> None:
    bus = to_the_mill()
    moving = driving(bus)
    for record in bus.records[moving[12] :]:
        record["odometer_km"] += 300  # type: ignore[operator]
    for number in (moving[2], moving[30]):
        bus.records[number]["odometer_km"] = SENTINEL_KM
    assert "jump" in events(bus)


def test_an_odometer_turned_back_that_is_turned_on_again_is_accused() -> None:
    bus = to_the_mill()
    for number in driving(bus)[5:25]:
        bus.records[number]["odometer_km"] -= 300  # type: ignore[operator]
    assert events(bus) == ["fall", "jump"]
