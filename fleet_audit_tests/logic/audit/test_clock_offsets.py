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
