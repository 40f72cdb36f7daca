"""A day's run in a process of its own: the processor time of each step, in this process and in PostgreSQL.

`d1_run.run_day` starts it; what is compared belongs to `history`.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from fleet_audit.cli.environment import dagster_home, export_settings
from fleet_audit.cli.run import run_days
from fleet_audit.installation import Installation
from fleet_audit.settings import load_settings

PROGRAM = "from benchmarks.measured_run import main; main()"


def main() -> None:
    """Run the day of the first argument; prints step -> [seconds here, seconds in PostgreSQL] as JSON."""
    settings, day = load_settings(), dt.date.fromisoformat(sys.argv[1])
    export_settings(settings)
    dagster_home(settings)
    Installation(settings).warehouse()  # starts the server
    server = server_process(settings.home)
    steps: dict[str, list[float]] = {}
    last = [time.process_time(), server_s(server)]

    def progress(line: str) -> None:
        now = [time.process_time(), server_s(server)]
        spent = steps.setdefault(line.split(":")[0], [0.0, 0.0])
        steps[line.split(":")[0]] = [
            before + after - start for before, after, start in zip(spent, now, last, strict=True)
        ]
        last[:] = now

    result = run_days(settings, day, day, progress)
    if not result.is_success:
        sys.exit("; ".join(result.errors))
    print(json.dumps({"steps": steps}))


def server_process(home: Path) -> psutil.Process:
    """The first process of a home's embedded PostgreSQL."""
    return psutil.Process(int((home / "postgres/data/postmaster.pid").read_text().split()[0]))


def server_s(server: psutil.Process) -> float:
    """Processor time of all processes of a server, ended ones included."""
    ended = server.cpu_times()
    return float(ended.children_user + ended.children_system) + sum(process_s(one.pid) for one in server.children())


def process_s(pid: int) -> float:
    """Processor time of a process in nanoseconds' resolution; other clocks of Linux count hundredths of seconds."""
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return 0.0
