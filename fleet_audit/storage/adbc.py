"""ADBC connections to PostgreSQL, for bulk loads and for rows as Arrow tables.

Only opening and keeping connections belongs here. Apart from `postgres`, because the driver imports pandas and Arrow.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import adbc_driver_manager.dbapi as adbc
import adbc_driver_postgresql.dbapi

from fleet_audit.database_url import database_url
from fleet_audit.storage.postgres import connect_recovered

_TRUSTED_S = 1.0  # a connection that was used within is not asked whether it lives; one that died is a RetryableError
_MOST_IDLE = 4  # connections that a process keeps per database; those beyond are closed after their use
_idle: dict[tuple[int, str], list[tuple[adbc.Connection, float]]] = {}
_newest: dict[tuple[int, str], adbc.Connection] = {}
# The driver counts a database's connections without a lock of its own. Reentrant: the garbage collector may close a
# connection at any line of a thread that holds it.
_opening = threading.RLock()
_LOST_CONNECTION = ("08", "57P")  # classes of SQLSTATE: connection exception, and the server's shutdown


@contextmanager
def adbc_connection(url: str) -> Iterator[adbc.Connection]:
    """An ADBC connection for one user at a time, inside a transaction that is rolled back unless committed.

    Kept for the next use in any thread, because a day of the main job asks 500 times and its pools end their threads:
    one per thread was 17 connections of 42 ms, 6 % of a small day. One whose use failed is closed, and one that the
    server has closed meanwhile is replaced. When the server ended one, all that wait are closed: after a restart each
    of them would fail a use, and four of them all attempts of a write.
    """
    key = (os.getpid(), url)  # a forked process must not talk on connections of its parent
    idle = _idle.setdefault(key, [])
    connection = _living(idle) or _opened(key)
    try:
        yield connection
        connection.rollback()
    except BaseException as error:
        _close(connection)
        if isinstance(error, adbc.Error) and (error.sqlstate or _LOST_CONNECTION[0]).startswith(_LOST_CONNECTION):
            _close_all(idle)
        raise
    if len(idle) < _MOST_IDLE:
        idle.append((connection, time.monotonic()))
    else:
        _close(connection)


def _living(idle: list[tuple[adbc.Connection, float]]) -> adbc.Connection | None:
    """The connection that was used last and lives, or None; those that died are closed."""
    for connection, used_at in _taken(idle):
        if time.monotonic() - used_at < _TRUSTED_S or _is_alive(connection):
            return connection
        _close(connection)
    return None


def _close_all(idle: list[tuple[adbc.Connection, float]]) -> None:
    for connection, _ in _taken(idle):
        _close(connection)


def _taken(idle: list[tuple[adbc.Connection, float]]) -> Iterator[tuple[adbc.Connection, float]]:
    """The connections one after the other, the one that was used last first, each of them no longer idle."""
    while True:
        try:
            taken = idle.pop()
        except IndexError:  # there was none, or another thread took it
            return
        yield taken


def _opened(key: tuple[int, str]) -> adbc.Connection:
    """A new connection, with the types of PostgreSQL that the newest one knows while that is open."""
    _, url = key
    connection = None
    with _opening:
        if key in _newest:
            with suppress(adbc.Error):  # closed, or the server is away: only `connect_adbc` waits for it
                connection = _newest[key].adbc_clone()
    _newest[key] = connection or connect_adbc(url)
    return _newest[key]


def _close(connection: adbc.Connection) -> None:
    """Close it while no other thread copies it: the last connection that closes frees the types."""
    with _opening:
        connection.close()


def _is_alive(connection: adbc.Connection) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchall()
    except adbc.Error:
        return False
    return True


def connect_adbc(url: str) -> adbc.Connection:
    """A new ADBC connection, inside a transaction."""
    address = database_url(url)  # SQLAlchemy renders spaces, which libpq refuses
    return connect_recovered(url, lambda: adbc_driver_postgresql.dbapi.connect(address))
