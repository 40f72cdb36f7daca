"""How PostgreSQL is reached: engines, ADBC connections, lock keys, and its errors told as one of our two kinds.

What is read and written through them is in `warehouse` and `migrate`.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import adbc_driver_manager.dbapi as adbc
import adbc_driver_postgresql.dbapi
import sqlalchemy as sa

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.storage.database_url import database_url

# classes and codes of SQLSTATE after which the same call may succeed: connection, resources, serialization and
# deadlock, operator intervention, and a lock or a unique key held by a concurrent transaction
_RETRYABLE = ("08", "53", "40", "57", "55P03", "23505")


@lru_cache
def engine_of(url: str) -> sa.Engine:
    """One SQLAlchemy engine a URL and process. The driver is named: it is not the default one any more (2.1)."""
    return sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg2"),
        pool_pre_ping=True,
        connect_args={"options": "-c timezone=UTC"},
    )


@contextmanager
def adbc_connection(url: str) -> Iterator[adbc.Connection]:
    """An ADBC connection of this thread, inside a transaction that is rolled back unless committed.

    Kept for the next use: opening one loads PostgreSQL's types, 20-90 ms, and a day of the main job asks 70 times. One
    whose use failed is closed, and one that the server has closed meanwhile is replaced.
    """
    idle: dict[tuple[int, str], adbc.Connection] = _local.__dict__.setdefault("idle", {})
    key = (os.getpid(), url)
    connection = idle.pop(key, None)
    if connection is None or not _is_alive(connection):
        connection = connect_adbc(url)
    try:
        yield connection
        connection.rollback()
    except BaseException:
        connection.close()
        raise
    idle[key] = connection


_local = threading.local()


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
    return adbc_driver_postgresql.dbapi.connect(database_url(url))  # SQLAlchemy renders spaces, which libpq refuses


def advisory_key(*parts: object) -> int:
    """A 64-bit key for pg_advisory_xact_lock, the same in every process."""
    digest = hashlib.sha256("\x1f".join(map(str, ("fleet_audit", *parts))).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@contextmanager
def sentences(doing: str) -> Iterator[None]:
    """Turns errors of both drivers into RetryableError or PermanentError; the message starts with what was done."""
    try:
        yield
    except (adbc.Error, sa.exc.DBAPIError) as error:
        raise _translated(doing, error) from error


def _translated(doing: str, error: adbc.Error | sa.exc.DBAPIError) -> Exception:
    if isinstance(error, sa.exc.DBAPIError):
        state, text = getattr(error.orig, "pgcode", None), str(error.orig)
        is_connection = error.connection_invalidated or (state is None and isinstance(error, sa.exc.OperationalError))
    else:
        state, text = error.sqlstate, str(error)
        is_connection = not state
    reason = " ".join(text.split())
    if is_connection or (state or "").startswith(_RETRYABLE):
        return RetryableError(f"{doing} failed, the database may be busy or restarting: {reason}")
    return PermanentError(f"{doing} failed: {reason}")
