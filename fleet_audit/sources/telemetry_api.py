"""HTTP client of the telemetry API: complete pages of a window of event time, as received, whatever the network does.

Here belong requests, retries and limits. What a page's rows mean is in `formats`.
"""

from __future__ import annotations

import collections
import datetime as dt
import email.utils
import hashlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import requests
from pydantic import SecretStr
from requests.auth import AuthBase

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.formats.adapter import CONTRACT, Adapter
from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.formats.positions_page import outline

MAX_WAIT_S = 120.0  # a server that asks for a longer pause is left to the run's own retry
BACKOFF_CAP_S = 30.0
RATE_WINDOW_S = 60.0
MAX_BODY_BYTES = 256 * 1024 * 1024  # of a page of 10,000 rows 2 MB are usual: more is a server gone wrong
MOST_EQUAL_PAGES = 20  # pages of one window that differ in their cursor alone: it never ends
_HEAD_BYTES = 512  # two or three items: no two pages of a window begin alike
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class Page:
    """One answer, as received.

    `number` counts from 1 in each attempt at the window; after an expired cursor a new `attempt` begins, whose pages
    repeat those already given: rows are deduplicated by (device, instant) where they are read. `tries` requests were
    needed, the last one took `latency_s` until its answer was whole.
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
    rows: int
    cursor: str | None
    status: int
    tries: int
    latency_s: float
    server_request_id: str | None


class _Token(AuthBase):
    """As an auth object the token wins over a .netrc and is in no message or repr."""

    def __init__(self, token: SecretStr, header: str, form: str) -> None:
        self._token, self._header, self._form = token, header, form

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self._header] = self._form.replace("{token}", self._token.get_secret_value())
        return request


class _RateLimit:
    """At most `per_min` requests in any 60 s, of all threads together; a short job is not slowed down."""

    def __init__(self, per_min: int) -> None:
        self._recent: collections.deque[float] = collections.deque(maxlen=per_min)
        self._not_before = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Waits for this thread's turn."""
        with self._lock:
            at = max(time.monotonic(), self._not_before)
            if len(self._recent) == self._recent.maxlen:
                at = max(at, self._recent[0] + RATE_WINDOW_S)
            self._recent.append(at)
        time.sleep(max(0.0, at - time.monotonic()))

    def hold(self, seconds: float) -> None:
        """No thread asks for so long: a server that says `Retry-After` means all of us."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)


class _CursorExpiredError(Exception):
    """410: the window must be read again from its first page."""


class TelemetryApi:
    """The positions of a telemetry API, whose names and units its adapter says; safe to use from several threads.

    Args:
        base_url: what stands before the adapter's path.
        token: bearer token or key; it is never logged.
        adapter: the vendor's names.
        requests_per_min: at most so many requests in any 60 s.
        timeout_s: of connecting, and of a silence while the body arrives; a whole answer may take ten times as long.
        page_size: rows asked for; absent = what the adapter says, which is the largest.
        max_attempts: tries of one page, and of one window when cursors expire.
        backoff_s: first pause before a retry; it doubles each time up to 30 s, with jitter.
    """

    def __init__(
        self,
        base_url: str,
        token: SecretStr | str,
        *,
        adapter: Adapter = CONTRACT,
        requests_per_min: int = 600,
        timeout_s: float = 30,
        page_size: int | None = None,
        max_attempts: int = 6,
        backoff_s: float = 0.5,
    ) -> None:
        self.adapter = adapter
        self._url = base_url.rstrip("/") + adapter.request["path"]
        self._timeout_s = timeout_s
        largest = adapter.request["page_size"]
        self._page_size = min(page_size or largest, largest)
        self._max_attempts = max_attempts
        self._backoff_s = backoff_s
        self._rate = _RateLimit(requests_per_min)
        self._auth = _Token(
            token if isinstance(token, SecretStr) else SecretStr(token),
            adapter.request["header"],
            adapter.request["header_value"],
        )
        self._of_thread = threading.local()

    def pages(self, window_from: dt.datetime, window_to: dt.datetime) -> Iterator[Page]:
        """All positions with `window_from` <= event time < `window_to`, page by page, one page in memory.

        The window is complete when the iteration ends without an error, and only then.

        Raises:
            PermanentError: the token is refused, or the API does not know the request.
            RetryableError: unreachable, or failing after `max_attempts`.
            ValueError: a bound without a time zone.
        """
        if window_from.tzinfo is None or window_to.tzinfo is None:
            raise ValueError("The window of a telemetry request needs time zones")
        for attempt in range(1, self._max_attempts + 1):
            try:
                yield from self._attempt(window_from, window_to, attempt)
                return
            except _CursorExpiredError:
                self._pause(attempt)
        raise RetryableError(
            f"The cursor of {self._url} expired {self._max_attempts} times in one window; try again later, "
            "or raise FLEET_API_REQUESTS_PER_MIN so that a window is read faster."
        )

    def _attempt(self, window_from: dt.datetime, window_to: dt.datetime, attempt: int) -> Iterator[Page]:
        names = self.adapter.request
        query: dict[str, str | int] = {
            **names.get("fixed", {}),
            names["from"]: _written(window_from, names["instants"]),
            names["to"]: _written(window_to, names["instants"]),
            names["limit"]: self._page_size,
        }
        asked: collections.Counter[str] = collections.Counter()
        heads: collections.Counter[tuple[int, bytes]] = collections.Counter()
        number = 0
        while True:
            answer = self._fetch(query)
            number += 1
            yield Page(
                number,
                answer.body,
                hashlib.sha256(answer.body).hexdigest(),
                window_from,
                window_to,
                answer.rows,
                attempt,
                answer.status,
                answer.tries,
                answer.latency_s,
                answer.server_request_id,
            )
            if answer.cursor is None:
                return
            asked[answer.cursor] += 1
            head = (len(answer.body), answer.body[:_HEAD_BYTES].replace(answer.cursor.encode(), b""))
            heads[head] += 1
            if asked[answer.cursor] > self._max_attempts or heads[head] > MOST_EQUAL_PAGES:
                raise RetryableError(
                    f"{self._url} gives the same cursor or page again and again and never ends the window; "
                    "tell the owner of FLEET_API_URL."
                )
            query[names["cursor"]] = answer.cursor

    def _fetch(self, query: dict[str, str | int]) -> _Answer:
        trouble = ""
        for attempt in range(1, self._max_attempts + 1):
            self._rate.wait()
            wait_s = None
            started = time.monotonic()
            try:
                with self._session().get(
                    self._url, params=query, timeout=self._timeout_s, allow_redirects=False, stream=True
                ) as response:
                    body = self._body(response, started)
            except requests.RequestException as error:
                # Refused, timed out, or cut in the body. The text of the error holds the URL, never the header.
                trouble = type(error).__name__
            else:
                self._raise_permanent(response)
                if response.status_code == 200:
                    try:
                        rows, cursor = outline(body, self.adapter)
                    except RejectedFile as error:
                        trouble = f"an answer that is no complete page: {error}"
                    else:
                        latency_s = time.monotonic() - started
                        server_id = response.headers.get("X-Request-Id")
                        return _Answer(body, rows, cursor, 200, attempt, latency_s, server_id)
                else:
                    trouble = f"status {response.status_code}"
                    wait_s = _retry_after_s(response)
            if attempt < self._max_attempts:
                self._pause(attempt, wait_s)
        raise RetryableError(
            f"The telemetry API at {self._url} failed {self._max_attempts} times (last: {trouble}); "
            "try again later, or correct FLEET_API_URL."
        )

    def _session(self) -> requests.Session:
        """This thread's own: a session is not safe to share."""
        if not hasattr(self._of_thread, "session"):
            self._of_thread.session = requests.Session()
            self._of_thread.session.auth = self._auth
        session: requests.Session = self._of_thread.session
        return session

    def _body(self, response: requests.Response, started: float) -> bytes:
        """The whole answer; one that drips, or never ends, is a time-out or an error of the server's."""
        parts: list[bytes] = []
        size = 0
        for part in response.iter_content(_CHUNK_BYTES):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise PermanentError(
                    f"The telemetry API at {self._url} answers more than {MAX_BODY_BYTES} bytes to one request; "
                    "tell the owner of FLEET_API_URL."
                )
            if time.monotonic() - started > 10 * self._timeout_s:
                raise requests.Timeout
        return b"".join(parts)

    def _raise_permanent(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (401, 403):
            raise PermanentError(
                f"The telemetry API at {self._url} refuses the token ({status}): it is wrong or has expired; "
                "set a valid one in FLEET_API_TOKEN."
            )
        if status == 410:
            raise _CursorExpiredError
        if status != 200 and status not in (408, 425, 429) and status < 500:
            raise PermanentError(
                f"The telemetry API at {self._url} does not accept the request ({status}); correct FLEET_API_URL."
            )

    def _pause(self, attempt: int, wait_s: float | None = None) -> None:
        backoff_s = min(self._backoff_s * 2 ** (attempt - 1), BACKOFF_CAP_S)
        jittered_s = backoff_s * random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, protects nothing
        if wait_s:
            self._rate.hold(min(wait_s, MAX_WAIT_S))
        time.sleep(jittered_s)


def _written(instant: dt.datetime, form: str) -> str:
    if form == "iso":
        return instant.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    milliseconds = (instant - dt.datetime.fromtimestamp(0, dt.UTC)) // dt.timedelta(milliseconds=1)
    return str(milliseconds if form == "ms" else milliseconds // 1000)


def _retry_after_s(response: requests.Response) -> float | None:
    """Seconds that `Retry-After` asks for, which may be a number or an HTTP date."""
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=dt.UTC)
    return max(0.0, (until - dt.datetime.now(dt.UTC)).total_seconds())
