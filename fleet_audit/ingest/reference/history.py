"""The history of reference tables: which rows were known from when, and what each version changed.

Which version is in force is decided in `publishing`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.ingest.reference.records import Delivery, Records
from fleet_audit.ingest.reference.touched_days import computed_days_touched
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.identity import stable_id
from fleet_audit.logic.reference.changes import public_columns, row_keys
from fleet_audit.schema import facts
from fleet_audit.schema.derive import conform
from fleet_audit.schema.model import Table
from fleet_audit.storage.warehouse import Warehouse

_LISTED_ROWS = 20


def open_rows(warehouse: Warehouse) -> pd.DataFrame:
    """The rows of `ops.reference_history` that are still known: recorded_to is null."""
    rows = warehouse.read(
        "select * from ops.reference_history where recorded_to is null order by table_name, recorded_from, row_key"
    )
    return conform(rows, facts.REFERENCE_HISTORY)


def record_version(
    records: Records, known_rows: pd.DataFrame, versions: list[Delivery], delivered: Mapping[str, pd.DataFrame],
    closing_day: int, run_id: str,
) -> list[dt.date]:  # fmt: skip
    """Record what is known from the newest version on; returns the computed days of open cycles that it touches.

    `known_rows` are those that are still known (`open_rows`), of all tables; `delivered` the new rows of all tables.
    """
    warehouse = records.warehouse
    delivery, earlier = versions[-1], versions[:-1]
    table, file, rows = delivery.table, delivery.file, delivery.rows
    before = known_rows[(known_rows["table_name"] == table.name).to_numpy()]
    keys = row_keys(table, rows)
    gone = before[~before["row_key"].isin(set(keys))]
    added = rows[~keys.isin(set(before["row_key"])).to_numpy()]
    is_first = before.empty and len(warehouse.read_table(table)) > 0  # a database from before there was a history
    touched = [] if is_first else computed_days_touched(warehouse, table, delivered, closing_day)
    if touched:
        previous = str(earlier[-1].file["file_sha256"]) if earlier else ""
        _record_changes(records, delivery, gone, added, touched, previous, closing_day, run_id)
    fresh = pd.DataFrame(
        {
            "table_name": table.name,
            "row_key": keys.loc[added.index],
            "recorded_from": file["received_at"],
            "valid_from": added.get("valid_from"),
            "valid_to": added.get("valid_to"),
            "content": [json.dumps(line, ensure_ascii=False) for line in _lines(table, added)],
            "file_name": file["file_name"],
            "file_sha256": file["file_sha256"],
        },
        index=added.index,
    )
    changed = pd.concat(
        [
            conform(gone.assign(recorded_to=file["received_at"]), facts.REFERENCE_HISTORY),
            conform(fresh.drop_duplicates("row_key"), facts.REFERENCE_HISTORY),
        ]
    )
    records.add(facts.REFERENCE_HISTORY, changed)
    return touched


def _lines(table: Table, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON values that `jsonb_populate_record` reads back: days and decimals as texts."""
    return [
        {name: _plain(value) for name, value in row.items()} for row in public_columns(table, rows).to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    return str(value) if isinstance(value, (dt.date, Decimal)) else getattr(value, "item", lambda: value)()


def _record_changes(
    records: Records, delivery: Delivery, gone: pd.DataFrame, added: pd.DataFrame, touched: list[dt.date],
    previous: str, closing_day: int, run_id: str,
) -> None:  # fmt: skip
    """One row of `ops.reference_changes` for each cycle with days that the delivery touches."""
    table, file = delivery.table, delivery.file
    changes = {
        "removed": [json.loads(text) for text in gone["content"].head(_LISTED_ROWS)],
        "added": _lines(table, added.head(_LISTED_ROWS)),
    }
    cycles: dict[dt.date, list[dt.date]] = {}
    for day in touched:
        cycles.setdefault(cycle_of(day, closing_day).start, []).append(day)
    rows = [
        {
            "change_id": stable_id(table.name, previous, file["file_sha256"], file["received_at"]),
            "cycle_start": start,
            "finding_date": days[-1],
            "table_name": table.name,
            "recorded_at": file["received_at"],
            "first_date": days[0],
            "last_date": days[-1],
            "rows_added": len(added),
            "rows_removed": len(gone),
            "file_name": file["file_name"],
            "file_sha256": file["file_sha256"],
            "previous_sha256": previous,
            "changes": json.dumps(changes, ensure_ascii=False, sort_keys=True),
            "run_id": run_id,
        }
        for start, days in cycles.items()
    ]
    records.add(facts.REFERENCE_CHANGES, conform(pd.DataFrame(rows), facts.REFERENCE_CHANGES))
