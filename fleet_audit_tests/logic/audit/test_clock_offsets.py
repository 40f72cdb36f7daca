"""A device's clock that is off by minutes shifts matching; one that may be off by hours holds its runs."""

from __future__ import annotations

import pytest

from fleet_audit.logic.audit.findings import find, held_runs
from fleet_audit_tests.logic.audit_sample import audit, found, run, trip

HOURS = (6, 9, 12, 15)


def a_day(*offsets_min: int, length_min: int = 20):
    """Runs on the hour, and their trips so many minutes later."""
    runs, trips = [], []
    for hour, offset in zip(HOURS, offsets_min, strict=False):
        runs.append(run(f"R{hour}", f"{hour:02d}:00", f"{hour:02d}:{length_min:02d}"))
        start, end = divmod(60 * hour + offset, 60), divmod(60 * hour + offset + length_min, 60)
        trips.append(trip(f"T{hour}", "{:02d}:{:02d}".format(*start), "{:02d}:{:02d}".format(*end)))
    return audit(trips, runs)


@pytest.mark.parametrize("offset", [12, -12, 15])
def test_runs_of_a_clock_off_by_minutes_are_matched_shifted(offset: int) -> None:
    context = a_day(offset, offset + 1, offset - 1, offset)
    assert set(context.groups["kind"]) == {"one_to_one"}
    findings = find(context)
    [finding] = findings[findings["rule_id"] != "Q02"].to_dict("records")  # the other vehicle of the sample is silent
    assert (finding["rule_id"], finding["severity"]) == ("Q05", "L")
    assert f"{abs(offset)} min {'depois' if offset > 0 else 'antes'}" in finding["explanation_pt"]


@pytest.mark.parametrize(
    "offsets", [(12, 12), (1, 1, 1, 1), (17, 17, 17, 17), (12, -12, 4, 8)], ids=["two", "small", "large", "scattered"]
)
def test_no_clock_is_off_without_one_common_offset(offsets: tuple[int, ...]) -> None:
    assert a_day(*offsets).clock_offsets.empty


def test_a_clock_that_too_few_runs_could_prove_wrong_holds_them() -> None:
    context = audit([trip("T", "09:00", "10:00", "30.00")], [run("R", "06:00", "07:00", "30")])
    assert not {"D05", "D06"} & set(find(context)["rule_id"])
    assert list(held_runs(context)["reason"]) == ["clock"]
    other_km = audit([trip("T", "09:00", "10:00", "50.00")], [run("R", "06:00", "07:00", "30")])
    assert found(other_km, "D05")


def two_runs(*shifted_min: int, km: str = "18.00"):
    """Two runs with arrivals written 8 min late and readings that go on, and two trips so many minutes later."""
    runs = [
        run("R1", "05:40", "06:10", "18", odometer_start_km="1000", odometer_end_km="1018"),
        run("R2", "15:40", "16:10", "18", odometer_start_km="1018", odometer_end_km="1036"),
    ]
    starts = [60 * hour + 40 + shift for hour, shift in zip((5, 15), shifted_min, strict=True)]
    clock = "{0[0]:02d}:{0[1]:02d}".format
    trips = [trip(f"T{at}", clock(divmod(at, 60)), clock(divmod(at + 22, 60)), km) for at in starts]
    return audit(trips, runs)


@pytest.mark.parametrize("shift", [60, -180])
def test_a_clock_off_by_hours_accuses_nobody_who_runs_twice_a_day(shift: int) -> None:
    context = two_runs(shift, shift)
    assert not {"D05", "D06", "D07", "D10", "T03"} & set(find(context)["rule_id"])
    assert list(held_runs(context)["reason"]) == ["clock", "clock"]


@pytest.mark.parametrize(
    ("shifts", "km"), [((60, 120), "18.00"), ((60, 60), "25.00"), ((90, 90), "18.00")], ids=["hours", "km", "half"]
)
def test_runs_that_fit_no_common_hour_or_km_stay_phantoms(shifts: tuple[int, int], km: str) -> None:
    assert list(held_runs(two_runs(*shifts, km=km))["reason"]) == ["phantom", "phantom"]


def test_a_run_declared_twice_for_one_trip_elsewhere_is_no_clock() -> None:
    runs = [run("R1", "06:00", "07:00", "30"), run("R2", "06:20", "07:20", "30")]
    context = audit([trip("T", "09:00", "10:00", "30.00")], runs)
    assert set(held_runs(context)["reason"]) == {"phantom"}
