"""The embedded server lives as long as somebody uses it, whatever happens to its users and to itself."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import adbc_driver_postgresql.dbapi
import psutil
import psycopg2
import pytest
import sqlalchemy as sa

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.logic.primitives.workers.pools import map_in_processes
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.embedded.template import TEMPLATES
from fleet_audit.storage.postgres import connect_recovered, engine_of
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.waiting import wait_until

_USER = """
import pathlib, sys
from fleet_audit.storage.embedded import template
from fleet_audit.logic.primitives.workers.pools import map_in_processes
from fleet_audit.storage.embedded.server import ensure_running
template.TEMPLATES = pathlib.Path(sys.argv[2])
print(ensure_running(pathlib.Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


class User:
    """A process that uses the server until it is asked to end."""

    def __init__(self, home: Path, templates: Path = TEMPLATES) -> None:
        command = [sys.executable, "-c", _USER, str(home), str(templates)]
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def url(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose server is stopped after the test, even if the test failed."""
    yield tmp_path
    for data in tmp_path.rglob("postgres/data"):
        if (pid := _server_pid(data.parent.parent)) is not None:
            os.kill(pid, signal.SIGINT)


def _server_pid(home: Path) -> int | None:
    pid_file = home / "postgres/data/postmaster.pid"
    if not pid_file.exists():
        return None
    pid = int(pid_file.read_text().split()[0])
    return pid if psutil.pid_exists(pid) and psutil.Process(pid).name() == "postgres" else None


def _ask(url: str, sql: str) -> object:
    connection = connect_recovered(url, lambda: psycopg2.connect(url))
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        answer = cursor.fetchone()[0] if cursor.description else None
    connection.close()
    return answer


def test_it_ends_with_its_last_user_and_keeps_what_was_written(home: Path) -> None:
    first, second = User(home), User(home)
    url = first.url()
    assert second.url() == url
    _ask(url, "CREATE TABLE kept AS SELECT 7 AS n")
    first.end()
    assert _ask(url, "SELECT n FROM kept") == 7
    second.end()
    assert _server_pid(home) is None
    again = User(home)
    assert _ask(again.url(), "SELECT n FROM kept") == 7
    again.end()


def test_users_that_start_at_once_share_one_server(home: Path) -> None:
    users = [User(home) for _ in range(5)]
    started = {_ask(user.url(), "SELECT pg_postmaster_start_time()") for user in users}
    assert len(started) == 1
    for user in users[1:]:
        user.end()
    assert _server_pid(home) is not None
    users[0].end()
    assert _server_pid(home) is None


def test_a_killed_user_neither_stops_the_server_nor_keeps_it_for_ever(home: Path) -> None:
    killed = User(home)
    started = _ask(killed.url(), "SELECT pg_postmaster_start_time()")
    killed.kill()
    assert _server_pid(home) is not None
    other = User(home)
    assert _ask(other.url(), "SELECT pg_postmaster_start_time()") == started
    other.end()
    assert _server_pid(home) is None


def test_a_killed_server_comes_back_with_all_that_was_committed(home: Path) -> None:
    url = ensure_running(home)
    _ask(url, "CREATE TABLE kept AS SELECT generate_series(1, 100000) AS n")
    pid = _server_pid(home)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert ensure_running(home) == url
    assert _ask(url, "SELECT count(*) FROM kept") == 100_000
    assert _server_pid(home) != pid


@dataclass(frozen=True)
class _Ask:
    """Work of a process of a pool, which is no user of the server itself."""

    url: str

    def __call__(self, item: int) -> int:
        return int(Warehouse(self.url).read("select :item as item", {"item": item})["item"].iloc[0])


@pytest.mark.parametrize("name", ["short", "with a space"], ids=["socket beside the data", "socket elsewhere"])
def test_processes_of_a_pool_start_a_killed_server_again(home: Path, name: str) -> None:
    """A month's reports, and the days of a long range, are read by such processes alone."""
    url = ensure_running(home / name)
    pid = _server_pid(home / name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert list(map_in_processes(_Ask(url), [1, 2], 2)) == [1, 2]
    assert _server_pid(home / name) not in (None, pid)


def test_a_server_without_users_is_not_started_by_who_only_knows_its_address(home: Path) -> None:
    user = User(home)
    url = user.url()
    user.end()
    with pytest.raises(RetryableError):
        _Ask(url)(1)
    assert _server_pid(home) is None


def _refusal(url: str) -> psycopg2.OperationalError | None:
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError as error:
        return error
    return None


@pytest.mark.parametrize(
    "ask",
    [lambda url: Warehouse(url).read("select 1 as n"), lambda url: Warehouse(url).execute("select 1")],
    ids=["ADBC", "SQLAlchemy"],
)
def test_who_connects_while_the_server_recovers_from_a_crash_waits(home: Path, ask: Callable[[str], object]) -> None:
    """A stopped process lets the recovery begin only once it goes on, or after 5 s."""
    url = ensure_running(home)
    crashed, stopped = (psycopg2.connect(url) for _ in range(2))
    os.kill(stopped.get_backend_pid(), signal.SIGSTOP)
    os.kill(crashed.get_backend_pid(), signal.SIGKILL)
    wait_until(lambda: _refusal(url), "the recovery", pause_s=0.01)
    assert "in recovery mode" in str(_refusal(url))
    goes_on = threading.Timer(0.4, os.kill, (stopped.get_backend_pid(), signal.SIGCONT))
    goes_on.start()
    assert ensure_running(home) == url
    ask(url)
    goes_on.join()


def test_another_refusal_is_not_waited_for(home: Path) -> None:
    url = ensure_running(home).replace("/postgres?", "/absent?")
    with pytest.raises(PermanentError, match='database "absent" does not exist'):
        Warehouse(url).execute("select 1")


def _as_server_account(home: Path) -> dict[str, int]:
    return {"user": (home / "postgres/data").stat().st_uid} if os.geteuid() == 0 else {}


@pytest.mark.parametrize("left_over", ["the id of another process", "nothing", "no number"])
def test_a_stale_pid_file_does_not_keep_it_from_starting(home: Path, left_over: str) -> None:
    """After a crash, or in a container that was started anew, the id in the file often belongs to somebody else."""
    user = User(home)
    user.url()
    user.end()
    stranger = subprocess.Popen(["sleep", "60"], **_as_server_account(home))
    pid_file = home / "postgres/data/postmaster.pid"
    data = home / "postgres/data"
    texts = {"nothing": "", "no number": "x\n"}
    pid_file.write_text(texts.get(left_over, f"{stranger.pid}\n{data}\n1700000000\n5432\n{data}\n\n 1 1\nready\n"))
    owner = data.stat()
    os.chown(pid_file, owner.st_uid, owner.st_gid)
    try:
        again = User(home)
        assert _ask(again.url(), "SELECT 1") == 1
        assert stranger.poll() is None
        again.end()
    finally:
        stranger.kill()
        stranger.wait()


def test_users_killed_while_it_is_set_up_leave_nothing_half_made(home: Path) -> None:
    for delay in (0.15, 0.3, 0.45, 0.6):
        user = User(home, templates=home / "none")
        time.sleep(delay)
        user.kill()
    assert _ask(ensure_running(home), "SELECT 1") == 1
    assert [path.name for path in (home / "postgres").glob("data*")] == ["data"]


def test_an_initdb_that_outlives_its_user_keeps_others_out_until_it_ends(home: Path) -> None:
    user = User(home, templates=home / "none")
    wait_until(lambda: list((home / "postgres").glob("data.new*/base")), "initdb", pause_s=0.002)
    writing = psutil.Process(user.process.pid).children(recursive=True)
    for process in writing:
        with suppress(psutil.NoSuchProcess):  # a program that initdb called and that has ended; initdb comes first
            process.suspend()
    user.kill()
    with (home / "postgres/start.lock").open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for process in writing:
        with suppress(psutil.NoSuchProcess):
            process.resume()
    assert _ask(ensure_running(home), "SELECT 1") == 1
    assert [path.name for path in (home / "postgres").glob("data*")] == ["data"]


@pytest.mark.parametrize("name", ["long" * 45, "with space, comma and $HOME", "ção", "100% a@b:c#d?e=f&g'h"])
def test_any_home_works(home: Path, name: str) -> None:
    """A socket's path is limited to about 107 bytes, and libpq reads commas."""
    user = User(home / name)
    url = user.url()
    assert _ask(url, "SELECT 1") == 1
    with engine_of(url).connect() as connection:
        assert connection.execute(sa.text("SELECT current_user")).scalar() == "postgres"
    engine_of(url).dispose()
    with adbc_driver_postgresql.dbapi.connect(url) as adbc, adbc.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    user.end()
    assert _server_pid(home / name) is None


def test_nobody_else_on_the_machine_can_connect(home: Path) -> None:
    url = ensure_running(home)
    socket = Path(sa.make_url(url).query["host"]) / ".s.PGSQL.5432"
    assert socket.stat().st_mode & 0o077 == 0
    assert _ask(url, "SHOW listen_addresses") == ""


def _start_as(account: int, home: Path) -> None:
    os.setgid(account)
    os.setuid(account)
    ensure_running(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_an_ordinary_user_runs_it_too_and_root_may_use_it_then(home: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    theirs = home / "theirs"
    theirs.mkdir()
    os.chown(theirs, nobody, -1)
    for folder in (home, *home.parents):
        folder.chmod(folder.stat().st_mode | 0o011)
    process = multiprocessing.get_context("fork").Process(target=_start_as, args=(nobody, theirs))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert psutil.Process(_server_pid(theirs)).uids().real == nobody
    user = User(theirs)
    assert _ask(user.url(), "SELECT 1") == 1
    user.end()
    assert _server_pid(theirs) is None


def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    user = User(home)
    user.url()
    user.end()
    with (home / "postgres/data/postgresql.auto.conf").open("a") as file:
        file.write("shared_buffers = nonsense\n")
    with pytest.raises(PermanentError, match=r"does not start: (.*\n)*.*shared_buffers"):
        ensure_running(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to another user")
def test_a_copy_that_lost_its_owner_says_so(home: Path) -> None:
    user = User(home)
    user.url()
    user.end()
    for path in (home / "postgres/data", *(home / "postgres/data").rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)  # as cp -r leaves it
    with pytest.raises(PermanentError, match="the folder belongs to another user, as after a copy without cp -a"):
        ensure_running(home)
