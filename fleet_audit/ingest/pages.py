"""Pages of the telemetry API, archived as received under the day of America/Sao_Paulo that they were asked for.

Content-addressed: asking again adds only what is new, and nothing that arrived is ever replaced.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pandas as pd

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.logic.wall_clock import local_midnight
from fleet_audit.sources.telemetry_api import TelemetryApi
from fleet_audit.storage.lake import Lake

PARTITION_ZONE = "America/Sao_Paulo"
PAGES_FOLDER = "raw/positions"


@dataclass(frozen=True)
class FetchedDay:
    """What asking for one day gave; `error` is one sentence, None when the day is complete as of now."""

    day: dt.date
    pages: int
    rows: int
    error: str | None = None


def fetch_days(api: TelemetryApi, lake: Lake, days: Sequence[dt.date], now: dt.datetime) -> list[FetchedDay]:
    """Archive the positions of each day up to now; days that have not begun are left out.

    A failure ends the fetching, since every further day would meet it too; pages archived before it stay.
    """
    fetched = []
    for day in days:
        start, end = (local_midnight(day + dt.timedelta(days=offset), ZoneInfo(PARTITION_ZONE)) for offset in (0, 1))
        if start >= pd.Timestamp(now):
            continue
        pages = rows = 0
        try:
            for page in api.pages(start.to_pydatetime(), min(end, pd.Timestamp(now)).to_pydatetime()):
                path = f"{page_folder(day)}/{page.sha256}.json"
                if not lake.exists(path):  # when it was written says when it arrived
                    lake.put_bytes(path, page.body)
                pages, rows = pages + 1, rows + page.rows
        except (PermanentError, RetryableError) as error:
            fetched.append(FetchedDay(day, pages, rows, str(error)))
            break
        fetched.append(FetchedDay(day, pages, rows))
    return fetched


def archived_pages(lake: Lake, day: dt.date) -> list[str]:
    """Paths of the day's pages, sorted."""
    return sorted(lake.list(page_folder(day)))


def page_folder(day: dt.date) -> str:
    """Where the pages of a day are, inside the lake."""
    return f"{PAGES_FOLDER}/date={day.isoformat()}"
