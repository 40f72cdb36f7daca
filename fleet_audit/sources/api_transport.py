"""One request to the telemetry API: its token, the shared rate limit, and a deadline that also ends a dripping answer.

Which requests make up a window, and what is asked again, is in `telemetry_api`.
"""

from __future__ import annotations

import collections
import email.utils
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import requests
from pydantic import SecretStr
from requests.auth import AuthBase

RATE_WINDOW_S = 60.0
MAX_WAIT_S = 120.0  # a longer pause that a server requires is left to the run's own retry
MAX_BODY_BYTES = 32 * 1024 * 1024  # a page of 10,000 rows has 2 MB; as Python values it takes ten times its size
ANSWER_TIMEOUTS = 4  # a whole answer may take so many times the time-out of a silence
_CHUNK_BYTES = 1 << 18


class BodyTooLargeError(Exception):
    """The answer has more than MAX_BODY_BYTES."""


@dataclass(frozen=True)
class Reply:
    """One answer: its body was read whole when the status is 200, else it is empty."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    latency_s: float


class Transport:
    """Sends requests of one API; safe to use from several threads.

    Args:
        url: address of the positions.
        token: returns the token of the settings; asked again after a refusal.
        header: name of the header that carries it.
        form: text of that header, with `{token}` in it.
        requests_per_min: at most so many requests in any 60 s, by all threads together.
        timeout_s: seconds of connecting, and of a silence in the answer.
    """

    def __init__(
        self, url: str, token: Callable[[], SecretStr], header: str, form: str, requests_per_min: int, timeout_s: float
    ) -> None:
        self.url, self.timeout_s = url, timeout_s
        self._auth = _Token(token, header, form)
        self._rate = _RateLimit(requests_per_min)
        self._of_thread = threading.local()

    def get(self, query: Mapping[str, str | int]) -> Reply:
        """Sends one request when the rate allows it.

        The request runs in a thread of its own, because no time-out of the socket ends a name resolution, or headers
        and bodies that drip: an answer that misses the deadline is abandoned with its connection.

        Raises:
            requests.RequestException: unreachable, timed out, or cut off.
            BodyTooLargeError: the body is larger than any page.
        """
        self._rate.wait()
        deadline_s = ANSWER_TIMEOUTS * self.timeout_s
        outcome: queue.SimpleQueue[Reply | BaseException] = queue.SimpleQueue()
        session = self._session()
        threading.Thread(target=self._run, args=(session, query, deadline_s, outcome), daemon=True).start()
        try:
            reply = outcome.get(timeout=deadline_s)
        except queue.Empty:
            del self._of_thread.session
            raise requests.Timeout from None
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def renew_token(self) -> None:
        """Reads the settings again: a token may have been replaced while the run goes on."""
        self._auth.renew()

    def pause_all(self, seconds: float) -> None:
        """No thread sends a request for so long: a server that answers `Retry-After` means all of them."""
        self._rate.hold(min(seconds, MAX_WAIT_S))

    def _session(self) -> requests.Session:
        """The calling thread's own session, because sessions cannot be shared."""
        if not hasattr(self._of_thread, "session"):
            self._of_thread.session = _Session()
            self._of_thread.session.auth = self._auth
        session: requests.Session = self._of_thread.session
        return session

    def _run(
        self,
        session: requests.Session,
        query: Mapping[str, str | int],
        deadline_s: float,
        outcome: queue.SimpleQueue[Reply | BaseException],
    ) -> None:
        try:
            outcome.put(self._answer(session, query, deadline_s))
        except BaseException as error:
            outcome.put(error)

    def _answer(self, session: requests.Session, query: Mapping[str, str | int], deadline_s: float) -> Reply:
        started = time.monotonic()
        with session.get(
            self.url, params=query, timeout=self.timeout_s, allow_redirects=False, stream=True
        ) as response:
            parts: list[bytes] = []
            size = 0
            for part in response.iter_content(_CHUNK_BYTES) if response.status_code == 200 else ():
                parts.append(part)
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise BodyTooLargeError
                if time.monotonic() - started > deadline_s:
                    raise requests.Timeout
            return Reply(response.status_code, response.headers, b"".join(parts), time.monotonic() - started)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of `Retry-After`, a number or an HTTP date; None without one.

    A date is by the server's clock, which `Date` shows: one 5 h behind made a pause of 30 s none at all.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until = _http_date(text)
    if until is None:
        return None
    now = _http_date(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


class _Session(requests.Session):
    """Follows no redirect: `allow_redirects=False` alone still resolves its address, and fails where that is none."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: there is nothing to resolve."""


class _Token(AuthBase):
    """The token as an auth object: it wins over a .netrc and is in no message or repr."""

    def __init__(self, read: Callable[[], SecretStr], header: str, form: str) -> None:
        self._read, self._header, self._form = read, header, form
        self._token = read()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self._header] = self._form.replace("{token}", self._token.get_secret_value())
        return request

    def renew(self) -> None:
        self._token = self._read()


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
        """Lets no thread's turn come for so long."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)
