"""Odometer events and the health of devices, from the positions that a made-up vehicle reports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from fleet_audit.logic.devices.device_health import DeviceDay, clock_shifts, device_day
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.schema import facts, lake
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit_tests.logic.audit_sample import audit, run, runs_frame, trip, trips_frame
from fleet_audit_tests.logic.audit_sample import found as findings_of
from fleet_audit_tests.logic.driving import (
    DAY,
    DEGREE_M,
    FRONT,
    GARAGE,
    MILL,
    PLATE,
    Bus,
    registered,
    reported,
    staged,
    world,
)
from fleet_audit_tests.logic.driving import window as segment_day

HALF_KM_H = 3600 / 0.5


def working_day(**more: float) -> Bus:
    """Garage, mill, front and back: 80 km and some parking."""
    bus = Bus("05:00", GARAGE, **more).park(1800)  # type: ignore[arg-type]
    for place in (MILL, FRONT, MILL, GARAGE):
        bus.to(place).park(2400)
    return bus


def changed(bus: Bus, change: Callable[[dict], dict]) -> pd.DataFrame:
    """What the bus reports, each record changed."""
    bus.records = [{**record, **change(record)} for record in bus.records]
    return bus.positions()


def examined(positions: pd.DataFrame, runs: pd.DataFrame | None = None, day: dt.date = DAY) -> DeviceDay:
    """The device's day as the pipeline computes it."""
    tables = world()
    trips = conform(segment_day(positions, day=day).trips, facts.TRIP_WINDOW)
    runs = empty_frame(lake.STAGING_DECLARED_RUNS) if runs is None else runs
    return device_day(day, [PositionArrays.of_frame(positions)], trips, runs, tables, DEFAULT_PARAMETERS)


def issues(found: DeviceDay) -> list[str]:
    [row] = found.health.to_dict("records")
    return row["issues"]


def test_a_sound_day_has_no_issue():
    found = examined(changed(working_day(), lambda record: {"ignition": True}))
    assert found.events.empty
    assert issues(found) == []
    [row] = found.health.to_dict("records")
    assert row["odometer_ratio"] == pytest.approx(1, abs=0.03)
    assert (row["plate"], row["readings"]) == (PLATE, row["positions"])


@pytest.mark.parametrize(
    ("factor", "issue"),
    [
        (1000.0, "odometer_metres"),
        (0.621371, "odometer_miles"),
        (10.0, "odometer_tenths"),
        (0.1, "odometer_tens"),
        (1.4, "odometer_scale"),
    ],
)
def test_an_odometer_in_another_unit_is_named(factor: float, issue: str):
    positions = changed(
        working_day(resolution_km=0.01),
        lambda record: {"odometer_km": record["odometer_km"] * factor, "ignition": True},
    )
    assert issues(examined(positions)) == [issue]


def test_an_odometer_counts_no_miles_where_every_third_fix_is_lost():
    bus = working_day()
    for record in bus.records[::3]:
        record |= {"latitude": 0.0, "longitude": 0.0}
    assert issues(examined(changed(bus, lambda _: {"ignition": True}))) == []


@pytest.mark.parametrize("lacking", ["odometer", "coordinates", "ignition"])
def test_what_a_device_never_sends_is_named(lacking: str):
    gone = {"odometer": {"odometer_km": None}, "coordinates": {"latitude": None, "longitude": None}}
    positions = changed(working_day(), lambda _: {"ignition": True, **gone.get(lacking, {"ignition": None})})
    assert issues(examined(positions)) == [f"no_{lacking}"]


def test_an_odometer_of_zeros_is_none():
    assert issues(examined(changed(working_day(), lambda _: {"odometer_km": 0.0, "ignition": True}))) == ["no_odometer"]


def test_a_receiver_that_repeats_one_place_is_stuck():
    stuck = {"latitude": -22.123456, "longitude": -51.123456, "ignition": True}
    found = examined(changed(working_day(), lambda _: stuck))
    assert issues(found) == ["constant_place"]


@pytest.mark.parametrize("kind", ["swapped", "sign lost", "null island"])
def test_a_receiver_without_a_true_fix_all_day_is_named(kind: str):
    def false(record: dict) -> dict:
        lat, lon = record["latitude"], record["longitude"]
        fix = {"swapped": (lon, lat), "sign lost": (-lat, -lon), "null island": (0.0, 0.0)}[kind]
        return {"latitude": fix[0], "longitude": fix[1], "ignition": True}

    found = examined(changed(working_day(), false))
    assert issues(found) == ["constant_place" if kind == "null island" else "no_true_fix"]
    assert found.events.empty


def test_a_day_at_rest_is_no_stuck_receiver():
    assert issues(examined(changed(Bus("05:00").park(40_000), lambda _: {"ignition": True}))) == []


def test_an_odometer_that_falls_and_one_that_was_reset_are_distinguished():
    bus = working_day(odometer_km=5000)
    at = bus.records[100]["recorded_at"]

    def fallen(record: dict) -> dict:
        return {"odometer_km": record["odometer_km"] - (300 if record["recorded_at"] > at else 0)}

    [event] = examined(changed(bus, fallen)).events.to_dict("records")
    assert (event["kind"], event["is_lone"]) == ("fall", False)
    assert event["odometer_to_km"] - event["odometer_from_km"] == pytest.approx(-300, abs=1)

    bus = working_day(odometer_km=5000)
    counted = bus.records[100]["odometer_km"]

    def reset(record: dict) -> dict:
        return {"odometer_km": record["odometer_km"] - (counted if record["recorded_at"] > at else 0)}

    assert examined(changed(bus, reset)).events["kind"].to_list() == ["reset"]


@pytest.mark.parametrize(("wrong_km", "kind"), [(400.0, "fall"), (9_000.0, "jump")])
def test_one_wrong_reading_is_one_event_and_not_two(wrong_km: float, kind: str):
    bus = working_day(odometer_km=5000)
    bus.records[150]["odometer_km"] = wrong_km
    [event] = examined(bus.positions()).events.to_dict("records")
    assert (event["kind"], event["is_lone"]) == (kind, True)


def test_an_odometer_that_stands_while_the_bus_drives():
    bus = Bus("05:00", GARAGE).park(1800).to(MILL).park(1200)
    before = len(bus.records)
    bus.to(FRONT).park(1200)
    stood = bus.records[before - 1]["odometer_km"]
    bus.records = [{**record, "odometer_km": min(record["odometer_km"], stood)} for record in bus.records]
    [event] = examined(bus.positions()).events.to_dict("records")
    assert event["kind"] == "frozen"
    assert event["path_km"] == pytest.approx(20, abs=0.7)


def test_the_jitter_of_a_parked_receiver_is_no_path_beside_an_odometer_that_rightly_stands():
    jitter = np.random.default_rng(7).normal(0, 35 / 111_195, (480, 2))  # degrees of 35 m, as bad receivers have
    jitter[0] = 180 / 111_195, 0.0  # the first fix of a cold receiver
    bus = Bus("03:00", GARAGE).stand(480 * 60, every=60)
    for record, (north, east) in zip(bus.records[:480], jitter, strict=True):
        record.update(latitude=record["latitude"] + north, longitude=record["longitude"] + east)
    assert examined(bus.positions()).events.empty


def test_an_odometer_that_counts_while_the_tracker_stands():
    bus = Bus("05:00", GARAGE).park(1800).to(MILL).stand(3600)
    start = bus.records[-100]["recorded_at"]
    bus.records = [
        {
            **record,
            "odometer_km": record["odometer_km"] + max(0.0, record["recorded_at"] - start) / HALF_KM_H * 10,
            "latitude": record["latitude"] + 5 / DEGREE_M * (-1) ** number,
        }
        for number, record in enumerate(bus.records)
    ]
    [event] = examined(bus.positions()).events.to_dict("records")
    assert event["kind"] == "parked"
    assert event["odometer_to_km"] - event["odometer_from_km"] == pytest.approx(99 * 30 / HALF_KM_H * 10, abs=0.2)


@pytest.mark.parametrize("count", [1, 2, 8])
def test_readings_in_another_unit_are_counted_and_named_when_they_are_more_than_a_digit_too_many(count: int):
    bus = Bus("05:00", GARAGE, odometer_km=100_000.0).park(1800).to(MILL).park(1800)
    for record in bus.records[20 : 20 + count]:
        record["odometer_km"] *= 10
    found = examined(bus.positions())
    assert (found.events.empty, found.health["other_unit_readings"].to_list()) == (True, [count])
    findings = [
        row for row in findings_of(audit([], [], devices=found), "Q05") if "outra unidade" in row["explanation_pt"]
    ]
    assert len(findings) == (count == 8)
    for finding in findings:
        assert "informou 8 leituras do hodômetro em outra unidade" in finding["explanation_pt"]
        assert finding["evidence"]["device"]["other_unit_readings"] == count


@pytest.mark.parametrize(("every_s", "steps", "kinds"), [(300, 1, []), (300, 2, ["parked"]), (120, 1, ["parked"])])
def test_one_long_step_between_two_fixes_does_not_show_that_the_tracker_stood(every_s, steps, kinds):
    """2.5 km are counted in each of the steps; in 300 s a bus may drive them and come back."""
    bus = Bus("05:00", GARAGE).stand(7200, every=every_s)
    for number, record in enumerate(bus.records):
        record["odometer_km"] += 2.5 * min(max(number - 5, 0), steps)
        record["latitude"] += 5 / DEGREE_M * (-1) ** number
    assert examined(bus.positions()).events["kind"].to_list() == kinds


def test_the_day_after_knows_that_the_tracker_lay_off_the_bus():
    bus = Bus("20:00", GARAGE).stand(2 * 3600)
    for number, record in enumerate(bus.records):
        record["odometer_km"] = round(5000 + number / 12, 1)
        record["latitude"] += 5 / DEGREE_M * (-1) ** number
    end_km = bus.records[-1]["odometer_km"]
    rest = Bus("22:10", GARAGE).park(10 * 3600)
    bus.records += [{**record, "odometer_km": end_km} for record in rest.records]
    of_day, day_after = (examined(bus.positions(), day=DAY + dt.timedelta(days=later)) for later in (0, 1))
    assert of_day.events["kind"].to_list() == ["parked"]
    assert day_after.events.empty
    assert [found.health["is_off_bus_day_before"].to_list() for found in (of_day, day_after)] == [[False], [True]]


@pytest.mark.parametrize(("resolution_km", "kmh"), [(1.0, 40), (0.1, 10)])
def test_a_coarse_odometer_that_counts_by_single_steps_while_the_tracker_stands(resolution_km: float, kmh: float):
    bus = Bus("05:00", GARAGE).stand(2 * 3600)
    for number, record in enumerate(bus.records):
        steps = int(number * 30 / 3600 * kmh / resolution_km + 1e-6)
        record["odometer_km"] = round(5000 + steps * resolution_km, 1)
        record["latitude"] += 5 / DEGREE_M * (-1) ** number
    assert examined(bus.positions()).events["kind"].to_list() == ["parked"]


def test_a_reading_that_flickers_all_night_is_no_bus_that_was_driven():
    bus = Bus("05:00", GARAGE).to(MILL).stand(4 * 3600)
    for record in bus.records[-400::2]:
        record["odometer_km"] = round(float(str(record["odometer_km"])) - 0.1, 6)
    assert examined(bus.positions()).events.empty


def test_a_bus_that_leaves_unseen_and_comes_back_was_not_parked():
    bus = Bus("05:00", GARAGE).park(1800).unseen(700, 5000).unseen(700, -5000).park(1800)
    del bus.records[-5]  # where it turned round
    assert "parked" not in set(examined(bus.positions()).events["kind"])


@pytest.mark.parametrize("hours", [3, -3, 0])
def test_a_clock_off_by_hours_shows_against_what_was_declared(hours: int):
    starts = (5, 8, 12, 15)
    trips = trips_frame(*(trip(f"T{hour}", f"{hour + hours:02d}:10", f"{hour + hours:02d}:55") for hour in starts))
    runs = runs_frame(*(run(f"R{hour}", f"{hour:02d}:12", f"{hour:02d}:50") for hour in starts))
    [row] = clock_shifts(trips, runs, DAY, DEFAULT_PARAMETERS).to_dict("records")
    assert (row["clock_shift_h"], row["clock_runs"]) == (hours, 4)


@pytest.mark.parametrize("hours", [-3, 0, 2])
def test_a_clock_off_by_hours_shows_where_two_runs_are_one_trip_of_a_coarse_device(hours: int):
    """A halt of 4 min between 05:50 and 05:54 that a position every 5 min does not show."""
    trips = trips_frame(
        *(trip(f"T{hour}", f"{hour + hours:02d}:10", f"{hour + hours + 1:02d}:20") for hour in (5, 13, 17))
    )
    runs = runs_frame(
        *(run(f"A{hour}", f"{hour:02d}:12", f"{hour:02d}:50") for hour in (5, 13, 17)),
        *(run(f"B{hour}", f"{hour:02d}:54", f"{hour + 1:02d}:15") for hour in (5, 13, 17)),
    )
    [row] = clock_shifts(trips, runs, DAY, DEFAULT_PARAMETERS).to_dict("records")
    assert (row["clock_shift_h"], row["clock_runs"]) == (hours, 6)


def test_runs_that_lie_inside_long_trips_and_share_no_end_with_them_prove_no_clock_wrong():
    trips = trips_frame(trip("T1", "05:10", "09:40"), trip("T2", "12:10", "16:40"))
    runs = runs_frame(*(run(f"R{hour}", f"{hour:02d}:35", f"{hour + 1:02d}:05") for hour in (4, 6, 11, 13)))
    assert 3 not in clock_shifts(trips, runs, DAY, DEFAULT_PARAMETERS)["clock_shift_h"].to_list()


def off_clocks(trips: list[dict], runs: list[dict]) -> list[str]:
    """Plates whose clock is said to be off by hours."""
    found = clock_shifts(trips_frame(*trips), runs_frame(*runs), DAY, DEFAULT_PARAMETERS)
    return found.loc[found["clock_shift_h"] != 0, "plate"].to_list()


def clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def test_times_inside_both_ends_of_a_regular_loop_prove_no_clock_wrong():
    """One end of each run is at one of the next trip at a shift of 2 h."""
    starts = [300 + 110 * number for number in range(6)]
    trips = [trip(f"T{at}", clock(at), clock(at + 90)) for at in starts]
    assert off_clocks(trips, [run(f"R{at}", clock(at + 15), clock(at + 75)) for at in starts]) == []


def test_invented_runs_that_halve_true_trips_hours_later_prove_no_clock_wrong():
    trips = [trip("T1", "05:00", "07:00"), trip("T2", "14:00", "16:00")]
    true = [run("R1", "05:00", "07:00"), run("R2", "14:00", "16:00")]
    for halves in (
        (("08:00", "08:30"), ("09:30", "10:00"), ("17:00", "17:30"), ("18:30", "19:00")),
        (("08:00", "08:55"), ("09:00", "10:00"), ("17:00", "17:55"), ("18:00", "19:00")),
    ):
        assert off_clocks(trips, [*true, *(run(f"P{at}", at, to) for at, to in halves)]) == []


@pytest.mark.parametrize(("step_s", "is_off"), [(300, True), (30, False)])
def test_a_coarse_device_shows_the_ends_of_its_trips_a_step_too_late(step_s: int, is_off: bool):
    """The clock is 3 h behind, and each trip ends 12 min after its run: two steps of 5 min, 24 of 30 s."""
    steps = {"moving_s": 3600.0, "moving_steps": 3600 // step_s}
    trips = [trip(f"T{hour}", f"{hour - 3:02d}:00", f"{hour - 2:02d}:02", **steps) for hour in (5, 8, 12, 15)]
    runs = [run(f"R{hour}", f"{hour:02d}:00", f"{hour:02d}:50") for hour in (5, 8, 12, 15)]
    assert bool(off_clocks(trips, runs)) is is_off


@pytest.mark.parametrize("step_s", [30, 300, 2400])
def test_ends_that_are_off_by_up_to_28_minutes_prove_no_clock_wrong(step_s: int):
    """Nine hours off; with a position every 40 min any end would be one step from a whole hour."""
    steps = {"moving_s": 2400.0, "moving_steps": 2400 // step_s}
    trips = [trip(f"T{hour}", f"{hour:02d}:00", f"{hour:02d}:40", **steps) for hour in range(5, 11)]
    off = (25, -25, 20, -20, 28, -28)
    runs = [
        run(f"R{hour}", clock(60 * (hour + 9) + by), clock(60 * (hour + 9) + 40 + by))
        for hour, by in zip(range(5, 11), off, strict=True)
    ]
    assert off_clocks(trips, runs) == []


@pytest.mark.parametrize("step_s", [30, 300])
def test_sound_clocks_of_random_days_are_not_wrong_whatever_the_carrier_rounds(step_s: int):
    draw = np.random.default_rng(150)
    trips, runs = [], []
    for plate in (f"AAA{number:04d}" for number in range(150)):
        at = int(draw.integers(240, 330))
        for number in range(6):
            lasting = int(draw.integers(65, 120))
            inside = draw.integers(11, 26, size=2)
            steps = {"moving_s": 60.0 * lasting, "moving_steps": 60 * lasting // step_s}
            trips.append(trip(f"T{plate}{number}", clock(at), clock(at + lasting), plate=plate, **steps))
            ends = (clock(at + int(inside[0])), clock(at + lasting - int(inside[1])))
            runs.append(run(f"R{plate}{number}", *ends, plate=plate))
            at += lasting + int(draw.integers(10, 60))
    assert off_clocks(trips, runs) == []


@pytest.mark.parametrize(("runs_a_day", "hours"), [(4, [0, 3, 0]), (2, [0, 3, 0])])
def test_a_clock_that_is_wrong_for_one_day_is_wrong_on_that_day_alone(runs_a_day: int, hours: list[int]):
    starts = (5, 8, 12, 15)[:runs_a_day]
    declared, driven = [], []
    for number, off in enumerate(hours):
        day = DAY + dt.timedelta(number - 1)
        declared += [run(f"R{number}{hour}", f"{hour:02d}:12", f"{hour:02d}:50", day=day) for hour in starts]
        driven += [trip(f"T{number}{hour}", f"{hour + off:02d}:10", f"{hour + off:02d}:55", day=day) for hour in starts]
    found = [
        clock_shifts(trips_frame(*driven), runs_frame(*declared), DAY + dt.timedelta(number - 1), DEFAULT_PARAMETERS)
        for number in range(3)
    ]
    own = [rows["clock_shift_h"].to_list() for rows in found]
    assert own == ([[0], [3], [0]] if runs_a_day == 4 else [[0]] * 3)  # two runs a day: the window decides


def test_two_runs_or_a_timetable_prove_no_clock_wrong():
    late = trips_frame(trip("T1", "09:10", "09:55"), trip("T2", "15:10", "15:55"))
    two = runs_frame(run("R1", "06:12", "06:50"), run("R2", "12:12", "12:50"))
    assert clock_shifts(late, two, DAY, DEFAULT_PARAMETERS).empty
    hourly = trips_frame(*(trip(f"T{hour}", f"{hour:02d}:10", f"{hour:02d}:55") for hour in range(5, 20)))
    runs = runs_frame(*(run(f"R{hour}", f"{hour:02d}:10", f"{hour:02d}:55") for hour in range(5, 20)))
    [row] = clock_shifts(hourly, runs, DAY, DEFAULT_PARAMETERS).to_dict("records")
    assert row["clock_shift_h"] == 0


def test_honest_vehicles_have_no_events_in_whatever_order_they_report():
    buses = [working_day(device=f"D{number}", resolution_km=(0.01, 0.1, 1.0)[number]) for number in range(3)]
    tables = world(*registered(buses))
    positions = reported(buses)
    shuffled = positions.sample(frac=1, random_state=5)
    trips = conform(segment_day(positions, tables=tables).trips, facts.TRIP_WINDOW)
    runs = empty_frame(lake.STAGING_DECLARED_RUNS)
    found = [
        device_day(DAY, [PositionArrays.of_frame(one)], trips, runs, tables, DEFAULT_PARAMETERS)
        for one in (positions, shuffled)
    ]
    assert found[0].events.empty
    pd.testing.assert_frame_equal(found[0].health, found[1].health)


def beside(
    *, factor: float = 1.0, has_odometer: bool = True, is_cut: bool = False, late_s: float = 7.0
) -> tuple[dict, dict]:
    """Health of the primary D2 and of D1 on the same bus, whose odometer counts `factor` of the road."""

    def shown(device: str) -> list[dict]:
        bus = working_day(device=device, odometer_km=1000.0, resolution_km=0.01)  # type: ignore[arg-type]
        return [{**record, "ignition": True} for record in bus.records]

    own, other = shown("D2"), shown("D1")
    for record in other:
        record["recorded_at"] += late_s
        record["odometer_km"] = 500 + factor * (record["odometer_km"] - 1000.0) if has_odometer else None
    tables = world({"device_id": "D1", "plate": PLATE}, {"device_id": "D2", "plate": PLATE, "valid_from": "2025-03-01"})
    return examined_together(staged([*own, *(other[: len(other) // 2] if is_cut else other)]), tables)


def examined_together(positions: pd.DataFrame, tables: Reference) -> tuple[dict, dict]:
    """Health of D2 and of D1."""
    trips = conform(segment_day(positions, tables=tables).trips, facts.TRIP_WINDOW)
    found = device_day(
        DAY,
        [PositionArrays.of_frame(positions)],
        trips,
        empty_frame(lake.STAGING_DECLARED_RUNS),
        tables,
        DEFAULT_PARAMETERS,
    )
    health = {row["device_id"]: row for row in found.health.to_dict("records")}
    return health["D2"], health["D1"]


def test_two_devices_of_one_vehicle_that_count_differently_disagree():
    primary, other = beside(factor=1.1)
    assert (primary["issues"], other["issues"]) == ([], ["devices_disagree"])
    assert other["primary_device_id"] == "D2"
    assert other["km_counted"] / other["km_primary"] == pytest.approx(1.1, abs=0.01)


@pytest.mark.parametrize("more", [{}, {"factor": 1.04}, {"has_odometer": False}, {"is_cut": True}])
def test_devices_that_count_alike_over_their_common_time_do_not_disagree(more: dict):
    _, other = beside(**more)
    assert "devices_disagree" not in other["issues"]
    assert other["km_counted"] == pytest.approx(other["km_primary"], rel=0.045)


@pytest.mark.parametrize("hours", [-3, 1])
def test_a_device_that_shows_the_same_movements_at_another_time_is_named_for_its_clock_alone(hours: int):
    """The device that was assigned first measures: nothing else shows whose clock is wrong."""
    other, first = beside(factor=1.1, late_s=3600.0 * hours)
    assert (first["issues"], other["issues"]) == ([], ["other_clock"])
    assert other["primary_device_id"] == "D1"


def test_a_device_that_drives_while_the_vehicle_stands_is_named_for_it():
    own = working_day(device="D1")  # type: ignore[arg-type]
    own.unseen(4 * 3600).park(1800)
    other = Bus(own.seconds - 4 * 3600, device="D2", odometer_km=77_000.0).stand(240).to(FRONT).stand(240).to(GARAGE)
    for record in [*own.records, *other.records]:
        record["ignition"] = True
    tables = world({"device_id": "D1", "plate": PLATE}, {"device_id": "D2", "plate": PLATE, "valid_from": "2025-03-01"})
    stray, first = examined_together(staged([*own.records, *other.records]), tables)
    assert (first["issues"], stray["issues"]) == ([], ["other_vehicle"])
    assert stray["primary_device_id"] == "D1"


def test_a_device_in_miles_disagrees_by_its_unit_alone():
    _, other = beside(factor=0.621371)
    assert other["issues"] == ["odometer_miles"]


def driven(positions: pd.DataFrame) -> list[float]:
    """Kilometres of the trips of the day, to a tenth."""
    trips = segment_day(positions).trips
    return [round(float(km), 1) for km in trips.loc[trips["operational_date"] == DAY, "km_measured"]]


def test_an_odometer_that_flickers_counts_nothing_beside_a_parked_bus():
    """Two exports of a day, in whole and in tenths of km: 5 km that a parked bus seemed to count (O04, critical)."""
    bus = working_day()
    for number, record in enumerate(bus.records):
        record["odometer_km"] += 0.4 * (number % 2)
    assert "parked" not in list(examined(bus.positions()).events["kind"])
    off_bus = Bus("05:00", GARAGE).stand(3600)
    for number, record in enumerate(off_bus.records):
        record["odometer_km"] += 0.05 * number + 0.4 * (number % 2)
    assert off_bus.records[-1]["odometer_km"] - off_bus.records[0]["odometer_km"] > 3
    assert "parked" in list(examined(off_bus.positions()).events["kind"])


def test_a_speed_in_the_column_of_the_odometer_accuses_nobody():
    """It was an odometer turned back and put on all day (O01, O02)."""
    bus = working_day()
    for number, record in enumerate(bus.records):
        record["odometer_km"] = record["speed_kmh"] * (1 + number % 3)
    found = examined(bus.positions())
    assert not {"fall", "jump", "parked"} & {*found.events["kind"]}
    assert "odometer_erratic" in issues(found)
    assert sum(driven(bus.positions())) == pytest.approx(80, abs=1)
