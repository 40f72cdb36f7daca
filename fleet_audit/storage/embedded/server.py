"""The embedded PostgreSQL under `<home>/postgres`: started by the first process that needs it, stopped by the last.

Counting its users belongs here; how the server is started is in `postmaster`, its tables in `migrate` and `warehouse`.
A process holds a shared file lock while it uses the server. The kernel drops it however the process ends, so counting
users survives kill -9; the package's own list of process ids does not, nor does it notice a reused process id.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from fleet_audit.storage.embedded.file_locks import locked, open_lock
from fleet_audit.storage.embedded.postmaster import (
    BASE_LINK,
    INITDB,
    POSTGRES_VERSIONS,
    TARGET_POSTGRES_VERSION,
    Postmaster,
)
from fleet_audit.storage.embedded.template import save_template

_USERS_LOCK = "users.lock"
_held: dict[Path, int] = {}  # base folder -> descriptor with this process's shared lock
_threads = threading.RLock()


def ensure_running(home: Path) -> str:
    """Starts the server under `<home>/postgres` unless it runs, and counts this process as a user until it ends.

    Safe in any number of processes and threads; a server that died is restarted by the next call. Returns a libpq
    URI (`postgresql://…?host=<socket folder>`), for connections of `postgres` and `adbc`: a server that replays its log
    after a crash of one of its processes may refuse others (`start_again`).
    Raises PermanentError when the server cannot start (the message ends with its log) and RetryableError on a time-out.
    """
    server = Postmaster(home.expanduser().resolve() / "postgres")
    with _threads:
        if server.base in _held and server.is_ready():
            return server.url
        server.base.mkdir(parents=True, exist_ok=True)
        with locked(server.base / "start.lock") as lock:
            if server.base not in _held:
                _held[server.base] = open_lock(server.base / _USERS_LOCK, fcntl.LOCK_SH)
                atexit.register(_release, server, os.getpid())
            server.start(lock)
    return server.url


def start_again(url: str) -> bool:
    """Starts the server of the URL if a process uses it and it died, or waits while it recovers from a crash.

    Returns whether a process uses it, thus whether to connect again: this one, or the one that started this one to take
    a part of its work. Raises as `ensure_running`, which takes for running what recovers, and what was killed an
    instant ago.
    """
    base = _base_folder(url)
    if base is None:
        return False
    server = Postmaster(base)
    with _threads, locked(base / "start.lock") as lock:
        if base not in _held and not _has_users(base):
            return False
        server.start(lock)
    return True


def _base_folder(url: str) -> Path | None:
    """The base folder of the embedded server of a URL; None for another PostgreSQL."""
    folder = Path("".join(parse_qs(urlsplit(url).query).get("host", [])))
    with suppress(OSError):
        base = folder.parent if folder.name == "data" else (folder / BASE_LINK).readlink()
        if (base / _USERS_LOCK).exists() and Postmaster(base).socket_folder == folder:
            return base
    return None


def _has_users(base: Path) -> bool:
    """Whether another process uses the server; the caller holds start.lock, so that none begins or ends meanwhile."""
    try:
        os.close(open_lock(base / _USERS_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return True
    return False


def keep_as_template(home: Path) -> None:
    """Keeps the data folder of a home as what new ones start from; its server has been stopped."""
    save_template(TARGET_POSTGRES_VERSION, INITDB, home / "postgres" / "data")


def postgres_program(name: str) -> str:
    """Path of a program of the newest PostgreSQL that is installed with the package, e.g. `pg_dump`."""
    return str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / name)


def _release(server: Postmaster, owner: int) -> None:
    """Drops this process's share and stops the server when no other process holds one."""
    if os.getpid() != owner or server.base not in _held:  # a forked child is not a user that registered
        return
    with locked(server.base / "start.lock"):
        os.close(_held.pop(server.base))
        try:
            alone = open_lock(server.base / _USERS_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        server.stop()
        os.close(alone)
