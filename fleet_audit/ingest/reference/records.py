"""A delivery of a reference table, and where rows about it are recorded that cannot be computed again.

Which rows are recorded is decided in `history` and `touched_days`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fleet_audit.ingest.journal import write_rows
from fleet_audit.schema.model import Table
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse


@dataclass(frozen=True)
class Records:
    """Where rows that cannot be computed again are recorded: in the archive's journal, then in PostgreSQL."""

    warehouse: Warehouse
    lake: Lake

    def add(self, table: Table, rows: pd.DataFrame) -> None:
        """Record rows of one table."""
        write_rows(self.lake, self.warehouse, table, rows)


@dataclass(frozen=True)
class Delivery:
    """One version of a table: its file and its rows."""

    table: Table
    file: Mapping[str, Any]
    rows: pd.DataFrame
