"""Odometers that are read seldom accuse nobody, and those that fail or are turned are named all the same."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable

import numpy as np
import pytest

from fleet_audit_tests.logic.driving import DAY, DEGREE_M, Bus, at, trips_of
from fleet_audit_tests.logic.trips.test_faulty_devices import SENTINEL_KM, events

Device = Callable[[list[float]], list[float]]
FIVE_MILES_KM = 8.04672


def three_days(every: float = 30, *, idle_days: int = 0) -> Bus:
    """Trips of 14 to 31 km on the day and the two before it, of which the first may be without any."""
    chance, bus = np.random.default_rng(3), Bus(at("05:00", DAY - dt.timedelta(days=2)), odometer_km=123_436.9,
                                                resolution_km=0.001)  # fmt: skip
    for day in range(-2, 1):
        bus.park(at("05:30", DAY + dt.timedelta(days=day)) - bus.seconds)
        for number in range(0 if day < idle_days - 2 else 6):
            way_m = (14_000 + 3_400 * number) * (1 if number % 2 == 0 else -1)
            bus.go(way_m, 42 + 3 * number, every).stand(120).park(1500)
    for record, off in zip(bus.records, chance.normal(0, 6 / DEGREE_M, len(bus.records)), strict=True):
        record["latitude"] += off  # type: ignore[operator]
    return bus


def shows(bus: Bus, device: Device, *, fault: Device = list) -> Bus:
    """What the device shows of what its odometer, with a fault, counts."""
    counted = fault([float(record["odometer_km"]) for record in bus.records])  # type: ignore[arg-type]
    for record, km in zip(bus.records, device(counted), strict=True):
        record["odometer_km"] = round(km, 1)
    return bus


def in_steps(step_km: float) -> Device:
    return lambda counted: [step_km * math.floor(km / step_km) for km in counted]


def once_in(every_km: float) -> Device:
    """The first reading of the window is 0.7 of them old."""

    def device(counted: list[float]) -> list[float]:
        shown, found = counted[0] - 0.7 * every_km, []
        for km in counted:
            shown = km if km - shown >= every_km else shown
            found.append(shown)
        return found

    return device


SELDOM = {
    **{f"steps of {km:g} km": in_steps(km) for km in (5, FIVE_MILES_KM, 10, 50, 100)},
    **{f"read once in {km} km": once_in(km) for km in (5, 10)},
}


def of_the_day(bus: Bus) -> list[int]:
    """Records on the road of the day itself."""
    return [at for at, record in enumerate(bus.records) if record["speed_kmh"] and record["recorded_at"] >= _morning()]


def _morning() -> float:
    return at("00:00", DAY)


@pytest.mark.parametrize("idle_days", [0, 2])
@pytest.mark.parametrize("device", SELDOM.values(), ids=SELDOM)
def test_an_odometer_that_is_read_seldom_accuses_nobody(device: Device, idle_days: int) -> None:
    """After two days without a drive the first reading of the window is up to a step old."""
    assert events(shows(three_days(idle_days=idle_days), device)) == []


@pytest.mark.parametrize("km", [5, 10])
@pytest.mark.parametrize("kind", [in_steps, once_in])
def test_an_odometer_that_misses_one_step_accuses_nobody(kind: Callable[[float], Device], km: float) -> None:
    bus = three_days()
    first = of_the_day(bus)[100]

    def missed(counted: list[float]) -> list[float]:
        return counted[:first] + [max(counted[first], one - km) for one in counted[first:]]

    assert events(shows(bus, kind(km), fault=missed)) == []


@pytest.mark.parametrize("value", [0.0, 999_999.0, SENTINEL_KM, 122_650.3])
@pytest.mark.parametrize("count", [1, 3])
def test_false_readings_of_an_odometer_that_is_read_once_in_5_km_accuse_nobody(value: float, count: int) -> None:
    bus = shows(three_days(), once_in(5))
    moving = of_the_day(bus)
    for first in (20, 95, 160, 201):
        for number in moving[first : first + count]:
            bus.records[number]["odometer_km"] = value
    assert events(bus) == []


@pytest.mark.parametrize("device", [in_steps(5), in_steps(FIVE_MILES_KM), once_in(5)])
@pytest.mark.parametrize("every", [30, 300])
def test_an_odometer_that_is_read_seldom_and_dies_is_frozen(device: Device, every: float) -> None:
    bus = three_days(every)
    first = of_the_day(bus)[len(of_the_day(bus)) // 2]
    dies = lambda counted: counted[:first] + [counted[first]] * (len(counted) - first)  # noqa: E731
    assert events(shows(bus, device, fault=dies)) == ["frozen"]


def shuttles(way_m: float, trips: int) -> Bus:
    """Trips out and back on the day."""
    bus = Bus("05:00", odometer_km=123_441.0, resolution_km=0.001).park(1800)
    for number in range(trips):
        bus.go(way_m if number % 2 == 0 else -way_m, 42, 30).stand(120).park(1500)
    return bus


def dies_at(value: float) -> Device:
    return lambda counted: [min(km, value) for km in counted]


def with_an_offset(step_km: float) -> Device:
    return lambda counted: [1000.3 + step_km * math.floor((km - 300) / step_km) for km in counted]


@pytest.mark.parametrize(
    ("value", "way_m", "trips", "found"),
    [
        (123_441.0, 1400, 10, ["frozen"]),
        (123_441.3, 1400, 10, ["frozen"]),
        (123_400.0, 1400, 10, ["frozen"]),
        (123_441.0, 1400, 6, []),  # it may count in steps of 10 km from there on
    ],
)
def test_one_reading_is_of_an_odometer_that_died_where_it_stands_over_more_than_a_step(
    value: float, way_m: float, trips: int, found: list[str]
) -> None:
    """The path measures each trip in either case."""
    bus = shows(shuttles(way_m, trips), lambda counted: [value] * len(counted))
    assert events(bus) == found
    measured = trips_of(bus)
    assert set(measured["km_method"]) == {"gps"}
    assert measured["km"].sum() == pytest.approx(trips * way_m / 1000, rel=0.02)


@pytest.mark.parametrize("way_m", [800, 1400])
def test_an_odometer_in_whole_km_that_dies_measures_no_short_trip(way_m: float) -> None:
    """Each trip alone is within what an odometer in whole km misses: 10 trips of 1.4 km were paid 0 km."""
    bus = shows(shuttles(way_m, 12), dies_at(123_444.0), fault=in_steps(1))
    assert events(bus) == ["frozen"]
    last = trips_of(bus).iloc[-7:]
    assert set(last["km_method"]) == {"gps"}
    assert last["km_uncertainty"].astype(float).to_numpy() == pytest.approx([way_m / 10_000] * 7, abs=0.01)
    assert last["km"].to_numpy() == pytest.approx([way_m / 1000] * 7, abs=0.02)


def test_short_trips_of_an_odometer_in_whole_km_are_its_own() -> None:
    trips = trips_of(shows(shuttles(1400, 10), in_steps(1)))
    assert set(trips["km_method"]) == {"odometer"}
    assert trips["km"].sum() == pytest.approx(14, abs=1)


@pytest.mark.parametrize(
    ("device", "way_m", "trips"),
    [
        *((device(step_km), 24_000, 8) for device in (in_steps, with_an_offset) for step_km in (50, 100)),
        (in_steps(10), 1400, 6),
    ],
)
def test_steps_of_many_km_accuse_nobody(device: Device, way_m: float, trips: int) -> None:
    bus = shows(shuttles(way_m, trips), device)
    assert events(bus) == []
    assert trips_of(bus)["km"].sum() == pytest.approx(way_m / 1000 * trips, rel=0.01)


def test_a_bus_that_is_towed_has_an_odometer_that_stands() -> None:
    """Its ignition is off, and nothing else shows what its odometer counts: those km are in no trip's."""
    bus = Bus("05:00").park(1800).go(12_000, 20, 60).park(1800)
    for record in bus.records:
        record |= {"odometer_km": 1000.3, "ignition": False}
    assert events(bus) == []
    assert trips_of(bus)["km"].to_list() == [0.0]


@pytest.mark.parametrize("device", [in_steps(5), once_in(5)])
def test_an_odometer_that_is_read_seldom_and_is_turned_on_jumps(device: Device) -> None:
    bus = three_days()
    first = of_the_day(bus)[100]
    turned = lambda counted: counted[:first] + [km + 300 for km in counted[first:]]  # noqa: E731
    assert "jump" in events(shows(bus, device, fault=turned))


@pytest.mark.parametrize("every", [30, 300])
def test_a_reading_at_ignition_off_that_counts_a_winding_road_is_no_jump(every: float) -> None:
    """The road is 12 % longer than the chords of 300 s; the reading changes 30 s after the vehicle has stopped."""
    bus = three_days(every)
    longer = 1.12 if every == 300 else 1.0

    def device(counted: list[float]) -> list[float]:
        shown, found = counted[0], []
        for before, record, km in zip([bus.records[0], *bus.records], bus.records, counted, strict=False):
            shown = km if before["speed_kmh"] and not record["speed_kmh"] else shown
            found.append(shown)
        return found

    assert events(shows(bus, device, fault=lambda counted: [longer * km for km in counted])) == []


def once_in_fixes(fixes: int) -> Device:
    return lambda counted: [counted[number - number % fixes] for number in range(len(counted))]


@pytest.mark.parametrize("device", [once_in_fixes(5), in_steps(5)], ids=["once in 5 fixes", "steps of 5 km"])
def test_a_tracker_off_the_bus_is_named_by_an_odometer_that_is_read_seldom(device: Device) -> None:
    """35 km counted in 90 min over which the tracker stays where it is."""
    bus = three_days(60)
    start = len(bus.records)
    bus.stand(5400, 60)
    off = np.random.default_rng(5).normal(0, 5 / DEGREE_M, len(bus.records) - start)
    for number, record in enumerate(bus.records[start:], 1):
        record["odometer_km"] += 35 * number / len(off)  # type: ignore[operator]
        record["latitude"] += off[number - 1]  # type: ignore[operator]
    assert events(shows(bus, device)) == ["parked"]
