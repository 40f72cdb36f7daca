"""Which days are requested again by themselves: those whose run failed, and those that the API did not answer in full.

Pure decisions on rows that the caller read. Reading runs and requesting them is in `defs.recovery`.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from fleet_audit.logic.primitives.window import days_that_read

FIRST_WAIT = dt.timedelta(minutes=10)  # doubles with every attempt: the source may need minutes, or a night
LONGEST_WAIT = dt.timedelta(hours=6)
MAX_ATTEMPTS = 8  # of one day; the last one comes a day after the first


@dataclass(frozen=True)
class FailedRun:
    """A run that failed, and whether every failed step could not reach a source or store (`is_transient`)."""

    run_id: str
    days: Collection[dt.date]
    started_at: dt.datetime
    ended_at: dt.datetime
    is_transient: bool


@dataclass(frozen=True)
class Recoverable:
    """A day that can be requested again.

    Attributes:
        day: the operational day.
        run_id: the run after which it is still unfinished; a request is made once per such run.
        gap: the unanswered stretch [from, to) of the API, None when the run itself failed.
    """

    day: dt.date
    run_id: str
    gap: tuple[dt.datetime, dt.datetime] | None = None


def failed_days(
    runs: Collection[FailedRun],
    failed: Collection[dt.date],
    attempts: Mapping[dt.date, int],
    newest_reference: dt.datetime | None,
    now: dt.datetime,
) -> list[Recoverable]:
    """Failed days that are due: after a transient failure with growing waits, else once per delivery of reference data.

    Args:
        runs: failed runs.
        failed: days whose newest run failed.
        attempts: requests that were already made for each day.
        newest_reference: when the newest reference file was accepted.
        now: the instant.
    """
    newest: dict[dt.date, FailedRun] = {}
    for run in sorted(runs, key=lambda each: each.ended_at):
        newest |= dict.fromkeys(set(run.days) & set(failed), run)
    due = []
    for day, run in sorted(newest.items()):
        is_delivered = newest_reference is not None and newest_reference > run.started_at
        if is_delivered or (run.is_transient and _is_due(run.ended_at, attempts.get(day, 0), now)):
            due.append(Recoverable(day, run.run_id))
    return due


def unanswered_days(
    gaps: pd.DataFrame, asked: Collection[dt.date], attempts: Mapping[dt.date, int], last: dt.date, now: dt.datetime
) -> list[Recoverable]:
    """Days up to `last` whose run asks again for a stretch that the API did not answer, as far as they are due.

    Args:
        gaps: rows of `api_gaps`.
        asked: days that were run; no other day is requested.
        attempts: requests that were already made for each day.
        last: the last day that is over.
        now: the instant.
    """
    due: dict[dt.date, Recoverable] = {}
    for gap in gaps.sort_values("failed_at").itertuples():
        day = _asking_day(gap.operational_date, asked, last)
        if day is not None and _is_due(gap.failed_at.to_pydatetime(), attempts.get(day, 0), now):
            stretch = (gap.started_at.to_pydatetime(), min(gap.ended_at.to_pydatetime(), now))
            due[day] = Recoverable(day, str(gap.run_id), stretch)
    return [due[day] for day in sorted(due)]


def counted_attempts(requested: Collection[Collection[dt.date]]) -> Counter[dt.date]:
    """How many of the requested ranges hold each day."""
    return Counter(day for days in requested for day in days)


def _asking_day(day: dt.date, asked: Collection[dt.date], last: dt.date) -> dt.date | None:
    """The day itself when it was run, else the first that was and whose window reads it."""
    reading = [day, *days_that_read(day)]
    return next((each for each in reading if each in asked and each <= last), None)


def _is_due(failed_at: dt.datetime, attempts: int, now: dt.datetime) -> bool:
    if attempts >= MAX_ATTEMPTS:
        return False
    return now - failed_at >= min(FIRST_WAIT * 2**attempts, LONGEST_WAIT)
