"""Metadata of a written table in the UI of Dagster: per partition its number of rows, numbers to plot, first rows.

Names of people are never part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
import pandas as pd

from fleet_audit.schema.model import Table
from fleet_audit.schema.plotted import partition_numbers
from fleet_audit.storage.lake import EncodedDay
from fleet_audit.storage.table_days import PREVIEW_ROWS

_PERSONAL = {"ref.drivers": ["name"]}  # names of people stay in their table, also out of the event log


def preview_of(frame: pd.DataFrame | EncodedDay, table: Table) -> dg.MarkdownMetadataValue:
    """The first rows, without columns that name people."""
    shown, hidden = frame.head(PREVIEW_ROWS), _PERSONAL.get(table.full_name, [])
    return dg.MetadataValue.md(markdown(shown.drop(columns=hidden, errors="ignore") if hidden else shown))


def day_metadata(frame: pd.DataFrame | EncodedDay, table: Table, rows: int) -> dict[str, Any]:
    """Metadata of one partition: number of rows, numbers to plot, first rows."""
    numbers = partition_numbers(frame, table) if isinstance(frame, pd.DataFrame) else {}
    return {"dagster/row_count": rows, **numbers, "preview": preview_of(frame, table)}


def add_partition_metadata(context: dg.OutputContext, partition_key: str, metadata: Mapping[str, Any]) -> None:
    """Adds metadata to the materialization of one partition; output metadata would be copied to all of a range."""
    step = dg.AssetExecutionContext.get()
    step.add_asset_metadata(metadata, asset_key=context.asset_key, partition_key=partition_key)


def markdown(frame: pd.DataFrame) -> str:
    """The rows as a Markdown table."""

    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    columns = [
        ["" if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]
        for _, column in (frame.items() if len(frame) else ())
    ]
    return "\n".join([line(frame.columns), line("---" for _ in frame.columns), *map(line, zip(*columns, strict=True))])
