"""Which days are due again: waits grow, attempts end, a delivery of reference data asks once."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from fleet_audit.ingest.recovery import MAX_ATTEMPTS, FailedRun, failed_days, unanswered_days

DAY, NEXT = dt.date(2025, 6, 10), dt.date(2025, 6, 11)
START = dt.datetime(2025, 6, 12, 8, 30, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def _run(run_id: str = "one", *days: dt.date, minutes: int = 0, is_transient: bool = True) -> FailedRun:
    began = START + minutes * MINUTE
    return FailedRun(run_id, days or (DAY,), began, began + MINUTE, is_transient)


def _due(after_minutes: float, attempts: int = 0, *, is_transient: bool = True) -> bool:
    now = START + (1 + after_minutes) * MINUTE
    return bool(failed_days([_run(is_transient=is_transient)], {DAY}, {DAY: attempts}, None, now))


def test_waits_double_up_to_six_hours_and_attempts_end():
    waits = [next(m for m in range(1000) if _due(m, attempts)) for attempts in range(MAX_ATTEMPTS)]
    assert waits == [10, 20, 40, 80, 160, 320, 360, 360]
    assert not _due(100_000, MAX_ATTEMPTS)


def test_a_permanent_failure_waits_for_a_delivery_of_reference_data_and_is_requested_once_per_delivery():
    assert not _due(100_000, is_transient=False)
    failed = _run(is_transient=False)
    late = START + 1000 * MINUTE
    assert [one.day for one in failed_days([failed], {DAY}, {DAY: MAX_ATTEMPTS}, START + MINUTE, late)] == [DAY]
    assert failed_days([failed], {DAY}, {}, START - MINUTE, late) == []
    again = _run("two", DAY, minutes=60, is_transient=False)
    assert failed_days([failed, again], {DAY}, {}, START + MINUTE, late) == []


def test_only_days_that_are_still_failed_are_due_and_name_their_newest_run():
    runs = [_run("one", DAY, NEXT), _run("two", NEXT, minutes=5)]
    now = START + 60 * MINUTE
    assert [(one.day, one.run_id) for one in failed_days(runs, {DAY, NEXT}, {}, None, now)] == [
        (DAY, "one"),
        (NEXT, "two"),
    ]
    assert [one.day for one in failed_days(runs, {NEXT}, {}, None, now)] == [NEXT]


def _gaps(*days: dt.date) -> pd.DataFrame:
    starts = pd.to_datetime([f"{day} 03:00Z" for day in days], utc=True)
    return pd.DataFrame(
        {
            "operational_date": days, "started_at": starts, "ended_at": starts + pd.Timedelta(hours=6),
            "failed_at": pd.Timestamp(START), "run_id": "one",
        }
    )  # fmt: skip


def test_a_gap_requests_its_own_day_or_the_one_that_reads_it_and_none_that_was_never_run():
    now = START + 30 * MINUTE

    def due(gap: dt.date, *asked: dt.date) -> list[dt.date]:
        return [one.day for one in unanswered_days(_gaps(gap), asked, {}, NEXT, now)]

    assert due(DAY, DAY, NEXT) == [DAY]
    assert due(DAY, NEXT) == [NEXT]
    assert due(NEXT + dt.timedelta(days=1), NEXT) == [NEXT]  # the tail of a night, on the day that is not over
    assert due(DAY) == []
    assert unanswered_days(_gaps(DAY), {DAY}, {}, NEXT, START + 5 * MINUTE) == []
    assert unanswered_days(_gaps(DAY), {DAY}, {DAY: MAX_ATTEMPTS}, NEXT, now) == []
