"""Rows that a printed table has beside its data: headers on each page, titles above them, totals, page footers.

Such rows are counted and named, never dropped in silence; a row that could be data stays data.
"""

from __future__ import annotations

import numpy as np

from fleet_audit.formats.table.spelling import header_name, is_blank

_TOTALS = {"total", "totais", "total geral", "subtotal", "soma", "media", "medias", "media geral", "grand total"}
_MOST_CELLS = 2  # of a title or a page footer
_MOST_MARKS = 4  # commas or the like in a title; a row under another separator has more


def find_page_rows(rows: list[list[str]], header: list[str], key_at: tuple[int, ...]) -> np.ndarray:
    """Which rows repeat the header, hold totals or means, or are titles and footers beside those.

    Args:
        rows: the rows below a header.
        header: its names, as `header_name` gives them.
        key_at: positions of the columns that every data row fills (plate and day); none: only repeated headers are
            found.
    """
    is_header = np.array([_repeats(row, header) for row in rows], dtype=bool)
    if not key_at:
        return is_header
    is_keyless = np.array([all(at >= len(row) or is_blank(row[at]) for at in key_at) for row in rows], dtype=bool)
    is_total = np.array([_is_total(row, header, key_at) for row in rows], dtype=bool)
    is_break = is_header | is_total
    is_sparse = ~is_break & is_keyless & np.array([_is_sparse(row) for row in rows], dtype=bool)
    return is_break | _beside_breaks(is_sparse, is_break)


def _repeats(row: list[str], header: list[str]) -> bool:
    filled = [(name, header_name(cell)) for name, cell in zip(header, row, strict=False) if not is_blank(cell)]
    same = sum(bool(name) and name == cell for name, cell in filled)
    return same >= 2 and 2 * same >= len(filled)


def _is_sparse(row: list[str]) -> bool:
    """Few filled cells, and none that is a whole row under another separator."""
    filled = [cell for cell in row if not is_blank(cell)]
    is_other_row = any(cell.count(mark) >= _MOST_MARKS for cell in filled for mark in ",;\t|")
    return len(filled) <= _MOST_CELLS and not is_other_row


def _is_total(row: list[str], header: list[str], key_at: tuple[int, ...]) -> bool:
    """The first filled cell says total, and at most that one of the key columns is filled."""
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
