"""Whole tables that a process has read before, read again only where their rows have changed.

For tables that are small and that every step asks for: a day's run reads the reference tables eighteen times. What is
read belongs to `warehouse`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import pandas as pd

from fleet_audit.schema.model import Table
from fleet_audit.storage.warehouse import Warehouse

# A row's xmin is the transaction that wrote it. Start and oid distinguish a server or database that was replaced.
_STATE = """
select '{name}' as name, count(*) as rows, max(cast(cast(xmin as text) as bigint)) as newest,
  pg_postmaster_start_time() as started,
  (select cast(oid as bigint) from pg_database where datname = current_database()) as database
from {name}"""
_read: dict[tuple[str, str], tuple[tuple[object, ...], pd.DataFrame]] = {}  # url, table -> state, rows
_computed: dict[tuple[str, object], tuple[dict[str, pd.DataFrame], Any]] = {}  # url, function -> its frames, its result
_Computed = TypeVar("_Computed")


def read_tables(warehouse: Warehouse, tables: Iterable[Table]) -> dict[str, pd.DataFrame]:
    """All rows of each table by its name, as `Warehouse.read_table` gives them; a caller may change its frames."""
    return {name: frame.copy(deep=False) for name, frame in _unchanged(warehouse, list(tables)).items()}


def computed_from_tables(
    warehouse: Warehouse, tables: Iterable[Table], compute: Callable[[dict[str, pd.DataFrame]], _Computed]
) -> _Computed:
    """What `compute` returns for the tables by name: the same object as long as their rows have not changed."""
    frames = _unchanged(warehouse, list(tables))
    former = _computed.get((warehouse.url, compute))
    if former is None or any(former[0].get(name) is not frame for name, frame in frames.items()):
        former = _computed[warehouse.url, compute] = frames, compute(frames)
    return former[1]


def _unchanged(warehouse: Warehouse, tables: Sequence[Table]) -> dict[str, pd.DataFrame]:
    states = warehouse.read(" union all ".join(_STATE.format(name=table.full_name) for table in tables))
    now = {row[0]: row for row in states.itertuples(index=False, name=None)}
    for table in tables:
        key = (warehouse.url, table.full_name)
        if key not in _read or _read[key][0] != now[table.full_name]:
            _read[key] = (now[table.full_name], warehouse.read_table(table))
    return {table.name: _read[warehouse.url, table.full_name][1] for table in tables}
