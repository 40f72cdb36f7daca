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
    """Reads every entry once, moves damaged ones to `quarantine/`, and writes what is missing from PostgreSQL.

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
    written = len(lake.list(journal.FOLDER)) - before
    for table in journal.ROW_TABLES:
        batches = journal.Batches(table)
        written += _repair_rows(lake, warehouse, batches)
        damaged |= batches.damaged
    if written:
        return [*damaged.values(), f"Entries written again from PostgreSQL into {lake.url(journal.FOLDER)}: {written}."]
    return list(damaged.values())


def _repair_rows(lake: Lake, warehouse: Warehouse, batches: journal.Batches) -> int:
    """Writes what the whole batches of a table lack, reads them into `batches`; returns the batches written, 1 or 0.

    Years of batches are read first, so that runs wait only while the few that came meanwhile, and PostgreSQL, are read:
    its rows are the newest for as long as nobody else writes. Damaged batches are removed once their rows are written.
    """
    table = batches.table
    batches.read_new(lake)
    with warehouse.holding_journal(table):
        batches.read_new(lake)
        rows = warehouse.read_table(table)
        lost = rows if batches.damaged else _differing(rows, batches.newest(), table)
        journal.record_rows(lake, table, lost)
    for path in batches.damaged:
        quarantine_file(lake, path)
    return int(len(lost) > 0)


def _differing(rows: pd.DataFrame, newest: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The rows of which the newest version in the journal is another, or none."""
    return rows[~_as_texts(rows, table).isin(_as_texts(newest, table))]


def _as_texts(rows: pd.DataFrame, table: Table) -> pd.MultiIndex:
    """Each row without who wrote it and when, and without JSON, whose keys PostgreSQL keeps in another order."""
    names = [column.name for column in table.untraced.columns if column.type is not Type.JSON]
    return pd.MultiIndex.from_frame(conform(rows, table)[names].astype(str))
