"""Locks that whole runs hold in PostgreSQL: of their days, and of what only one run may use at a time.

Locks of single tables are in `warehouse`. These belong to a connection, so that a killed process holds nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from fleet_audit.storage.postgres import advisory_key, engine_of, sentences

_RETRY_S = 1.0
_TRY_ALL = sa.text("select bool_and(pg_try_advisory_lock(key)) from unnest(cast(:keys as bigint[])) as wanted (key)")
_RELEASE = sa.text("select pg_advisory_unlock_all()")


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
