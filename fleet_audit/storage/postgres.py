"""Connections to PostgreSQL: engines, ADBC, lock keys, and its errors as RetryableError or PermanentError.

Reads and writes are in `warehouse` and `migrate`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import adbc_driver_manager as adbc
import psycopg2
import sqlalchemy as sa

from fleet_audit.errors import PermanentError, RetryableError

# classes and codes of SQLSTATE after which the same call may succeed: connection, resources, serialization and
# deadlock, operator intervention, and a lock or a unique key held by a concurrent transaction
_RETRYABLE = ("08", "53", "40", "57", "55P03", "23505")
# What a server answers to a wrong URL: psycopg2 gives no SQLSTATE for it. Retried as a lost connection, a misspelled
# database cost 2.5 minutes until its first sentence.
_REFUSED = re.compile(r'(?:database|role) "[^"]*" does not exist|authentication failed|no pg_hba\.conf entry')
_T = TypeVar("_T")


@lru_cache
def engine_of(url: str) -> sa.Engine:
    """One SQLAlchemy engine per URL and process. The driver is named: it is not the default one any more (2.1)."""
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg2"),
        pool_pre_ping=True,
        connect_args={"options": "-c timezone=UTC"},
    )

    @sa.event.listens_for(engine, "do_connect")
    def connect(dialect: sa.Dialect, _: object, arguments: list[Any], named: dict[str, Any]) -> Any:
        return connect_recovered(url, lambda: dialect.connect(*arguments, **named))

    return engine


def connect_recovered(url: str, connect: Callable[[], _T]) -> _T:
    """Returns the connection that `connect` makes; an embedded server that died or recovers is waited for."""
    try:
        return connect()
    except (adbc.Error, psycopg2.OperationalError):
        from fleet_audit.storage.embedded.server import start_again  # not loaded for another PostgreSQL

        if not start_again(url):
            raise
    return connect()


def advisory_key(*parts: object) -> int:
    """A 64-bit key for pg_advisory_xact_lock, the same in every process."""
    digest = hashlib.sha256("\x1f".join(map(str, ("fleet_audit", *parts))).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@contextmanager
def sentences(doing: str) -> Iterator[None]:
    """Turns errors of both drivers into RetryableError or PermanentError; the message starts with the failed action."""
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
    if is_connection and _REFUSED.search(reason):
        return PermanentError(f"{doing} failed, correct FLEET_WAREHOUSE_URL or create what it names: {reason}")
    if is_connection or (state or "").startswith(_RETRYABLE):
        return RetryableError(f"{doing} failed, the database may be busy or restarting: {reason}")
    return PermanentError(f"{doing} failed: {reason}")
