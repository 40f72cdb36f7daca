"""From the telemetry API to staging against only reading the same pages: throughput of both, and memory.

    python -m benchmarks.ingestion --vehicles 500

A server of its own process answers ready pages on 127.0.0.1, so that both sides wait for it equally little. Each side
runs in a process of its own, in turn, `--repeat` times; the best of each counts. Memory is the highest that the process
ever held, over what it held when everything was imported.
"""

from __future__ import annotations

import atexit
import datetime as dt
import json
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import click
import numpy as np
import requests

from fleet_audit.ingest.api.page_fetcher import PageFetcher
from fleet_audit.ingest.staging import Stage
from fleet_audit.logic.primitives.window import partition_day_bounds
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.settings import Settings
from fleet_audit.sources.telemetry_api import TelemetryApi
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.migrate import upgrade
from fleet_audit.storage.warehouse import Warehouse

DAY = dt.date(2025, 6, 11)
LATER = dt.datetime(2025, 6, 20, tzinfo=dt.UTC)
PERIOD_S = 30
PAGE_ROWS = 10_000
TOKEN = "benchmark"
_FORKED = multiprocessing.get_context("spawn")


@click.command()
@click.option("--vehicles", default=500, show_default=True, help="Vehicles, each with a position every 30 s of a day.")
@click.option("--repeat", default=3, show_default=True, help="Passes of each side; the best one counts.")
def main(vehicles: int, repeat: int) -> None:
    """Serve, measure, print."""
    folder = Path(tempfile.mkdtemp(prefix="ingestion"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the server in it has been stopped
    url, stop = _served(vehicles)
    warehouse = ensure_running(folder / "home")
    upgrade(warehouse)
    reading, staging = [], []
    for number in range(repeat):
        reading.append(_in_process(only_read, url))
        staging.append(_in_process(read_and_stage, url, str(folder / f"lake{number}"), warehouse))
    stop()
    read, staged = min(reading), min(staging)
    rows = read[1]
    assert rows == staged[1] == vehicles * 86_400 // PERIOD_S
    _line("read the pages and parse their JSON (requests, json.loads)", read)
    _line("API to staging: archive, parse, check, merge, Parquet", staged)
    print(f"\nstaging runs at {read[0] / staged[0]:.2f} of the speed of only reading")


def _line(name: str, measured: tuple[float, int, int]) -> None:
    seconds, rows, growth = measured
    print(f"{name:<60} {rows:>9,} rows {seconds:>7.2f} s {rows / seconds:>10,.0f} rows/s {growth:>5} MB more memory")


def _in_process(work: Callable[..., int], *arguments: str) -> tuple[float, int, int]:
    mine, theirs = _FORKED.Pipe()
    process = _FORKED.Process(target=_measured, args=(theirs, work, arguments))
    process.start()
    result: tuple[float, int, int] = mine.recv()
    process.join()
    return result


def _measured(results: Connection, work: Callable[..., int], arguments: tuple[str, ...]) -> None:
    before, started = _peak_mb(), time.perf_counter()
    rows = work(*arguments)
    results.send((time.perf_counter() - started, rows, _peak_mb() - before))


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def only_read(url: str) -> int:
    """The least that any client must do, page after page of the whole day."""
    start, end = (bound.isoformat() for bound in partition_day_bounds(DAY))
    rows, query = 0, {"from": start, "to": end, "limit": str(PAGE_ROWS)}
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        while True:
            page = json.loads(session.get(f"{url}/v1/positions", params=query, timeout=30).content)
            rows += len(page["data"])
            if page["next_cursor"] is None:
                return rows
            query["cursor"] = page["next_cursor"]


def read_and_stage(url: str, folder: str, database: str) -> int:
    """The product's own code, from the API to the day's Parquet."""
    lake, warehouse = Lake(Settings(_env_file=None, lake_url=folder)), Warehouse(database)
    fetched = PageFetcher(TelemetryApi(url, TOKEN), lake, warehouse, "benchmark").fetch_days([DAY], LATER)
    assert [one.error for one in fetched] == [None]
    stage = Stage(lake, warehouse, "benchmark", b"key")
    return lake.write_encoded(STAGING_POSITIONS, DAY, stage.staged_positions(DAY))


def _served(vehicles: int) -> tuple[str, Callable[[], None]]:
    mine, theirs = _FORKED.Pipe()
    process = _FORKED.Process(target=_serve, args=(theirs, vehicles), daemon=True)
    process.start()
    return mine.recv(), process.terminate


def _serve(results: Connection, vehicles: int) -> None:
    items = _items(vehicles)
    ready: dict[tuple[int, int, bool], bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16

        def do_GET(self) -> None:
            asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            start, _ = partition_day_bounds(DAY)
            seconds = [
                (dt.datetime.fromisoformat(asked[name]) - start.to_pydatetime()).total_seconds()
                for name in ("from", "to")
            ]
            first, stop = (int(one // PERIOD_S) * vehicles for one in seconds)
            first = int(asked.get("cursor", first))
            end = min(first + int(asked["limit"]), stop)
            page = (first, end, end < stop)
            if page not in ready:
                cursor = json.dumps(str(end) if end < stop else None)
                ready[page] = f'{{"data":[{",".join(items(first, end))}],"next_cursor":{cursor}}}'.encode()
            body = ready[page]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    results.send(f"http://127.0.0.1:{server.server_address[1]}")
    server.serve_forever()


def _items(vehicles: int) -> Callable[[int, int], list[str]]:
    """The items of a range of all positions, in order of time: every number different, as real ones are."""
    start = partition_day_bounds(DAY)[0].to_pydatetime()
    noise = np.random.default_rng(1).random(1 << 16)

    def made(first: int, end: int) -> list[str]:
        return [
            f'{{"device_id":"{500_000 + at % vehicles}",'
            f'"timestamp":"{start + dt.timedelta(seconds=at // vehicles * PERIOD_S):%Y-%m-%dT%H:%M:%SZ}",'
            f'"driver_id":"D{at % vehicles}","latitude":{-22.5 + noise[at & 65535]:.6f},'
            f'"longitude":{-52.1 - noise[(at + 7) & 65535]:.6f},"speed_kmh":{noise[(at + 3) & 65535] * 80:.1f},'
            f'"odometer_km":{10_000 + at * 0.001:.3f},"ignition":true,"passengers":{at % 40}}}'
            for at in range(first, end)
        ]

    return made


if __name__ == "__main__":
    main()
