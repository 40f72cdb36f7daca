"""Rows that a printed table has beside its data: headers on each page, titles above them, totals, page footers.

Such rows are counted and named, never dropped in silence; a row that could be data stays data.
"""

from __future__ import annotations

from operator import eq

import numpy as np

from fleet_audit.formats.table.spelling import header_name, is_blank

_TOTALS = {"total", "totais", "total geral", "subtotal", "soma", "media", "medias", "media geral", "grand total"}
_MOST_CELLS = 2  # of a title or a page footer
_MOST_MARKS = 4  # commas or the like in a title; a row under another separator has more


def find_page_rows(rows: list[list[str]], header: list[str], key_at: tuple[int, ...]) -> np.ndarray:
    """Which rows repeat the header, hold totals or means, or are titles and footers beside those.

    Args:
        rows: the rows below a header.
        header: its cells.
        key_at: positions of the columns that every data row fills (plate and day); none: only repeated headers are
            found.
    """
    is_break = np.array([_repeats(row, header) for row in rows], dtype=bool)
    is_sparse = np.zeros(len(rows), dtype=bool)
    for at, row in enumerate(rows if key_at else []):
        is_missing = [key >= len(row) or is_blank(row[key]) for key in key_at]
        if any(is_missing) and not is_break[at]:
            is_break[at] = _is_total(row, key_at)
            is_sparse[at] = not is_break[at] and _is_sparse(row, is_all_missing=all(is_missing))
    return is_break | _beside_breaks(is_sparse, is_break)


def _repeats(row: list[str], header: list[str]) -> bool:
    """Whether at least half of the filled cells, and two, are the header's own."""
    same = sum(map(eq, row, header))
    if same < 2:
        return False
    same -= sum(1 for name, cell in zip(header, row, strict=False) if is_blank(name) and name == cell)
    return same >= 2 and 2 * same >= sum(not is_blank(cell) for cell in row)


def _is_sparse(row: list[str], *, is_all_missing: bool) -> bool:
    """Few filled cells, and none that is a whole row under another separator; one cell where a key may be filled.

    The first column of telemetry is a key, and `Gerado em 11/06/2025 07:00` stands in it.
    """
    filled = [cell for cell in row if not is_blank(cell)]
    is_other_row = any(cell.count(mark) >= _MOST_MARKS for cell in filled for mark in ",;\t|")
    return len(filled) <= (_MOST_CELLS if is_all_missing else 1) and not is_other_row


def _is_total(row: list[str], key_at: tuple[int, ...]) -> bool:
    """Whether the first filled cell is a word for total, and at most that one of the key columns is filled."""
    at = next((position for position, cell in enumerate(row) if not is_blank(cell)), 0)
    if header_name(row[at][:40]) not in _TOTALS:
        return False
    return all(key == at or key >= len(row) or is_blank(row[key]) for key in key_at)


def _beside_breaks(is_sparse: np.ndarray, is_break: np.ndarray) -> np.ndarray:
    """Runs of sparse rows that end at a repeated header or total, or follow one."""
    beside = np.zeros(len(is_sparse), dtype=bool)
    at = 0
    while at < len(is_sparse):
        if not is_sparse[at]:
            at += 1
            continue
        end = at
        while end < len(is_sparse) and is_sparse[end]:
            end += 1
        beside[at:end] = (at > 0 and is_break[at - 1]) or (end < len(is_sparse) and is_break[end])
        at = end
    return beside
