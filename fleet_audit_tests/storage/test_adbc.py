"""Connections that a process keeps: used again in any thread, few, and replaced when the server ended them."""

from __future__ import annotations

import datetime as dt
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from fleet_audit.errors import RetryableError
from fleet_audit.schema import facts
from fleet_audit.storage import adbc
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.storage.rows import sample

_MANY = 8


def _backend(warehouse: Warehouse) -> int:
    return int(warehouse.read("select pg_backend_pid() as pid")["pid"].iloc[0])


def test_threads_that_follow_each_other_use_one_connection(postgres_url: str) -> None:
    warehouse = Warehouse(postgres_url)
    backends = {_backend(warehouse)}
    for _ in range(3):
        with ThreadPoolExecutor(1) as pool:
            backends.add(pool.submit(_backend, warehouse).result())
    assert len(backends) == 1


def test_writers_at_once_have_a_connection_each_and_few_stay_open(postgres_url: str) -> None:
    warehouse = Warehouse(postgres_url)
    all_hold = threading.Barrier(_MANY)

    def hold(day: int) -> int:
        with warehouse.holding([facts.TRIPS], [dt.date(2025, 6, day)]):
            all_hold.wait(120)
            return _backend(warehouse)

    with ThreadPoolExecutor(_MANY) as pool:
        assert len(set(pool.map(hold, range(1, _MANY + 1)))) == _MANY
    assert len({_backend(warehouse) for _ in range(_MANY)}) == 1
    idle = "select count(*) as n from pg_stat_activity where datname = current_database() and state = 'idle'"
    # a closed connection's process ends a moment later, and the engine of other reads may keep one
    for _ in range(1200):
        if (left := int(warehouse.read(idle)["n"].iloc[0])) <= adbc._MOST_IDLE + 1:
            break
        threading.Event().wait(0.1)
    assert left <= adbc._MOST_IDLE + 1


def test_connection_that_the_server_ended_is_replaced(postgres_url: str, monkeypatch) -> None:
    monkeypatch.setattr(adbc, "_TRUSTED_S", 0.0)
    warehouse = Warehouse(postgres_url)
    ended = _backend(warehouse)
    warehouse.execute("select pg_terminate_backend(:pid, 60000)", {"pid": ended})
    assert _backend(warehouse) != ended


_END_ALL = """
    select pg_terminate_backend(pid, 60000) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
"""


def _end_idle(warehouse: Warehouse, connections: int) -> None:
    """Leave so many idle connections that the server has ended, all used an instant ago."""
    with ExitStack() as used:
        for _ in range(connections):
            used.enter_context(adbc.adbc_connection(warehouse.url))
    warehouse.execute(_END_ALL)


def test_a_write_outlives_a_restart_of_the_server_with_many_idle_connections(postgres_url: str, monkeypatch) -> None:
    """Each of four dead connections failed one of the four attempts of a write."""
    monkeypatch.setattr(adbc, "_TRUSTED_S", 60.0)  # the pauses between attempts are shorter only sometimes
    warehouse = Warehouse(postgres_url)
    _end_idle(warehouse, adbc._MOST_IDLE)
    rows = sample(facts.TRIPS, dt.date(2025, 6, 1), 2)
    assert warehouse.replace_partition(facts.TRIPS, [dt.date(2025, 6, 1)], rows, "run").rows == 2


def test_one_read_at_most_fails_after_a_restart_of_the_server(postgres_url: str, monkeypatch) -> None:
    monkeypatch.setattr(adbc, "_TRUSTED_S", 60.0)  # the pauses between attempts are shorter only sometimes
    warehouse = Warehouse(postgres_url)
    _end_idle(warehouse, adbc._MOST_IDLE)
    with pytest.raises(RetryableError, match="the database may be busy or restarting"):
        _backend(warehouse)
    assert _backend(warehouse)


def test_a_connection_that_the_garbage_collector_closes_while_another_is_opened_does_not_wait_for_itself(
    postgres_url: str,
) -> None:
    def used() -> Iterator[object]:
        with adbc.adbc_connection(postgres_url) as connection:
            yield connection

    class Unreachable:
        """In a cycle with a connection in use."""

    lost = Unreachable()
    lost.used, lost.itself = used(), lost
    next(lost.used)
    del lost

    def collect() -> None:
        with adbc._opening:
            gc.collect()

    collecting = threading.Thread(target=collect, daemon=True)
    collecting.start()
    collecting.join(120)
    assert not collecting.is_alive()
