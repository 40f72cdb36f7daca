"""Odometer against GPS: which counts, by how much it may be off, and what it is worth as evidence."""

import pandas as pd
import pytest

from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.trips.distance import evidence_grade, measured_km

LEG = {
    "km_odometer": 20.0, "km_gps": 20.0, "km_bridged": 0.0, "km_chord": 0.0, "km_long_chord": 0.0,
    "km_far_chord": 0.0, "km_fine": 20.0, "km_open": 0.0,
    "km_reported": None, "is_odometer_valid": True, "covered_s": 1200.0, "duration_s": 1200.0,
    "odometer_resolution_km": 0.1, "source": "positions", "origin_poi_id": "GAR", "destination_poi_id": "USI",
    "calibration_ratio": 1.0, "origin_candidates": None, "destination_candidates": None,
}  # fmt: skip


def measure(**changed: object) -> pd.Series:
    row = pd.DataFrame([{**LEG, **changed}]).astype({"calibration_ratio": float})
    measured = pd.DataFrame(measured_km(row, DEFAULT_PARAMETERS))
    return measured.assign(grade=evidence_grade(measured, row, DEFAULT_PARAMETERS)).iloc[0]


@pytest.mark.parametrize(
    ("odometer", "gps", "method"),
    [
        (20.0, 21.09, "odometer"), (20.0, 21.11, "gps"),  # 5 % of the odometer's 20 km is 1 km, its resolution 0.1
        (20.0, 18.91, "odometer"), (20.0, 18.89, "gps"),
        (4.0, 4.59, "odometer"), (4.0, 4.61, "gps"),  # below 10 km, 0.5 km
    ],
)  # fmt: skip
def test_they_agree_within_5_percent_or_half_a_kilometre_and_the_resolution(
    odometer: float, gps: float, method: str
) -> None:
    row = measure(km_odometer=odometer, km_gps=gps)
    assert (row["km_method"], row["is_disputed"]) == (method, method == "gps")
    assert row["km"] == (odometer if method == "odometer" else gps)


def test_only_steps_that_both_measured_are_compared() -> None:
    """8 of 20 km bridged by the odometer: the 12 km seen by both differ by 0.8, though 5 % of 20 would be 1."""
    assert measure(km_gps=19.2, km_bridged=8.0, km_fine=11.2)["km_method"] == "gps"
    assert measure(km_gps=19.2)["km_method"] == "odometer"


@pytest.mark.parametrize(("fine_km", "method"), [(7.6, "gps"), (7.4, "odometer")])
def test_they_are_compared_only_where_fine_steps_hold_half_of_the_way(fine_km: float, method: str) -> None:
    """A fix every two minutes cuts the corners of a winding road: 15 km of 20 prove nothing against the odometer."""
    row = measure(km_gps=15.0, km_fine=fine_km)
    assert (row["km_method"], row["is_disputed"]) == (method, method == "gps")
    assert row["km_uncertainty"] >= 5.0


@pytest.mark.parametrize(("covered_s", "method"), [(601.0, "gps"), (599.0, "odometer")])
def test_a_disputed_odometer_counts_where_less_than_half_was_seen(covered_s: float, method: str) -> None:
    row = measure(km_gps=15.0, covered_s=covered_s)
    assert (row["km_method"], row["is_disputed"]) == (method, True)


def test_an_invalid_odometer_never_counts_and_a_missing_path_leaves_it_alone() -> None:
    assert measure(is_odometer_valid=False, covered_s=0.0)["km_method"] == "gps"
    assert measure(km_gps=None)["km_method"] == "odometer"
    nothing = measure(km_gps=None, km_odometer=None)
    assert pd.isna(nothing["km"])
    assert nothing["km_method"] is None


def test_the_uncertainty_is_resolution_and_the_whole_difference_and_a_tenth_of_the_chords() -> None:
    assert measure(km_gps=20.4)["km_uncertainty"] == pytest.approx(0.1 + 0.4)
    assert measure(km_odometer=None, km_chord=9.0)["km_uncertainty"] == pytest.approx(0.9)
    assert measure(km_odometer=None, km_chord=9.0, km_long_chord=4.0)["km_uncertainty"] == pytest.approx(0.5 + 0.8)
    far = measure(km_odometer=None, km_chord=9.0, km_long_chord=4.0, km_far_chord=4.0)
    assert far["km_uncertainty"] == pytest.approx(0.5 + 1.6)
    assert measure(km_gps=22.0, km_chord=3.0)["km_uncertainty"] == pytest.approx(2.0 + 0.3)


def test_the_roundings_of_readings_between_the_legs_of_a_trip_cancel() -> None:
    """20.04 to 31.96 km in whole km by three legs (20, 24, 28, 31): 11 km of 11.92, within one resolution."""
    row = measure(legs=3, odometer_resolution_km=1.0, km_odometer=11.0, km_gps=11.9)
    assert row["km_uncertainty"] == pytest.approx(1.0 + 0.9 + 0.015 * 11)
    assert measure(legs=3)["km_uncertainty"] == pytest.approx(0.1 + 0.008 * 20)


def test_odometer_km_that_no_path_confirms_are_less_sure() -> None:
    assert measure(km_bridged=16.0)["km_uncertainty"] == pytest.approx(0.1 + 0.015 * 16)
    assert measure(km_gps=None)["km_uncertainty"] == pytest.approx(0.1 + 0.015 * 20)
    assert measure(km_gps=19.5)["km_uncertainty"] == pytest.approx(0.1 + 0.5 + 0.015 * 20)


def test_odometer_km_that_no_path_confirms_inherit_what_the_ratio_of_the_other_trips_is_off() -> None:
    row = measure(km_bridged=16.0, calibration_ratio=1.04)
    assert row["km_uncertainty"] == pytest.approx(0.1 + (0.015 + 0.04) * 16)
    assert measure(km_gps=19.2, calibration_ratio=1.04)["km_uncertainty"] == pytest.approx(0.1 + 0.8 + 0.015 * 20)


def test_a_path_that_agrees_by_chance_makes_no_odometer_surer_than_0_8_percent() -> None:
    assert measure(km_gps=20.1)["km_uncertainty"] == pytest.approx(0.1 + 0.16)


def test_what_a_failed_odometer_counted_over_long_steps_is_no_surer_than_a_chord() -> None:
    row = measure(is_odometer_valid=False, km_bridged=12.0, km_chord=4.0, km_long_chord=4.0)
    assert row["km_uncertainty"] == pytest.approx(0.1 * 8 + 0.2 * 4)


def test_a_distance_by_gps_is_never_surer_than_1_5_percent() -> None:
    assert measure(km_odometer=None)["km_uncertainty"] == pytest.approx(0.3)


def test_a_report_counts_as_it_says_with_its_own_uncertainty() -> None:
    report = {"source": "visit_report", "km_odometer": None, "km_gps": None, "legs": 2, "covered_s": None}
    row = measure(**report, km_reported=12.01, odometer_resolution_km=0.01)
    assert (row["km"], row["km_method"], row["grade"]) == (12.01, "report", "C")
    assert row["km_uncertainty"] == pytest.approx(0.01 + 0.1201)
    in_tenths = measure(**report, km_reported=12.1, odometer_resolution_km=0.1)
    assert in_tenths["km_uncertainty"] == pytest.approx(0.1 + 0.121)
    in_whole_km = measure(**report, km_reported=12.0, odometer_resolution_km=1.0)
    assert in_whole_km["km_uncertainty"] == pytest.approx(1.0 + 0.12)


@pytest.mark.parametrize(
    ("changed", "grade"),
    [
        ({}, "A"),
        ({"km_gps": 15.0}, "B"),
        ({"calibration_ratio": 1.021}, "B"),
        ({"calibration_ratio": None}, "B"),  # nothing to calibrate by: no A, and no failure beside another
        ({"calibration_ratio": None, "covered_s": 0.0}, "B"),
        ({"calibration_ratio": 0.97, "covered_s": 0.0}, "C"),
        ({"covered_s": 0.8 * 1200}, "A"),
        ({"covered_s": 0.79 * 1200}, "B"),
        ({"origin_poi_id": None}, "B"),
        ({"origin_poi_id": None, "destination_poi_id": None}, "B"),
        ({"km_odometer": None}, "B"),
        ({"km_odometer": None, "covered_s": 0.0}, "C"),
        ({"km_gps": 15.0, "km_fine": 15.0, "covered_s": 0.0, "origin_poi_id": None}, "C"),
        ({"km_gps": None}, "C"),
    ],
)
def test_grades(changed: dict, grade: str) -> None:
    assert measure(**changed)["grade"] == grade
