"""Overlaps of intervals per vehicle are those that comparing each row with each other one finds."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.primitives.intervals import covered_us, overlaps, union

_HOUR_US = 3_600_000_000
_ROWS = st.lists(
    st.tuples(st.sampled_from(["AAA1A11", "BBB2B22"]), st.integers(0, 72), st.integers(0, 60)), max_size=12
)


def _frame(rows: list[tuple[str, int, int]]) -> pd.DataFrame:
    """Rows of plate, first hour and hours: up to three days, so that pairs meet on several of them."""
    spans = [(plate, start * _HOUR_US, (start + hours) * _HOUR_US) for plate, start, hours in rows]
    return pd.DataFrame(spans, columns=["plate", "start_us", "end_us"]).astype({"start_us": int, "end_us": int})


def _hours(rows: list[tuple[str, int, int]], plate: str) -> set[int]:
    return {hour for own, start, count in rows for hour in range(start, start + count) if own == plate}


@settings(max_examples=60)
@given(_ROWS, _ROWS)
def test_each_pair_that_shares_time_is_found_once_with_its_time(left: list, right: list) -> None:
    shared = [
        (at, to, min(one[1] + one[2], other[1] + other[2]) - max(one[1], other[1]))
        for at, one in enumerate(left)
        for to, other in enumerate(right)
        if one[0] == other[0]
    ]
    expected = [(at, to, hours * _HOUR_US) for at, to, hours in shared if hours > 0]
    assert [*overlaps(_frame(left), _frame(right)).itertuples(index=False, name=None)] == expected


@settings(max_examples=60)
@given(_ROWS, _ROWS)
def test_time_that_several_rows_cover_counts_once(rows: list, by: list) -> None:
    covered = [len(_hours([row], row[0]) & _hours(by, row[0])) * _HOUR_US for row in rows]
    assert covered_us(_frame(rows), _frame(by)).tolist() == covered
    pieces = union(_frame(by))
    assert pieces.equals(pieces.sort_values(["plate", "start_us"], ignore_index=True))
    assert not (pieces["start_us"] <= pieces.groupby("plate")["end_us"].shift()).any(), "rows that touch are one piece"
    for plate in ("AAA1A11", "BBB2B22"):
        own = pieces[pieces["plate"] == plate]
        assert (own["end_us"] - own["start_us"]).sum() == len(_hours(by, plate)) * _HOUR_US
