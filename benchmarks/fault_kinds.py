"""The kinds of faults of `benchmarks.faults`: each disturbs an installation at random and returns what it did.

How a trial is judged is in `faults`. Every kind ends its own processes, so that an ordinary run can follow.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.fault_code_server import end_lost_runs, start_code_server
from benchmarks.fault_processes import (
    RUN_TIMEOUT_S,
    Child,
    kill_postgres,
    repair_archive,
    start_api,
    start_run,
    start_run_at,
)
from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.sources.inbox import FOLDERS
from fleet_audit_tests.damage import damage_a_file
from fleet_audit_tests.integration.installation import Installation
from fleet_audit_tests.integration.small_fleet import DAY
from fleet_audit_tests.seaweed import Seaweed

DISTURBED = DAY + ONE_DAY  # the day that disturbed runs compute
FULL_DISK = "disk full"
LARGE_DISK = "2g"


@dataclass
class Trial:
    """An installation to disturb. `run_s` is the time of a run without a fault, `api` serves its positions."""

    home: Installation
    chance: random.Random
    run_s: float
    api: Child
    positions: Path
    port: int
    s3: Seaweed | None = None

    def start(self, name: str = "run") -> Child:
        """A run of the disturbed day."""
        return start_run(self.home, DISTURBED, DISTURBED, name=name)

    def wait_a_while(self) -> float:
        """Waits until a random moment of a run, and returns the seconds."""
        seconds = self.chance.uniform(0.0, self.run_s)
        time.sleep(seconds)
        return seconds

    def restart_api(self, delay_s: float = 0.0) -> None:
        """Another API process in place of the one before."""
        if self.api.exit_code is None:
            self.api.kill()
        self.api = start_api(self.positions, self.port, self.api.output, delay_s)


def _kill_run(trial: Trial) -> str:
    run = trial.start()
    seconds = trial.wait_a_while()
    run.kill()
    return f"killed after {seconds:.1f} s"


def _kill_postgres(trial: Trial) -> str:
    run = trial.start()
    seconds = trial.wait_a_while()
    found = "killed" if kill_postgres(trial.home) else "not there"
    run.wait()
    return f"PostgreSQL {found} after {seconds:.1f} s, the run ended with {run.exit_code}"


def _kill_api(trial: Trial) -> str:
    run = trial.start()
    seconds = trial.wait_a_while()
    trial.api.kill()
    run.wait()
    trial.restart_api()
    return f"API killed after {seconds:.1f} s, the run ended with {run.exit_code}"


def _slow_api(trial: Trial) -> str:
    delay_s = trial.chance.uniform(0.5, 4.0)
    trial.restart_api(delay_s)
    run = trial.start()
    seconds = trial.wait_a_while()
    run.wait()
    trial.restart_api()
    return f"each answer of the API {delay_s:.1f} s late, the run ended with {run.exit_code} ({seconds:.0f} s)"


def _kill_s3(trial: Trial) -> str:
    run = trial.start()
    seconds = trial.wait_a_while()
    assert trial.s3 is not None, "S3 can only be killed where the lake is on it: --s3"
    trial.s3.kill()
    away_s = trial.chance.uniform(0.0, 60.0)
    time.sleep(away_s)
    trial.s3.start()
    run.wait()
    return f"S3 killed after {seconds:.1f} s and away for {away_s:.0f} s, the run ended with {run.exit_code}"


def _change_clock(trial: Trial) -> str:
    hours = trial.chance.choice((-60, -5, -1, 1, 5, 60))
    run = start_run_at(trial.home, DISTURBED, DISTURBED, hours)
    run.wait()
    return f"clock {hours:+d} h, the run ended with {run.exit_code}"


def _run_twice(trial: Trial) -> str:
    first = trial.start()
    time.sleep(trial.chance.uniform(0, trial.run_s / 3))
    second = trial.start("second_run")
    first.wait()
    second.wait()
    return f"two runs ended with {first.exit_code} and {second.exit_code}"


def _fill_disk(trial: Trial) -> str:
    """The trial lies on a disk of its own, with little left (`faults`); then the disk is enlarged."""
    run = trial.start()
    run.wait()
    root = str(trial.home.home.parent)
    subprocess.run(["mount", "-o", f"remount,size={LARGE_DISK}", root], check=True)
    return f"the run ended with {run.exit_code}"


def _kill_code_server(trial: Trial) -> str:
    """Kills the code server, the process of the run that it executes, or both; the monitor ends what was lost."""
    server = start_code_server(trial.home)
    printed = server.launch(DISTURBED)
    runs = server.runs()
    if not runs:
        server.child.kill()
        raise RuntimeError(f"the code server executes no run: {printed[-500:]}")
    seconds = trial.wait_a_while()
    victims = trial.chance.choice(("code server", "run", "code server and run"))
    if "run" in victims:
        _end(runs, is_killed=True)
    if "code server" in victims:
        server.child.kill()
    _end(runs, is_killed=False)
    states = end_lost_runs(trial.home)
    if server.child.exit_code is None:
        server.child.kill()
    return f"{victims} killed {seconds:.1f} s after the launch; the run is then {states}"


def _end(processes: list[psutil.Process], *, is_killed: bool) -> None:
    """Waits for processes, which are killed before that or end by themselves."""
    for process in processes:
        if is_killed and process.is_running():
            process.kill()
    _, alive = psutil.wait_procs(processes, RUN_TIMEOUT_S)
    assert not alive, f"a run did not end within {RUN_TIMEOUT_S} s"


def _damage(*folders: str) -> Callable[[Trial], str]:
    """Truncates, empties, exchanges or removes one file of some folders of the lake."""
    return lambda trial: damage_a_file(trial.home.home / "lake", folders, trial.chance)


def _damage_archive(trial: Trial) -> str:
    """Damages an archived file, and removes all parsed rows: without that nothing would read the file again."""
    done = _damage(*(f"raw/{kind}" for kind in FOLDERS.values()))(trial)
    shutil.rmtree(trial.home.home / "lake" / "parsed")
    return f"{done}, all parsed rows removed"


def _damage_repaired_weekly(*folders: str) -> Callable[[Trial], str]:
    """Damages one file of folders that runs read in part or not at all; then what every week repairs is done."""

    def damage(trial: Trial) -> str:
        done = _damage(*folders)(trial)
        repair = repair_archive(trial.home)
        sentences = [line for line in repair.wait().splitlines() if line]
        return f"{done}; the repair ended with {repair.exit_code}: {' '.join(sentences)}"

    return damage


def _nothing(_: Trial) -> str:
    return "no fault"


_JOURNAL = [f"raw/journal/{name}" for name in ("arrivals", "reference_history", "api_requests", "closes")]
FAULTS: dict[str, Callable[[Trial], str]] = {
    "parsed rows damaged": _damage("parsed"),
    "staging damaged": _damage("staging"),
    "API page damaged": _damage("raw/positions"),
    "run killed": _kill_run,
    "code server killed": _kill_code_server,
    "trips damaged": _damage("trips"),
    "PostgreSQL killed": _kill_postgres,
    "API killed": _kill_api,
    "two runs at once": _run_twice,
    "archived file damaged": _damage_archive,
    "manifest damaged": _damage_repaired_weekly("closes"),
    "journal damaged": _damage_repaired_weekly(*_JOURNAL),
    "clock changed": _change_clock,
    FULL_DISK: _fill_disk,
    "API slow": _slow_api,
    "no fault": _nothing,
}
FAULTS_ON_S3: dict[str, Callable[[Trial], str]] = {
    "S3 killed": _kill_s3,
    **{kind: FAULTS[kind] for kind in ("run killed", "PostgreSQL killed", "two runs at once")},
}
