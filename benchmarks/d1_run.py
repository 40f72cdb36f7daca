"""The morning's run: a large fleet's yesterday from the telemetry API to all reports, the days before being known.

    python -m benchmarks.d1_run --vehicles 560 --processes 1 --processes 2

A simulated fleet that reports every 30 s, served by a process of its own that knows what was uploaded until 05:30. The
day before is run first and not measured. Then yesterday is run in a fresh process, on a copy of that state, as the
schedule does it at 05:30, and its cycle as at 06:00: wall, processor time of all processes and of PostgreSQL, peak
memory of all but PostgreSQL together, and the same of each step. It is compared that each number of processes gives the
same files, reports and rows. Each target, of the day without its cycle, is printed as reached or missed; on a busy
machine the wall says little, and processor times are longer than on an idle one.
"""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from benchmarks.result_digests import require_same
from benchmarks.small_day import adopt_orphans, processor_time_s
from fleet_audit.closing.code import code_version
from fleet_audit.logic.primitives.window import partition_day_bounds
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.fleet import simulate

YESTERDAY = dt.date(2025, 6, 11)
SEED = 11
PERIOD_S, MOST_GAP_S = 30, 900
DEVICES_AT_ONCE = 50  # bounds memory: a month of 500 vehicles is 45 million positions
TOKEN = "benchmark"
TARGETS = {"wall_s": 45, "processor_s": 60, "peak_mb": 1500}
_SPAWNED = multiprocessing.get_context("spawn")
_RUN = """
import datetime as dt, json, resource, sys
from dataclasses import asdict
from benchmarks.process_usage import ProcessUsage
from fleet_audit.cli.environment import dagster_home, export_settings
from fleet_audit.cli.run import run_days
from fleet_audit.garbage_collection import collect_rarely
from fleet_audit.settings import load_settings
collect_rarely()  # as the command does first
settings, day = load_settings(), dt.date.fromisoformat(sys.argv[1])
export_settings(settings)
dagster_home(settings)
from fleet_audit.definitions import build_definitions
of_cycle = build_definitions().resolve_job_def("cycle").graph.node_names()
usage = ProcessUsage()
usage.start()
result = run_days(settings, day, day, lambda line: usage.end_step(line.split(":")[0]))
if not result.is_success:
    sys.exit("; ".join(result.errors))
steps = {name: asdict(step) for name, step in usage.steps.items()}
own_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"steps": steps, "own_mb": own_mb, "of_cycle": of_cycle}))
"""
_DIGESTS = """
import datetime as dt, json, sys
from pathlib import Path
from benchmarks.result_digests import digests
found = digests(Path(sys.argv[1]), [dt.date.fromisoformat(sys.argv[2])])
print(json.dumps({"digests": found}))
"""


@click.command()
@click.option("--vehicles", default=500, show_default=True, help="Vehicles of the simulated fleet.")
@click.option(
    "--processes", "pools", multiple=True, type=int, default=[2], show_default=True, help="FLEET_DAY_PROCESSES."
)
@click.option("--most", default=16, show_default=True, help="Number of steps to list.")
@click.option("--home", type=click.Path(path_type=Path), help="Where to keep everything; default: a temporary folder.")
def main(vehicles: int, pools: tuple[int, ...], most: int, home: Path | None) -> None:
    """Simulate, run the day before, measure yesterday, print."""
    with tempfile.TemporaryDirectory(prefix="d1_run") as temporary:
        folder = home or Path(temporary)
        prepare(folder, vehicles)
        expected: dict[str, str] = {}
        for processes in pools:
            os.environ["FLEET_DAY_PROCESSES"] = str(processes)
            copy = folder / "measured"
            shutil.rmtree(copy, ignore_errors=True)
            subprocess.run(["cp", "-a", str(folder / "before"), str(copy)], check=True)  # PostgreSQL owns its files
            _use(folder, copy)
            measured = run_day(folder, YESTERDAY)
            found = _call(_DIGESTS, str(copy), YESTERDAY.isoformat())
            require_same(expected, found["digests"], f"{processes} processes")
            print(f"{vehicles} vehicles, {_positions(folder, YESTERDAY):,} positions of {YESTERDAY}, {processes} "
                  f"processes; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")  # fmt: skip
            _print(measured, most)


def prepare(folder: Path, vehicles: int) -> None:
    """Write the fleet's API and inbox, and in `before` the home after the run of the day before."""
    first, last = YESTERDAY - dt.timedelta(days=3), YESTERDAY + dt.timedelta(days=1)
    if not (folder / "api").exists():
        simulate(folder, seed=SEED, vehicles=vehicles, date_from=first, date_to=last)
        densify(folder / "api" / "positions.parquet")
    os.environ |= {"FLEET_API_TOKEN": TOKEN, "FLEET_START_DATE": first.isoformat()}
    before, version = folder / "before", folder / "before" / "code_version"
    if not version.exists() or version.read_text(encoding="utf-8") != code_version():  # else days would be made again
        shutil.rmtree(before, ignore_errors=True)
        _use(folder, before)
        run_day(folder, YESTERDAY - dt.timedelta(days=1))
        version.write_text(code_version(), encoding="utf-8")


def _use(folder: Path, installation: Path) -> None:
    """Make the runs that follow those of the installation."""
    os.environ |= {"FLEET_HOME": str(installation / "home"), "FLEET_INBOX_URL": str(folder / "inbox")}


def run_day(folder: Path, day: dt.date, program: str = _RUN) -> dict:
    """What a program prints that runs one day in a fresh process, with what existed at 05:30 of the day after."""
    morning = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(5, 30), ZoneInfo(PARTITION_ZONE))
    mine, theirs = _SPAWNED.Pipe()
    server = _SPAWNED.Process(target=_serve, args=(theirs, folder, morning), daemon=True)
    server.start()
    os.environ["FLEET_API_URL"] = mine.recv()
    try:
        return _call(program, day.isoformat())
    finally:
        server.kill()
        server.join()


def _call(program: str, *arguments: str) -> dict:
    """What a program prints, with the wall and the processor time of all its processes."""
    mine, theirs = _SPAWNED.Pipe()
    run = _SPAWNED.Process(target=_measure, args=(theirs, program, arguments))
    run.start()
    run.join()
    if run.exitcode:
        raise SystemExit(run.exitcode)
    return mine.recv()


def _serve(results: Connection, folder: Path, as_of: dt.datetime) -> None:
    with ApiServer(folder, token=TOKEN, as_of=as_of) as server:
        results.send(server.url)
        time.sleep(86_400)


def _measure(results: Connection, program: str, arguments: tuple[str, ...]) -> None:
    """Apart from the server, which is not a child of this process: the time of all its children counts."""
    adopt_orphans()
    started = time.perf_counter()
    processor_s, printed = processor_time_s(program, *arguments)
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
    first_rows = np.flatnonzero(np.diff(device, prepend=-1))[::DEVICES_AT_ONCE]
    with pq.ParquetWriter(path, table.schema) as writer:
        for first, end in pairwise([*first_rows, len(table)]):
            writer.write_table(_dense(table.slice(first, end - first)))


def _dense(table: pa.Table) -> pa.Table:
    """The positions of whole devices with those added between them."""
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
    return dense


def _print(measured: dict, most: int) -> None:
    steps: dict[str, dict[str, float]] = measured["steps"]
    of_day: list[dict[str, float]] = []
    of_cycle: list[dict[str, float]] = []
    for name, step in steps.items():
        (of_cycle if name in measured["of_cycle"] else of_day).append(step)
    cycle_s, cycle_wall_s = (sum(step[name] for step in of_cycle) for name in ("processor_s", "wall_s"))
    own_s = sum(step["processor_s"] for step in steps.values())
    together_mb = max(step["peak_mb"] for step in of_day)
    found = {
        "wall_s": measured["wall_s"] - cycle_wall_s,
        "processor_s": measured["processor_s"] - cycle_s,
        "peak_mb": together_mb,
    }
    for name, title in (("wall_s", "wall, s"), ("processor_s", "processor time, s"), ("peak_mb", "peak memory, MB")):
        is_reached = found[name] <= TARGETS[name]
        print(f"{title:34} {found[name]:>8.1f}   at most {TARGETS[name]}: {'reached' if is_reached else 'MISSED'}")
    print(f"{'of the first process, its cycle too':34} {measured['own_mb']:>8.1f}")
    print(f"{'of the processor time PostgreSQL':34} {measured['processor_s'] - own_s:>8.1f}")
    print(f"{'of it the processes of the pool':34} {sum(step['pool_s'] for step in of_day):>8.1f}")
    print(f"{'the cycle, processor s and wall s':34} {cycle_s:>8.1f} {cycle_wall_s:>8.1f}")
    print(f"\n{'step':44} processor s  in pool  wall s  peak MB")
    longest = sorted(steps.items(), key=lambda item: -item[1]["processor_s"])
    rest = {name: sum(step[name] for _, step in longest[most:]) for name in ("processor_s", "pool_s", "wall_s")}
    rest["peak_mb"] = max((step["peak_mb"] for _, step in longest[most:]), default=0)
    for name, step in [*longest[:most], (f"the other {len(longest[most:])} steps", rest)]:
        print(
            f"{name:44} {step['processor_s']:>11.2f} {step['pool_s']:>8.2f} {step['wall_s']:>7.2f} {step['peak_mb']:>8}"
        )


if __name__ == "__main__":
    main()
