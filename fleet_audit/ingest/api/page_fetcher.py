"""Requests days from the telemetry API, archives every complete page, and records the answered windows.

How one window is read is in `sources`; where pages lie is in `pages`, which windows are answered in `windows`.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.formats.api_page.decoding import error_beside_items
from fleet_audit.ingest.api.pages import (
    DamagedPageError,
    archive_page,
    archived_pages,
    page_sha256,
    read_page,
    set_aside_page,
)
from fleet_audit.ingest.api.windows import (
    ApiWindow,
    api_gaps,
    day_windows,
    journal_windows,
    record_answered,
    record_unanswered,
)
from fleet_audit.ingest.journal import write_rows
from fleet_audit.logic.primitives.identity import stable_id
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import API_REQUESTS
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

if TYPE_CHECKING:
    from fleet_audit.sources.telemetry_api import Page, TelemetryApi

MAX_FAILED_WINDOWS = 3  # in a row: the API is down, and every further window would only wait for its time-outs


@dataclass
class FetchedDay:
    """The outcome of asking for one day.

    Attributes:
        error: one sentence, None when the day was answered in full up to now.
        has_gap: whether hours of the day were never answered; one that was answered before an `error` has none.
    """

    day: dt.date
    pages: int = 0
    rows: int = 0
    error: str | None = None
    has_gap: bool = False


def failure_sentence(fetched: Sequence[FetchedDay]) -> str | None:
    """One sentence that names the days that were not answered in full, and why; None when all were."""
    failed = [one for one in fetched if one.error]
    if not failed:
        return None
    days = [one.day.isoformat() for one in failed]
    gaps = [one.day.isoformat() for one in failed if one.has_gap]
    which = "all of them" if gaps == days and len(gaps) > 1 else ", ".join(gaps)  # a month is listed once
    ending = "stays incomplete until it is" if len(gaps) == 1 else "stay incomplete until they are"
    meaning = f"; {which} {ending} run again" if gaps else "; only late positions can be missing"
    return f"The telemetry API did not answer in full for {', '.join(days)}{meaning}: {failed[0].error}"


@dataclass
class PageFetcher:
    """Asks the API and archives its answers; every page and failure becomes a row of `ops.api_requests`.

    Attributes:
        run_id: goes into the rows.
        concurrency: windows that are read at once.
        set_aside: a sentence for each damaged page that the last `fetch_days` found in the archive.
        warnings: a sentence for each page that it received with items beside an error.
    """

    api: TelemetryApi
    lake: Lake
    warehouse: Warehouse
    run_id: str
    concurrency: int = 4
    set_aside: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _known: Collection[str] = frozenset()
    _failures: int = 0
    _stopped_by: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def fetch_days(self, days: Sequence[dt.date], now: dt.datetime) -> list[FetchedDay]:
        """Archives the positions of each day up to now, and returns one outcome per day that has begun.

        A window that fails leaves a gap (`ops.api_windows`), and the others are still read. A refused request, or
        several failures in a row, ends the asking: the remaining windows are recorded as not asked for.
        """
        self._failures, self._stopped_by, self.warnings = 0, None, []
        windows = [window for day in days for window in day_windows(day, now)]
        for window in windows:
            message = f"Run {self.run_id} asked for this window and was interrupted before the answer was complete."
            record_unanswered(self.warehouse, window, message, self.run_id)
        requests: list[dict[str, Any]] = []
        fetched = {window.day: FetchedDay(window.day) for window in windows}
        journal_windows(self.lake, self.warehouse, list(fetched))
        with ThreadPoolExecutor(self.concurrency) as threads:
            paths = [path for day in fetched for path in archived_pages(self.lake, day)]
            damaged = dict(zip(paths, threads.map(self._checked, paths), strict=True))
            self.set_aside = [sentence for sentence in damaged.values() if sentence]
            self._known = {page_sha256(path) for path, sentence in damaged.items() if sentence is None}
            for window, (found, error) in zip(windows, threads.map(self._window, windows), strict=True):
                one = fetched[window.day]
                one.pages += sum(request["body_sha256"] is not None for request in found)
                one.rows += sum(request["rows_read"] for request in found)
                one.error = one.error or error
                requests += found
        self.warnings = sorted({*self.warnings})
        if requests:
            unique = {request["request_id"]: request for request in requests}
            rows = conform(pd.DataFrame(list(unique.values())), API_REQUESTS)
            write_rows(self.lake, self.warehouse, API_REQUESTS, rows)
        journal_windows(self.lake, self.warehouse, list(fetched))
        for day in set(api_gaps(self.warehouse, min(fetched), max(fetched))["operational_date"]) if fetched else ():
            if day in fetched:
                fetched[day].has_gap = True
        return list(fetched.values())

    def _checked(self, path: str) -> str | None:
        """Sets a damaged page aside, and returns a sentence that names it; None when it is whole."""
        try:
            read_page(self.lake, path)
        except DamagedPageError as error:
            new_path = set_aside_page(self.lake, self.warehouse, path, str(error), self.run_id)
            if new_path is None:
                return f"{self.lake.url(path)} was removed by another run; its window is asked for again."
            return f"{self.lake.url(path)} is damaged; it was moved to {new_path}, and its window is asked for again."
        return None

    def _window(self, window: ApiWindow) -> tuple[list[dict[str, Any]], str | None]:
        """The rows of `ops.api_requests` of one window, and why it is not complete."""
        requests: list[dict[str, Any]] = []
        if self._stopped_by:
            message = f"Not asked for, because an earlier request failed: {self._stopped_by}"
            record_unanswered(self.warehouse, window, message, self.run_id)
            return requests, self._stopped_by
        try:
            for page in self.api.pages(window.start, window.asked_to, self._known):
                path = archive_page(self.lake, window.day, page.body, page.sha256) if page.body else None
                requests.append(self._request(window.day, page, path))
                if path:
                    self._warn_of_error(page, path)
        except (PermanentError, RetryableError) as error:
            self._count_failure(error)
            record_unanswered(self.warehouse, window, str(error), self.run_id)
            return [*requests, self._failure(window, str(error))], str(error)
        self._failures = 0
        record_answered(self.warehouse, window, self.run_id)
        return requests, None

    def _warn_of_error(self, page: Page, path: str) -> None:
        if named := error_beside_items(page.body, self.api.adapter):
            self.warnings.append(
                f"{self.lake.url(path)} has {page.rows} items and names an error ('{named}'): the items are used, and "
                "others may be missing. Read the page, and report it to the owner of FLEET_API_URL."
            )

    def _count_failure(self, error: PermanentError | RetryableError) -> None:
        with self._lock:
            self._failures += 1
            if isinstance(error, PermanentError) or self._failures >= MAX_FAILED_WINDOWS:
                self._stopped_by = self._stopped_by or str(error)

    def _request(self, day: dt.date, page: Page, path: str | None) -> dict[str, Any]:
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

    def _failure(self, window: ApiWindow, message: str) -> dict[str, Any]:
        nothing = dict.fromkeys(API_REQUESTS.column_names)
        return {
            **nothing,
            "request_id": stable_id(window.day, window.start, window.asked_to, self.run_id, message),
            "partition_date": window.day,
            "window_from": window.start,
            "window_to": window.asked_to,
            "page_number": 0,
            "window_attempt": 1,
            "tries": 0,
            "rows_read": 0,
            "message": message,
            "answered_at": dt.datetime.now(dt.UTC),
            "run_id": self.run_id,
        }
