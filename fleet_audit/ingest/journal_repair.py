"""Damaged or lost entries of the archive's journal, written again from PostgreSQL, which has the same records.

How entries are written and read is in `journal`; closes are copied again by `closing.archive`.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.ingest import journal
from fleet_audit.ingest.driver_forgetting import record_forgotten_again
from fleet_audit.ingest.healing import quarantine_file
from fleet_audit.schema.derive import conform
from fleet_audit.schema.model import Table, Type
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse


def repair_journal(lake: Lake, warehouse: Warehouse) -> list[str]:
    """Reads every entry, moves damaged ones to `quarantine/`, and writes what is then missing from PostgreSQL.

    Rows of a damaged batch are written with the present time, so that an earlier `--as-of` no longer has them.

    Returns:
        One sentence per damaged entry, and one with the number of entries that were written again.
    """
    damaged = journal.damaged_entries(lake)
    for path in damaged:
        quarantine_file(lake, path)
    before = len(lake.list(journal.FOLDER))
    journal.write_entries(lake, warehouse)
    record_forgotten_again(lake, warehouse)
    for table in journal.ROW_TABLES:
        is_damaged = any(path.startswith(f"{journal.FOLDER}/{table.name}/") for path in damaged)
        rows = warehouse.read_table(table)
        journal.record_rows(lake, table, rows if is_damaged else _missing(lake, table, rows))
    written = len(lake.list(journal.FOLDER)) - before
    if written:
        return [*damaged.values(), f"Entries written again from PostgreSQL into {lake.url(journal.FOLDER)}: {written}."]
    return list(damaged.values())


def _missing(lake: Lake, table: Table, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of which the newest version in the journal is another, or none."""
    batches = journal.row_batches(lake, table)
    if not batches:
        return rows
    newest = pd.concat(batches, ignore_index=True).drop_duplicates([*table.key], keep="last")
    return rows[~_as_texts(rows, table).isin(_as_texts(newest, table))]


def _as_texts(rows: pd.DataFrame, table: Table) -> pd.MultiIndex:
    """Each row without who wrote it and when, and without JSON, whose keys PostgreSQL keeps in another order."""
    names = [column.name for column in table.untraced.columns if column.type is not Type.JSON]
    return pd.MultiIndex.from_frame(conform(rows, table)[names].astype(str))
