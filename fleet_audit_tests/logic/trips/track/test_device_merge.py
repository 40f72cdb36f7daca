"""One vehicle, one track: several devices, and units in two zones; every km is in one trip of one day."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.ledger import km_ledger
from fleet_audit.schema import reference
from fleet_audit_tests.logic.driving import (
    DAY,
    FRONT,
    GARAGE,
    MILL,
    NO_SHRINKING,
    NOWHERE,
    PLATE,
    WORKSHOP,
    Bus,
    at,
    reported,
    trips_of,
    window,
    world,
)
from fleet_audit_tests.logic.frames import rows

EAST, WEST = "America/Sao_Paulo", "America/Campo_Grande"
NEXT = DAY + dt.timedelta(days=1)
BOTH = world({"device_id": "D1", "plate": PLATE}, {"device_id": "D2", "plate": PLATE, "valid_from": "2025-03-01"})


def driven(device: str, begin: float = 0.0, **more: object) -> Bus:
    """Garage, mill, garage, seen by one device."""
    bus = Bus(at("05:00") + begin, device=device, **more).stand(1800)  # type: ignore[arg-type]
    return bus.to(MILL).stand(1800).to(GARAGE).stand(1800)


def without(bus: Bus, start: str, end: str) -> Bus:
    bus.records = [record for record in bus.records if not at(start) < record["recorded_at"] < at(end)]  # type: ignore[operator]
    return bus


@pytest.mark.parametrize("others", [1, 2, 3])
def test_a_trip_that_several_devices_saw_is_one_trip(others: int) -> None:
    buses = [driven(f"D{number + 1}", 7.0 * number, odometer_km=1000.0 * (number + 1)) for number in range(others + 1)]
    tables = world(*({"device_id": bus.device, "plate": PLATE} for bus in buses))
    trips = trips_of(reported(buses), tables=tables)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.11)
    assert trips["device_id"].nunique() == 1
    seen = window(reported(buses), tables=tables)
    day_trips = seen.trips[seen.trips["operational_date"] == DAY]
    ledger = km_ledger(DAY, day_trips, seen.readings, seen.spans, tables.vehicles_on(DAY)).iloc[0]
    assert float(ledger["odometer_delta_km"]) == pytest.approx(40.0, abs=0.2)
    assert ledger["is_balanced"]


def test_the_device_that_covers_more_measures_and_of_equals_the_later_one() -> None:
    equal = trips_of(reported([driven("D1"), driven("D2")]), tables=BOTH)
    assert set(equal["device_id"]) == {"D2"}
    shorter = without(driven("D2"), "05:00", "05:12")
    assert set(trips_of(reported([driven("D1"), shorter]), tables=BOTH)["device_id"]) == {"D1"}


def test_the_other_fills_the_gaps_of_the_primary_and_no_odometers_are_mixed() -> None:
    dying = without(driven("D1", odometer_km=500.0), "05:40", "23:00")
    other = without(driven("D2", odometer_km=9000.0), "04:00", "05:35")
    early = Bus(at("00:00"), device="D1", odometer_km=500.0).stand(5 * 3600 - 60)
    trips = trips_of(reported([early, dying, other]), tables=BOTH)
    assert trips["km"].sum() == pytest.approx(40.0, abs=0.6)
    assert trips["km_odometer"].dropna().max() < 30
    assert trips["destination_poi_id"].to_list()[-1] == "GAR"


def test_a_device_that_was_elsewhere_fills_nothing() -> None:
    wrong = Bus(at("05:00"), where=90_000.0, device="D2").stand(600).go(60_000).stand(600).go(-60_000).stand(1800)
    gone = without(driven("D1"), "06:30", "07:00")
    long_before = Bus(at("00:00"), device="D1").stand(5 * 3600 - 60)
    trips = trips_of(reported([long_before, gone, wrong]), tables=BOTH)
    assert trips["km"].sum() == pytest.approx(40.0, abs=1.0)


def round_trip(device: str, hours: float, *, is_asleep: bool, has_odometer: bool) -> Bus:
    """To the mill at 05:04 and back six hours later by the device's clock, silent or rarely reporting while parked."""
    bus = Bus(at("20:00") - 86_400 + 3600 * hours, device=device).stand(240)
    bus.unseen(9 * 3600).stand(240).to(MILL).stand(240)
    bus = bus.unseen(6 * 3600) if is_asleep else bus.park(6 * 3600)
    bus.to(GARAGE).stand(240)
    return bus if has_odometer else without_odometer(bus)


def without_odometer(bus: Bus) -> Bus:
    bus.records = [record | {"odometer_km": None} for record in bus.records]
    return bus


@pytest.mark.parametrize("has_odometer", [True, False])
@pytest.mark.parametrize("is_asleep", [True, False])
@pytest.mark.parametrize("has_evenings", [True, False])
@pytest.mark.parametrize("hours", [-3, 1])
def test_a_device_whose_clock_is_hours_off_makes_no_second_trip(
    hours: int, has_evenings: bool, is_asleep: bool, has_odometer: bool
) -> None:
    """Its trips lay in the silences of the other, or before and after all that it reported, and were paid again."""
    kind = {"is_asleep": is_asleep, "has_odometer": has_odometer}
    right, wrong = round_trip("D1", 0, **kind), round_trip("D2", hours, **kind)
    evenings = [Bus(at("20:00") + day, device="D1", odometer_km=1000.0 + km).stand(900)
                for day, km in ((-86_400, 0.0), (0.0, 40.0))]  # fmt: skip
    if not has_odometer:
        evenings = [without_odometer(bus) for bus in evenings]
    trips = trips_of(reported([right, *evenings * has_evenings, wrong]), tables=BOTH)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.2)


@settings(NO_SHRINKING, max_examples=12)
@given(st.integers(-360, 360), st.booleans(), st.booleans())
def test_no_km_is_driven_twice_whatever_the_offset_of_a_clock(
    minutes: int, is_asleep: bool, has_odometer: bool
) -> None:
    kind = {"is_asleep": is_asleep, "has_odometer": has_odometer}
    trips = trips_of(reported([round_trip("D1", 0, **kind), round_trip("D2", minutes / 60, **kind)]), tables=BOTH)
    assert trips["km"].sum() <= 40.6


@pytest.mark.parametrize("parked_s", [0, 1800])
def test_a_tracker_that_replaces_another_at_noon_measures_the_afternoon(parked_s: int) -> None:
    """Both report the parked bus for `parked_s`, or none does; a third that died early makes no difference."""
    old = driven("D1")
    new = Bus(old.seconds + 60 - parked_s, device="D2", odometer_km=9000.0).stand(1800).to(MILL).stand(1800)
    early = Bus(old.records[0]["recorded_at"] + 60, device="D3").stand(600)  # type: ignore[operator]
    tables = world(*({"device_id": device, "plate": PLATE} for device in ("D1", "D2", "D3")))
    trips = trips_of(reported([old, new, early]), tables=tables)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0, 20.0], abs=0.2)


def test_a_tracker_that_was_tried_out_in_the_garage_measures_after_the_other_one_died_on_the_road() -> None:
    """Its one fix of the evening before is elsewhere than where the other one fell silent: 20 km were lost."""
    evening = Bus(at("20:00") - 86_400, device="D1").stand(1800)
    tried = Bus(at("20:10") - 86_400, device="D2", odometer_km=9000.0)
    died = Bus(at("05:00"), device="D1").stand(600).to(MILL).stand(1800).to(GARAGE).stand(1800)
    died.to(MILL).stand(1800).go(-10_000, 60)
    new = Bus(at("14:00"), MILL, device="D2", odometer_km=9000.0).stand(600).to(FRONT).stand(600)
    trips = trips_of(reported([evening, died, tried, new]), tables=BOTH)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0, 20.0, 10.0, 20.0], abs=0.2)


@pytest.mark.parametrize("tried", [("20:10", -86_400, 0), ("04:00", 0, 3960)])
def test_a_tracker_that_was_tried_out_before_it_was_built_in_at_the_garage_measures_its_first_afternoon(
    tried: tuple[str, int, int],
) -> None:
    """Its odometer stood over the 40 km that the other one drove in the morning, and 40 of 80 km were lost."""
    clock, day_s, lasts_s = tried
    trial = Bus(at(clock) + day_s, device="D2", odometer_km=9000.0)
    trial = trial.stand(lasts_s) if lasts_s else trial
    new = Bus(at("14:00"), device="D2", odometer_km=9000.0).stand(600).to(MILL).stand(600).to(GARAGE).stand(600)
    trips = trips_of(reported([driven("D1"), trial, new]), tables=BOTH)
    assert trips["km"].to_list() == pytest.approx([20.0] * 4, abs=0.2)


@pytest.mark.parametrize("repeated", [1, 5, 60])
def test_an_odometer_that_repeats_its_last_reading_on_waking_loses_no_trip_that_it_counts_when_it_moves(
    repeated: int,
) -> None:
    """The 40 km that the second device alone saw were lost, of 120."""
    bus = driven("D1")
    asleep_s, last_km = bus.seconds, bus.records[-1]["odometer_km"]
    bus.driven_m += 40_000
    bus.unseen(7200)
    first = len(bus.records) - 1
    bus.stand(1800).to(MILL).stand(1800).to(GARAGE)
    for record in bus.records[first : first + repeated]:
        record["odometer_km"] = last_km
    other = Bus(asleep_s + 900, device="D2", odometer_km=500.0).stand(300).to(MILL).stand(900).to(GARAGE).stand(600)
    assert trips_of(reported([bus, other]), tables=BOTH)["km"].sum() == pytest.approx(120.0, abs=1.0)


def silent(bus: Bus, start: str, end: str = "47:00") -> Bus:
    """A primary that reported all night, and not from `start` to `end`."""
    night = Bus(at("00:00"), device=bus.device).stand(5 * 3600 - 60)
    bus.records = [*night.records, *without(bus, start, end).records]
    return bus


def test_a_fix_astray_while_both_are_parked_loses_no_trip_of_the_other_device() -> None:
    other = driven("D2", 7.0)
    other.records[20]["latitude"] += 0.05  # type: ignore[operator]
    trips = trips_of(reported([silent(driven("D1"), "05:25"), other]), tables=BOTH)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.3)


def test_an_odometer_that_stands_while_its_tracker_is_off_refuses_no_other_device() -> None:
    """A tracker that counts its odometer itself shows the same reading before and after the trips that it missed."""
    primary = silent(driven("D1"), "05:25", "07:10")
    for record in primary.records:
        record["odometer_km"] = 1000.0
    trips = trips_of(reported([primary, driven("D2", 7.0)]), tables=BOTH)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.3)


def test_an_odometer_that_drifts_while_parked_pays_no_trip_of_another_clock_again() -> None:
    right, wrong = (
        round_trip(name, hours, is_asleep=True, has_odometer=True) for name, hours in (("D1", 0), ("D2", -3))
    )
    for record in right.records:
        record["odometer_km"] += 0.1 * (record["recorded_at"] > at("04:00")) + 0.1 * (
            record["recorded_at"] > at("09:00")
        )  # type: ignore[operator]
    night = Bus(at("20:00") - 86_400, device="D1").stand(900)
    evening = Bus(at("20:00"), device="D1", odometer_km=1040.2).stand(900)
    trips = trips_of(reported([right, night, evening, wrong]), tables=BOTH)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.2)


@pytest.mark.parametrize("late_s", [0.0, 45.0])
def test_devices_that_report_at_other_seconds_of_the_minute_drive_together(late_s: float) -> None:
    """45 s apart at 90 km/h are 1.1 km: beyond `outlier_m`. So is a clock that is 45 s late."""

    def seen_by(device: str, begin_s: float, first_s: float) -> Bus:
        bus = Bus(at("05:00") + begin_s, device=device)
        for metres in (0.0, 20_000.0, 0.0, -20_000.0, 0.0):
            bus.go(metres, 90, 5) if metres else bus.stand(1800, 5)
        bus.records = [one for one in bus.records if (one["recorded_at"] - first_s) % 90 == 0]  # type: ignore[operator]
        return bus

    first = at("05:00")
    dying, other = seen_by("D1", 0.0, first), seen_by("D2", late_s, first + 45)
    trips = trips_of(reported([silent(dying, "05:58"), other]), tables=BOTH)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.5)


@pytest.mark.parametrize("parked_s", [600, 14_400])
@pytest.mark.parametrize(("counted_km", "missed_m"), [(0.0, 0.0), (80.0, 0.0), (0.0, -5000.0)])
def test_a_tracker_of_another_bus_drives_nothing_while_the_first_one_stood_and_did_not_count(
    counted_km: float, missed_m: float, parked_s: int
) -> None:
    """80 km were paid beside 40. They are where the odometer counted them, or misses what its own tracker sleeps over.

    Of two vehicles that one measures whose device covers more.
    """
    first = Bus(at("02:00"), device="D1").stand(parked_s).to(MILL).stand(600).to(GARAGE).stand(600)
    again = Bus(first.seconds + 1800, missed_m, device="D1", odometer_km=1040.0).stand(600)
    last = Bus(at("22:00"), missed_m, device="D1", odometer_km=1040.0 + counted_km).stand(600)
    other = Bus(at("14:00"), device="D2", odometer_km=77_000.0).stand(240).to(FRONT).stand(600).to(GARAGE).stand(240)
    trips = trips_of(reported([first, again, last, other]), tables=BOTH)
    alone_km = 40.0 if parked_s > 600 else 80.0
    both_km = 120.0 - missed_m / 1000
    assert trips["km"].sum() == pytest.approx(both_km if counted_km or missed_m else alone_km, abs=0.5)


def test_an_odometer_that_comes_with_every_second_position_refuses_a_tracker_of_another_bus() -> None:
    first = Bus(at("02:00"), device="D1").stand(14_400).to(MILL).stand(600).to(GARAGE).stand(600)
    last = Bus(at("22:00"), device="D1", odometer_km=1040.0).stand(600).to(MILL).stand(600)
    for record in [*first.records[::2], *last.records[::2]]:
        record["odometer_km"] = None
    other = Bus(at("14:00"), device="D2", odometer_km=77_000.0).stand(240).to(FRONT).stand(600).to(GARAGE).stand(240)
    assert trips_of(reported([first, last, other]), tables=BOTH)["km"].sum() == pytest.approx(60.0, abs=0.5)


def moved(first_zone: str, second_zone: str) -> Reference:
    """A vehicle that belongs to another unit, in another zone, from DAY + 1 on."""
    vehicle = {"plate": PLATE, "carrier_code": "CAR", "vehicle_class": "onibus", "status": "ativo"}
    return world({"device_id": "D1", "plate": PLATE}).with_tables(
        units=rows(
            reference.UNITS,
            {"unit_code": "A", "timezone": first_zone},
            {"unit_code": "B", "timezone": second_zone},
        ),
        vehicles=rows(
            reference.VEHICLES,
            {**vehicle, "unit_code": "A", "valid_to": DAY.isoformat()},
            {**vehicle, "unit_code": "B", "valid_from": NEXT.isoformat()},
        ),
    )


@pytest.mark.parametrize(
    "zones", [("America/Sao_Paulo", "America/Campo_Grande"), ("America/Campo_Grande", "America/Sao_Paulo")]
)
def test_no_trip_is_lost_or_doubled_where_two_zones_meet(zones: tuple[str, str]) -> None:
    bus = Bus(at("20:00")).park(3600)
    for _ in range(5):  # a trip in each hour around both midnights
        bus.to(MILL).park(900).to(GARAGE).park(900)
    tables = moved(*zones)
    days = [DAY - dt.timedelta(days=1), DAY, NEXT, NEXT + dt.timedelta(days=1)]
    found = pd.concat(
        [window(bus, day=day, tables=tables).trips.query("operational_date == @day") for day in days], ignore_index=True
    )
    found = found[found["purpose"] != "yard"]
    assert len(found) == 10
    assert found["trip_id"].is_unique
    unit_of = {DAY: "A", NEXT: "B"}
    assert [unit_of[day] for day in found["operational_date"]] == found["unit_code"].to_list()
    later = pd.Timestamp(NEXT, tz=zones[1])
    assert ((found["started_at"] >= later) == (found["unit_code"] == "B")).all()


@pytest.mark.parametrize("silent_from", ["23:47", "23:52", "23:58"])
def test_a_drive_over_midnight_that_its_device_did_not_report_is_one_trip_of_the_day_on_which_it_began(
    silent_from: str,
) -> None:
    """40 km from 23:40, by the first device from 00:05 on again: from 00:00 on the other one measured 27 of them."""
    buses = [
        Bus(at("12:00"), device=device, resolution_km=0.01).park(42_000).go(FRONT, 40).stand(600).park(28_800)
        for device in ("D1", "D2")
    ]
    first, second = (
        without(without(buses[0], silent_from, "24:13"), "28:00", "31:00"),
        without(buses[1], "14:00", "20:00"),
    )
    trips = pd.concat([trips_of(reported([first, second]), tables=BOTH, day=day) for day in (DAY, NEXT)])
    km = trips.groupby("operational_date")["km"].sum()
    assert km.to_dict() == {DAY: pytest.approx(40.0, abs=0.5)}
    assert trips["destination_poi_id"].to_list() == ["FRE"]


@pytest.mark.parametrize("back", ["34:00", "99:00"])
@pytest.mark.parametrize("silent_from", ["23:49:20", "23:55", "23:59:10"])
def test_a_device_that_fell_silent_on_the_road_shortly_before_midnight_leaves_the_rest_of_the_way_to_the_other_one(
    silent_from: str, back: str
) -> None:
    """From then until midnight nobody measured: 7.4 of 40 km were lost."""
    buses = [
        Bus(at(begin), device=device).park(at("23:30") - at(begin)).go(FRONT, 40).park(28 * 3600)
        for device, begin in (("D1", "05:00"), ("D2", "15:00"))
    ]
    positions = reported([without(buses[0], silent_from, back), buses[1]])
    km = sum(trips_of(positions, tables=BOTH, day=day)["km"].sum() for day in (DAY, NEXT))
    assert km == pytest.approx(40.0, abs=0.5)


@pytest.mark.parametrize("halt_s", [600, 1100])
@pytest.mark.parametrize("early", ["D1", "D2"])
def test_a_short_halt_after_midnight_parts_no_drive_whichever_device_measures_the_next_day(
    early: str, halt_s: int
) -> None:
    """A run at 05:30 takes the one for primary that covers most until then: 25 of 40 km were lost, or paid twice."""
    gaps = {"D1": [("36:00", "40:00")], "D2": [("02:00", "03:00"), ("36:00", "40:00")]}
    gaps["D2" if early == "D1" else "D1"][-1] = ("26:00", "27:00")
    buses = []
    for device, silences in gaps.items():
        bus = Bus(at("00:00"), device=device).park(at("23:30") - at("00:00")).go(NOWHERE + 5_000, 40)
        bus.stand(halt_s, 60).to(FRONT, 40).stand(1800).park(40 * 3600)
        for start, end in silences:
            without(bus, start, end)
        buses.append(bus)
    positions = reported(buses)
    until = positions[positions["recorded_at"] < pd.Timestamp(at("29:30"), unit="s", tz="UTC")]
    found = [trips_of(seen, tables=BOTH, day=day) for seen, day in ((until, DAY), (positions, NEXT))]
    assert [trips["km"].to_list() for trips in found] == [[pytest.approx(40.0, abs=0.2)], []]


def test_a_device_that_died_on_the_road_leaves_the_next_day_to_the_other_one() -> None:
    """It was back two days later elsewhere, and measured until then by the fixes of the other one, without odometer."""
    buses = [
        Bus(at("22:00"), device=device, odometer_km=km).stand(4800).go(FRONT, 60).park(5 * 3600)
        for device, km in (("D1", 1000.0), ("D2", 9000.0))
    ]
    back = Bus(at("53:00"), NOWHERE, device="D1", odometer_km=1200.0).stand(1800).to(MILL).stand(1800)
    dying, other = without(buses[0], "23:40", "99:00"), buses[1].to(WORKSHOP).stand(1200).to(GARAGE).stand(600)
    trips = trips_of(reported([dying, back, other]), tables=BOTH, day=NEXT)
    assert trips["km"].sum() == pytest.approx(80.0, abs=0.5)
    assert set(zip(trips["device_id"], trips["km_method"], strict=True)) == {("D2", "odometer")}
