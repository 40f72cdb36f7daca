"""HTTP client of the telemetry API: complete pages of a window of event time, as received, whatever the network does.

Here belong requests, retries and limits. What a page's rows mean is in `formats`.
"""

from __future__ import annotations

import collections
import datetime as dt
import email.utils
import hashlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import requests
from pydantic import SecretStr
from requests.auth import AuthBase

from fleet_audit.errors import PermanentError, RetryableError

MAX_PAGE_SIZE = 10_000  # the API cuts a larger limit
MAX_WAIT_S = 120.0  # a server that asks for a longer pause is left to the run's own retry
BACKOFF_CAP_S = 30.0
RATE_WINDOW_S = 60.0


@dataclass(frozen=True)
class Page:
    """One answer, as received.

    `number` counts from 1 in each attempt at the window; after an expired cursor a new `attempt` begins, whose pages
    repeat those already given: rows are deduplicated by (device, instant) where they are read.
    """

    number: int
    body: bytes
    sha256: str
    window_from: dt.datetime
    window_to: dt.datetime
    rows: int
    attempt: int = 1


class _Bearer(AuthBase):
    """As an auth object the token wins over a .netrc and is in no message or repr."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return request


class _CursorExpiredError(Exception):
    """410: the window must be read again from its first page."""


class TelemetryApi:
    """The `/v1/positions` endpoint.

    Args:
        base_url: what stands before `/v1/positions`.
        token: bearer token; it is never logged.
        requests_per_min: at most so many requests in any 60 s.
        timeout_s: of connecting, and of a silence while the body arrives.
        page_size: rows asked for, at most 10,000.
        max_attempts: tries of one page, and of one window when cursors expire.
        backoff_s: first pause before a retry; it doubles each time up to 30 s, with jitter.
    """

    def __init__(
        self,
        base_url: str,
        token: SecretStr | str,
        *,
        requests_per_min: int = 600,
        timeout_s: float = 30,
        page_size: int = MAX_PAGE_SIZE,
        max_attempts: int = 6,
        backoff_s: float = 0.5,
    ) -> None:
        self._url = base_url.rstrip("/") + "/v1/positions"
        self._timeout_s = timeout_s
        self._page_size = min(page_size, MAX_PAGE_SIZE)
        self._max_attempts = max_attempts
        self._backoff_s = backoff_s
        self._recent: collections.deque[float] = collections.deque(maxlen=requests_per_min)
        self._session = requests.Session()
        self._session.auth = _Bearer(token if isinstance(token, SecretStr) else SecretStr(token))

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
        query: dict[str, str | int] = {
            "from": _iso(window_from),
            "to": _iso(window_to),
            "limit": self._page_size,
        }
        asked: collections.Counter[str] = collections.Counter()
        number = 0
        while True:
            body, rows, cursor = self._fetch(query)
            number += 1
            yield Page(number, body, hashlib.sha256(body).hexdigest(), window_from, window_to, rows, attempt)
            if cursor is None:
                return
            asked[cursor] += 1
            if asked[cursor] > self._max_attempts:
                raise RetryableError(
                    f"{self._url} gives the same cursor again and again and never ends the window; "
                    "tell the owner of FLEET_API_URL."
                )
            query["cursor"] = cursor

    def _fetch(self, query: dict[str, str | int]) -> tuple[bytes, int, str | None]:
        trouble = ""
        for attempt in range(1, self._max_attempts + 1):
            self._respect_rate()
            wait_s = None
            try:
                response = self._session.get(self._url, params=query, timeout=self._timeout_s, allow_redirects=False)
            except requests.RequestException as error:
                # Refused, timed out, or cut in the body. The text of the error holds the URL, never the header.
                trouble = type(error).__name__
            else:
                self._raise_permanent(response)
                if response.status_code == 200:
                    answer = _parse(response.content)
                    if answer is not None:
                        return response.content, *answer
                    trouble = "an answer that is no complete page"
                else:
                    trouble = f"status {response.status_code}"
                    wait_s = _retry_after_s(response)
            if attempt < self._max_attempts:
                self._pause(attempt, wait_s)
        raise RetryableError(
            f"The telemetry API at {self._url} failed {self._max_attempts} times (last: {trouble}); "
            "try again later, or correct FLEET_API_URL."
        )

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
        time.sleep(min(max(jittered_s, wait_s or 0.0), MAX_WAIT_S))

    def _respect_rate(self) -> None:
        """At most `requests_per_min` requests in any 60 s; a short job is not slowed down."""
        if len(self._recent) == self._recent.maxlen:
            time.sleep(max(0.0, self._recent[0] + RATE_WINDOW_S - time.monotonic()))
        self._recent.append(time.monotonic())


def _iso(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _parse(body: bytes) -> tuple[int, str | None] | None:
    """Rows and next cursor of a page; None when it is no JSON object with a `data` list (a body cut on its way)."""
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        return None
    cursor = answer.get("next_cursor")
    if cursor is not None and not isinstance(cursor, str):
        return None
    return len(answer["data"]), cursor or None


def _retry_after_s(response: requests.Response) -> float | None:
    """Seconds that `Retry-After` asks for, which may be a number or an HTTP date."""
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (until - dt.datetime.now(dt.UTC)).total_seconds())
