"""Rows of a warehouse digested as those of a manifest were: over the columns that their tables had at the close.

Which columns these are is decided in `logic.closing.manifest`; sentences on differences are in `replay`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from fleet_audit.closing.frozen_rows import ROWS_OF_A_CYCLE, day_rows, rows_of_cycle
from fleet_audit.logic.closing.manifest import canonical_rows, columns_digested, columns_with_values, digest
from fleet_audit.schema import facts
from fleet_audit.schema.model import Table
from fleet_audit.storage.warehouse import Warehouse


def outputs_as_in(
    outputs: Mapping[str, Any], warehouse: Warehouse, days: Sequence[dt.date], *, is_frozen: bool
) -> dict[str, Any]:
    """Rows and digests by day of the tables that a manifest has; rows that did not change have its digest.

    Args:
        outputs: `outputs` of the manifest.
        warehouse: has the rows; days: those to digest.
        is_frozen: the rows are the closed ones, in which columns added since the close are empty; a replay fills them.
    """
    found = {}
    for table in facts.FACTS:
        entry = outputs.get(table.full_name)
        if entry is None:  # closed before the table existed
            continue
        digests, count = {}, 0
        for day in days:
            rows = day_rows(warehouse, table, [day])
            expected = entry["days"].get(day.isoformat())
            digests[day.isoformat()] = _digest_as(expected, rows, table, entry, is_frozen=is_frozen)
            count += len(rows)
        found[table.full_name] = {"rows": count, "days": digests}
    return found


def changed_rows_of_cycle(entries: Mapping[str, Any], warehouse: Warehouse, start: dt.date) -> list[str]:
    """Names in a manifest's `cycle_rows` whose frozen rows are no longer those of the close."""
    tables = {name: (table, column) for name, table, column in ROWS_OF_A_CYCLE}
    return [
        name
        for name, entry in entries.items()
        if name not in tables or not _is_unchanged(entry, warehouse, *tables[name], start)
    ]


def _is_unchanged(entry: Mapping[str, Any], warehouse: Warehouse, table: Table, column: str, start: dt.date) -> bool:
    rows = rows_of_cycle(warehouse, table, column, start)
    expected = entry["sha256"]
    return len(rows) == entry["rows"] and _digest_as(expected, rows, table, entry, is_frozen=True) == expected


def _digest_as(
    expected: str | None, frame: pd.DataFrame, table: Table, entry: Mapping[str, Any], *, is_frozen: bool
) -> str:
    rows = canonical_rows(frame, table)
    columns = None if expected is None else columns_digested(expected, rows, table, entry.get("columns"))
    if expected is None or columns is None or (is_frozen and columns_with_values(rows, columns)):
        return digest(rows)
    return expected


def replayed_as_closed(
    expected: str, replayed: pa.Table, frozen: pa.Table, table: Table, entry: Mapping[str, Any]
) -> pa.Table:
    """Replayed canonical rows of a day, empty in the columns that the table did not have at the close."""
    recorded = entry.get("columns")
    found = (columns_digested(expected, rows, table, recorded) for rows in (frozen, replayed))
    columns = next((each for each in found if each is not None), recorded or replayed.column_names)
    for at, name in enumerate(replayed.column_names):
        if name not in columns:
            replayed = replayed.set_column(at, name, pa.nulls(replayed.num_rows, pa.string()))
    return replayed
