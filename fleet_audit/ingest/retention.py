"""Retention of the lake: which days of staging and which archived pages of the API are old enough to be removed.

Files that arrived in the inbox, the journal and the closes are kept for good; Dagster's own storage is in
`storage.dagster_history`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet_audit.ingest.api.pages import PAGES_FOLDER
from fleet_audit.ingest.api.parsed_pages import PARSED_PAGES_FOLDER
from fleet_audit.ingest.journal import write_rows
from fleet_audit.logic.primitives.cycles import ONE_DAY, cycle_of
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import API_REQUESTS
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

STAGING = ("staging", "trips", PARSED_PAGES_FOLDER)  # computed again from raw/ by a run of the day
_DAY = re.compile(r"/date=(\d{4}-\d{2}-\d{2})/")
EXPIRED = "Removed by retention: the page is older than the limit, and its cycle was closed for good before it."


@dataclass(frozen=True)
class Expired:
    """Files that may be removed: size in bytes by path; `kept_days` are as old, but a cycle or a dispute needs them."""

    files: Mapping[str, int]
    days: Sequence[dt.date]
    kept_days: Sequence[dt.date]
    total_bytes: int

    @property
    def bytes(self) -> int:
        """What removing them frees."""
        return sum(self.files.values())


def months_before(day: dt.date, months: int) -> dt.date:
    """The first day of the month that is so many months before a day."""
    number = day.year * 12 + day.month - 1 - months
    return dt.date(number // 12, number % 12 + 1, 1)


def expired_staging(lake: Lake, warehouse: Warehouse, before: dt.date, closing_day: int) -> Expired:
    """Files of staging and legs of days before a date."""
    sizes = {path: size for folder in STAGING for path, size in lake.sizes(folder).items()}
    return _expired(sizes, warehouse, before, closing_day)


def expired_pages(lake: Lake, warehouse: Warehouse, before: dt.date, closing_day: int) -> Expired:
    """Archived pages of the API of days before a date."""
    return _expired(lake.sizes(PAGES_FOLDER), warehouse, before, closing_day)


def remove(lake: Lake, expired: Expired) -> None:
    """Remove the files."""
    for path in expired.files:
        lake.delete(path)


def remove_pages(lake: Lake, warehouse: Warehouse, expired: Expired) -> None:
    """Remove pages; their requests are recorded without a page first, so that none is taken for lost or damaged."""
    requests = warehouse.read(
        "select * from ops.api_requests where partition_date = any(cast(:days as date[])) and archive_path is not null",
        {"days": list(expired.days)},
    )
    gone = requests[requests["archive_path"].isin(expired.files.keys())]
    if len(gone):
        rows = conform(gone.assign(archive_path=None, message=EXPIRED), API_REQUESTS)
        write_rows(lake, warehouse, API_REQUESTS, rows)
    remove(lake, expired)


def _expired(sizes: Mapping[str, int], warehouse: Warehouse, before: dt.date, closing_day: int) -> Expired:
    """A day is removed when its cycle and those of its neighbours, whose windows read it, were closed for good before.

    An open cycle needs its days for the close, and a dispute of a closed one is open for as long as its limit counts
    from the close.
    """
    closes = warehouse.read("select cycle_start, closed_at from ops.cycle_closes where status = 'final'", {})
    closed = {start for start, at in closes.itertuples(index=False) if at.date() < before}
    by_path = {path: dt.date.fromisoformat(found[1]) for path in sizes if (found := _DAY.search(f"/{path}"))}
    old = {day for day in by_path.values() if day < before}
    removed = {
        day for day in old if all(cycle_of(day + near * ONE_DAY, closing_day).start in closed for near in (-1, 0, 1))
    }
    files = {path: sizes[path] for path, day in by_path.items() if day in removed}
    return Expired(files, sorted(removed), sorted(old - removed), sum(sizes.values()))
