"""Serves a simulated data set as the telemetry API, over real HTTP on 127.0.0.1, with faults on request.

Here belongs the wire: requests, cursors, JSON. Which fault comes when is in `faults`.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
import random
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fleet_audit.simulation.faults import Faults

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 10_000
NUMBERS = ("latitude", "longitude", "speed_kmh", "odometer_km", "ignition", "passengers")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class BadRequestError(Exception):
    """A parameter that the API does not accept."""


class ApiServer:
    """Serves `GET /v1/positions`; use it as a context manager.

    Args:
        data: what `simulate` wrote (its `out`), or a Parquet file with the columns of the API and `uploaded_at`.
        token: bearer token that requests must carry.
        port: 0 = any free one.
        faults: what goes wrong; None = nothing.
        as_of: only positions uploaded until then exist yet; None = all.
    """

    def __init__(
        self, data: Path, *, token: str, port: int = 0, faults: Faults | None = None, as_of: dt.datetime | None = None
    ) -> None:
        self.faults = faults or Faults()
        self._token = token
        self._positions = Positions(_find(data), as_of)
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.api = self
        self._thread = threading.Thread(target=self._server.serve_forever, name="telemetry-api", daemon=True)

    @property
    def url(self) -> str:
        """Base URL, what FLEET_API_URL would be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def allows(self, header: str | None) -> bool:
        """Whether an `Authorization` header carries the token."""
        return hmac.compare_digest((header or "").encode(), f"Bearer {self._token}".encode())

    def silence(self, seconds: float) -> None:
        """Waits, but no longer than until the server closes."""
        self._stopping.wait(seconds)

    def page(self, query: dict[str, list[str]], faults: frozenset[str], noise: random.Random) -> bytes:
        """The answer's body.

        Raises BadRequestError when a parameter is missing or wrong.
        """
        limit = _limit(query)
        if "cursor" in query:
            start, stop, offset = _decode(query["cursor"][0])
        else:
            start, stop = self._positions.window(_instant(query, "from"), _instant(query, "to"))
            offset = start
        if "repeated" in faults:
            # What was served before comes again; its cursor leads to the page that was asked for.
            first, end, following = max(start, offset - limit), offset, offset
        else:
            first, end = offset, min(offset + limit, stop)
            following = end
        cursor = _encode(start, stop, following) if following < stop else None
        items = self._positions.items(first, end)
        if "wrong_types" in faults:
            items += [_spoil(item, noise) for item in noise.sample(items, min(len(items), 5))]
        if "no_fix" in faults:
            items += [_without_fix(item, noise) for item in noise.sample(items, min(len(items), 5))]
        if "shuffled" in faults:
            noise.shuffle(items)
        return f'{{"data":[{",".join(items)}],"next_cursor":{json.dumps(cursor)}}}'.encode()


class Positions:
    """All positions in memory, by event time; 20 million rows take about 2 GB."""

    def __init__(self, path: Path, as_of: dt.datetime | None) -> None:
        table = pq.read_table(path)
        if as_of is not None:
            table = table.filter(pc.less_equal(table["uploaded_at"], pa.scalar(as_of, table["uploaded_at"].type)))
        instants = table["timestamp"].cast(pa.int64()).to_numpy()
        order = np.argsort(instants, kind="stable")
        self._table = table.take(pa.array(order)).combine_chunks()
        self._instants = instants[order]

    def window(self, start: dt.datetime, stop: dt.datetime) -> tuple[int, int]:
        """First row and end of `start` <= event time < `stop`."""
        bounds = [(instant - _EPOCH) // dt.timedelta(microseconds=1) for instant in (start, stop)]
        first, end = np.searchsorted(self._instants, bounds, side="left")
        return int(first), int(max(first, end))

    def items(self, first: int, end: int) -> list[str]:
        """Rows as JSON objects: Arrow joins the texts of 10,000 rows in 27 ms, a third of `DataFrame.to_json`."""
        rows = self._table.slice(first, end - first)
        parts: list[pa.ChunkedArray | str] = [
            '{"device_id":"',
            rows["device_id"].cast(pa.string()),
            '","timestamp":"',
            pc.strftime(rows["timestamp"], "%Y-%m-%dT%H:%M:%SZ"),
            '","driver_id":',
            pc.binary_join_element_wise('"', rows["driver_id"].cast(pa.string()), '"', ""),
        ]
        for name in NUMBERS:
            parts += [f',"{name}":', rows[name].cast(pa.string())]
        joined = pc.binary_join_element_wise(*parts, "}", "", null_handling="replace", null_replacement="null")
        return joined.to_pylist()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: ApiServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one write: no 40 ms of delayed acknowledgement a page
    server: _Server

    def do_GET(self) -> None:
        api, parts = self.server.api, urlsplit(self.path)
        if parts.path != "/v1/positions":
            self._answer(404, b'{"error":"not found"}')
            return
        if api.faults.is_token_expired() or not api.allows(self.headers.get("Authorization")):
            self._answer(401, b'{"error":"token expired or wrong"}')
            return
        query = parse_qs(parts.query)
        faults, chance = api.faults.draw(parts.query, has_cursor="cursor" in query)
        if self._fails(api.faults, faults, chance):
            return
        try:
            body = api.page(query, faults, chance)
        except BadRequestError as error:
            self._answer(400, json.dumps({"error": str(error)}).encode())
            return
        if "broken" in faults:
            body = _broken(body, chance)
        self._answer(200, body, cut_by=next((kind for kind in ("cut", "reset") if kind in faults), None))

    def _fails(self, faults: Faults, drawn: frozenset[str], chance: random.Random) -> bool:
        if "rate_limited" in drawn:
            self._answer(429, b'{"error":"slow down"}', {"Retry-After": str(faults.retry_after_s)})
        elif "server_error" in drawn:
            self._answer(chance.choice((500, 502, 503)), b"<html>upstream</html>")
        elif "refused" in drawn:
            self._answer(faults.refusal_status, b'{"error":"gateway hiccup"}')
        elif "expired" in drawn:
            self._answer(410, b'{"error":"cursor expired"}')
        elif "timeout" in drawn:
            self.server.api.silence(faults.timeout_s)
            self.close_connection = True
        else:
            return False
        return True

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, cut_by: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut_by else body)
        if cut_by:
            self.wfile.flush()
            self.close_connection = True
        if cut_by == "cut":
            self.connection.shutdown(socket.SHUT_WR)
        elif cut_by == "reset":  # closed at once, without waiting for what was sent
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing: requests carry nothing worth keeping here."""


def _find(data: Path) -> Path:
    for path in (data, data / "api" / "positions.parquet", data / "positions.parquet"):
        if path.is_file():
            return path
    raise FileNotFoundError(f"api/positions.parquet is missing in {data}; create it with fleet-audit simulate.")


def _limit(query: dict[str, list[str]]) -> int:
    text = query.get("limit", [str(DEFAULT_LIMIT)])[0]
    if not text.isdigit() or int(text) == 0:
        raise BadRequestError("limit must be a whole number above 0")
    return min(int(text), MAX_LIMIT)


def _instant(query: dict[str, list[str]], name: str) -> dt.datetime:
    try:
        instant = dt.datetime.fromisoformat(query[name][0])
    except (KeyError, ValueError):
        raise BadRequestError(f"{name} must be an ISO 8601 instant") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=dt.UTC)


def _encode(start: int, stop: int, offset: int) -> str:
    return base64.urlsafe_b64encode(f"{start}.{stop}.{offset}".encode()).decode()


def _decode(cursor: str) -> tuple[int, int, int]:
    try:
        start, stop, offset = map(int, base64.urlsafe_b64decode(cursor.encode()).decode().split("."))
    except ValueError:
        raise BadRequestError("cursor is not one of ours") from None
    if not 0 <= start <= offset <= stop:
        raise BadRequestError("cursor is not one of ours")
    return start, stop, offset


def _without_fix(item: str, noise: random.Random) -> str:
    """The item as a receiver without a fix sends it."""
    latitude, longitude = noise.choice([(0, 0), (91, 0), (None, -52.1), (-22.5, 181)])
    return json.dumps({**json.loads(item), "latitude": latitude, "longitude": longitude, "driver_id": None})


def _broken(body: bytes, noise: random.Random) -> bytes:
    """A body that looks like the page and is not one whole JSON document."""
    wrong = noise.choice([b"\xff\xfe", b"nan", b"9" * 6000, b""])
    if not wrong:
        return b"null"
    return body[:-1] + b',"note":' + (b'"' + wrong + b'"' if wrong[0] == 0xFF else wrong) + b"}"


def _spoil(item: str, noise: random.Random) -> str:
    row = json.loads(item)
    for name, wrong in noise.sample((("speed_kmh", "fast"), ("odometer_km", "n/a"), ("latitude", True)), 2):
        row[name] = wrong
    return json.dumps({**row, "passengers": None})
