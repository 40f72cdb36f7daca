"""Typed cells of a workbook as the texts that the CSV form of the same table would have.

What a text means is decided by the format of each kind of file.
"""

from __future__ import annotations

import datetime as dt

_FIRST_CALENDAR_YEAR = 1910  # earlier days are times of day: day 0 of both date systems lies before
_EXACT_DIGITS = 1e15  # a spreadsheet keeps 15 digits; a longer id is rounded and no longer that id


def cell_text(cell: object) -> str:
    """A cell's text: YYYY-MM-DD, HH:MM:SS rounded to the second, hours beyond 24, numbers with a decimal comma.

    A typed day has one reading; a cell that holds 05/06/2025 as text is judged for the month first, as a CSV's is.
    """
    if isinstance(cell, str):
        return cell.replace("\x00", "")  # PostgreSQL does not hold NUL in a text
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, (int, float)):
        return _number(float(cell))
    if isinstance(cell, dt.datetime):
        rounded = cell + dt.timedelta(microseconds=500_000)
        return rounded.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, dt.date):
        return cell.isoformat() if cell.year > _FIRST_CALENDAR_YEAR else f"{cell.isoformat()} 00:00:00"
    if isinstance(cell, dt.time):
        return _clock(round(cell.hour * 3600 + cell.minute * 60 + cell.second + cell.microsecond / 1e6))
    if isinstance(cell, dt.timedelta):
        return _clock(round(cell.total_seconds()))
    return "" if cell is None else str(cell)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def _number(value: float) -> str:
    """Decimal comma, never exactly three decimals: those would read as thousands of an English export."""
    if abs(value) >= _EXACT_DIGITS:
        return f"{value:.14E}".replace(".", ",")
    if value == int(value):
        return str(int(value))
    whole, _, decimals = f"{value:.6f}".partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole},{decimals + '0' if len(decimals) == 3 else decimals}" if decimals else whole
