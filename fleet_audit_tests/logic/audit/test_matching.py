"""Runs and trips find each other as the rules say, whatever the order of rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.audit.matching import Matching, match
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit_tests.logic.audit_sample import (
    CONTRACTS,
    DAY,
    OTHER,
    PLATE,
    run,
    runs_frame,
    trip,
    trips_frame,
)


def matched(trips: list[dict], runs: list[dict]) -> Matching:
    dated = runs_frame(*runs)
    dated = dated.assign(operational_date=dated["declared_date"], is_day_uncertain=False, is_date_repaired=False)
    return match(trips_frame(*trips), dated, CONTRACTS, DEFAULT_PARAMETERS)


def linked(trips: list[dict], runs: list[dict]) -> set[tuple[str, str]]:
    links = matched(trips, runs).links
    return set(zip(links["declared_run_id"], links["trip_id"], strict=True))


def group_of(trips: list[dict], runs: list[dict]) -> dict:
    groups = matched(trips, runs).groups
    assert len(groups) == 1
    return groups.to_dict("records")[0]


def test_half_of_the_shorter_links() -> None:
    links = matched([trip("T", "06:30", "08:30")], [run("R", "06:00", "07:00")]).links
    assert links.to_dict("records") == [
        {"trip_id": "T", "declared_run_id": "R", "plate": PLATE, "overlap_s": 1800.0, "is_widened": False}
    ]


def test_less_than_half_links_only_when_widened() -> None:
    links = matched([trip("T", "06:31", "08:30")], [run("R", "06:00", "07:00")]).links
    assert links[["overlap_s", "is_widened"]].to_numpy().tolist() == [[39 * 60, True]]


@pytest.mark.parametrize(
    ("start", "end", "trip_start", "is_linked"),
    [
        ("06:00", "06:10", "06:19", True),
        ("06:00", "06:10", "06:20", False),
        ("06:00", "06:09", "06:13", True),
        ("06:00", "06:09", "06:14", False),
    ],
    ids=["10 min run reaches 10", "not beyond", "shorter run reaches 5", "not beyond"],
)
def test_widening_reaches_ten_or_five_minutes(start: str, end: str, trip_start: str, is_linked: bool) -> None:
    assert bool(linked([trip("T", trip_start, "07:00")], [run("R", start, end)])) is is_linked


def test_a_widened_run_never_takes_a_trip_that_another_has() -> None:
    trips = [trip("T", "06:00", "07:00")]
    assert linked(trips, [run("R", "06:00", "07:00"), run("late", "07:05", "08:00")]) == {("R", "T")}


def test_unlinked_runs_choose_in_order_of_start_then_id() -> None:
    trips = [trip("T", "07:05", "07:25")]
    first, second = run("b", "06:00", "07:00"), run("a", "07:30", "08:30")
    assert linked(trips, [second, first]) == {("b", "T")}
    same_start = [run("b", "07:30", "08:30"), run("a", "07:30", "08:00")]
    assert linked(trips, same_start) == {("a", "T")}


def test_a_widened_run_takes_all_that_it_touches() -> None:
    trips = [trip("T1", "05:00", "06:55"), trip("T2", "08:05", "09:30")]
    assert linked(trips, [run("R", "07:00", "08:00")]) == {("R", "T1"), ("R", "T2")}


def test_other_plates_never_meet() -> None:
    assert not linked([trip("T", "06:00", "07:00", plate=OTHER)], [run("R", "06:00", "07:00")])


def test_deadhead_needs_half_of_itself_inside_the_run_as_declared() -> None:
    service = trip("S", "06:00", "07:00")
    inside = trip("D", "06:50", "07:10", "3.00", purpose="deadhead")
    outside = trip("D", "06:51", "07:11", "3.00", purpose="deadhead")
    runs = [run("R", "06:00", "07:00")]
    assert linked([service, inside], runs) == {("R", "S"), ("R", "D")}
    assert linked([service, outside], runs) == {("R", "S")}
    assert not linked([trip("D", "07:05", "07:30", "9.00", purpose="deadhead")], runs)


def test_yard_km_inside_a_run_count_once() -> None:
    yard = trip("Y", "07:00", "07:02", "0.40", purpose="yard")
    group = group_of([trip("S", "06:00", "06:50"), yard], [run("R", "06:00", "07:05")])
    assert group["measured_km"] == Decimal("30.40")
    both = linked([trip("S", "06:00", "06:50"), yard], [run("R", "06:00", "07:01"), run("R2", "07:01", "07:30")])
    assert {("R", "Y")} <= both
    assert ("R2", "Y") not in both


def test_a_shuffle_on_the_yard_is_no_trip_of_a_long_run() -> None:
    yard = trip("Y", "06:20", "06:22", "0.40", purpose="yard")
    assert not linked([yard], [run("R", "06:00", "07:00", "30")])
    assert linked([yard], [run("R", "06:00", "07:00", "1")]) == {("R", "Y")}
    assert linked([{**yard, "km_measured": "0.60"}], [run("R", "06:00", "07:00", "30")]) == {("R", "Y")}
    assert linked([{**yard, "km_measured": None}], [run("R", "06:00", "07:00", "30")]) == {("R", "Y")}


@pytest.mark.parametrize(
    ("trips", "runs", "kind"),
    [
        ([("T1", "06:00", "07:00")], [("R1", "06:00", "07:00")], "one_to_one"),
        ([("T1", "06:00", "06:30"), ("T2", "06:35", "07:00")], [("R1", "06:00", "07:00")], "merged"),
        ([("T1", "06:00", "07:00")], [("R1", "06:00", "06:30"), ("R2", "06:30", "07:00")], "split"),
        (
            [("T1", "06:00", "07:00"), ("T2", "07:10", "08:00")],
            [("R1", "06:00", "07:40"), ("R2", "07:10", "08:00")],
            "many",
        ),
        ([("T1", "06:00", "07:00")], [], "measured_only"),
        ([], [("R1", "06:00", "07:00")], "declared_only"),
    ],
)
def test_kinds(trips: list[tuple[str, str, str]], runs: list[tuple[str, str, str]], kind: str) -> None:
    group = group_of([trip(*one) for one in trips], [run(*one) for one in runs])
    assert group["kind"] == kind
    assert list(group["trip_ids"]) == [one[0] for one in trips]
    assert list(group["declared_run_ids"]) == [one[0] for one in runs]
    assert pd.isna(group["difference_km"]) == (not trips or not runs)


@pytest.mark.parametrize(
    ("declared", "measured", "contract", "is_exceeding", "pct"),
    [
        ("33", "30.00", "CT1", False, "10.00"),
        ("33", "29.99", "CT1", True, "10.04"),
        ("27", "30.00", "CT1", False, "-10.00"),
        ("26", "30.00", "CT1", True, "-13.33"),
        ("3", "2.00", "CT1", False, "50.00"),
        ("3", "1.99", "CT1", True, "50.75"),
        ("21", "20.00", "CT2", False, "5.00"),
        ("22", "20.00", "CT2", True, "10.00"),
    ],
)
def test_tolerance_is_the_contracts_or_the_default(
    declared: str, measured: str, contract: str, is_exceeding: bool, pct: str
) -> None:
    trips = [trip("T", "06:00", "07:00", measured, contract_id=contract)]
    group = group_of(trips, [run("R", "06:00", "07:00", declared)])
    assert bool(group["is_exceeding"]) is is_exceeding
    assert group["difference_km"] == Decimal(declared) - Decimal(measured)
    assert group["difference_pct"] == Decimal(pct)


def test_unknown_km_are_not_zero() -> None:
    trips = [trip("T1", "06:00", "06:30", None), trip("T2", "06:30", "07:00", "10.00")]
    group = group_of(trips, [run("R", "06:00", "07:00", "30")])
    assert group["declared_km"] == Decimal("30.00")
    assert all(pd.isna(group[name]) for name in ("measured_km", "difference_km", "difference_pct", "is_exceeding"))


def test_nothing_measured_has_no_per_cent() -> None:
    group = group_of([trip("T", "06:00", "07:00", "0.00")], [run("R", "06:00", "07:00", "5")])
    assert pd.isna(group["difference_pct"])
    assert bool(group["is_exceeding"])


def test_a_group_belongs_to_the_latest_day_of_its_members() -> None:
    before = DAY - dt.timedelta(days=1)
    trips = [trip("T", "23:50", "25:00", day=before)]
    group = group_of(trips, [run("R", "00:01", "01:00", day=DAY)])
    assert group["operational_date"] == DAY


def test_groups_of_nothing_are_empty() -> None:
    result = matched([], [])
    assert result.groups.empty
    assert result.links.empty


def test_only_service_trips_are_groups_of_their_own() -> None:
    trips = [trip(purpose, "06:00", "07:00", purpose=purpose) for purpose in ("deadhead", "yard", "maintenance")]
    assert matched(trips, []).groups.empty


_minutes = st.tuples(st.integers(0, 600), st.integers(1, 120))
_purposes = st.sampled_from(["service", "service", "deadhead", "yard", "maintenance", "unknown"])


@st.composite
def fleets(draw: st.DrawFn) -> tuple[list[dict], list[dict]]:
    def clock(minutes: int) -> str:
        return f"{6 + minutes // 60:02d}:{minutes % 60:02d}"

    plates = st.sampled_from([PLATE, OTHER])
    trips = [
        trip(f"T{number}", clock(start), clock(start + length), f"{length / 2:.2f}", plate=plate, purpose=purpose)
        for number, ((start, length), plate, purpose) in enumerate(
            draw(st.lists(st.tuples(_minutes, plates, _purposes), max_size=8))
        )
    ]
    runs = [
        run(f"R{number}", clock(start), clock(start + length), str(length // 2), plate=plate)
        for number, ((start, length), plate) in enumerate(draw(st.lists(st.tuples(_minutes, plates), max_size=8)))
    ]
    return trips, runs


@settings(max_examples=15)
@given(fleets(), st.randoms(use_true_random=False))
def test_any_fleet_reconciles_and_row_order_does_not_matter(fleet: tuple[list[dict], list[dict]], random) -> None:
    trips, runs = fleet
    result = matched(trips, runs)
    members = [key for ids in result.groups["trip_ids"] for key in ids]
    assert len(members) == len(set(members))
    assert {row["trip_id"] for row in trips if row["purpose"] == "service"} <= set(members)
    declared = [key for ids in result.groups["declared_run_ids"] for key in ids]
    assert sorted(declared) == sorted(row["declared_run_id"] for row in runs)
    assert sum(result.groups["declared_km"].dropna()) == sum(Decimal(row["declared_km"]) for row in runs)
    km = {row["trip_id"]: Decimal(row["km_measured"]) for row in trips}
    assert sum(result.groups["measured_km"].dropna()) == sum(km[key] for key in members)

    shuffled = (random.sample(trips, len(trips)), random.sample(runs, len(runs)))
    again = matched(*shuffled)
    pd.testing.assert_frame_equal(again.links, result.links)
    pd.testing.assert_frame_equal(again.groups, result.groups)


@settings(max_examples=15)
@given(fleets())
def test_half_overlaps_always_link_and_widened_runs_share_with_nobody(fleet: tuple[list[dict], list[dict]]) -> None:
    trips, runs = fleet
    links = matched(trips, runs).links
    pairs = set(zip(links["declared_run_id"], links["trip_id"], strict=True))
    for one in trips:
        for other in runs:
            overlap = min(one["ended_at"], other["ended_at"]) - max(one["started_at"], other["started_at"])
            shorter = min(one["ended_at"] - one["started_at"], other["ended_at"] - other["started_at"])
            is_due = one["plate"] == other["plate"] and overlap * 2 >= shorter and one["purpose"] == "service"
            assert not is_due or (other["declared_run_id"], one["trip_id"]) in pairs
    widened = links[links["is_widened"]]
    assert (links[links["trip_id"].isin(widened["trip_id"])].groupby("trip_id").size() == 1).all()
