"""Divergences that prove nothing accuse nobody: trips cut by a gap, night runs whose day is not certain."""

import datetime as dt

import pytest

from fleet_audit_tests.logic.audit_sample import DAY, audit, found, run, span, trip

NEXT = DAY + dt.timedelta(days=1)


@pytest.mark.parametrize("flag", ["is_end_in_gap", "is_start_in_gap"])
def test_more_declared_than_measured_is_no_proof_when_a_gap_cuts_the_trip(flag: str) -> None:
    whole = audit([trip("T", "06:00", "06:40", "20.00")], [run("R", "06:00", "06:45", "40")])
    cut = audit([trip("T", "06:00", "06:40", "20.00", **{flag: True})], [run("R", "06:00", "06:45", "40")])
    assert found(whole, "D01")
    assert found(whole, "D02")
    assert not found(cut, "D01")
    assert not found(cut, "D02")


def test_less_declared_than_measured_is_seen_whatever_a_gap_hides() -> None:
    cut = audit([trip("T", "06:00", "06:40", "40.00", is_end_in_gap=True)], [run("R", "06:00", "06:45", "20")])
    assert found(cut, "D04")


def nights(km_today: str, km_tomorrow: str, declared: str) -> dict[str, list[dict]]:
    """A night run without readings whose times fit a trip on both days equally: its day is not certain."""
    trips = [
        trip("T1", "23:50", "24:30", km_today, shift_code="C"),
        trip("T2", "23:50", "24:30", km_tomorrow, day=NEXT, shift_code="C"),
    ]
    watched = [span("00:00", "48:00")]
    context = audit(
        trips, [run("R", "23:50", "00:30", declared, shift_code="C", ended_at=trips[0]["ended_at"])], watched
    )
    assert context.runs["is_day_uncertain"].all()
    return {rule_id: found(context, rule_id) for rule_id in ("D01", "D04")}


def test_an_uncertain_night_run_is_not_measured_by_one_night_alone() -> None:
    assert nights("30.00", "42.00", "42") == {"D01": [], "D04": []}
    assert nights("42.00", "30.00", "30") == {"D01": [], "D04": []}


def test_an_uncertain_night_run_that_exceeds_on_both_nights_is_named() -> None:
    assert nights("30.00", "31.00", "42")["D01"]
    assert nights("42.00", "43.00", "30")["D04"]


def test_a_chain_over_a_trip_that_a_gap_cuts_is_not_broken() -> None:
    runs = [
        run("R1", "06:00", "06:30", odometer_start_km="100", odometer_end_km="120"),
        run("R2", "12:00", "12:30", odometer_start_km="160", odometer_end_km="180"),
    ]
    seen = trip("T", "08:00", "08:40", "20.00")
    assert found(audit([seen], runs), "D10")
    assert not found(audit([{**seen, "is_end_in_gap": True}], runs), "D10")


def test_a_chain_from_before_the_window_proves_nothing() -> None:
    """Trips of D-2 are not in the window of D: what was driven that evening is not known here."""

    def broken(days_before: int) -> list[dict]:
        first = DAY - dt.timedelta(days=days_before)
        runs = [
            run("R1", "17:00", "17:30", day=first, odometer_start_km="100", odometer_end_km="120"),
            run("R2", "06:00", "06:30", odometer_start_km="124", odometer_end_km="144"),
        ]
        return found(audit([], runs, [span("00:00", "96:00", day=DAY - dt.timedelta(days=3))]), "D10")

    assert broken(1)
    assert not broken(2)
