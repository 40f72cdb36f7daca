"""The small day: processor time of `fleet-audit run` over one day of a folder, from an empty home, whole and by part.

    python -m benchmarks.small_day --inbox ../inbox --day 2025-06-10 --again

Without `--inbox` a simulated fleet of ten vehicles. Time of all processes, PostgreSQL's included: the benchmark waits
for each, also for those that outlive their parent. `import dagster, pandas` is measured in the same run: ratios to it
hold on a busy machine too, on which all processor times grow. The first step's time includes the start of PostgreSQL
and the record of the run. `--again` runs the day a second time on the same home.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import click

from fleet_audit.simulation.fleet import simulate

AIM_S = 10
_PR_SET_CHILD_SUBREAPER = 36  # Linux
_BASE = "import dagster, pandas"
_RUN = """
import datetime as dt, json, sys, time
from collections import Counter
from fleet_audit.garbage_collection import collect_rarely, pause_collections
collect_rarely()  # as the command does first
pause_collections()
clock = time.process_time
marks = {"start": clock()}
import dagster, pandas
marks["import dagster, pandas"] = clock()
from fleet_audit.cli.environment import dagster_home, export_settings
from fleet_audit.cli.run import opened_instance, run_days
from fleet_audit.settings import load_settings
import fleet_audit.definitions
inbox, day, home = sys.argv[1], dt.date.fromisoformat(sys.argv[2]), sys.argv[3]
settings = load_settings(inbox_url=inbox, home=home)
export_settings(settings, inbox_url=inbox)
fleet_audit.definitions.build_definitions()
marks["code location"] = clock()
with opened_instance(dagster_home(settings)):
    marks["Dagster's instance"] = clock()
steps, last = Counter(), [clock()]
def progress(line):
    now = clock()
    steps[line.split(":")[0]] += now - last[0]
    last[0] = now
result = run_days(settings, day, day, progress)
marks["steps, with their events"] = clock()
if not result.is_success:
    sys.exit("; ".join(result.errors))
print(json.dumps([marks, steps.most_common()]))
"""


def adopt_orphans() -> None:
    """Make this process the parent of what its children leave running, so that it can wait for it (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def processor_time_s(program: str, *arguments: str) -> tuple[float, str]:
    """User and system time of a program with all processes that it leaves, and the last line that it printed."""
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed, total = process.stdout.read(), 0.0
    while True:
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return total, (printed.splitlines() or [""])[-1]
        total += usage.ru_utime + usage.ru_stime
        if pid == process.pid and status:
            raise SystemExit("the run failed")


@click.command()
@click.option("--inbox", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), default="2025-06-10", show_default=True)
@click.option("--again", is_flag=True, help="Run the day a second time, on the home that the first run filled.")
@click.option("--most", default=12, show_default=True, help="Number of steps to list.")
def main(inbox: Path | None, day: dt.datetime, again: bool, most: int) -> None:
    """Print seconds, and multiples of the import."""
    adopt_orphans()
    with tempfile.TemporaryDirectory() as folder:
        if inbox is None:
            simulate(Path(folder) / "simulation", seed=1, vehicles=10, date_from=day.date(), date_to=day.date())
            inbox = Path(folder) / "simulation" / "inbox"
        processor_time_s(_BASE)
        base, _ = processor_time_s(_BASE)
        click.echo(f"{_BASE:44} {base:6.2f} s")
        for title in ["from an empty home", *(["again"] if again else [])]:
            whole, printed = processor_time_s(_RUN, str(inbox), f"{day:%Y-%m-%d}", str(Path(folder) / "home"))
            marks, steps = json.loads(printed)
            parts = list(marks.items())
            click.echo(f"{title:44} {whole:6.2f} s  {whole / base:5.1f} x")
            for (_, before), (name, after) in pairwise(parts):
                click.echo(f"  {name:42} {after - before:6.2f} s")
            click.echo(f"  {'PostgreSQL and its tools, start and end':42} {whole - parts[-1][1]:6.2f} s")
            for name, taken in steps[:most]:
                click.echo(f"    {name:40} {taken:6.2f} s")
            if title == "from an empty home":
                click.echo(f"  aim: {AIM_S} s, {'reached' if whole <= AIM_S else 'not reached'}")


if __name__ == "__main__":
    main()
