"""Past days as one run, from the raw archive to every D-1 report and the cycle's documents.

    python -m benchmarks.range_of_days --vehicles 20 --vehicles 40 --days 8 --days 31
    python -m benchmarks.range_of_days --vehicles 500 --archived-days 31 --keep ../archives --days 8 --processes 2

Measured by numbers of days, vehicles and processes. The aim is a past month of 500 vehicles (`--vehicles 500 --days 31
--processes 2`). A simulated fleet that reports every 30 s is archived from its API first, which is not measured; with
`--keep` a later run finds the archive, of as many days as `--archived-days` or the longest range has. Each range then
runs in a fresh process on a copy of that archive, without an API, as `fleet-audit run` does it. Processor time is that
of all processes; peak memory is of all but PostgreSQL together. It is compared that each number of processes, and for
each day each length of the range, gives the same files, reports and rows. 31 days are one cycle.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path

import click

from benchmarks import result_digests
from benchmarks.d1_run import densify
from benchmarks.process_usage import ProcessUsage
from benchmarks.result_digests import require_same
from benchmarks.small_day import adopt_orphans, processor_time_s
from fleet_audit.cli.environment import dagster_home
from fleet_audit.cli.run import run_days
from fleet_audit.settings import load_settings
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.fleet import simulate

FIRST = dt.date(2025, 5, 16)  # first day of a cycle of the default closing day
CONTEXT = dt.timedelta(days=2)
SEED = 14
TOKEN = "benchmark"
AIM_VEHICLES, AIM_DAYS, AIM_PROCESSES = 500, 31, 2
AIMS = {"wall, s": 600, "processor time, s": 1200, "peak memory, MB": 2500}
ARCHIVED = ("reference", "ingestion")
_PROGRAM = """
import json, sys
from pathlib import Path
from benchmarks import range_of_days
name, home, *arguments = json.loads(sys.argv[1])
print(json.dumps(getattr(range_of_days, name)(Path(home), *arguments)))
"""


@click.command()
@click.option("--vehicles", "fleets", multiple=True, type=int, default=[20, 40], show_default=True)
@click.option("--days", "ranges", multiple=True, type=int, default=[8, 31], show_default=True, help="Days of a run.")
@click.option(
    "--processes", "pools", multiple=True, type=int, default=[1, 2], show_default=True, help="FLEET_DAY_PROCESSES."
)
@click.option("--most", default=16, show_default=True, help="Number of steps to list.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder that keeps the archives; default: temporary.")
@click.option("--archived-days", default=0, help="Days of an archive, if more than the longest range.")
def main(
    fleets: tuple[int, ...],
    ranges: tuple[int, ...],
    pools: tuple[int, ...],
    most: int,
    keep: Path | None,
    archived_days: int,
) -> None:
    """Archive each fleet, run each range, print."""
    subprocess.run([sys.executable, "-m", "fleet_audit.cli.prepare", "--no-database"], check=True)  # compiles
    measured: dict[tuple[int, int, int], dict] = {}
    with tempfile.TemporaryDirectory(prefix="range_of_days") as temporary:
        archived = max(*ranges, archived_days)
        archives = {vehicles: (keep or Path(temporary)) / f"{vehicles}-vehicles-{archived}-days" for vehicles in fleets}
        for vehicles, archive in archives.items():
            if not (archive / "archived").exists():
                _call("make_archive", archive, vehicles, archived)
        adopt_orphans()  # from here on: the servers of archives are not to be waited for
        for vehicles, archive in archives.items():
            expected: dict[str, str] = {}
            for days, processes in itertools.product(sorted(ranges, reverse=True), pools):
                found = _measured(archive, Path(temporary) / "run", days, processes)
                require_same(expected, found.pop("digests"), f"{days} days by {processes} processes")
                measured[vehicles, days, processes] = found
                _print_run(vehicles, days, processes, found, most)
    _print_slopes(measured)
    _print_step_slopes(measured, most)


def _call(name: str, folder: Path, *arguments: object) -> None:
    """Call a function of this module in a process of its own: `_measured` would wait for what it leaves running."""
    program = [sys.executable, "-W", "ignore", "-c", _PROGRAM, json.dumps([name, str(folder), *arguments])]
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL)


def _measured(archive: Path, folder: Path, days: int, processes: int) -> dict:
    """The figures and digests of one run on a copy of the archive, which is removed."""
    subprocess.run(["cp", "-a", str(archive), str(folder)], check=True)  # with owners: PostgreSQL has its own
    try:
        started = time.perf_counter()
        total_s, printed = processor_time_s(_PROGRAM, json.dumps(["measure", str(folder), days, processes]))
        found = {"wall_s": time.perf_counter() - started, "total_s": total_s, **json.loads(printed)}
        _, printed = processor_time_s(_PROGRAM, json.dumps(["digests", str(folder), days]))
        return found | {"digests": json.loads(printed)}
    finally:
        shutil.rmtree(folder)


def make_archive(folder: Path, vehicles: int, days: int) -> None:
    """Writes a home whose archive holds what a fleet's files and API gave of so many days and their neighbours."""
    last = FIRST + dt.timedelta(days=days)
    if not (folder / "simulated").exists():
        simulate(folder, seed=SEED, vehicles=vehicles, date_from=FIRST - CONTEXT, date_to=last)
        densify(folder / "api" / "positions.parquet")
        (folder / "simulated").touch()
    spawned = multiprocessing.get_context("spawn")
    here, there = spawned.Pipe()
    server = spawned.Process(target=_serve, args=(there, folder), daemon=True)
    server.start()
    try:
        _call("fill_archive", folder, days, here.recv())
    finally:
        server.kill()
        server.join()
    shutil.rmtree(folder / "api")
    (folder / "archived").touch()


def _serve(results: Connection, folder: Path) -> None:
    with ApiServer(folder, token=TOKEN) as server:
        results.send(server.url)
        time.sleep(86_400)


def fill_archive(folder: Path, days: int, api_url: str) -> None:
    """Read the inbox and ask the API, as a run over so many days does it first."""
    _use(folder, 1, FLEET_API_URL=api_url)
    import dagster as dg

    from fleet_audit.definitions import build_definitions  # reads the settings: only now are they complete
    from fleet_audit.defs.catalog import group_of
    from fleet_audit.defs.run_tags import range_tags

    definitions = build_definitions()
    job, groups = definitions.resolve_job_def("day"), [group_of(subject) for subject in ARCHIVED]
    wanted = {spec.key for spec in definitions.resolve_all_asset_specs() if spec.group_name in groups}
    with dg.DagsterInstance.get() as instance:
        job.execute_in_process(
            instance=instance,
            asset_selection=sorted(wanted & set(job.asset_layer.executable_asset_keys)),
            tags=range_tags(FIRST, FIRST + dt.timedelta(days=days - 1)),
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )


def measure(folder: Path, days: int, processes: int) -> dict[str, object]:
    """Run so many days from the archive; usage of each step."""
    _use(folder, processes)
    usage = ProcessUsage()
    usage.start()
    result = run_days(
        load_settings(),
        FIRST,
        FIRST + dt.timedelta(days=days - 1),
        lambda line: usage.end_step(line.split(":")[0]) if line.endswith(": done") else None,
    )
    if not result.is_success:
        raise SystemExit("; ".join(result.errors))
    from fleet_audit.definitions import build_definitions

    of_cycle = build_definitions().resolve_job_def("cycle").graph.node_names()
    steps = {name: asdict(step) for name, step in usage.steps.items()}
    own_s = sum(step["processor_s"] for step in steps.values())
    return {"steps": steps, "own_s": own_s, "of_cycle": of_cycle}


def digests(folder: Path, days: int) -> dict[str, str]:
    """Digests of what the run left."""
    return result_digests.digests(folder, _days(days))


def _days(days: int) -> list[dt.date]:
    return [FIRST + dt.timedelta(days=number) for number in range(days)]


def _use(folder: Path, processes: int, **others: str) -> None:
    """Make this process one of the installation in the folder."""
    os.environ |= {
        "FLEET_HOME": str(folder / "home"),
        "FLEET_INBOX_URL": str(folder / "inbox"),
        "FLEET_API_TOKEN": TOKEN,
        "FLEET_API_URL": "",
        "FLEET_START_DATE": (FIRST - CONTEXT).isoformat(),
        "FLEET_DAY_PROCESSES": str(processes),
        **others,
    }
    dagster_home(load_settings())


def _print_run(vehicles: int, days: int, processes: int, found: dict, most: int) -> None:
    steps, whole = found["steps"], _whole(found)
    print(
        f"\n{vehicles} vehicles, {days} days, {processes} processes; load {os.getloadavg()[0]:.1f} "
        f"on {os.cpu_count()} cores"
    )
    for name, value in whole.items():
        aim = ""
        if (vehicles, days, processes) == (AIM_VEHICLES, AIM_DAYS, AIM_PROCESSES):
            aim = f"   at most {AIMS[name]}: {'reached' if value <= AIMS[name] else 'MISSED'}"
        print(f"  {name:40} {value:>9.1f}{aim}")
    print(f"  {'of it PostgreSQL, start and end':40} {whole['processor time, s'] - found['own_s']:>9.1f}")
    print(f"  {'of it the processes of the pool':40} {sum(step['pool_s'] for step in steps.values()):>9.1f}")
    cycle_s = sum(step["processor_s"] for name, step in steps.items() if name in found["of_cycle"])
    print(f"  {'of it the steps of cycles':40} {cycle_s:>9.1f}")
    print(f"  {'step':40} processor s   in pool    wall s  peak MB  parent  largest worker")
    for name, step in sorted(steps.items(), key=lambda item: -item[1]["processor_s"])[:most]:
        print(
            f"  {name:40} {step['processor_s']:>11.2f} {step['pool_s']:>9.2f} {step['wall_s']:>9.2f} "
            f"{step['peak_mb']:>8} {step['parent_mb']:>7} {step['worker_mb']:>15}",
            flush=True,
        )


def _whole(found: dict) -> dict[str, float]:
    peak_mb = max(step["peak_mb"] for step in found["steps"].values())
    return dict(zip(AIMS, (found["wall_s"], found["total_s"], peak_mb), strict=True))


def _print_slopes(measured: dict[tuple[int, int, int], dict]) -> None:
    """Processor seconds of each fleet and range, and what one more day and one more vehicle-day add to them."""
    print("\nvehicles  days  processes  processor s  per day  per further day  per vehicle-day, ms  peak MB")
    for (vehicles, days, processes), found in sorted(measured.items(), key=lambda item: item[0][::-1]):
        whole = _whole(found)
        seconds = whole["processor time, s"]
        shorter = [other for other in measured if other[::2] == (vehicles, processes) and other[1] < days]
        further = ""
        if shorter:
            before = max(shorter)
            further = f"{(seconds - measured[before]['total_s']) / (days - before[1]):.2f}"
        print(
            f"{vehicles:>8} {days:>5} {processes:>10} {seconds:>12.1f} {seconds / days:>8.2f} {further:>16} "
            f"{seconds / days / vehicles * 1000:>20.0f} {whole['peak memory, MB']:>8}"
        )


def _print_step_slopes(measured: dict[tuple[int, int, int], dict], most: int) -> None:
    """What one more day adds to each step, from the shortest to the longest range: in this process and in the pool.

    What this process does while the pool waits is the part that no further process shortens.
    """
    for vehicles, processes in sorted({(vehicles, processes) for vehicles, _, processes in measured}):
        ranges = sorted(days for one, days, other in measured if (one, other) == (vehicles, processes))
        if len(ranges) < 2:
            continue
        shortest, longest = (measured[vehicles, days, processes]["steps"] for days in (ranges[0], ranges[-1]))
        print(f"\n{vehicles} vehicles by {processes} processes, per further day from {ranges[0]} to {ranges[-1]} days")
        print(f"  {'step':40} processor s  in pool   wall s")
        fields = ("processor_s", "pool_s", "wall_s")
        none = dict.fromkeys(fields, 0.0)
        slopes = {
            name: [(step[one] - shortest.get(name, none)[one]) / (ranges[-1] - ranges[0]) for one in fields]
            for name, step in longest.items()
        }
        slopes["all steps"] = [sum(column) for column in zip(*slopes.values(), strict=True)]
        for name, (processor_s, pool_s, wall_s) in sorted(slopes.items(), key=lambda item: -item[1][0])[: most + 1]:
            print(f"  {name:40} {processor_s:>11.3f} {pool_s:>8.3f} {wall_s:>8.3f}")


if __name__ == "__main__":
    main()
