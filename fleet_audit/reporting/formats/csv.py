"""A grid as CSV for a Brazilian analyst: UTF-8 with BOM, comma separated, decimal comma inside quotes.

Only the file form belongs here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from fleet_audit.logic.primitives.text_cells import safe_text
from fleet_audit.reporting.document_model import Grid, Kind, written


def grid_csv(grid: Grid) -> bytes:
    """Header and rows; the unknown is an empty cell, numbers carry no thousands separator and an ASCII minus."""
    kinds = [entry.kind for entry in grid.fields]
    rows = ([cell_text(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in grid.rows)
    return texts_csv(chain([[entry.label for entry in grid.fields]], rows))


def cell_text(value: Any, kind: Kind) -> str:
    """One cell as text; a word in place of a number, where that is not known, is a text too."""
    if isinstance(value, str):  # with plain spaces: who searches a file types no other
        return safe_text(value.replace("\u00a0", " "))
    return written(value, kind, grouped=False, minus="-")


def texts_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows of finished texts as a file."""
    return b"".join(csv_parts(rows))


def csv_parts(rows: Iterable[Sequence[str]], rows_a_part: int = 10_000) -> Iterator[bytes]:
    """The file in parts: of a long list only one part is held as texts, the rest as bytes."""
    mark, rows = "\ufeff", iter(rows)
    while part := list(islice(rows, rows_a_part)):
        buffer = io.StringIO(newline="")
        csv.writer(buffer, lineterminator="\r\n").writerows(part)
        yield (mark + buffer.getvalue()).encode()
        mark = ""
