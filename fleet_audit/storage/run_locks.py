"""Locks that whole runs hold in PostgreSQL: of their days, of what one run may use at a time, and of their process.

Locks of single tables are in `warehouse`. These belong to a connection, so that a killed process holds nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.storage.postgres import advisory_key, engine_of, sentences

_RETRY_S = 1.0
_LOOK_S = 20.0  # how often a process looks after its connection: a PostgreSQL that restarted has forgotten the lock
_TRY_ALL = sa.text("select bool_and(pg_try_advisory_lock(key)) from unnest(cast(:keys as bigint[])) as wanted (key)")
_RELEASE = sa.text("select pg_advisory_unlock_all()")
_SHARE = sa.text("select pg_advisory_lock_shared(:key)")  # shared: a run may have a process per step
_TRY_ONE = sa.text("select pg_try_advisory_xact_lock(:key)")


@contextmanager
def locked(url: str, what: Sequence[object], waiting: Callable[[], None]) -> Iterator[None]:
    """Holds a lock on each of these things; calls `waiting` once when another run has one of them.

    All are taken or none, so that runs over overlapping ranges never wait for each other in a circle. Raises
    RetryableError while the database cannot be reached.
    """
    keys = sorted({advisory_key("run", one) for one in what})
    with sentences("Locking the days of the run"):
        connection = engine_of(url).execution_options(isolation_level="AUTOCOMMIT").connect()
    with connection:
        try:
            is_first = True
            while not _taken(connection, keys):
                if is_first:
                    waiting()
                is_first = False
                time.sleep(_RETRY_S)
            yield
        finally:
            connection.invalidate()  # its end releases the locks, also where the connection is broken


def _taken(connection: sa.Connection, keys: Sequence[int]) -> bool:
    with sentences("Locking the days of the run"):
        if connection.execute(_TRY_ALL, {"keys": keys}).scalar_one():
            return True
        connection.execute(_RELEASE)
        return False


@contextmanager
def process_lock(url: Callable[[], str], run_id: str) -> Iterator[None]:
    """Holds a lock that shows that a process of the run is there, whatever machine it is on.

    A thread takes it, and takes it again where the database was away; the run itself never waits for it.
    """
    is_over = threading.Event()
    holder = threading.Thread(target=_hold_process_lock, args=(url, run_id, is_over), daemon=True)
    holder.start()
    try:
        yield
    finally:
        is_over.set()
        holder.join(timeout=_RETRY_S)


def _hold_process_lock(url: Callable[[], str], run_id: str, is_over: threading.Event) -> None:
    while not is_over.is_set():
        with (
            suppress(sa.exc.SQLAlchemyError, RetryableError, PermanentError),
            engine_of(url()).execution_options(isolation_level="AUTOCOMMIT").connect() as connection,
        ):
            try:
                connection.execute(_SHARE, {"key": _process_key(run_id)})
                while not is_over.wait(_LOOK_S):
                    connection.execute(sa.text("select 1"))
            finally:
                connection.invalidate()
        is_over.wait(_RETRY_S)


def has_process(url: str, run_id: str) -> bool:
    """Whether a process holds the `process_lock` of the run. Raises RetryableError while nobody can know."""
    with sentences("Looking for the process of a run"), engine_of(url).begin() as connection:
        return not connection.execute(_TRY_ONE, {"key": _process_key(run_id)}).scalar_one()


def _process_key(run_id: str) -> int:
    return advisory_key("process of run", run_id)
