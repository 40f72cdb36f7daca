"""Rows that a close freezes: those of the cycle's days, and those that belong to the cycle as a whole.

Digests of them are in `freezing`, their copy in the archive in `archive`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pandas as pd

from fleet_audit.schema import facts
from fleet_audit.schema.model import Table
from fleet_audit.storage.warehouse import Warehouse

# Name in a manifest, table, and the column with the first day of the cycle.
ROWS_OF_A_CYCLE = (
    ("fact.findings of the cycle", facts.CYCLE_FINDINGS, "cycle_start"),
    ("fact.incidents of the cycle", facts.CYCLE_INCIDENTS, "cycle_start"),
    ("fact.calibration_segments", facts.CALIBRATION_SEGMENTS, "cycle_start"),
    ("fact.billing_lines", facts.BILLING_LINES, "cycle_start"),
    ("fact.vehicle_cycle_amounts", facts.VEHICLE_CYCLE_AMOUNTS, "cycle_start"),
    ("fact.adjustments billed", facts.ADJUSTMENTS, "billed_cycle_start"),
)


def day_rows(warehouse: Warehouse, table: Table, days: Sequence[dt.date]) -> pd.DataFrame:
    """The rows of a table that the runs of these days wrote, without those of rules of whole cycles."""
    rows = warehouse.read_partition(table, days)
    return rows if table.kept is None else rows[rows[table.kept].isna().to_numpy()]


def rows_of_cycle(warehouse: Warehouse, table: Table, column: str, start: dt.date) -> pd.DataFrame:
    """The rows of one of `ROWS_OF_A_CYCLE` that belong to the cycle that starts on a day."""
    return warehouse.read_dated(table, column, [start])
