"""Days of a table as an asset reads and gives them: read on demand, and given in parts where memory cannot hold them.

Imports no Dagster: a process that takes a day reads its own rows. How Dagster stores an output is in `io_managers`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial

import pandas as pd
import pyarrow as pa

from fleet_audit.schema.derive import conform
from fleet_audit.schema.model import Table
from fleet_audit.storage.lake import Lake, TextFilter
from fleet_audit.storage.warehouse import Warehouse

PREVIEW_ROWS = 10


class Days:
    """A daily table as an input: nothing is read until asked for, so that memory holds what is worked on."""

    def __init__(
        self, days: Sequence[dt.date], reader: Callable[[Sequence[dt.date], Sequence[str] | None], pd.DataFrame]
    ) -> None:
        """`days` are those of the run's partitions, mapped to this table."""
        self.days = list(days)
        self._reader = reader

    def read(self, days: Sequence[dt.date], columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The rows of any days; one that was never written has none."""
        return self._reader(days, columns)

    def read_all(self) -> pd.DataFrame:
        """The rows of all days of the run."""
        return self.read(self.days)


class LakeDays(Days):
    """The same of a table in the lake, whose rows also come as Arrow keeps them."""

    def __init__(self, lake: Lake, table: Table, days: Sequence[dt.date]) -> None:
        super().__init__(days, partial(lake.read_days, table))  # picklable: processes take days of a range
        self._lake, self._table = lake, table

    def read(
        self, days: Sequence[dt.date], columns: Sequence[str] | None = None, filter: TextFilter | None = None
    ) -> pd.DataFrame:
        """The rows of any days that the filter wants; a day that was never written has none."""
        return self._lake.read_days(self._table, days, columns, filter)

    def sizes(self, days: Sequence[dt.date]) -> dict[str, int | None]:
        """The size of each day's file by its path, None where there is none."""
        return self._lake.sizes_of([self._lake.partition_path(self._table, day) for day in days])

    def read_arrow(self, days: Sequence[dt.date], columns: Sequence[str], filter: TextFilter | None = None) -> pa.Table:
        """These columns of such rows, texts as dictionaries: of many rows no object is made for each."""
        return self._lake.read_arrow(self._table, days, columns, filter)


class Kept(Enum):
    """In place of a day's rows: those that are stored are what would be written, and stay."""

    AS_IT_IS = "as it is"


def read_current_days(
    warehouse: Warehouse, lake: Lake, table: Table, days: Sequence[dt.date], columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """The rows of the days, or these columns of them; of a closed day that was run again not the frozen ones."""
    closed = warehouse.closed_days(days) if table.frozen_by == table.partition else set()
    again = [day for day in sorted(closed) if lake.has_day(restated(table), day)]
    rows = warehouse.read_partition(table, [day for day in days if day not in again])
    if again:
        rows = conform(pd.concat([rows, lake.read_days(restated(table), again)], ignore_index=True), table)
    return rows if columns is None else rows[list(columns)]


def restated(table: Table) -> Table:
    """The lake table of what the days of closed cycles would be now."""
    name = table.name if table.partition == "operational_date" else f"{table.name}_by_cycle"
    return replace(table, schema="restated", name=name)
