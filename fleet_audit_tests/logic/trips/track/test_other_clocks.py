"""A second device of a vehicle whose clock is hours off adds no km and loses none; a device that replaces one does."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.reference.reference import Reference
from fleet_audit_tests.logic.driving import (
    DAY,
    FRONT,
    GARAGE,
    MILL,
    NO_SHRINKING,
    PLATE,
    Bus,
    at,
    registered,
    reported,
    trips_of,
    world,
)

FIRST, SECOND = {"device_id": "D1", "plate": PLATE}, {"device_id": "D2", "plate": PLATE, "valid_from": "2025-03-01"}
BOTH = world(FIRST, SECOND)
AROUND = [DAY + dt.timedelta(days=days) for days in (-1, 0, 1)]


def outing(device: str, begin: float, *, odometer_km: float = 1000.0, kmh: float = 60, parking: str = "stand") -> Bus:
    """Garage, mill, garage by the clock of a device, which does `parking` at the mill for 40 minutes."""
    bus = Bus(begin, device=device, odometer_km=odometer_km).stand(600).to(MILL, kmh).stand(240)
    getattr(bus, parking)(2400)
    return bus.stand(60).to(GARAGE, kmh).stand(600)


def joined(*buses: Bus) -> Bus:
    """What one device reported of several outings."""
    buses[0].records = [record for bus in buses for record in bus.records]
    return buses[0]


def without_odometer(bus: Bus) -> Bus:
    bus.records = [record | {"odometer_km": None} for record in bus.records]
    return bus


def km_of(buses: list[Bus], tables: Reference = BOTH) -> list[float]:
    """Km of the trips of the day before, the day, and the day after, each from its own window."""
    return pd.concat([trips_of(reported(buses), tables=tables, day=day) for day in AROUND])["km"].to_list()


@pytest.mark.parametrize("has_odometer", [True, False])
@pytest.mark.parametrize("hours", [-7, -3, -1, -0.5, 0.5, 1, 1.75, 3, 7])
def test_a_device_with_another_clock_that_never_reports_beside_the_first_adds_nothing(
    hours: float, has_odometer: bool
) -> None:
    """80 km were measured of 40 true ones: tracks that share no time were never compared."""
    buses = [outing("D1", at("10:00")), outing("D2", at("10:00") + 3600 * hours, odometer_km=9000.0)]
    if not has_odometer:
        buses = [without_odometer(bus) for bus in buses]
    trips = trips_of(reported(buses), tables=BOTH)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.2)
    assert set(trips["device_id"]) == {"D1"}


@pytest.mark.parametrize("begin", ["02:30", "10:00", "22:30"])
@pytest.mark.parametrize("hours", [-3, 3])
def test_a_device_that_reports_while_it_sleeps_takes_no_km_from_one_that_does_not(hours: int, begin: str) -> None:
    """Its parked hours covered more seconds, and its clock put a trip on another day than the first device."""
    right = outing("D1", at(begin), parking="unseen")
    wrong = joined(
        outing("D2", at(begin) + 3600 * hours, parking="park"),
        Bus(at(begin) + 3600 * hours + 7200, device="D2", odometer_km=1040.0).park(6 * 3600),
    )
    assert km_of([right, wrong]) == pytest.approx([20.0, 20.0], abs=0.2)


@pytest.mark.parametrize(("before", "after"), [(["13:00"], ["03:00"]), (["05:00", "17:00"], ["05:00"])])
def test_devices_that_were_exchanged_in_the_register_measure_the_same_road_on_both_days(
    before: list[str], after: list[str]
) -> None:
    """All 40 km of the new device's first day were lost: it drives the road of the evening before."""
    last_day = str(DAY - dt.timedelta(days=1))
    tables = world(FIRST | {"valid_to": last_day}, SECOND | {"valid_from": str(DAY)})
    old = joined(*[outing("D1", at(clock) - 86_400, odometer_km=1000.0 + 40 * n) for n, clock in enumerate(before)])
    new = joined(*[outing("D2", at(clock), odometer_km=40.0 * n) for n, clock in enumerate(after)])
    assert km_of([old, new], tables) == pytest.approx([20.0] * 2 * len(before + after), abs=0.2)


def test_two_registered_devices_are_compared_only_on_the_days_on_which_both_are() -> None:
    """The second one, 3 h off, was added on the day: the movement that it shows again is driven once."""
    tables = world(FIRST | {"valid_to": str(DAY)}, SECOND | {"valid_from": str(DAY)})
    old = joined(outing("D1", at("13:00") - 86_400), outing("D1", at("06:00"), odometer_km=1040.0))
    assert km_of([old, outing("D2", at("09:00"), odometer_km=9000.0)], tables) == pytest.approx([20.0] * 4, abs=0.2)


def test_a_device_that_slept_over_a_trip_does_not_measure_the_vehicle() -> None:
    """20 of 40 km were measured: its reports of the parked bus left no silence for the other device to fill."""
    early, late = outing("D1", at("05:00")), outing("D1", at("12:00"), odometer_km=1040.0)
    wrong = joined(
        outing("D2", at("02:00"), parking="park"), Bus(at("03:50"), device="D2", odometer_km=1040.0).park(12 * 3600)
    )
    assert km_of([joined(early, late), wrong]) == pytest.approx([20.0] * 4, abs=0.2)


def test_the_device_that_shows_the_trips_measures_although_it_was_assigned_later_and_its_clock_is_another() -> None:
    whole = joined(outing("D2", at("02:00")), outing("D2", at("09:00"), odometer_km=1040.0))
    assert km_of([outing("D1", at("05:00")), whole]) == pytest.approx([20.0] * 4, abs=0.2)


def test_a_trip_that_the_first_device_slept_over_is_measured_by_the_other_clock() -> None:
    whole = joined(outing("D2", at("12:00")), outing("D2", at("16:00"), odometer_km=1040.0))
    whole = joined(whole, Bus(at("18:00"), device="D2", odometer_km=1080.0).park(3600))
    first = joined(outing("D1", at("05:00")), outing("D1", at("20:00"), odometer_km=1080.0))
    assert km_of([first, whole]) == pytest.approx([20.0] * 6, abs=0.2)


def test_a_trip_that_only_another_clock_shows_is_held_where_it_would_stand_in_one_of_the_first_device() -> None:
    """The vehicle was in one place at that instant; nobody proves when the other trip was."""
    wrong = joined(outing("D2", at("02:00")), outing("D2", at("05:30"), odometer_km=1040.0))
    assert km_of([outing("D1", at("05:00")), wrong]) == pytest.approx([20.0] * 2, abs=0.2)


def test_a_clock_that_is_wrong_on_one_day_only_loses_that_day_only() -> None:
    """The first device died on the day after, when the clock of the second is right again."""
    night = at("05:00") - 86_400
    first = joined(outing("D1", night), outing("D1", at("05:00"), odometer_km=1040.0))
    second = joined(
        outing("D2", night), outing("D2", at("08:00"), odometer_km=1040.0),
        outing("D2", at("05:00") + 86_400, odometer_km=1080.0),
    )  # fmt: skip
    assert km_of([first, second]) == pytest.approx([20.0] * 6, abs=0.2)


@pytest.mark.parametrize("off", [(1,), (1, 2), (0,)])
def test_on_a_day_on_which_one_of_two_devices_is_off_the_other_one_measures_all_trips(off: tuple[int, ...]) -> None:
    """The trips of its morning are those of the evening before, 12 h later: 40 of 80 km were lost."""
    buses = [
        joined(*[outing(device, at(clock) + 86_400 * day + late, odometer_km=1000.0 + 80 * day)
                 for day in days for clock in ("05:00", "17:00")])
        for device, late, days in (("D1", 0, {0, 1, 2} - {*off}), ("D2", 7, {0, 1, 2}))
    ]  # fmt: skip
    trips = trips_of(reported(buses), tables=BOTH, day=DAY + dt.timedelta(days=off[0]))
    assert trips["km"].to_list() == pytest.approx([20.0] * 4, abs=0.2)


@pytest.mark.parametrize(("first", "second"), [("05:00", "17:00"), ("17:00", "05:00"), ("01:00", "17:00")])
def test_trips_of_a_day_that_two_devices_show_in_turn_are_all_driven(first: str, second: str) -> None:
    """Each was off for the other's outing, which is as long as those that both show on the days around: 40 km lost."""
    both = ("05:00", "17:00")
    buses = [
        joined(*[outing(device, at(clock) + 86_400 * day + late, odometer_km=1000.0 + 80 * day)
                 for day, clocks in enumerate([both, (own,), both]) for clock in clocks])
        for device, late, own in (("D1", 0, first), ("D2", 7, second))
    ]  # fmt: skip
    trips = trips_of(reported(buses), tables=BOTH, day=DAY + dt.timedelta(days=1))
    assert trips["km"].to_list() == pytest.approx([20.0] * 4, abs=0.6)


def test_a_movement_over_midnight_by_another_clock_is_not_driven_on_the_next_day() -> None:
    assert km_of([outing("D1", at("21:30")), outing("D2", at("22:27"))]) == pytest.approx([20.0, 20.0], abs=0.2)


def test_two_devices_of_another_clock_show_the_trips_of_the_first_one_once() -> None:
    tables = world(FIRST, SECOND, SECOND | {"device_id": "D3"})
    late = [
        joined(outing(device, at("10:00") + s), outing(device, at("15:00") + s)) for device, s in (("D2", 0), ("D3", 7))
    ]
    assert km_of([outing("D1", at("07:00")), *late], tables) == pytest.approx([20.0] * 4, abs=0.2)


def test_one_device_under_two_ids_whose_file_is_in_another_zone_drives_once() -> None:
    api = outing("D1", at("10:00"))
    file = outing("D2", at("10:00"))
    file.records = [record | {"recorded_at": record["recorded_at"] + 10_800} for record in api.records]  # type: ignore[operator]
    file.records = [record | {"device_id": "D2"} for record in file.records]
    assert km_of([api, file]) == pytest.approx([20.0, 20.0], abs=0.2)


@pytest.mark.parametrize(
    ("begin", "odometer_km", "kmh"), [("11:46", 9000.0, 60), ("16:00", 1040.0, 60), ("16:00", 9000.0, 50)]
)
def test_a_device_that_replaces_another_measures_the_same_road_later(
    begin: str, odometer_km: float, kmh: float
) -> None:
    """It begins where the other ended, at once; or later where its odometer goes on, or with another way in time."""
    old = joined(outing("D1", at("05:00")), outing("D1", at("10:00"), odometer_km=1000.0))
    new = outing("D2", at(begin), odometer_km=odometer_km, kmh=kmh)
    new = joined(new, Bus(new.seconds + 600, device="D2", odometer_km=odometer_km + 40).to(FRONT).stand(900))
    assert km_of([old, new]) == pytest.approx([20.0] * 6 + [40.0], abs=0.3)


@pytest.mark.parametrize(("first_s", "second_s"), [(30, 600), (600, 30), (300, 300)])
def test_a_device_that_reports_rarely_shows_another_clock_all_the_same(first_s: float, second_s: float) -> None:
    buses = [every(first_s, outing("D1", at("08:00"))), every(second_s, outing("D2", at("15:00") + 11))]
    assert sum(km_of(buses)) == pytest.approx(40.0, abs=0.5)


def every(seconds: float, bus: Bus) -> Bus:
    """The positions of a device that reports so rarely."""
    sent = [bus.records[0]]
    for record in bus.records:
        if record["recorded_at"] - sent[-1]["recorded_at"] >= seconds:  # type: ignore[operator]
            sent.append(record)
    bus.records = sent
    return bus


def test_a_way_that_the_first_device_missed_is_driven_once_by_the_clock_of_the_other() -> None:
    """The first one died at the mill: the other one shows all of its way, and measures both."""
    first = outing("D1", at("08:00"))
    first.records = [record for record in first.records if record["recorded_at"] < at("08:40")]  # type: ignore[operator]
    assert km_of([first, outing("D2", at("15:00"))]) == pytest.approx([20.0, 20.0], abs=0.2)


def test_a_replacing_device_that_drives_more_than_the_other_showed_is_no_other_clock() -> None:
    """Every trip takes the same time on the same road, only the timetable of the afternoon differs."""
    old = joined(*[outing("D1", at("05:00") + 7000 * trip, odometer_km=1000.0 + 40 * trip) for trip in range(3)])
    new = joined(*[outing("D2", at("14:00") + 7300 * trip, odometer_km=9000.0 + 40 * trip) for trip in range(3)])
    assert km_of([old, new]) == pytest.approx([20.0] * 12, abs=0.2)


@settings(NO_SHRINKING, max_examples=3)
@given(
    st.lists(
        st.tuples(st.sampled_from([-4, -3, -1, 1, 2, 4]), st.integers(2, 4), st.booleans()), min_size=6, max_size=6
    )
)
def test_each_movement_is_on_one_day_of_all_windows_although_the_first_device_dies(
    cases: list[tuple[int, int, bool]],
) -> None:
    """40 km were paid on two days, or a true trip on none: each window chose the vehicle's clock from all its days."""
    buses = []
    for number, (hours, until, is_late) in enumerate([(3, 3, True), (-3, 3, False), *cases]):
        first = at("22:30" if is_late else "01:30")
        begins = [*enumerate(first + 86_400 * day + 28_800 * part for day in (-1, 0) for part in (0, 1))]
        pair = [
            joined(*[outing(f"D{number}{name}", begin + late, odometer_km=1000.0 + 40 * n) for n, begin in begun])
            for name, late, begun in (("a", 0, begins[:until]), ("b", 3600 * hours + 7, begins))
        ]
        for bus in pair:
            bus.vehicle = number
        buses += pair
    days = [DAY + dt.timedelta(days=day) for day in range(-2, 3)]
    trips = pd.concat([trips_of(reported(buses), tables=world(*registered(buses)), day=day) for day in days])
    km = trips.groupby("plate")["km"].sum()
    assert km.to_list() == pytest.approx([160.0] * len(km), abs=1.1)  # a trip may be cut at midnight


@settings(NO_SHRINKING, max_examples=8)
@given(st.lists(st.integers(-14 * 60, 14 * 60), min_size=6, max_size=6), st.data())
def test_whatever_the_clock_of_the_second_device_the_km_of_the_first_are_driven_once(
    minutes: list[int], data: st.DataObject
) -> None:
    buses = []
    for number, offset in enumerate(minutes):
        parked = data.draw(st.tuples(*[st.sampled_from(["stand", "park", "unseen"])] * 2))
        pair = [
            outing(f"D{number}{name}", at("10:00") + late, parking=parking)
            for name, late, parking in zip("ab", (0, 60 * offset + 7), parked, strict=True)
        ]
        for bus in pair:
            bus.vehicle = number
        buses += [without_odometer(bus) for bus in pair] if data.draw(st.booleans()) else pair
    trips = trips_of(reported(buses), tables=world(*registered(buses)))
    assert trips.groupby("plate")["km"].sum().to_list() == pytest.approx([40.0] * 6, abs=0.4)


@pytest.mark.parametrize("has_odometer", [True, False])
def test_trackers_that_sleep_while_the_other_one_reports_lose_no_trip(has_odometer: bool) -> None:
    """The second one's afternoon is the first one's morning 8 h later, but they hand over on both ways back."""
    turns = (("05:00", "07:25"), ("15:25", "24:00")), (("07:25", "15:25"),)
    buses = [
        joined(outing(device, at("06:00")), outing(device, at("14:00"), odometer_km=1040.0)) for device in ("D1", "D2")
    ]
    for bus, spans in zip(buses, turns, strict=True):
        bus.records = [one for one in bus.records if any(at(a) <= one["recorded_at"] < at(b) for a, b in spans)]  # type: ignore[operator]
    if not has_odometer:
        buses = [without_odometer(bus) for bus in buses]
    assert km_of(buses) == pytest.approx([20.0] * 4, abs=0.3)


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_off_by_the_period_of_the_timetable_shows_no_trip_twice(hours: int) -> None:
    """Most of its trips are beside another one of the first device; one in a silence of it was paid again: 40 km."""
    clocks = ("07:00", "09:00", "13:00", "15:00", "17:00")
    first = timetable("D1", at("05:00"), clocks, 0)
    silence = (at("18:20"), at("21:00")) if hours > 0 else (at("03:00"), at("06:55"))
    first.records = [one for one in first.records if not silence[0] < one["recorded_at"] < silence[1]]  # type: ignore[operator]
    assert sum(km_of([first, timetable("D2", at("05:00"), clocks, 3600 * hours)])) == pytest.approx(200.0, abs=1.0)


def timetable(device: str, begin: float, clocks: tuple[str, ...], late_s: float) -> Bus:
    """Garage, mill, garage at each instant; parked in between, by a clock that is late."""
    bus = Bus(begin, device=device)
    for clock in clocks:
        bus.park(at(clock) - bus.seconds).to(MILL).stand(240).to(GARAGE).stand(300)
    bus.park(at("23:00") - bus.seconds)
    bus.records = [one | {"recorded_at": one["recorded_at"] + late_s} for one in bus.records]  # type: ignore[operator]
    return bus
