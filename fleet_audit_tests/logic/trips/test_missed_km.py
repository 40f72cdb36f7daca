"""Odometers that count less than the way between rare positions: the chord counts, once, and the doubt is stated."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from fleet_audit.logic.trips.ledger import km_ledger
from fleet_audit_tests.logic.driving import (
    DAY,
    DEGREE_M,
    LATITUDE,
    MILL,
    PLATE,
    ZONE,
    Bus,
    registered,
    reported,
    segmented,
    staged,
    trips_of,
    window,
    world,
)

Change = Callable[[float], float]


def to_the_mill(every: float, odometer: Change, kmh: float = 30, **more: float) -> Bus:
    """20 km with a position every so many seconds; `odometer` says what it shows after how many km, from 1,000 on."""
    bus = Bus("05:00", **more).park(1800).go(MILL, kmh, every).park(1800)  # type: ignore[arg-type]
    return reading(bus, odometer)


def reading(bus: Bus, odometer: Change) -> Bus:
    for record in bus.records:
        driven = float(record["odometer_km"]) - 1000  # type: ignore[arg-type]
        record["odometer_km"] = round(1000 + odometer(driven), 1)
    return bus


def stands(km: float) -> float:
    return 0.3


def stands_from_5_to_12(km: float) -> float:
    return km if km < 5 else max(5.0, km - 7)


def catches_up_at_12(km: float) -> float:
    return 5.0 if 5 < km < 12 else km


@pytest.mark.parametrize("every", [120, 300, 600, 900])
@pytest.mark.parametrize("ignition", [True, None])
def test_an_odometer_that_stands_while_rare_positions_move_is_no_reading(every: float, ignition: bool | None) -> None:
    bus = to_the_mill(every, stands)
    for record in bus.records:
        record["ignition"] = ignition and bool(record["speed_kmh"])
    [trip] = trips_of(bus).to_dict("records")
    assert (trip["km_method"], trip["km"]) == ("gps", pytest.approx(20.0, abs=0.01))
    share = {120: 0.1, 300: 0.2, 600: 0.4, 900: 0.6}[every]  # the last step is shorter where 2,400 s are no multiple
    assert trip["km_uncertainty"] == pytest.approx(20 * share, abs=0.01 if every != 900 else 1.4)
    assert trip["evidence_grade"] in "BC"


@pytest.mark.parametrize("every", [120, 300, 600])
def test_what_a_standing_odometer_missed_counts_by_the_chord_and_the_rest_as_it_was_read(every: float) -> None:
    """Of 20 km it counted 13; where a reading falls into the middle of a step, the chord of the whole step counts."""
    [trip] = trips_of(to_the_mill(every, stands_from_5_to_12)).to_dict("records")
    assert (trip["km_method"], trip["km"]) == ("gps", pytest.approx(20.0, abs=0.3))
    assert abs(trip["km"] - 20) <= trip["km_uncertainty"]


@pytest.mark.parametrize("every", [120, 300, 600])
def test_an_odometer_that_catches_up_with_what_it_missed_holds_and_counts_nothing_twice(every: float) -> None:
    [trip] = trips_of(to_the_mill(every, catches_up_at_12)).to_dict("records")
    assert (trip["km_method"], trip["km"]) == ("odometer", pytest.approx(20.0, abs=0.11))


def test_an_odometer_that_catches_up_after_a_halt_counts_nothing_twice() -> None:
    """It stands over 10 km and a halt of an hour, and counts them on the first of the next 10 km."""
    bus = Bus("05:00").park(1800).go(MILL / 2, 30, 300).park(3600).go(MILL / 2, 30, 300).park(1800)
    reading(bus, lambda km: 0.0 if km < 12 else km)
    assert trips_of(bus)["km"].to_list() == pytest.approx([10.0, 10.0], abs=0.01)


@pytest.mark.parametrize(("share", "method"), [(0.62, "gps"), (0.1, "gps"), (0.97, "odometer"), (1.03, "odometer")])
def test_an_odometer_that_counts_a_part_of_each_step_is_no_reading(share: float, method: str) -> None:
    [trip] = trips_of(to_the_mill(300, lambda km: share * km)).to_dict("records")
    assert trip["km_method"] == method
    assert trip["km"] == pytest.approx(20 if method == "gps" else 20 * share, abs=0.3)


def test_an_odometer_that_misses_a_little_of_every_step_is_judged_over_the_movement() -> None:
    """1 km per step of 120 s and 0.8 of it counted: less than the errors of a step, 4 km of 20."""
    [trip] = trips_of(to_the_mill(120, lambda km: 0.8 * km)).to_dict("records")
    assert (trip["km_method"], trip["km"]) == ("gps", pytest.approx(20.0, abs=0.01))


@pytest.mark.parametrize("every", [120, 300, 900])
@pytest.mark.parametrize("first_km", [1000.0, 1000.4, 1000.9])
def test_an_odometer_in_whole_km_that_counts_holds(every: float, first_km: float) -> None:
    [trip] = trips_of(to_the_mill(every, np.floor, odometer_km=first_km)).to_dict("records")
    assert (trip["km_method"], trip["km"]) == ("odometer", pytest.approx(20.0, abs=1))


def test_an_odometer_in_whole_km_that_stands_is_no_reading() -> None:
    """Steps of 0.9 km are within the resolution each; 18 km of them are not."""
    bus = Bus("05:00", resolution_km=1.0).park(1800).go(18_000, 27, 120).park(1800)
    [trip] = trips_of(reading(bus, lambda km: 0.0)).to_dict("records")
    assert (trip["km_method"], trip["km"]) == ("gps", pytest.approx(18.0, abs=0.01))


@pytest.mark.parametrize("every", [120, 300, 900])
def test_fixes_that_err_by_30_m_prove_nothing_against_an_odometer_that_counts(every: float) -> None:
    """Twenty ways of two or more steps, on which the chords are the road itself."""
    chance, bus = np.random.default_rng(5), Bus("05:00").park(1800)
    for _ in range(10):
        bus.go(MILL, 30, every).park(1500).go(-MILL, 30, every).park(1500)
    for record in bus.records:
        record["latitude"] = float(record["latitude"]) + chance.normal(0, 30) / 111_195  # type: ignore[arg-type]
        record["longitude"] = float(record["longitude"]) + chance.normal(0, 30) / 103_000  # type: ignore[arg-type]
    trips = trips_of(bus)
    assert set(trips["km_method"]) == {"odometer"}
    assert trips["km"].to_numpy() == pytest.approx(20.0, abs=0.11)


def test_readings_that_are_missing_in_between_hide_no_standing_odometer() -> None:
    bus = to_the_mill(300, stands)
    for record in bus.records[1::2]:
        record["odometer_km"] = None
    [trip] = trips_of(bus).to_dict("records")
    assert (trip["km_method"], trip["km"]) == ("gps", pytest.approx(20.0, abs=0.01))


@pytest.mark.parametrize(("silence_s", "km"), [(1800, 20.0), (4000, 10.0)])
def test_a_gap_over_which_the_odometer_stood_counts_by_its_chord_unless_it_splits(silence_s: float, km: float) -> None:
    """A tracker without power counts nothing itself; of a gap beyond 60 min nothing is known, as with any odometer."""
    bus = Bus("05:00").park(1800).go(5_000, 30).unseen(silence_s, 10_000).go(5_000, 30).park(1800)
    trips = trips_of(reading(bus, lambda driven: driven if driven <= 5 else max(5.0, driven - 10)))
    assert trips["km"].sum() == pytest.approx(km, abs=0.2)
    assert set(trips["km_method"]) == {"gps" if silence_s < 3600 else "odometer"}


def test_a_ferry_between_rare_positions_is_carried_and_a_bus_with_its_ignition_on_is_not() -> None:
    for ignition, km in ((False, 0.0), (True, 6.0)):
        bus = Bus("05:00").park(1800).go(6_000, 12, 300).park(1800)
        records = [{**record, "odometer_km": 1000.3, "ignition": ignition} for record in bus.records]
        assert trips_of(staged(records))["km"].sum() == pytest.approx(km, abs=0.01)


def test_a_parked_bus_whose_receiver_wanders_drives_nothing() -> None:
    bus = Bus("05:00").park(1800)
    for number in range(20):
        bus.seconds += 300
        bus.report(off_m=120.0 * (number % 2))
    assert len(trips_of(bus.park(1800))) == 0


def read_seldom(polled: int, every: float, first: int, *, jitter_m: float = 0.0) -> Bus:
    """20 km and a halt of 2 h; one of so many positions has a new reading. Parked, the receiver repeats its fix."""
    chance = np.random.default_rng(1)
    bus = Bus("05:00").park(1800).go(MILL, 40, every).park(7200)
    read = bus.records[0]["odometer_km"]
    for number, record in enumerate(bus.records):
        read = record["odometer_km"] if (number + first) % polled == 0 else read
        record["odometer_km"] = read
        record["latitude"] = float(record["latitude"]) + chance.normal(0, 1) * jitter_m / 111_195  # type: ignore[arg-type]
    return bus


@pytest.mark.parametrize("jitter_m", [0.0, 8.0])
@pytest.mark.parametrize(("polled", "every"), [(2, 300), (3, 300), (4, 300), (5, 120), (10, 60), (20, 30)])
def test_an_odometer_read_less_often_than_the_place_counts_each_km_once(
    polled: int, every: float, jitter_m: float
) -> None:
    """It catches up at the halt: no second trip, not even of a parked receiver without a new fix."""
    for first in range(0, polled, max(polled // 4, 1)):
        [trip] = trips_of(read_seldom(polled, every, first, jitter_m=jitter_m)).to_dict("records")
        # Readings that repeat an older one may be dropped: the trip then ends at the one before, in its stated doubt.
        assert trip["km"] == pytest.approx(20.0, abs=0.05 if every >= 60 else float(trip["km_uncertainty"]))
        if every >= 120:
            assert trip["km_method"] == "odometer"


@pytest.mark.parametrize(("every", "kmh"), [(120, 40), (180, 20), (300, 10), (300, 40)])
def test_one_fix_that_is_half_a_step_old_discards_no_sound_odometer(every: float, kmh: float) -> None:
    """The road is 10 % longer than its chords."""
    bus = Bus("05:00").park(1800).go(MILL, kmh, every).park(1800)
    reading(bus, lambda km: 1.1 * km)
    before, old = bus.records[6:8]
    old["latitude"] = (float(before["latitude"]) + float(old["latitude"])) / 2  # type: ignore[arg-type]
    [trip] = trips_of(bus).to_dict("records")
    assert (trip["km_method"], trip["km"]) == ("odometer", pytest.approx(22.0, abs=0.11))


def test_one_fix_that_is_astray_sideways_or_old_among_the_last_discards_no_sound_odometer() -> None:
    """Each vehicle has one such fix: the first on the way, the second, a middle one, or one of the last two."""
    buses = []
    for every, kmh in ((120, 20), (300, 10), (300, 40)):
        for number in (4, 5, 8, -5, -4):
            for is_old in (True, False):
                bus = Bus("05:00", device=f"D{len(buses)}").park(1800).go(MILL, kmh, every).park(1800)
                before, false = bus.records[number - 1], bus.records[number]
                if is_old:
                    false["latitude"] = (float(before["latitude"]) + float(false["latitude"])) / 2  # type: ignore[arg-type]
                else:
                    false["longitude"] = float(false["longitude"]) + 700 / 103_000  # type: ignore[arg-type]
                buses.append(bus)
    trips = trips_of(reported(buses), tables=world(*registered(buses)))
    assert len(trips) == len(buses)
    assert set(trips["km_method"]) == {"odometer"}
    assert trips["km"].to_numpy() == pytest.approx(20.0, abs=0.11)


@pytest.mark.parametrize("odometer_km", [1500.0, 300.0])
def test_an_odometer_that_leaps_or_falls_and_then_stands_is_not_believed_for_what_it_leapt(odometer_km: float) -> None:
    """Six vehicles go round a corner after 4 to 9 km; their odometers count 6 km and stand from then on."""
    buses = [around_a_corner(f"D{corner}", corner, 300) for corner in range(4, 10)]
    for bus in buses:
        for record in bus.records:
            driven = float(record["odometer_km"]) - 1000  # type: ignore[arg-type]
            record["odometer_km"] = round(1000 + driven, 1) if driven < 6 else odometer_km
    trips = trips_of(reported(buses), tables=world(*registered(buses)))
    assert set(trips["km_method"]) == {"gps"}
    assert ((trips["km"] - 20).abs() <= trips["km_uncertainty"].astype(float)).all()


@pytest.mark.parametrize("every", [300, 600, 900])
def test_an_odometer_that_counts_half_of_every_step_is_not_saved_by_a_corner(every: float) -> None:
    """Every step exceeds it, which no single fix explains. A position is at the corner: the chords are the road."""
    step_km = 40 * every / 3600
    corners = np.arange(step_km, MILL / 1000 - 0.1, step_km)
    buses = [reading(around_a_corner(f"D{km:.0f}", km, every), lambda km: km / 2) for km in corners]
    trips = trips_of(reported(buses), tables=world(*registered(buses)))
    assert set(trips["km_method"]) == {"gps"}
    assert trips["km"].to_numpy() == pytest.approx(20.0, abs=0.05)


def test_the_doubt_of_an_odometer_holds_the_road_that_one_false_fix_may_have_made_up() -> None:
    """It misses 0.9 km of a step to a corner, or the position at the corner is astray: no position shows which."""
    bus = around_a_corner("D1", 10, 300)
    [trip] = trips_of(reading(bus, lambda km: km if km < 9 else km - 0.9)).to_dict("records")
    assert (trip["km_method"], trip["km"]) == ("odometer", pytest.approx(19.1, abs=0.01))
    assert trip["km"] + float(trip["km_uncertainty"]) >= 20


def around_a_corner(device: str, corner_km: float, every: float) -> Bus:
    """20 km, of which those beyond the corner lead back at 30 degrees to those before it."""
    bus = Bus("05:00", device=device).park(1800).go(MILL, 40, every).park(1800)
    for record in bus.records:
        beyond_m = max((float(record["latitude"]) - LATITUDE) * DEGREE_M - 1000 * corner_km, 0.0)  # type: ignore[arg-type]
        record["latitude"] = float(record["latitude"]) - 1.866 * beyond_m / DEGREE_M  # type: ignore[arg-type]
        record["longitude"] = float(record["longitude"]) + 0.5 * beyond_m / DEGREE_M / math.cos(math.radians(LATITUDE))  # type: ignore[arg-type]
    return bus


def test_a_halt_in_sight_confirms_that_an_odometer_stood() -> None:
    """It stands over the last step of 3.3 km, and goes on after the night: no fix of that step is a single one."""
    bus = Bus("05:00").park(1800).go(MILL, 40, 300).park(3600)
    bus.records[-8:] = [record | {"odometer_km": bus.records[-9]["odometer_km"]} for record in bus.records[-8:]]
    [trip] = trips_of(bus).to_dict("records")
    assert (trip["km_method"], trip["km"]) == ("gps", pytest.approx(20.0, abs=0.11))


def test_an_odometer_that_misses_is_compared_where_few_steps_are_longer_than_a_minute() -> None:
    """30-s positions with ten steps of 70 s: a sound path contradicts it, as O05 states."""
    bus = Bus("05:00").park(1800)
    for _ in range(10):
        bus.go(3_000, 60).unseen(70, 1_167)
    [leg] = segmented(reading(bus.park(1800), lambda km: 0.7 * km)).legs.to_dict("records")
    assert leg["is_odometer_valid"]
    assert (leg["km_odometer"], leg["km_gps"]) == pytest.approx((29.1, 41.67), abs=0.1)


def test_only_the_unseen_way_of_frequent_positions_is_a_chord() -> None:
    """54 km of 30-s positions and 6 km of a silence over which the odometer stood."""
    bus = Bus("05:00").park(1800).go(30_000, 60).unseen(600, 6_000).go(24_000, 60).park(3600)
    [trip] = trips_of(reading(bus, lambda km: km if km <= 30.01 else km - 6)).to_dict("records")
    assert trip["km"] == pytest.approx(60.0, abs=0.05)
    assert 6 * 0.2 < trip["km_uncertainty"] < 60 * 0.05


def test_the_ledger_of_an_odometer_read_seldom_is_balanced() -> None:
    ready = window(read_seldom(4, 300, 1))
    vehicles = pd.DataFrame([{"plate": PLATE, "unit_code": "UCP", "carrier_code": "CAR", "timezone": ZONE}])
    trips, readings = (rows[rows["operational_date"] == DAY] for rows in (ready.trips, ready.readings))
    [row] = km_ledger(DAY, trips, readings, ready.spans, vehicles).to_dict("records")
    assert float(row["service_km"]) == pytest.approx(20.0, abs=0.01)
    assert row["is_balanced"]
