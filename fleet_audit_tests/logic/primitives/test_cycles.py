import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_audit.logic.primitives.cycles import Cycle, as_days, cycle_days, cycle_of, dates

DAYS = st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31))


@given(day=DAYS, closing_day=st.integers(1, 28))
def test_a_day_lies_in_its_cycle_and_cycles_leave_no_day_between_them(day: dt.date, closing_day: int) -> None:
    cycle = cycle_of(day, closing_day)
    assert cycle.start <= day <= cycle.end
    assert cycle.start.day == closing_day
    assert cycle_of(cycle.end + dt.timedelta(days=1), closing_day).start == cycle.end + dt.timedelta(days=1)
    assert cycle_of(cycle.start - dt.timedelta(days=1), closing_day).end == cycle.start - dt.timedelta(days=1)


@given(day=DAYS, closing_day=st.integers(1, 28))
def test_all_days_of_a_cycle_name_the_same_cycle(day: dt.date, closing_day: int) -> None:
    cycle = cycle_of(day, closing_day)
    days = cycle_days(cycle)
    assert len(set(days)) == cycle.length
    assert 28 <= cycle.length <= 31
    assert {cycle_of(each, closing_day) for each in days} == {cycle}


@pytest.mark.parametrize(
    ("day", "closing_day", "start", "end"),
    [
        ("2025-06-10", 16, "2025-05-16", "2025-06-15"),
        ("2025-06-15", 16, "2025-05-16", "2025-06-15"),
        ("2025-06-16", 16, "2025-06-16", "2025-07-15"),
        ("2025-01-03", 16, "2024-12-16", "2025-01-15"),
        ("2024-02-29", 1, "2024-02-01", "2024-02-29"),
        ("2025-03-01", 28, "2025-02-28", "2025-03-27"),
    ],
)
def test_known_cycles(day: str, closing_day: int, start: str, end: str) -> None:
    read = dt.date.fromisoformat
    assert cycle_of(read(day), closing_day) == Cycle(read(start), read(end))


@pytest.mark.parametrize("closing_day", [0, 29])
def test_a_closing_day_that_some_month_lacks_is_refused(closing_day: int) -> None:
    with pytest.raises(ValueError, match="FLEET_CLOSING_DAY"):
        cycle_of(dt.date(2025, 1, 1), closing_day)


def test_days_are_read_from_every_form_that_frames_hold() -> None:
    day = dt.date(2025, 6, 10)
    expected = np.array(["2025-06-10", "NaT"], dtype="datetime64[D]")
    forms = [
        [day, None],
        pd.Series([day, None], dtype=object),
        pd.Series([day, None], dtype=pd.ArrowDtype(pa.date32())),
        pd.Series([pd.Timestamp(day), pd.NaT]),
        pd.Series(dates(expected)),
    ]
    for form in forms:
        np.testing.assert_array_equal(as_days(form), expected)
    assert as_days(day) == np.datetime64("2025-06-10")
