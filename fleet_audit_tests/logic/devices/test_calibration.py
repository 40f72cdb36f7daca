"""Calibration: the ratio of a day, its level over time, and the days on which it changes."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.devices.calibration import Segment, day_calibrations, segments, weighted_median
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.schema import facts, lake
from fleet_audit.schema.derive import conform
from fleet_audit_tests.logic.audit_sample import DAY, OTHER, PLATE, at, trip, trips_frame
from fleet_audit_tests.logic.driving import FRONT, GARAGE, MILL, Bus, window
from fleet_audit_tests.logic.frames import rows

FIRST = dt.date(2025, 5, 16)


def leg(trip_id: str, odometer_km: float, gps_km: float, **more: object) -> dict:
    return {
        "leg_id": f"L{trip_id}", "trip_id": trip_id, "operational_date": DAY, "plate": PLATE,
        "is_maintenance_driver": False, "started_at": at("06:00"), "ended_at": at("07:00"), "km_odometer": odometer_km,
        "km_gps": gps_km, "km_bridged": 0.0, "is_odometer_valid": True, "passengers_readings": 0, "gaps": 0,
        "is_short": False, "is_start_in_gap": False, "is_end_in_gap": False, "source": "positions", **more,
    }  # fmt: skip


def of_day(legs: list[dict], **more: object) -> pd.DataFrame:
    """Calibrations of a day with a well covered trip for each leg."""
    usual = {"device_id": "D1", "coverage_pct": "95", **more}
    trips = trips_frame(*({**trip(one["trip_id"], "06:00", "07:00"), **usual} for one in legs))
    return day_calibrations(DAY, trips, rows(lake.LEGS, *legs), DEFAULT_PARAMETERS)


def series(*ratios: float, plate: str = PLATE, device_id: str = "D1", first: dt.date = FIRST) -> pd.DataFrame:
    """`fact.calibrations` of one device, a day each."""
    return pd.DataFrame(
        {
            "operational_date": [first + dt.timedelta(days=number) for number in range(len(ratios))],
            "plate": plate,
            "device_id": device_id,
            "km_gps": 100.0,
            "ratio": ratios,
        }
    )


def noisy(level: float, days: int, seed: int = 1) -> list[float]:
    return list(level + np.random.default_rng(seed).normal(0, 0.002, days))


def segmented(*frames: pd.DataFrame) -> list[Segment]:
    [found] = segments(pd.concat(frames), DEFAULT_PARAMETERS).values()
    return found


def test_a_days_ratio_is_the_median_of_its_trips_by_km():
    [row] = of_day([leg("A", 51.0, 50.0), leg("B", 30.3, 30.0), leg("C", 24.0, 12.0)]).to_dict("records")
    assert row["ratio"] == pytest.approx(1.02)
    assert (row["trips"], row["km_gps"]) == (3, 92.0)


def test_what_the_odometer_bridged_proves_nothing_about_it():
    [row] = of_day([leg("A", 61.0, 60.0, km_bridged=50.0)]).to_dict("records")
    assert (row["km_gps"], row["ratio"]) == (10.0, pytest.approx(1.1))


@pytest.mark.parametrize(
    "unfit",
    [
        {"is_odometer_valid": False},
        {"km_gps": None},
        {"km_odometer": 1.5, "km_gps": 1.5},
    ],
)
def test_a_trip_that_measured_badly_is_not_compared(unfit: dict):
    assert of_day([leg("A", 30.0, 30.0) | unfit]).empty


@pytest.mark.parametrize("unfit", [{"coverage_pct": "50"}, {"source": "visit_report"}, {"purpose": "yard"}])
def test_a_trip_that_was_seen_badly_is_not_compared(unfit: dict):
    assert of_day([leg("A", 30.0, 30.0)], **unfit).empty


def test_a_tyre_shows_from_positions_on():
    """A worn tyre turns more often: 2 % more on the odometer, measured over 80 km of driving."""
    bus = Bus("05:00", GARAGE, resolution_km=0.1).park(1800)
    for place in (MILL, FRONT, MILL, GARAGE):
        bus.to(place).park(2400)
    for record in bus.records:
        record["odometer_km"] = 1000 + (record["odometer_km"] - 1000) * 1.02
    seen = window(bus)
    trips = conform(seen.trips, facts.TRIP_WINDOW)
    found = day_calibrations(DAY, trips[trips["operational_date"] == DAY], conform(seen.legs, lake.LEGS),
                             DEFAULT_PARAMETERS)  # fmt: skip
    assert found["ratio"].to_list() == [pytest.approx(1.02, abs=0.006)]
    assert 70 < found["km_gps"].iloc[0] < 81


def test_a_new_tyre_is_a_change_point_on_its_day():
    before, after = segmented(series(*noisy(1.0, 14), *noisy(1.02, 14, seed=2)))
    assert (before.reason, after.reason) == ("first", "ratio")
    assert after.start == FIRST + dt.timedelta(days=14)
    assert (before.ratio, after.ratio) == (pytest.approx(1.0, abs=0.002), pytest.approx(1.02, abs=0.002))
    assert before.end < after.start


def test_a_new_device_begins_a_segment_whatever_it_reads():
    first, second = segmented(
        series(*noisy(1.0, 5)), series(*noisy(1.0, 5), device_id="D2", first=FIRST + dt.timedelta(5))
    )
    assert (second.reason, second.device_id, second.days) == ("device", "D2", 5)
    assert first.end == FIRST + dt.timedelta(4)


def test_two_changes_are_both_found():
    found = segmented(series(*noisy(1.0, 20), *noisy(1.03, 20, seed=2), *noisy(0.99, 20, seed=3)))
    assert [segment.start for segment in found] == [FIRST + dt.timedelta(days) for days in (0, 20, 40)]


@pytest.mark.parametrize("ratios", [[1.0] * 28, [*[1.0] * 14, 1.2, *[1.0] * 13], [*[1.0] * 14, *[1.005] * 14], [1.02]])
def test_noise_one_bad_day_or_a_small_shift_is_no_change(ratios: list[float]):
    assert len(segmented(series(*ratios))) == 1


@given(st.integers(0, 2**16))
@settings(max_examples=60)
def test_honest_noise_seldom_looks_like_a_change(seed: int):
    """0.3 % of scatter a day, as measured on simulated fleets, never moves a level by 1 %."""
    ratios = 1 + np.random.default_rng(seed).normal(0, 0.003, 28)
    assert len(segmented(series(*ratios))) == 1


def test_vehicles_do_not_touch_each_other_and_order_does_not_matter():
    days = pd.concat([series(*noisy(1.0, 14), *noisy(1.02, 14, seed=2)), series(*noisy(0.98, 28, seed=3), plate=OTHER)])
    found = segments(days, DEFAULT_PARAMETERS)
    assert [len(found[plate]) for plate in (PLATE, OTHER)] == [2, 1]
    assert segments(days.sample(frac=1, random_state=1), DEFAULT_PARAMETERS) == found


def test_the_weighted_median_is_where_half_of_the_weight_lies():
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0])) == 2.0
    assert weighted_median(np.array([1.0, 2.0, 3.0]), np.array([10.0, 1.0, 1.0])) == 1.0
