"""A grid as CSV for a Brazilian analyst: UTF-8 with BOM, comma separated, decimal comma inside quotes.

Only the file form belongs here.
"""

from __future__ import annotations

import csv
import io

from fleet_audit.reporting.document import Grid, Kind, written

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def safe_text(text: str) -> str:
    """A text that a spreadsheet would run as a formula gets a leading apostrophe; any other stays."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def grid_csv(grid: Grid) -> bytes:
    """Header and rows; the unknown is an empty cell, numbers carry no thousands separator and an ASCII minus."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([entry.label for entry in grid.fields])
    kinds = [entry.kind for entry in grid.fields]
    for row in grid.rows:
        texts = [written(value, kind, grouped=False, minus="-") for value, kind in zip(row, kinds, strict=True)]
        writer.writerow(
            [safe_text(text) if kind is Kind.TEXT else text for text, kind in zip(texts, kinds, strict=True)]
        )
    return buffer.getvalue().encode("utf-8-sig")
