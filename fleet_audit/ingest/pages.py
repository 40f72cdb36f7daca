"""Pages of the telemetry API, archived as received under the day of America/Sao_Paulo that they were asked for.

Content-addressed: asking again adds only what is new, and nothing that arrived is ever replaced. What the pages say is
read in `positions`.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pandas as pd
import pyarrow as pa

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.journal import record_rows
from fleet_audit.logic.primitives.identity import stable_id
from fleet_audit.logic.primitives.window import partition_day_bounds
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import API_REQUESTS
from fleet_audit.sources.telemetry_api import Page, TelemetryApi
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

PAGES_FOLDER = "raw/positions"
# A window is read by one thread, and its pages change when a position comes late: with quarters of a day four threads
# have work on one day, and three quarters of a late day are not archived again.
WINDOW = dt.timedelta(hours=6)


@dataclass
class FetchedDay:
    """What asking for one day gave; `error` is one sentence, None when the day is complete as of now."""

    day: dt.date
    pages: int = 0
    rows: int = 0
    error: str | None = None


@dataclass(frozen=True)
class PageFetcher:
    """Asks the API and archives what it answers; every page and failure becomes a row of `ops.api_requests`."""

    api: TelemetryApi
    lake: Lake
    warehouse: Warehouse
    run_id: str
    concurrency: int = 4
    _failed: threading.Event = field(default_factory=threading.Event)

    def fetch_days(self, days: Sequence[dt.date], now: dt.datetime) -> list[FetchedDay]:
        """Archive the positions of each day up to now; days that have not begun are left out.

        A failure ends the fetching, since every further day would meet it too; pages archived before it stay.
        """
        windows = [(day, *window) for day in days for window in _windows(day, now)]
        self._failed.clear()
        requests: list[dict[str, Any]] = []
        fetched: dict[dt.date, FetchedDay] = {}
        incomplete: set[dt.date] = set()
        with ThreadPoolExecutor(self.concurrency) as threads:
            outcomes = threads.map(lambda one: self._window(*one), windows)
            for (day, *_), (found, error) in zip(windows, outcomes, strict=True):
                one = fetched.setdefault(day, FetchedDay(day))
                one.pages += sum(request["body_sha256"] is not None for request in found)
                one.rows += sum(request["rows_read"] for request in found)
                one.error = one.error or error
                if not found:
                    incomplete.add(day)
                requests += found
        if requests:
            unique = {request["request_id"]: request for request in requests}
            rows = conform(pd.DataFrame(list(unique.values())), API_REQUESTS)
            record_rows(self.lake, API_REQUESTS, rows)
            self.warehouse.upsert(API_REQUESTS, rows)
        return [one for one in fetched.values() if one.error or one.day not in incomplete]

    def _window(self, day: dt.date, start: dt.datetime, end: dt.datetime) -> tuple[list[dict[str, Any]], str | None]:
        requests: list[dict[str, Any]] = []
        if self._failed.is_set():
            return requests, None
        try:
            for page in self.api.pages(start, end):
                path = f"{page_folder(day)}/{page.sha256}.json.zst"
                if not self.lake.exists(path):  # when it was written says when it arrived
                    self.lake.put_bytes(path, compressed(page.body))
                requests.append(self._request(day, page, path))
        except (PermanentError, RetryableError) as error:
            self._failed.set()
            return [*requests, self._failure(day, start, end, str(error))], str(error)
        return requests, None

    def _request(self, day: dt.date, page: Page, path: str) -> dict[str, Any]:
        return {
            "request_id": stable_id(day, page.window_from, page.window_to, page.number, page.sha256),
            "partition_date": day,
            "window_from": page.window_from,
            "window_to": page.window_to,
            "page_number": page.number,
            "window_attempt": page.attempt,
            "status": page.status,
            "tries": page.tries,
            "latency_ms": round(page.latency_s * 1000),
            "rows_read": page.rows,
            "size_bytes": len(page.body),
            "body_sha256": page.sha256,
            "archive_path": path,
            "server_request_id": page.server_request_id,
            "message": None,
            "answered_at": dt.datetime.now(dt.UTC),
            "run_id": self.run_id,
        }

    def _failure(self, day: dt.date, start: dt.datetime, end: dt.datetime, message: str) -> dict[str, Any]:
        nothing = dict.fromkeys(API_REQUESTS.column_names)
        return {
            **nothing,
            "request_id": stable_id(day, start, end, self.run_id, message),
            "partition_date": day,
            "window_from": start,
            "window_to": end,
            "page_number": 0,
            "window_attempt": 1,
            "tries": 0,
            "rows_read": 0,
            "message": message,
            "answered_at": dt.datetime.now(dt.UTC),
            "run_id": self.run_id,
        }


def _windows(day: dt.date, now: dt.datetime) -> list[tuple[dt.datetime, dt.datetime]]:
    """The quarters of a day that have begun, the last one up to now."""
    start, end = (bound.to_pydatetime() for bound in partition_day_bounds(day))
    end = min(end, now)
    bounds = [start]
    while bounds[-1] < end:
        bounds.append(min(bounds[-1] + WINDOW, end))
    return list(pairwise(bounds))


def asked_rows(warehouse: Warehouse, day: dt.date) -> dict[str, int]:
    """Items of each page of a day, as they were counted when it was archived."""
    rows = warehouse.read(
        "select distinct archive_path, rows_read from ops.api_requests "
        "where partition_date = :day and archive_path is not null",
        {"day": day},
    )
    return dict(zip(rows["archive_path"], map(int, rows["rows_read"]), strict=True))


def archived_pages(lake: Lake, day: dt.date) -> list[str]:
    """Paths of the day's pages, sorted."""
    return sorted(lake.list(page_folder(day)))


def page_sha256(path: str) -> str:
    """SHA-256 of the bytes as received, which a page is called by."""
    return path.rsplit("/", 1)[1].split(".")[0]


def read_page(lake: Lake, path: str) -> bytes:
    """The page's bytes as received."""
    content = lake.get_bytes(path)
    return pa.CompressedInputStream(pa.BufferReader(content), "zstd").read() if path.endswith(".zst") else content


def compressed(body: bytes) -> pa.Buffer:
    """The bytes as one zstd frame, which `zstd -d` reads."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(body)
    return sink.getvalue()


def page_folder(day: dt.date) -> str:
    """Where the pages of a day are, inside the lake."""
    return f"{PAGES_FOLDER}/date={day.isoformat()}"
