"""HTTP client of the telemetry API: the complete pages of a window of event time, as received.

Here belong windows, cursors and retries. One request is in `api_transport`, what a page's rows mean in `formats`.
"""

from __future__ import annotations

import collections
import datetime as dt
import hashlib
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests
from pydantic import SecretStr

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.formats.adapter import CONTRACT, Adapter
from fleet_audit.formats.api_page.decoding import outline, outline_again, raw_items
from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.sources.api_transport import MAX_BODY_BYTES, BodyTooLargeError, Reply, Transport, retry_after_s

BACKOFF_CAP_S = 30.0
MAX_REFUSALS = 3  # contract: a refused token is tried twice more, with the settings read again
PAGE_TIMEOUTS = 10  # all tries of one page may take so many times the time-out of a silence
MAX_EQUAL_PAGES = 20  # pages of one window that have the same rows, or none in turn: it never ends
_MAX_LETTERS = 40
_RETRIED = (408, 425, 429)  # and every 5xx


@dataclass(frozen=True)
class Page:
    """One answer, as received.

    `number` counts from 1 in each attempt at the window. After an expired cursor a new `attempt` begins, whose pages
    repeat those already given; rows are deduplicated by (device, instant) where they are read. `tries` requests were
    needed, and the last one took `latency_s` until its answer was whole. One of status 204 has no body, no rows and no
    next page.
    """

    number: int
    body: bytes
    sha256: str
    window_from: dt.datetime
    window_to: dt.datetime
    rows: int
    attempt: int = 1
    status: int = 200
    tries: int = 1
    latency_s: float = 0.0
    server_request_id: str | None = None


@dataclass(frozen=True)
class _Answer:
    body: bytes
    sha256: str
    rows: int
    cursor: str | None
    status: int
    tries: int
    latency_s: float
    server_request_id: str | None


class _CursorExpiredError(Exception):
    """410: the window must be read again from its first page."""


class TelemetryApi:
    """The positions of a telemetry API with the names and units of its adapter; safe to use from several threads.

    Args:
        base_url: what stands before the adapter's path.
        token: bearer token or key, or a function that reads it from the settings; it is never logged.
        adapter: the vendor's names.
        requests_per_min: at most so many requests in any 60 s.
        timeout_s: seconds of connecting, and of a silence while the answer arrives.
        page_size: rows asked for; absent = the adapter's, which is the largest.
        max_attempts: tries of one page, and of one window when cursors expire.
        backoff_s: first pause before a retry; it doubles each time up to 30 s, with jitter.
        window_timeout_s: longest time that one window may take.
    """

    def __init__(
        self,
        base_url: str,
        token: SecretStr | str | Callable[[], SecretStr],
        *,
        adapter: Adapter = CONTRACT,
        requests_per_min: int = 600,
        timeout_s: float = 30,
        page_size: int | None = None,
        max_attempts: int = 6,
        backoff_s: float = 0.5,
        window_timeout_s: float = 1800,
    ) -> None:
        self.adapter = adapter
        largest = adapter.request["page_size"]
        self._page_size = min(page_size or largest, largest)
        self._max_attempts = max_attempts
        self._backoff_s = backoff_s
        self._window_timeout_s = window_timeout_s
        self._transport = Transport(
            base_url.rstrip("/") + adapter.request["path"],
            token if callable(token) else lambda: token if isinstance(token, SecretStr) else SecretStr(token),
            adapter.request["header"],
            adapter.request["header_value"],
            requests_per_min,
            timeout_s,
        )
        self._url = self._transport.url
        self._decoding = threading.Lock()

    def pages(
        self, window_from: dt.datetime, window_to: dt.datetime, known: Collection[str] = frozenset()
    ) -> Iterator[Page]:
        """All positions with `window_from` <= event time < `window_to`, page by page, one page in memory.

        The window is complete when the iteration ends without an error, and only then. `known` are the SHA-256 of pages
        that were received before and found to be whole.

        Raises:
            PermanentError: the token was refused three times, or the API does not know the request.
            RetryableError: unreachable, failing after `max_attempts`, or longer than `window_timeout_s`.
            ValueError: a bound without a time zone.
        """
        if window_from.tzinfo is None or window_to.tzinfo is None:
            raise ValueError("The window of a telemetry request needs time zones")
        deadline = time.monotonic() + self._window_timeout_s
        for attempt in range(1, self._max_attempts + 1):
            try:
                yield from self._attempt(window_from, window_to, attempt, deadline, known)
                return
            except _CursorExpiredError:
                self._pause(attempt)
        raise RetryableError(
            f"The cursor of {self._url} expired {self._max_attempts} times in one window; try again later, "
            "or raise FLEET_API_REQUESTS_PER_MIN so that a window is read faster."
        )

    def failure_now(self, window_from: dt.datetime, window_to: dt.datetime) -> str | None:
        """Why the API does not answer the first page of a window now, in one sentence; None when it answers."""
        try:
            next(self.pages(window_from, window_to))
        except (PermanentError, RetryableError) as error:
            return str(error)
        return None

    def _attempt(
        self, window_from: dt.datetime, window_to: dt.datetime, attempt: int, deadline: float, known: Collection[str]
    ) -> Iterator[Page]:
        names = self.adapter.request
        query: dict[str, str | int] = {
            **names.get("fixed", {}),
            names["from"]: _written(window_from, names["instants"]),
            names["to"]: _written(window_to, names["instants"]),
            names["limit"]: self._page_size,
        }
        asked: collections.Counter[str] = collections.Counter()
        seen: collections.Counter[bytes] = collections.Counter()
        number = empty = 0
        while True:
            answer = self._fetch(query, deadline, known)
            number += 1
            yield Page(
                number,
                answer.body,
                answer.sha256,
                window_from,
                window_to,
                answer.rows,
                attempt,
                answer.status,
                answer.tries,
                answer.latency_s,
                answer.server_request_id,
            )
            if answer.cursor is None or (not answer.rows and answer.cursor == query.get(names["cursor"])):
                return
            asked[answer.cursor] += 1
            rows = hashlib.sha256(raw_items(answer.body, self.adapter)).digest()
            seen[rows] += 1 if answer.rows else 0
            empty = 0 if answer.rows else empty + 1
            if asked[answer.cursor] > self._max_attempts or max(seen[rows], empty) > MAX_EQUAL_PAGES:
                raise RetryableError(
                    f"{self._url} gives the same cursor or page again and again and never ends the window; "
                    "report it to the owner of FLEET_API_URL."
                )
            query[names["cursor"]] = answer.cursor

    def _fetch(self, query: dict[str, str | int], deadline: float, known: Collection[str]) -> _Answer:
        trouble, refusals, spent_s, tries = "", 0, 0.0, 0
        while tries < self._max_attempts and spent_s < PAGE_TIMEOUTS * self._transport.timeout_s:
            if tries:
                self._pause(tries)
            if time.monotonic() > deadline:
                raise RetryableError(
                    f"{self._url} did not end a window within {self._window_timeout_s:g} s; try again later, or report "
                    "it to the owner of FLEET_API_URL."
                )
            tries += 1
            started = time.monotonic()
            try:
                reply = self._transport.get(query)
            except requests.RequestException as error:
                # Refused, timed out, or cut in the body. The text of the error holds the URL, never the header.
                trouble = type(error).__name__
            except BodyTooLargeError:
                raise PermanentError(
                    f"The telemetry API at {self._url} answers more than {MAX_BODY_BYTES} bytes to one request; "
                    "report it to the owner of FLEET_API_URL."
                ) from None
            else:
                trouble = f"status {reply.status}"
                if reply.status == 204:
                    return self._no_content(reply, tries)
                if reply.status == 200:
                    try:
                        return self._answer(reply, tries, known)
                    except RejectedFile as error:
                        kind = reply.headers.get("Content-Type", "no type")[:_MAX_LETTERS]
                        trouble = f"an answer of {kind} that is not a complete page: {error}"
                elif reply.status in (401, 403):
                    refusals += 1
                    self._refused(reply.status, refusals)
                self._raise_lasting(reply)
                self._transport.pause_all(retry_after_s(reply.headers) or 0)
            spent_s += time.monotonic() - started
        raise RetryableError(
            f"The telemetry API at {self._url} failed {tries} times (last: {trouble}); try again later, or correct "
            "FLEET_API_URL."
        )

    def _answer(self, reply: Reply, tries: int, known: Collection[str]) -> _Answer:
        sha256 = hashlib.sha256(reply.body).hexdigest()
        with self._decoding:  # one page at a time as Python values, however many threads read
            rows, cursor = (outline_again if sha256 in known else outline)(reply.body, self.adapter)
        server_id = reply.headers.get("X-Request-Id")
        return _Answer(reply.body, sha256, rows, cursor, reply.status, tries, reply.latency_s, server_id)

    def _no_content(self, reply: Reply, tries: int) -> _Answer:
        server_id = reply.headers.get("X-Request-Id")
        return _Answer(b"", hashlib.sha256(b"").hexdigest(), 0, None, reply.status, tries, reply.latency_s, server_id)

    def _refused(self, status: int, refusals: int) -> None:
        """Reads the token again, or raises PermanentError after the third refusal of one page."""
        if refusals == MAX_REFUSALS:
            raise PermanentError(
                f"The telemetry API at {self._url} refused the token {refusals} times ({status}): it is wrong or has "
                "expired; set a valid one in FLEET_API_TOKEN."
            )
        self._transport.renew_token()

    def _raise_lasting(self, reply: Reply) -> None:
        """Raises when asking the same again cannot help."""
        status = reply.status
        if status == 410:
            raise _CursorExpiredError
        if 200 < status < 300:
            raise PermanentError(
                f"The telemetry API at {self._url} answers {status} without a page: a window without positions is a "
                "page with an empty list and status 200, or status 204; report it to the owner of FLEET_API_URL."
            )
        if 300 <= status < 400:
            raise PermanentError(
                f"The telemetry API at {self._url} redirects ({status}) to {_address(reply.headers, self._url)}, "
                "where the token is not sent; set FLEET_API_URL to the new address if it is right."
            )
        if status not in (200, 401, 403, *_RETRIED) and status < 500:
            raise PermanentError(
                f"The telemetry API at {self._url} does not accept the request ({status}); correct FLEET_API_URL."
            )

    def _pause(self, attempt: int) -> None:
        backoff_s = min(self._backoff_s * 2 ** (attempt - 1), BACKOFF_CAP_S)
        time.sleep(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries, protects nothing


def _address(headers: Mapping[str, str], asked: str) -> str:
    """Where a redirect of the address that was asked leads, without a query and without a user and password."""
    try:
        parts = urlsplit(urljoin(asked, headers["Location"]))
        is_legible = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (KeyError, ValueError):  # none, or its brackets or port are none
        is_legible = False
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if is_legible else "no legible address"


def _written(instant: dt.datetime, form: str) -> str:
    """The instant as the adapter's `instants` asks: iso, or s or ms since 1970."""
    if form == "iso":
        return instant.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    milliseconds = (instant - dt.datetime.fromtimestamp(0, dt.UTC)) // dt.timedelta(milliseconds=1)
    return str(milliseconds if form == "ms" else milliseconds // 1000)
