"""Processes that fault trials start and kill: runs of the command line, the telemetry API, the embedded PostgreSQL.

Which of them is disturbed when is in `fault_kinds`. A run is a fork of this process, which has imported the pipeline:
importing it again would cost each trial more processor time than the run itself.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime as dt
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from fleet_audit.cli.prepare import compile_functions
from fleet_audit.cli.run import close_cycle, run_days
from fleet_audit.closing.archive_repair import repair_archived_closes
from fleet_audit.definitions import build_definitions
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.journal_repair import repair_journal
from fleet_audit.installation import Installation as StoresOf
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.settings import load_settings
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit_tests.integration.installation import Installation

TOKEN = "of-the-trials"
RUN_TIMEOUT_S = 3_600  # of a run that hangs; on a machine with eight others a whole one took more than 900 s


@dataclass
class Child:
    """A forked process and the file of all that it prints."""

    pid: int
    output: Path
    exit_code: int | None = None

    def wait(self) -> str:
        """Waits for the end and returns what was printed; a process that does not end is killed and so reported."""
        deadline = time.monotonic() + RUN_TIMEOUT_S
        while self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                deadline = float("inf")
            else:
                time.sleep(0.05)
        return self.output.read_text(errors="replace")

    def kill(self) -> None:
        """Ends the process as a lost machine does."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()


def load_pipeline() -> None:
    """Imports the pipeline and its compiled functions, so that the runs forked from here have them."""
    build_definitions()
    compile_functions()


def import_modules(names: Iterable[str]) -> None:
    """Imports what a run imported on its way; some of these names are made by libraries and cannot be imported."""
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def forked(output: Path, work: Callable[[], int | None]) -> Child:
    """Does the work in a child process, which ends with its result, 1 after an error."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return Child(pid, output)
    code = 1
    try:
        # nothing that the parent registered may run here: it would remove the parent's files
        atexit._clear()
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
        code = work() or 0
        atexit._run_exitfuncs()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def in_environment(home: Installation, work: Callable[[], int | None]) -> Callable[[], int | None]:
    """The work with the variables and in the folder of an installation."""

    def inside() -> int | None:
        variables = home.environment  # read before they are cleared: it keeps PATH and PYTHONPATH of this process
        os.environ.clear()
        os.environ.update(variables)
        os.chdir(home.home)
        return work()

    return inside


def start_run(
    home: Installation, first: dt.date, last: dt.date, *, name: str = "run", then: Callable[[], None] = lambda: None
) -> Child:
    """The run of `fleet-audit run` without marts and reports, which nothing that is compared follows from.

    `then` happens in the same process after it. Give two runs at once different names.
    """

    def work() -> int:
        try:
            result = run_days(load_settings(), first, last, print, is_published=False)
            print(*result.warnings, *(f"error: {sentence}" for sentence in result.errors), sep="\n")
            return int(not result.is_success)
        except (PermanentError, RetryableError) as error:
            print(f"error: {error}")
            return 1
        finally:
            then()

    return forked(home.home.parent / f"{name}.log", in_environment(home, work))


def close_provisionally(home: Installation, day: dt.date) -> Child:
    """Closes the cycle of a day provisionally, so that there is a manifest."""

    def work() -> int:
        settings = load_settings()
        result = close_cycle(settings, cycle_of(day, settings.closing_day).start, print, is_final=False)
        print(*result.errors, sep="\n")
        return int(not result.is_success)

    return forked(home.home.parent / "close.log", in_environment(home, work))


def repair_archive(home: Installation) -> Child:
    """Repairs journal and closes, as the asset `retention/journal` does every week; prints the sentences."""

    def work() -> None:
        stores = StoresOf(load_settings()).stores()
        sentences = repair_archived_closes(stores.lake, stores.warehouse)
        print(*sentences, *repair_journal(stores.lake, stores.warehouse), sep="\n")

    return forked(home.home.parent / "repair.log", in_environment(home, work))


def start_run_at(home: Installation, first: dt.date, last: dt.date, hours: int) -> Child:
    """The same run, by a machine whose clock is wrong by some hours; needs Debian's `faketime`."""
    days = ", ".join(f"dt.date.fromisoformat('{day}')" for day in (first, last))
    work = (
        "import datetime as dt, sys; from fleet_audit.cli.run import run_days; from fleet_audit.settings import *; "
        f"sys.exit(not run_days(load_settings(), {days}, print, is_published=False).is_success)"
    )

    def run() -> None:
        os.environ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
        os.execvp("faketime", ["faketime", "-f", f"{hours:+d}h", sys.executable, "-c", work])

    return forked(home.home.parent / "run.log", in_environment(home, run))


def kill_postgres(home: Installation) -> bool:
    """Kills the embedded server with all of its processes; returns whether there was one."""
    pid_file = home.home / "postgres" / "data" / "postmaster.pid"
    if not pid_file.exists():
        return False
    try:
        server = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        processes = [server, *server.children(recursive=True)]
    except (psutil.NoSuchProcess, ValueError, IndexError):
        return False
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return True


class _SlowApi(ApiServer):
    """The API over a slow network: every answer waits."""

    delay_s = 0.0

    def page(self, *arguments: object) -> bytes:
        self.silence(self.delay_s)
        return super().page(*arguments)  # type: ignore[arg-type]


def start_api(data: Path, port: int, log: Path, delay_s: float = 0.0) -> Child:
    """Serves positions at a port of this machine until it is killed."""

    def serve() -> None:
        server = _SlowApi(data, token=TOKEN, port=port)
        server.delay_s = delay_s
        with server:
            signal.pause()

    return forked(log, serve)
