"""Until when the telemetry API has answered in full: one row of `ops.api_windows` per quarter of a day.

A window is recorded as unanswered before it is asked for, so that a run that is killed leaves a gap and no silence. The
requests themselves are in `page_fetcher`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from fleet_audit.ingest.journal import record_rows, row_batches
from fleet_audit.logic.primitives.window import partition_day_bounds
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.facts import API_WINDOWS
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

# One thread reads a window, and its pages change when a position arrives late: with quarters of a day four threads
# work on one day, and three quarters of a late day are not archived again.
WINDOW = dt.timedelta(hours=6)

_ASKED = """
    insert into ops.api_windows (partition_date, window_from, window_to, failed_at, message, run_id)
    values (:day, :start, :end, :now, :message, :run_id)
    on conflict (partition_date, window_from) do update
    set failed_at = excluded.failed_at, message = excluded.message, run_id = excluded.run_id
"""
_ANSWERED = """
    update ops.api_windows
    set answered_to = greatest(answered_to, :to), answered_at = :now, failed_at = null, message = null, run_id = :run_id
    where partition_date = :day and window_from = :start
"""
_DAMAGED = """
    insert into ops.api_windows (partition_date, window_from, window_to, failed_at, message, run_id)
    values (:day, :start, :end, :now, :message, :run_id)
    on conflict (partition_date, window_from) do update
    set answered_to = null, failed_at = excluded.failed_at, message = excluded.message, run_id = excluded.run_id
"""
_GAPS = """
    select partition_date as operational_date, 'api' as source, coalesce(answered_to, window_from) as started_at,
        window_to as ended_at, message, failed_at, run_id
    from ops.api_windows
    where partition_date between :first and :last and message is not null
        and coalesce(answered_to, window_from) < window_to
    order by window_from
"""


@dataclass(frozen=True)
class ApiWindow:
    """A quarter of a day [start, end), of which positions are asked for up to `asked_to`."""

    day: dt.date
    start: dt.datetime
    end: dt.datetime
    asked_to: dt.datetime


def day_windows(day: dt.date, now: dt.datetime) -> list[ApiWindow]:
    """The quarters of a day that have begun; the last one is asked for up to now."""
    start, end = (bound.to_pydatetime() for bound in partition_day_bounds(day))
    windows = []
    while start < min(end, now):
        until = min(start + WINDOW, end)
        windows.append(ApiWindow(day, start, until, min(until, now)))
        start = until
    return windows


def record_unanswered(warehouse: Warehouse, window: ApiWindow, message: str, run_id: str) -> None:
    """Records that the last request of a window has no complete answer; what was answered before stays."""
    warehouse.execute(_ASKED, _params(window, run_id) | {"message": message})


def record_answered(warehouse: Warehouse, window: ApiWindow, run_id: str) -> None:
    """Records that a window was answered in full up to its `asked_to`."""
    warehouse.execute(_ANSWERED, _params(window, run_id) | {"to": window.asked_to})


def record_damage(
    warehouse: Warehouse, day: dt.date, starts: Collection[dt.datetime], message: str, run_id: str
) -> None:
    """Records that windows lost a page of their answer and must be requested again; no starts: the whole day."""
    for window in day_windows(day, partition_day_bounds(day)[1]):
        if not starts or window.start in starts:
            warehouse.execute(_DAMAGED, _params(window, run_id) | {"message": message})


def windows_as_of(lake: Lake, instant: dt.datetime) -> pd.DataFrame:
    """Rows of `ops.api_windows` as they were at an instant, from the archive's journal."""
    batches = row_batches(lake, API_WINDOWS, instant)
    rows = pd.concat([empty_frame(API_WINDOWS), *batches], ignore_index=True)
    return rows.drop_duplicates([*API_WINDOWS.key], keep="last").reset_index(drop=True)


def journal_windows(lake: Lake, warehouse: Warehouse, days: Collection[dt.date]) -> None:
    """Adds the windows of the days to the archive's journal, so that a rebuilt warehouse knows the gaps too."""
    if days:
        sql = "select * from ops.api_windows where partition_date between :first and :last"
        with warehouse.holding_journal(API_WINDOWS):
            rows = warehouse.read(sql, {"first": min(days), "last": max(days)})
            record_rows(lake, API_WINDOWS, conform(rows, API_WINDOWS))


def _params(window: ApiWindow, run_id: str) -> dict[str, object]:
    now = dt.datetime.now(dt.UTC)
    return {"day": window.day, "start": window.start, "end": window.end, "now": now, "run_id": run_id}


def api_gaps(warehouse: Warehouse, first: dt.date, last: dt.date) -> pd.DataFrame:
    """Stretches of these days of America/Sao_Paulo that the telemetry API has not answered.

    Columns: operational_date, source (`api`), started_at, ended_at, message (why, one sentence), failed_at and run_id
    (of the last request); one row per window, in order. A day without an API, or that was never asked for, has no row.
    A vehicle without positions in a stretch is unknown, not silent: rules on positions are not tested there.
    """
    return warehouse.read(_GAPS, {"first": first, "last": last})
