"""Positions to stops and legs: each threshold of the rules just below and just above, and points not believed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.trips.segmentation import Segmentation
from fleet_audit_tests.logic.driving import GARAGE, MILL, NOWHERE, Bus, segmented


def stops_after_start(bus: Bus) -> list[float]:
    """Seconds stood in the stops between the first and the last one."""
    return [round(float(standing)) for standing in segmented(bus).stops["standing_s"][1:-1]]


def out(where: float = NOWHERE) -> Bus:
    """On the way from the garage, arriving at a point of the road."""
    return Bus().stand(300).to(where)


def home(bus: Bus) -> Bus:
    return bus.to(GARAGE).stand(300)


@pytest.mark.parametrize(("seconds", "stops"), [(179, []), (181, [181])])
def test_standing_three_minutes_anywhere_makes_a_stop(seconds: float, stops: list[float]) -> None:
    assert stops_after_start(home(out().stand(seconds, every=seconds / 4))) == stops


@pytest.mark.parametrize(("seconds", "stops"), [(119, []), (121, [121])])
def test_standing_two_minutes_in_a_known_place_makes_a_stop(seconds: float, stops: list[float]) -> None:
    assert stops_after_start(home(out(MILL).stand(seconds, every=seconds / 4))) == stops


@pytest.mark.parametrize(("metres", "stops"), [(149, [200]), (151, [])])
def test_a_stop_stays_within_150_m_of_its_first_standing_point(metres: float, stops: list[float]) -> None:
    bus = out().stand(100, every=50).go(metres, kmh=18, every=100).stand(100, every=50)
    assert stops_after_start(home(bus)) == stops


def test_a_slow_approach_is_no_standing_and_a_traffic_light_no_stop() -> None:
    bus = out().go(600, kmh=8).stand(80, every=20).go(600, kmh=8)
    assert stops_after_start(home(bus)) == []


@pytest.mark.parametrize(("kmh", "stops"), [(4.9, [200]), (5.1, [])])
def test_slower_than_5_km_h_is_standing(kmh: float, stops: list[float]) -> None:
    """100 s of standing are no stop; 100 s of crawling after them, within the radius, make one or do not."""
    crawled = out().stand(100, every=25).go(100 * kmh / 3.6, kmh=kmh, every=25)
    assert stops_after_start(home(crawled)) == stops


@pytest.mark.parametrize(("seconds", "gaps"), [(659, 0), (661, 1)])
def test_a_gap_is_noted_beyond_11_minutes_with_the_ends_apart(seconds: float, gaps: int) -> None:
    assert segmented(home(out().unseen(seconds, 3000))).legs["gaps"].sum() == gaps
    assert segmented(home(out().unseen(seconds, 100))).legs["gaps"].sum() == 0


@pytest.mark.parametrize(("seconds", "is_split"), [(3599, False), (3601, True)])
def test_a_gap_beyond_60_minutes_splits_the_leg(seconds: float, is_split: bool) -> None:
    legs = segmented(home(out().unseen(seconds, 3000))).legs
    assert legs["is_end_in_gap"].any() == is_split
    assert legs["is_start_in_gap"].any() == is_split
    assert len(legs) == 1 + is_split


def test_a_parked_device_that_is_silent_and_found_where_it_was_left_is_no_gap() -> None:
    legs = segmented(Bus().stand(300).unseen(6 * 3600).stand(300).to(MILL).stand(300)).legs
    assert len(legs) == 1
    assert not legs["is_start_in_gap"].any()


def test_a_device_that_was_silent_for_hours_while_its_odometer_counted_was_away() -> None:
    bus = Bus().stand(300)
    bus.driven_m += 30_000
    seen = segmented(bus.unseen(2 * 3600).stand(300).to(MILL).stand(300))
    assert seen.stops["last"].iloc[0] < seen.stops["first"].iloc[1]  # two stays at the garage, not one
    assert seen.legs["km_odometer"].tolist() == pytest.approx([20.0])  # what was driven unseen is in no leg


def test_a_leg_is_measured_between_standing_points_by_both_means() -> None:
    [leg] = segmented(Bus().stand(300).to(MILL).stand(300)).legs.to_dict("records")
    assert leg["km_odometer"] == pytest.approx(20.0)
    assert leg["km_gps"] == pytest.approx(20.0, abs=1e-6)
    assert (leg["ended_at"] - leg["started_at"]).total_seconds() == 1200


def test_metres_rolled_while_the_bus_comes_to_stand_belong_to_the_leg() -> None:
    """A step below 5 km/h may begin while the bus still rolls; its odometer tenth must not be lost at every stop."""
    rolling = Bus(odometer_km=1000.06).stand(300).to(NOWHERE).go(40, kmh=4.8).stand(300)
    assert segmented(rolling).legs["km_odometer"].tolist() == pytest.approx([10.1])


def test_the_odometer_is_read_at_the_nearest_reading_of_the_same_stop() -> None:
    bus = Bus().stand(300).to(MILL).stand(300)
    for record in bus.records[8:14] + bus.records[-12:-4]:
        record["odometer_km"] = None
    [leg] = segmented(bus).legs.to_dict("records")
    assert leg["km_odometer"] == pytest.approx(20.0)
    assert leg["is_odometer_valid"]


@pytest.mark.parametrize(("change_km", "is_valid"), [(-0.2, False), (3.0, True), (3.4, False)])
def test_an_odometer_that_falls_or_jumps_measures_nothing(change_km: float, is_valid: bool) -> None:
    """At 30 s a step it may count 150 km/h x 30 s + 2 km = 3.25 km, 0.5 of which are driven here anyway."""
    bus = Bus(resolution_km=0.01).stand(300).to(MILL / 2)
    bus.driven_m += (change_km - 0.5) * 1000
    [leg] = segmented(bus.to(MILL).stand(300)).legs.to_dict("records")
    assert leg["is_odometer_valid"] == is_valid


def test_steps_beyond_3_minutes_are_bridged_by_the_odometer_or_else_by_the_chord() -> None:
    read = segmented(out().unseen(600, 3000).to(MILL).stand(300)).legs.iloc[0]
    assert (read["km_bridged"], read["km_chord"]) == (pytest.approx(3.0), 0)
    bus = out().unseen(600, 3000)
    bus.records[-1]["odometer_km"] = None
    unread = segmented(bus.to(MILL).stand(300)).legs.iloc[0]
    # The step after the missing reading has none to start from either: 30 s at 60 km/h are 0.5 km of chord.
    assert (unread["km_bridged"], unread["km_chord"]) == (pytest.approx(3.0, abs=1e-4), pytest.approx(3.5, abs=1e-4))


@pytest.mark.parametrize(
    ("bus", "share"),
    [
        (Bus().stand(300).unseen(120, 2000).stand(300), 1.0),
        (Bus().stand(300).unseen(121, 2000).stand(300), 0.0),
        (Bus().stand(300).go(1000, kmh=60).unseen(660, 149).go(1000, kmh=60).stand(300), 1.0),
        (Bus().stand(300).go(1000, kmh=60).unseen(661, 149).go(1000, kmh=60).stand(300), 120 / 781),
        (Bus().stand(300).go(1000, kmh=60).unseen(660, 151).go(1000, kmh=60).stand(300), 120 / 780),
    ],
)
def test_covered_seconds(bus: Bus, share: float) -> None:
    legs = segmented(bus).legs
    dwelt = segmented(bus).stops
    covered, lasting = legs["covered_s"].sum(), (legs["ended_at"] - legs["started_at"]).dt.total_seconds().sum()
    inner = dwelt["standing_s"][1:-1].sum()  # a step in place of 11 min is a stop of its own
    assert (covered + (inner if inner <= 660 else 0)) / (lasting + inner) == pytest.approx(share, abs=1e-6)


def reasons(seen: Segmentation) -> list[str]:
    return seen.rejected["reason_code"].tolist()


@pytest.mark.parametrize(("off_m", "expected"), [(3_000, ["impossible_speed"]), (900, [])])
def test_a_point_that_no_vehicle_can_reach_is_not_believed(off_m: float, expected: list[str]) -> None:
    bus = out()
    bus.seconds += 15
    bus.report(off_m=off_m)
    bus.seconds += 15
    seen = segmented(home(bus))
    assert reasons(seen) == expected
    assert seen.legs["km_odometer"].max() == pytest.approx(20, abs=0.5)


def test_a_jump_of_4300_km_while_parked_is_one_rejected_point_and_no_distance() -> None:
    bus = Bus().park(3600).stand(30)
    bus.records[3]["latitude"] = 16.7
    seen = segmented(bus)
    assert reasons(seen) == ["impossible_speed"]
    assert seen.legs.empty


def test_a_lone_point_far_off_is_not_believed_when_the_odometer_stood() -> None:
    bus = Bus().park(3600)
    bus.records[3]["latitude"] += 0.1  # 11 km off within 10 minutes: no impossible speed
    assert reasons(segmented(bus)) == ["lone_outlier"]


def test_a_lone_point_far_off_is_not_believed_without_an_odometer_either() -> None:
    bus = Bus().park(3600)
    bus.records[3]["latitude"] += 0.1
    for record in bus.records:
        record["odometer_km"] = None
    assert reasons(segmented(bus)) == ["lone_outlier"]


def test_a_round_trip_that_the_odometer_counted_is_believed() -> None:
    seen = segmented(Bus().park(3600).unseen(600, 5_000).unseen(600, -5_000).park(3600))
    assert reasons(seen) == []
    assert seen.legs["km_odometer"].sum() == pytest.approx(10.0)


@pytest.mark.parametrize(("off_m", "expected"), [(140, []), (160, ["parked_drift"]), (990, ["parked_drift"])])
def test_a_point_off_a_parked_place_is_drift(off_m: float, expected: list[str]) -> None:
    bus = Bus().park(1800)
    bus.seconds += 600
    seen = segmented(bus.report(east_m=off_m).park(3600))
    assert reasons(seen) == expected
    assert seen.legs.empty


def test_three_points_that_agree_are_the_new_place_and_the_way_there_is_no_distance() -> None:
    bus = Bus().stand(600)
    bus.metres += 50_000  # carried away, 50 km within 30 s
    one, two, three = (segmented(_stood(bus, points)) for points in (1, 2, 3))
    assert [len(seen.rejected) for seen in (one, two, three)] == [1, 2, 0]
    assert three.legs["km_gps"].sum() == pytest.approx(0, abs=1e-6)
    assert three.legs["km_odometer"].sum() == 0


def _stood(bus: Bus, points: int) -> Bus:
    other = Bus()
    other.__dict__.update(bus.__dict__, records=list(bus.records))
    return other.stand(30 * points)


WILD = st.lists(
    st.tuples(st.floats(-25, 25), st.floats(-25, 25), st.integers(1, 4000), st.sampled_from([0.0, 0.1, 5.0, -900.0])),
    max_size=30,
)


@settings(max_examples=60)
@given(WILD, st.integers(3, 6))
def test_every_point_is_accepted_or_rejected_with_a_reason_and_the_filter_cannot_lock(
    wild: list[tuple[float, float, int, float]], calm: int
) -> None:
    bus = Bus()
    for north, east, seconds, counted_km in wild:
        bus.seconds += seconds
        bus.driven_m = max(bus.driven_m + counted_km * 1000, 0)
        bus.report(off_m=north * 100_000, east_m=east * 100_000)
    bus.seconds += 60
    bus.metres = NOWHERE
    bus.report().stand(30 * (calm - 1))
    seen = segmented(bus)
    placed = np.count_nonzero(~seen.steps.has_fix)  # without a fix: a rejected place, a point that counts
    assert len(seen.tracks.seconds) + len(seen.rejected) - placed == len(bus.records)
    assert set(reasons(seen)) <= {"impossible_speed", "lone_outlier", "parked_drift", "no_fix"}
    assert seen.tracks.seconds[-1] == bus.seconds


@settings(max_examples=40)
@given(st.lists(st.floats(-100, 100), min_size=5, max_size=60), st.sampled_from([10, 30, 600]))
def test_parked_drift_is_never_distance(drift: list[float], every: int) -> None:
    """A receiver wanders within 100 m either way of a parked bus; nothing of it is paid."""
    bus = Bus(where=NOWHERE).stand(300)
    for east in drift:
        bus.seconds += every
        bus.report(east_m=east / 2, off_m=-east / 3)
    seen = segmented(bus.stand(300))
    assert np.nan_to_num(seen.legs["km_odometer"]).sum() == 0
    assert (seen.legs["km_odometer"].notna()).all()
