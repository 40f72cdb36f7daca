"""Rows per second of the three places where rows are many: staging of files and pages, segmentation, warehouse load.

    python -m benchmarks.throughput --vehicles 150

Everything is the product's own code on a simulated fleet and a real PostgreSQL; the load is measured beside
pandas.to_sql in the same run. Each line is the best of `--repeat` passes.
"""

from __future__ import annotations

import atexit
import datetime as dt
import hashlib
import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pandas as pd
import sqlalchemy as sa

from benchmarks.audited_fleet import SimulatedInbox
from fleet_audit.formats.api_page.positions import parse_page
from fleet_audit.formats.parsed import Limits
from fleet_audit.formats.positions_merge import merge_positions
from fleet_audit.formats.read import parse_file
from fleet_audit.logic.primitives.parameters import parameters_on
from fleet_audit.logic.trips.day_window import build_window
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import TRIPS
from fleet_audit.simulation.fleet import simulate
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.migrate import upgrade
from fleet_audit.storage.postgres import engine_of
from fleet_audit.storage.warehouse import Warehouse

DAY = dt.date(2025, 6, 11)
FILE_ROWS = 50_000  # FLEET_MAX_FILE_ROWS
PAGE_ROWS = 10_000  # the API's largest page
SEED = 11
_HISTORY_DAYS = 10


@click.command()
@click.option("--vehicles", default=150, show_default=True, help="Vehicles of the simulated fleet.")
@click.option("--load-rows", default=50_000, show_default=True, help="Rows of fact.trips that are loaded.")
@click.option("--repeat", default=3, show_default=True, help="Passes of each measurement; the best one counts.")
def main(vehicles: int, load_rows: int, repeat: int) -> None:
    """Simulate, measure, print."""
    folder = Path(tempfile.mkdtemp(prefix="throughput"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the server in it has been stopped
    first, last = DAY - dt.timedelta(days=2), DAY + dt.timedelta(days=1)
    simulate(folder / "fleet", seed=SEED, vehicles=vehicles, date_from=first, date_to=last)
    inbox = SimulatedInbox(folder / "fleet")
    positions = inbox.positions(DAY)
    print(f"{vehicles} vehicles, window of 4 days: {len(positions):,} positions\n")
    staging(positions[positions["date"] == DAY], repeat)
    trips = segmentation(inbox, positions, repeat)
    load(trips, load_rows, folder / "home", repeat)


def staging(day: pd.DataFrame, repeat: int) -> None:
    """A day's positions as telemetry files and as API pages: bytes in, one row an instant out."""
    files = [_telemetry_file(day[start : start + FILE_ROWS]) for start in range(0, len(day), FILE_ROWS)]
    pages = [_page(day[start : start + PAGE_ROWS]) for start in range(0, len(day), PAGE_ROWS)]
    limits, received_at = Limits(), dt.datetime.now(dt.UTC)

    def from_files() -> int:
        parsed = [
            parse_file("telemetry", f"{at}.csv", file, received_at=received_at, limits=limits, driver_key=b"benchmark")
            for at, file in enumerate(files)
        ]
        return len(merge_positions(file.rows for file in parsed)[0])

    def from_pages() -> int:
        origin = {"source": "api", "file_name": "page", "trip_key": pd.Series(dtype="str")}
        return len(
            merge_positions(
                parse_page(page).positions.to_pandas().assign(**origin, file_sha256=hashlib.sha256(page).hexdigest())
                for page in pages
            )[0]
        )

    _line("staging, telemetry files (CSV): parse, check, merge", from_files, repeat)
    _line("staging, API pages (JSON): parse, check, merge", from_pages, repeat)


def segmentation(inbox: SimulatedInbox, positions: pd.DataFrame, repeat: int) -> pd.DataFrame:
    """The window of a day: positions in; stops, legs, trips, ledger readings, all described, out."""
    visits, parameters = inbox.visit_legs(DAY), parameters_on(DAY)
    results = []

    def window() -> int:
        results.append(build_window(DAY, positions, visits, inbox.reference, parameters))
        return len(positions)

    window()  # the compiled passes are loaded, or compiled, here
    _line("segmentation, positions to described trips", window, repeat)
    trips = results[-1].trips
    return trips[trips["operational_date"] == DAY]


def load(trips: pd.DataFrame, rows: int, home: Path, repeat: int) -> None:
    """One day of fact.trips replaced in a transaction, by the warehouse and by pandas.to_sql."""
    url = ensure_running(home)
    upgrade(url)
    many = trips.iloc[np.arange(rows) % len(trips)].assign(trip_id=[f"{at:016x}" for at in range(rows)])
    stamped = many.assign(run_id="benchmark", updated_at=pd.Timestamp.now("UTC"))
    frame = conform(stamped, TRIPS)
    warehouse, engine = Warehouse(url), engine_of(url)

    def by_warehouse() -> int:
        return warehouse.replace_partition(TRIPS, [DAY], frame, "benchmark").rows

    def by_pandas() -> int:
        with engine.begin() as connection:
            connection.execute(sa.text("delete from fact.trips where operational_date = :day"), {"day": DAY})
            frame.to_sql(TRIPS.name, connection, schema=TRIPS.schema, if_exists="append", index=False)
        return len(frame)

    ours = _line(f"load, replace a day of fact.trips ({len(TRIPS.columns)} columns)", by_warehouse, repeat)
    for later in range(1, _HISTORY_DAYS + 1):
        day = DAY + dt.timedelta(days=later)
        other = frame.assign(operational_date=day, trip_id=[f"{later:04x}{at:012x}" for at in range(rows)])
        warehouse.replace_partition(TRIPS, [day], conform(other, TRIPS), "benchmark")
    _line(f"load, the same beside {_HISTORY_DAYS} other days", by_warehouse, repeat)
    theirs = _line("load, the same by pandas.to_sql in one transaction", by_pandas, 1)
    print(f"\nload is {ours / theirs:.1f} times pandas.to_sql")


def _line(name: str, work: Callable[[], int], repeat: int) -> float:
    best, rows = float("inf"), 0
    for _ in range(repeat):
        started = time.perf_counter()
        rows = work()
        best = min(best, time.perf_counter() - started)
    print(f"{name:<58} {rows:>9,} rows  {best:>7.2f} s  {rows / best:>10,.0f} rows/s", flush=True)
    return rows / best


def _telemetry_file(rows: pd.DataFrame) -> bytes:
    text = io.StringIO()
    pd.DataFrame(
        {
            "deviceId": rows["device_id"],
            "timestamp": rows["recorded_at"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
            "tipoVeiculo": "urbano",
            "odometroKm": rows["odometer_km"].astype("float64").fillna(0.0),
            "custoVariavel": 0,
            "custoFixo": 0,
            "viagemId": "",
            "latitude": rows["latitude"],
            "longitude": rows["longitude"],
            "velocidadeKmh": rows["speed_kmh"],
        }
    ).to_csv(text, index=False)
    return text.getvalue().encode()


def _page(rows: pd.DataFrame) -> bytes:
    items = pd.DataFrame(
        {
            "device_id": rows["device_id"],
            "timestamp": rows["recorded_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **{name: rows[name].astype("float64") for name in ("latitude", "longitude", "speed_kmh", "odometer_km")},
        }
    )
    return json.dumps({"data": json.loads(items.to_json(orient="records")), "next_cursor": None}).encode()


if __name__ == "__main__":
    main()
