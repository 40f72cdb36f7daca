"""The client against the simulated API over real HTTP, with every fault that real life has."""

from __future__ import annotations

import datetime as dt
import email.utils
import gzip
import itertools
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import requests
from pydantic import SecretStr

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.faults import FAULT_KINDS, Faults
from fleet_audit.simulation.fleet import simulate
from fleet_audit.sources import api_transport
from fleet_audit.sources.telemetry_api import Page, TelemetryApi
from fleet_audit_tests.sources.small_server import answering, dripping, sending

TOKEN = "s3cret-token"
FROM = dt.datetime(2025, 6, 10, 3, tzinfo=dt.UTC)
TO = FROM + dt.timedelta(days=1)
Keys = set[tuple[str, str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fleet")
    simulate(out, seed=3, vehicles=6, date_from=dt.date(2025, 6, 10), date_to=dt.date(2025, 6, 12))
    return out


@pytest.fixture(scope="module")
def expected(data: Path) -> Keys:
    """What the API holds of the window, read from the file instead."""
    table = pq.read_table(data / "api" / "positions.parquet", columns=["device_id", "timestamp"])
    inside = table.filter(pc.and_(pc.greater_equal(table["timestamp"], FROM), pc.less(table["timestamp"], TO)))
    instants = pc.strftime(inside["timestamp"], "%Y-%m-%dT%H:%M:%SZ").to_pylist()
    return set(zip(inside["device_id"].to_pylist(), instants, strict=True))


def client(url: str, **options: object) -> TelemetryApi:
    return TelemetryApi(url, TOKEN, **{"page_size": 120, "backoff_s": 0.001, **options})  # type: ignore[arg-type]


def keys(pages: list[Page]) -> Keys:
    return {(row["device_id"], row["timestamp"]) for page in pages for row in json.loads(page.body)["data"]}


def test_a_window_is_complete_and_holds_nothing_else(data: Path, expected: Keys) -> None:
    with ApiServer(data, token=TOKEN) as server:
        pages = list(client(server.url).pages(FROM, TO))
    assert keys(pages) == expected
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert all(page.rows == len(json.loads(page.body)["data"]) for page in pages)


def test_bounds_are_from_inclusive_to_exclusive(data: Path, expected: Keys) -> None:
    middle = FROM + dt.timedelta(hours=9, seconds=17)
    with ApiServer(data, token=TOKEN) as server:
        halves = [keys(list(client(server.url).pages(*bounds))) for bounds in ((FROM, middle), (middle, TO))]
    assert halves[0] | halves[1] == expected
    assert not halves[0] & halves[1]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_each_fault_leaves_the_same_rows(data: Path, expected: Keys, kind: str, seed: int) -> None:
    share, timeout_s = (0.15, 0.5) if kind == "timeout" else (0.4, 60)  # each silence is waited for
    faults = Faults(seed=seed, **{kind: share}, retry_after_s=0, timeout_s=5, most_in_a_row=2)  # type: ignore[arg-type]
    with ApiServer(data, token=TOKEN, faults=faults) as server:
        pages = list(client(server.url, timeout_s=timeout_s).pages(FROM, TO))
    assert faults.served[kind] > 0
    assert keys(pages) == expected


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_all_faults_together_leave_the_same_rows(data: Path, expected: Keys, seed: int) -> None:
    rates = dict.fromkeys(FAULT_KINDS, 0.08) | {"timeout": 0.02}
    faults = Faults(seed=seed, **rates, retry_after_s=0, timeout_s=5)  # type: ignore[arg-type]
    with ApiServer(data, token=TOKEN, faults=faults) as server:
        assert keys(list(client(server.url, timeout_s=0.5).pages(FROM, TO))) == expected


def test_a_wrongly_typed_copy_stands_beside_the_right_row(data: Path) -> None:
    with ApiServer(data, token=TOKEN, faults=Faults(wrong_types=1.0)) as server:
        page = next(iter(client(server.url).pages(FROM, TO)))
    rows = json.loads(page.body)["data"]
    wrong, right = [], set()
    for row in rows:
        if row["speed_kmh"] == "fast" or row["odometer_km"] == "n/a" or row["latitude"] is True:
            wrong.append((row["device_id"], row["timestamp"]))
        else:
            right.add((row["device_id"], row["timestamp"]))
    assert wrong
    assert set(wrong) <= right


def test_an_expired_cursor_starts_the_window_again(data: Path, expected: Keys) -> None:
    faults = Faults(seed=2, expired=0.4, most_expiries=1)
    with ApiServer(data, token=TOKEN, faults=faults) as server:
        pages = list(client(server.url).pages(FROM, TO))
    second = [page for page in pages if page.attempt == 2]
    assert second[0].number == 1
    assert keys(second) == expected


def test_a_cursor_that_always_expires_ends_in_a_sentence(data: Path) -> None:
    faults = Faults(expired=1.0, most_expiries=99)
    with ApiServer(data, token=TOKEN, faults=faults) as server, pytest.raises(RetryableError, match="expired 3 times"):
        list(client(server.url, max_attempts=3).pages(FROM, TO))


def test_retry_after_is_honoured(data: Path) -> None:
    faults = Faults(rate_limited=1.0, most_in_a_row=1, retry_after_s=1)
    with ApiServer(data, token=TOKEN, faults=faults) as server:
        started = time.monotonic()
        next(iter(client(server.url).pages(FROM, TO)))
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("days", [-1, 1])
def test_retry_after_may_be_a_date(days: int) -> None:
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    waits = api_transport.retry_after_s({"Retry-After": email.utils.format_datetime(until, usegmt=True)})
    assert waits == pytest.approx(max(0, days) * 86_400, abs=60)


@pytest.mark.parametrize("hours", [-5, 5])
def test_retry_after_is_by_the_clock_of_the_server(hours: int) -> None:
    now = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
    headers = {"Date": now, "Retry-After": now + dt.timedelta(seconds=30)}
    shown = {name: email.utils.format_datetime(at, usegmt=True) for name, at in headers.items()}
    assert api_transport.retry_after_s(shown) == 30


@pytest.mark.parametrize("cursor", ["c{}", '["/",{}]', "a&b={}"], ids=["plain", "escaped in JSON", "as Go escapes it"])
def test_a_window_that_never_ends_is_found_out(cursor: str) -> None:
    """The same rows for ever, each time with another cursor."""
    numbers = itertools.count()

    def answer(_: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        page = {"data": [{"device_id": "1"}], "next_cursor": cursor.format(next(numbers))}
        return 200, {}, json.dumps(page).replace("/", r"\/").replace("&", r"\u0026").encode()

    with answering(answer) as url, pytest.raises(RetryableError, match="never ends"):
        list(client(url).pages(FROM, TO))


def test_the_rate_is_kept_by_all_threads_together(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_transport, "RATE_WINDOW_S", 0.4)
    asked: list[float] = []
    with ApiServer(data, token=TOKEN) as server:
        api, started = client(server.url, requests_per_min=2, page_size=10_000), time.monotonic()
        with ThreadPoolExecutor(4) as threads:
            for _ in threads.map(lambda _: asked.extend([time.monotonic() for _ in api.pages(FROM, TO)]), range(6)):
                pass
    assert len(asked) == 6
    assert max(asked) - started >= 0.8


def test_a_refused_token_is_permanent_and_stays_secret(data: Path) -> None:
    with ApiServer(data, token="another") as server, pytest.raises(PermanentError, match="FLEET_API_TOKEN") as refusal:
        list(client(server.url).pages(FROM, TO))
    assert TOKEN not in str(refusal.value)


@pytest.mark.parametrize("status", [401, 403])
def test_one_refusal_in_the_middle_of_a_window_costs_nothing(data: Path, expected: Keys, status: int) -> None:
    """A gateway's hiccup: the day was given up at the first one."""
    faults = Faults(seed=5, refused=0.5, refusal_status=status, retry_after_s=0)
    with ApiServer(data, token=TOKEN, faults=faults) as server:
        pages = list(client(server.url).pages(FROM, TO))
    assert faults.served["refused"] > 0
    assert keys(pages) == expected


def test_a_token_that_was_replaced_during_the_read_is_used(data: Path, expected: Keys) -> None:
    tokens = iter(["expired", "expired", TOKEN])
    with ApiServer(data, token=TOKEN) as server:
        api = TelemetryApi(server.url, lambda: SecretStr(next(tokens)), page_size=120, backoff_s=0.001)
        assert keys(list(api.pages(FROM, TO))) == expected


def test_a_token_that_stays_wrong_is_tried_three_times_and_no_more(data: Path) -> None:
    asked = itertools.count()
    refusing = answering(lambda _: (401, {}, f"{next(asked)}".encode()))
    with refusing as url, pytest.raises(PermanentError, match=r"refused the token 3 times \(401\)"):
        list(client(url).pages(FROM, TO))
    assert next(asked) == 3


def test_an_empty_page_that_repeats_the_cursor_ends_the_window() -> None:
    """Contract: vendors that have no more rows for now answer the cursor that was sent."""
    bodies = iter([b'{"data":[{"device_id":"1"}],"next_cursor":"c"}', b'{"data":[],"next_cursor":"c"}'])
    with answering(lambda _: (200, {}, next(bodies))) as url:
        assert [page.rows for page in client(url).pages(FROM, TO)] == [1, 0]


@pytest.mark.parametrize("rows", ['{"n":%d}', ""], ids=["rows", "empty"])
def test_a_window_of_ever_new_cursors_and_pages_ends(rows: str) -> None:
    numbers = itertools.count()

    def answer(_: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        number = next(numbers)
        row = rows % number if rows else ""
        return 200, {}, f'{{"data":[{row}],"next_cursor":"c{number}","at":{number}}}'.encode()

    with answering(answer) as url, pytest.raises(RetryableError, match=r"never ends|did not end a window within 1 s"):
        list(client(url, window_timeout_s=1, requests_per_min=1_000_000).pages(FROM, TO))


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"], ids=["head", "body"])
def test_an_answer_that_drips_ends_by_its_time_out(head: bytes) -> None:
    """No time-out of a socket ends it: each byte arrives in time."""
    with dripping(head) as url, pytest.raises(RetryableError, match="Timeout"):
        list(client(url, timeout_s=0.2, max_attempts=2).pages(FROM, TO))


@pytest.mark.parametrize("status", [202, 302, 308])
def test_an_answer_without_a_page_is_named_and_the_token_follows_no_redirect(status: int) -> None:
    asked = []

    def other(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        asked.append(request.path)
        return 200, {}, b'{"data":[],"next_cursor":null}'

    with answering(other) as elsewhere:
        location = {"Location": f"{elsewhere.replace('127.0.0.1', 'a:b@localhost')}/v2/positions?key=1"}
        with (
            answering(lambda request: (status, location, b"")) as url,
            pytest.raises(
                PermanentError, match="without a page" if status == 202 else r"localhost:\d+/v2/positions"
            ) as raised,
        ):
            list(TelemetryApi(url, TOKEN).pages(FROM, TO))
    assert asked == []
    assert not {"a:b", "key=1", TOKEN} & set(str(raised.value).replace("?", " ").replace("@", " ").split())


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("/v2/positions?key=1", "{url}/v2/positions"),
        ("//b:s3cret@moved.example:8443/v2#s3cret", "http://moved.example:8443/v2"),
        ("https://b:s3cret@[2001:db8::1]:8443/v2", "https://[2001:db8::1]:8443/v2"),
        ("http://[2001:db8::1/v2", "no legible address"),
        ("http://moved.example:s3cret@/v2", "no legible address"),
        ("mailto:s3cret@moved.example", "no legible address"),
        (None, "no legible address"),
    ],
)
def test_the_address_of_a_redirect_is_named_whole_and_without_secrets(location: str | None, named: str) -> None:
    """Brackets that do not close ended the run with a traceback; a port and the host of a relative one were lost."""
    headers = {} if location is None else {"Location": location}
    with answering(lambda _: (301, headers, b"")) as url, pytest.raises(PermanentError) as raised:
        list(TelemetryApi(url, TOKEN).pages(FROM, TO))
    assert f"redirects (301) to {named.format(url=url)}, where" in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_an_unknown_path_is_permanent(data: Path) -> None:
    with ApiServer(data, token=TOKEN) as server, pytest.raises(PermanentError, match="FLEET_API_URL"):
        list(client(server.url + "/elsewhere").pages(FROM, TO))


def test_nobody_there_is_retryable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RetryableError, match="FLEET_API_URL"):
        list(client(url, max_attempts=2).pages(FROM, TO))


def test_endless_server_errors_are_retryable_and_bounded(data: Path) -> None:
    faults = Faults(server_error=1.0, most_in_a_row=99)
    with ApiServer(data, token=TOKEN, faults=faults) as server, pytest.raises(RetryableError, match="status 50"):
        list(client(server.url, max_attempts=3).pages(FROM, TO))
    assert faults.served["server_error"] == 3


@pytest.mark.parametrize(
    "body",
    [
        b"<html>maintenance</html>",
        b"[]",
        b"null",
        b'{"data": {}}',
        b'{"data": [], "next_cursor": 7}',
        b'{"data": [nan]}',
    ],
)
def test_an_answer_that_is_no_page_is_never_taken_for_an_empty_one(body: bytes) -> None:
    answer = (200, {"Content-Type": "text/html"}, body)
    with answering(lambda _: answer) as url, pytest.raises(RetryableError, match="of text/html that is not a complete"):
        list(client(url, max_attempts=2).pages(FROM, TO))


_PAGE = b'{"data":[{"device_id":"1"}],"next_cursor":null}'
_PACKED = gzip.compress(_PAGE)
_CHUNK = b"%x\r\n%s\r\n" % (len(_PAGE), _PAGE)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Length: 0", b""),
        (f"Content-Length: {len(_PAGE) - 5}", _PAGE),
        (f"Content-Length: {len(_PAGE) + 5}", _PAGE),
        ("Content-Encoding: gzip", _PACKED[:-12]),
        ("Content-Encoding: gzip", _PACKED[:20] + b"xx" + _PACKED[22:]),
        ("Transfer-Encoding: chunked", _CHUNK),
    ],
    ids=["empty", "length too small", "length too large", "gzip cut", "gzip damaged", "chunked without an end"],
)
def test_an_answer_that_was_cut_on_the_wire_is_no_page(headers: str, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}\r\n\r\n".encode()
    with sending(head + body) as url, pytest.raises(RetryableError, match="failed 2 times"):
        list(client(url, max_attempts=2).pages(FROM, TO))


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Encoding: gzip", _PACKED),
        ("Transfer-Encoding: chunked", _CHUNK + b"0\r\n\r\n"),
        ("Server: closes", b"\xef\xbb\xbf" + _PAGE),
    ],
    ids=["gzip", "chunked", "without a length, with a mark of UTF-8"],
)
def test_a_page_is_read_however_it_is_sent(headers: str, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}\r\n\r\n".encode()
    with sending(head + body) as url:
        assert [page.rows for page in client(url).pages(FROM, TO)] == [1]


def test_the_client_keeps_to_its_rate(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_transport, "RATE_WINDOW_S", 0.4)
    with ApiServer(data, token=TOKEN) as server:
        started = time.monotonic()
        pages = list(client(server.url, requests_per_min=2, page_size=500).pages(FROM, TO))
    assert len(pages) >= 4
    assert time.monotonic() - started >= 0.4 * ((len(pages) - 1) // 2)


def test_a_window_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zones"):
        list(client("http://127.0.0.1:1").pages(dt.datetime(2025, 6, 10), TO))


def test_the_server_keeps_the_contract(data: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    window = {"from": FROM.isoformat(), "to": (FROM + dt.timedelta(days=9)).isoformat()}
    with ApiServer(data, token=TOKEN) as server:
        url = f"{server.url}/v1/positions"
        default = requests.get(url, params=window, headers=headers, timeout=60).json()
        cut = requests.get(url, params={**window, "limit": 99_999}, headers=headers, timeout=60).json()
        by_cursor = requests.get(url, params={"cursor": default["next_cursor"]}, headers=headers, timeout=60).json()
        statuses = [
            requests.get(url, params=params, headers=headers, timeout=60).status_code
            for params in ({}, {**window, "limit": "x"}, {**window, "from": "soon"}, {"cursor": "forged"})
        ]
        no_token = requests.get(url, params=window, timeout=60).status_code
    assert (len(default["data"]), len(cut["data"])) == (1_000, min(10_000, pq.read_metadata(
        data / "api" / "positions.parquet").num_rows))  # fmt: skip
    assert by_cursor["data"] == cut["data"][1_000:2_000]
    assert statuses == [400] * 4
    assert no_token == 401


def test_late_positions_appear_when_they_have_been_uploaded(data: Path, expected: Keys) -> None:
    with ApiServer(data, token=TOKEN, as_of=TO) as server:
        early = keys(list(client(server.url).pages(FROM, TO)))
    assert early < expected
