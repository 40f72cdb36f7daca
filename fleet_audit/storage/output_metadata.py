"""Metadata of a written table in the UI of Dagster: a preview of its rows, and the number of rows per day.

Names of people are never part of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from fleet_audit.schema.model import Table
from fleet_audit.storage.table_days import PREVIEW_ROWS

_PERSONAL = {"ref.drivers": ["name"]}  # names of people stay in their table, also out of the event log


def preview_of(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The first rows, without columns that name people."""
    return frame.head(PREVIEW_ROWS).drop(columns=_PERSONAL.get(table.full_name, []), errors="ignore")


def days_metadata(written: dict[dt.date, int], kept: Sequence[dt.date]) -> dict[str, Any]:
    """Metadata of the days written, by their number of rows: the days, of several the rows of each, and those kept."""
    days = list(written)
    if not days:
        return {}
    found: dict[str, Any] = {"days_written": ", ".join(map(str, days)) if len(days) < 4 else f"{days[0]} … {days[-1]}"}
    if kept:
        found["days_unchanged"] = ", ".join(map(str, kept))
    if len(days) > 1:  # Dagster copies one value to every partition of a range: these are the rows of each day
        counts = pd.DataFrame({"day": [str(day) for day in days], "rows": [written[day] for day in days]})
        found["rows_per_day"] = dg.MetadataValue.md(markdown(counts))
    return found


def markdown(frame: pd.DataFrame) -> str:
    """The rows as a Markdown table."""

    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    missing = frame.astype(object).where(frame.notna(), "")
    return "\n".join(
        [
            line(frame.columns),
            line("---" for _ in frame.columns),
            *(line(row) for row in missing.itertuples(index=False, name=None)),
        ]
    )
