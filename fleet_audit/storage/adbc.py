"""ADBC connections to PostgreSQL, for bulk loads and for rows as Arrow tables.

Only opening and keeping connections belongs here. Apart from `postgres`, because the driver imports pandas and Arrow.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import adbc_driver_manager.dbapi as adbc
import adbc_driver_postgresql.dbapi

from fleet_audit.database_url import database_url
from fleet_audit.storage.postgres import connect_recovered

_TRUSTED_S = 1.0  # a connection that was used within is not asked whether it lives; one that died is a RetryableError


@contextmanager
def adbc_connection(url: str) -> Iterator[adbc.Connection]:
    """An ADBC connection of this thread, inside a transaction that is rolled back unless committed.

    Kept for the next use: opening one loads PostgreSQL's types, 20-90 ms, and a day of the main job asks 70 times. One
    whose use failed is closed, and one that the server has closed meanwhile is replaced.
    """
    idle: dict[tuple[int, str], tuple[adbc.Connection, float]] = _local.__dict__.setdefault("idle", {})
    key = (os.getpid(), url)
    connection, used_at = idle.pop(key, (None, 0.0))
    is_trusted = time.monotonic() - used_at < _TRUSTED_S
    if connection is None or not (is_trusted or _is_alive(connection)):
        connection = connect_adbc(url)
    try:
        yield connection
        connection.rollback()
    except BaseException:
        connection.close()
        raise
    idle[key] = (connection, time.monotonic())


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
    address = database_url(url)  # SQLAlchemy renders spaces, which libpq refuses
    return connect_recovered(url, lambda: adbc_driver_postgresql.dbapi.connect(address))
