"""When a cycle may be closed, what its digests depend on and what not, and how differences are shown."""

from __future__ import annotations

import datetime as dt
import itertools

import pandas as pd
import pytest

from fleet_audit.logic.closing.manifest import (
    Difference,
    canonical_rows,
    combined,
    differences,
    differing_rows,
    digest,
    refusal,
)
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS, parameters_on
from fleet_audit.schema.model import Column, Table, Type
from fleet_audit.schema.reference import PARAMETERS
from fleet_audit_tests.logic.frames import rows

CYCLE = cycle_of(dt.date(2025, 6, 1), 16)  # to 15 June
SLOWER = parameters_on(dt.date(2025, 6, 1), rows(PARAMETERS, {"name": "final_after_days", "value": "5"}))


@pytest.mark.parametrize(
    ("today", "is_final", "parameters", "first"),
    [
        ("2025-06-01", False, DEFAULT_PARAMETERS, "2025-06-16"),  # in the middle of it
        ("2025-06-15", False, DEFAULT_PARAMETERS, "2025-06-16"),
        ("2025-06-16", False, DEFAULT_PARAMETERS, None),
        ("2025-06-16", True, DEFAULT_PARAMETERS, "2025-06-18"),
        ("2025-06-17", True, DEFAULT_PARAMETERS, "2025-06-18"),
        ("2025-06-18", True, DEFAULT_PARAMETERS, None),
        ("2025-06-19", True, SLOWER, "2025-06-20"),
        ("2025-06-20", True, SLOWER, None),
        ("2026-06-18", True, DEFAULT_PARAMETERS, None),
    ],
)
def test_provisionally_from_the_day_after_for_good_from_the_third(today, is_final, parameters, first) -> None:
    reason = refusal(CYCLE, dt.date.fromisoformat(today), parameters, is_final=is_final)
    if first is None:
        assert reason is None
    else:
        assert f"from {first} on" in str(reason)
        assert today in str(reason)


TRIPS = Table(
    "fact",
    "short_trips",
    "Trips with few columns",
    (
        Column("trip_id", Type.TEXT, "Trip"),
        Column("purpose", Type.TEXT, "Why"),
        Column("route_code", Type.TEXT, "Route", nullable=True),
        Column("km_measured", Type.KM, "Length", nullable=True),
        Column("legs", Type.TEXT_LIST, "Its legs"),
        Column("run_id", Type.TEXT, "Run"),
        Column("updated_at", Type.TIMESTAMP, "When"),
    ),
    key=("trip_id",),
)


def trips(*values: dict) -> pd.DataFrame:
    now = pd.Timestamp("2025-06-11", tz="UTC")
    return rows(TRIPS, *({"trip_id": f"t{number}", "purpose": "service", "legs": [], "run_id": "r", "updated_at": now,
                          **value} for number, value in enumerate(values)))  # fmt: skip


def of(frame: pd.DataFrame) -> str:
    return digest(canonical_rows(frame, TRIPS))


def test_a_digest_depends_on_every_value_but_not_on_order_or_on_who_wrote_it() -> None:
    frame = trips({"km_measured": "1.00"}, {"km_measured": "2.00"})
    later = frame.assign(run_id="another", updated_at=pd.Timestamp("2026-01-01", tz="UTC"))
    assert of(frame) == of(frame.iloc[::-1]) == of(later)
    others = [
        trips({"km_measured": "1.01"}, {"km_measured": "2.00"}),
        trips({"km_measured": None}, {"km_measured": "2.00"}),
        trips({"km_measured": "1.00"}, {"km_measured": "2.00", "purpose": "yard"}),
        trips({"km_measured": "1.00"}),
        trips({"km_measured": "1.00", "route_code": ""}, {"km_measured": "2.00"}),  # empty is not unknown
        trips(),
    ]
    digests = [of(each) for each in (frame, *others)]
    assert len(set(digests)) == len(digests)


def test_a_list_is_distinguished_from_its_parts() -> None:
    pairs = [["a", "b"], ["a,b"], [], ["b", "a"]]
    assert len({of(trips({"legs": each})) for each in pairs}) == len(pairs)


def test_a_table_s_digest_depends_on_which_day_has_what() -> None:
    days = {"2025-06-01": "a", "2025-06-02": "b"}
    assert combined(days) == combined(dict(reversed(days.items())))
    swapped = dict(zip(days, reversed(days.values()), strict=True))
    assert len({combined(each) for each in (days, swapped, {"2025-06-01": "a"})}) == 3


def test_tables_and_days_that_differ_are_named_in_order() -> None:
    expected = {"fact.a": {"days": {"1": "x", "2": "y", "3": "z"}}, "fact.b": {"days": {"1": "x"}}}
    found = {"fact.a": {"days": {"1": "x", "2": "Y"}}, "fact.b": {"days": {"1": "x"}}, "fact.c": {"days": {}}}
    assert differences(expected, found) == [Difference("fact.a", ["2", "3"])]
    assert differences(expected, expected) == []
    assert differences(expected, {}) == [Difference("fact.a", ["1", "2", "3"]), Difference("fact.b", ["1"])]


def test_rows_that_differ_are_listed_one_per_line() -> None:
    def shown(before: pd.DataFrame, after: pd.DataFrame, limit: int = 9) -> list[str]:
        frames = (canonical_rows(each, TRIPS) for each in (before, after))
        return differing_rows(*frames, key=TRIPS.key, limit=limit)

    before = trips({"km_measured": "1.00"}, {"km_measured": "2.00"}, {"km_measured": "3.00"})
    after = pd.concat([before.iloc[:1], trips({}, {"km_measured": None, "purpose": "yard"}).iloc[1:]])
    extra = trips({"trip_id": "t9", "purpose": "yard"})
    assert shown(before, before.iloc[::-1]) == []
    assert shown(before, pd.concat([after, extra])) == [
        "~ t1: purpose: service -> yard; km_measured: 2.00 -> None", "- t2", "+ t9",
    ]  # fmt: skip
    assert shown(before, before.iloc[:0], limit=2) == ["- t0", "- t1"]


def test_digests_of_all_tables_of_a_day_are_distinct_by_content_only() -> None:
    """A null, a zero and a missing row are three things."""
    frames = [trips({"km_measured": value}) for value in (None, "0.00")] + [trips()]
    assert all(of(a) != of(b) for a, b in itertools.combinations(frames, 2))
