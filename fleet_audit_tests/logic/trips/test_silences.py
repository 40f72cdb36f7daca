"""What an odometer counted while its device was silent: known where its readings can be right, else not."""

from __future__ import annotations

import math

import pytest

from fleet_audit_tests.logic.driving import FRONT, GARAGE, MILL, Bus, window


def counted(bus: Bus) -> list[float]:
    """What the odometer counted before each span, in order of time."""
    return window(bus).spans.sort_values("started_at")["counted_before_km"].to_list()


def after_a_silence(seconds: float, metres: float) -> Bus:
    """Seen for an hour at the garage, then silent, then seen for an hour."""
    return Bus("05:00", GARAGE).park(3600).unseen(seconds, metres).park(3600)


@pytest.mark.parametrize(
    ("metres", "km"), [(16_400.0, 16.4), (0.0, 0.0)], ids=["driven", "stood in the yard with a silent tracker"]
)
def test_what_the_odometer_counted_in_a_silence_of_79_minutes(metres: float, km: float) -> None:
    first, second = counted(after_a_silence(79 * 60, metres))
    assert math.isnan(first)
    assert second == pytest.approx(km, abs=0.11)


@pytest.mark.parametrize(
    "offset_km", [-16.4, -40.0, 900.0], ids=["stood while the bus moved", "fell", "jumped further than a bus drives"]
)
def test_readings_that_cannot_be_right_say_nothing(offset_km: float) -> None:
    bus = after_a_silence(79 * 60, 16_400.0)
    at = next(k for k, row in enumerate(bus.records) if row["recorded_at"] >= bus.records[0]["recorded_at"] + 8000)
    for row in bus.records[at:]:
        row["odometer_km"] += offset_km  # type: ignore[operator]
    assert all(math.isnan(km) for km in counted(bus))


def without_readings(bus: Bus, *read_at: float) -> Bus:
    """Its odometer is read at these instants only."""
    for row in bus.records:
        row["odometer_km"] = row["odometer_km"] if row["recorded_at"] in read_at else None
    return bus


@pytest.mark.parametrize(
    ("metres", "km"), [(16_400.0, math.nan), (0.0, 0.0)], ids=["found elsewhere", "found where it was left"]
)
def test_a_device_without_an_odometer_shows_only_that_it_stands_where_it_stood(metres: float, km: float) -> None:
    bus = without_readings(after_a_silence(79 * 60, metres))
    assert counted(bus)[1:] == pytest.approx([km], nan_ok=True)


def test_a_bus_that_fell_silent_on_the_road_is_not_found_where_it_was_left() -> None:
    """It returns to the same metre of the road: nothing shows that it stood there."""
    bus = Bus("05:00", GARAGE).park(3600).to(MILL).unseen(1800).go(1_000).park(3600)
    assert math.isnan(counted(without_readings(bus))[1])


def test_an_odometer_that_counted_out_and_back_is_a_doubt_however_rarely_it_is_read() -> None:
    """Two rides of 40 km, seen, around a silence at the front, in which it may have driven 16 km and returned."""

    def ridden(unseen_m: float) -> list[float]:
        bus = Bus("05:00", GARAGE).park(3600)
        read_at = [bus.seconds]
        bus.to(FRONT).stand(300).unseen(1800, unseen_m / 2).unseen(1800, -unseen_m / 2)
        bus.records.pop(-2)  # nothing shows it away
        bus.stand(300).to(GARAGE).park(1800)
        return counted(without_readings(bus, *read_at, bus.seconds))[1:]

    assert ridden(0.0) == [0.0]
    assert ridden(16_000.0) == [pytest.approx(16.0, abs=0.2)]


def test_short_steps_and_single_positions_make_no_silence_of_their_own() -> None:
    """A position alone between two silences shows no time: the span after it counts from the one before it."""
    bus = Bus("05:00", GARAGE).park(3600).unseen(1200, 4_000).unseen(1200, 4_000).park(3600).to(MILL).park(1200)
    assert counted(bus)[1:] == [pytest.approx(8.0, abs=0.11)]
