"""The morning's run: a large fleet's yesterday from the telemetry API to all reports, the days before being known.

    python -m benchmarks.d1_run --vehicles 500

A simulated fleet that reports every 30 s, served by a process of its own that knows what was uploaded until 05:30. The
day before is run first and not measured. Then yesterday is run in a fresh process as the schedule does it at 05:30, and
its cycle as at 06:00: wall, processor time of the process and of PostgreSQL, peak memory, seconds of each step. Each
target, of the day without its cycle, is printed as reached or missed; on a busy machine the wall says little, and
processor times are longer than on an idle one.
"""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from benchmarks.small_day import adopt_orphans, processor_time_s
from fleet_audit.logic.primitives.window import partition_day_bounds
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.fleet import simulate

YESTERDAY = dt.date(2025, 6, 11)
SEED = 11
PERIOD_S, MOST_GAP_S = 30, 900
TOKEN = "benchmark"
TARGETS = {"wall_s": 45, "processor_s": 60, "peak_mb": 1500}
_SPAWNED = multiprocessing.get_context("spawn")
_RUN = """
import datetime as dt, json, resource, sys, time
from fleet_audit.cli.environment import export_settings
from fleet_audit.cli.run import run_days
from fleet_audit.settings import load_settings
settings, day = load_settings(), dt.date.fromisoformat(sys.argv[1])
export_settings(settings)
from fleet_audit.cli.environment import dagster_home
dagster_home(settings)
from fleet_audit.definitions import build_definitions
of_cycle = build_definitions().resolve_job_def("cycle").graph.node_names()
steps, last = {}, [time.process_time(), time.perf_counter()]
def progress(line):
    now = [time.process_time(), time.perf_counter()]
    name = line.split(":")[0]
    spent = steps.get(name, [0, 0])
    steps[name] = [before + here - there for before, here, there in zip(spent, now, last)]
    last[:] = now
result = run_days(settings, day, day, progress)
if not result.is_success:
    sys.exit("; ".join(result.errors))
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"steps": steps, "own_s": time.process_time(), "peak_mb": peak_mb, "of_cycle": of_cycle}))
"""


@click.command()
@click.option("--vehicles", default=500, show_default=True, help="Vehicles of the simulated fleet.")
@click.option("--most", default=16, show_default=True, help="Number of steps to list.")
@click.option("--home", type=click.Path(path_type=Path), help="Where to keep everything; default: a temporary folder.")
def main(vehicles: int, most: int, home: Path | None) -> None:
    """Simulate, run the day before, measure yesterday, print."""
    with tempfile.TemporaryDirectory(prefix="d1_run") as temporary:
        folder = home or Path(temporary)
        before = YESTERDAY - dt.timedelta(days=1)
        span = {"date_from": before - dt.timedelta(days=2), "date_to": YESTERDAY + dt.timedelta(days=1)}
        if not (folder / "api").exists():
            simulate(folder, seed=SEED, vehicles=vehicles, **span)
            densify(folder / "api" / "positions.parquet")
        os.environ |= {
            "FLEET_HOME": str(folder / "home"),
            "FLEET_INBOX_URL": str(folder / "inbox"),
            "FLEET_API_TOKEN": TOKEN,
            "FLEET_START_DATE": span["date_from"].isoformat(),
        }
        run_day(folder, before)
        measured = run_day(folder, YESTERDAY)
        print(f"{vehicles} vehicles, {_positions(folder, YESTERDAY):,} positions of {YESTERDAY}; "
              f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")  # fmt: skip
        _print(measured, most)


def run_day(folder: Path, day: dt.date, program: str = _RUN) -> dict:
    """What a program prints that runs one day in a fresh process, with what existed at 05:30 of the day after."""
    morning = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(5, 30), ZoneInfo(PARTITION_ZONE))
    mine, theirs = _SPAWNED.Pipe()
    server = _SPAWNED.Process(target=_serve, args=(theirs, folder, morning), daemon=True)
    server.start()
    os.environ["FLEET_API_URL"] = mine.recv()
    try:
        run = _SPAWNED.Process(target=_measure, args=(theirs, program, day))
        run.start()
        run.join()
        if run.exitcode:
            raise SystemExit(run.exitcode)
        return mine.recv()
    finally:
        server.kill()
        server.join()


def _serve(results: Connection, folder: Path, as_of: dt.datetime) -> None:
    with ApiServer(folder, token=TOKEN, as_of=as_of) as server:
        results.send(server.url)
        time.sleep(86_400)


def _measure(results: Connection, program: str, day: dt.date) -> None:
    """Apart from the server, which is not a child of this process: the time of all its children counts."""
    adopt_orphans()
    started = time.perf_counter()
    processor_s, printed = processor_time_s(program, day.isoformat())
    wall_s = time.perf_counter() - started
    results.send({**json.loads(printed), "processor_s": processor_s, "wall_s": wall_s})


def _positions(folder: Path, day: dt.date) -> int:
    """Positions that the fleet sent of a day."""
    start, end = (bound.tz_convert("UTC") for bound in partition_day_bounds(day))
    at = pc.field("timestamp")
    return ds.dataset(folder / "api" / "positions.parquet").count_rows(filter=(at >= start) & (at < end))


def densify(path: Path) -> None:
    """Add positions on the way between two that are up to 15 min apart, so that every device reports every 30 s."""
    table = pq.read_table(path).sort_by([("device_id", "ascending"), ("timestamp", "ascending")])
    device = table["device_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    at = table["timestamp"].cast(pa.int64()).to_numpy()
    after = np.minimum(np.arange(len(at)) + 1, len(at) - 1)
    gap_s = np.where(device[after] == device, (at[after] - at) / 1e6, 0)
    added = np.where(gap_s <= MOST_GAP_S, np.maximum(np.ceil(gap_s / PERIOD_S) - 1, 0), 0).astype(int)
    row = np.repeat(np.arange(len(at)), added + 1)
    step = np.arange(len(row)) - np.repeat(np.cumsum(added + 1) - added - 1, added + 1)
    share = np.where(step > 0, step * PERIOD_S / np.maximum(gap_s[row], 1), 0)
    dense = table.take(pa.array(row))
    columns = {"timestamp": pa.array(at[row] + step * PERIOD_S * 1_000_000).cast(table.schema.field("timestamp").type)}
    for name, digits in (("latitude", 6), ("longitude", 6), ("odometer_km", 1)):
        known = table[name].to_numpy()
        made = np.where(step > 0, known[row] + (known[after[row]] - known[row]) * share, known[row])
        columns[name] = pa.array(made.round(digits), from_pandas=True)
    for name, column in columns.items():
        dense = dense.set_column(dense.schema.get_field_index(name), table.schema.field(name), column)
    pq.write_table(dense, path)


def _print(measured: dict, most: int) -> None:
    of_cycle = [spent for name, spent in measured["steps"].items() if name in measured["of_cycle"]]
    cycle_s = [sum(part) for part in zip(*of_cycle, strict=True)]
    measured |= {"processor_s": measured["processor_s"] - cycle_s[0], "wall_s": measured["wall_s"] - cycle_s[1]}
    for name, title in (("wall_s", "wall, s"), ("processor_s", "processor time, s"), ("peak_mb", "peak memory, MB")):
        is_reached = measured[name] <= TARGETS[name]
        print(f"{title:34} {measured[name]:>8.1f}   at most {TARGETS[name]}: {'reached' if is_reached else 'MISSED'}")
    print(f"{'of the processor time PostgreSQL':34} {measured['processor_s'] + cycle_s[0] - measured['own_s']:>8.1f}")
    print(f"{'the cycle, processor s and wall s':34} {cycle_s[0]:>8.1f} {cycle_s[1]:>8.1f}")
    print(f"\n{'step':44} processor s  wall s")
    longest = sorted(measured["steps"].items(), key=lambda item: -item[1][0])
    for name, (processor_s, wall_s) in longest[:most]:
        print(f"{name:44} {processor_s:>11.2f} {wall_s:>7.2f}")
    rest = [sum(spent) for spent in zip(*(spent for _, spent in longest[most:]), strict=True)] or [0, 0]
    print(f"{f'the other {max(len(longest) - most, 0)} steps':44} {rest[0]:>11.2f} {rest[1]:>7.2f}")


if __name__ == "__main__":
    main()
