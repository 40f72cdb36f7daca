"""How a workbook's sheets print on A4: no text below 8 points, and as many pages wide as that takes.

Which columns a sheet has is decided by the reports.
"""

from __future__ import annotations

from collections.abc import Sequence

from xlsxwriter.worksheet import Worksheet

from fleet_audit.reporting.document_model import Field

_PAGE_MM, _LETTER_MM = 276, 2.0  # A4 landscape without margins; a letter of a column's width at 100 %
_LEAST_PCT = 80  # of cells in 10 points: a month of measurement lines on one page had letters of 3.8 points
_PAGE_LETTERS = _PAGE_MM / _LETTER_MM / _LEAST_PCT * 100


def set_up_printing(sheet: Worksheet, fields: Sequence[Field], last_row: int) -> None:
    """The printed area, and where it needs more than one page across, its pages with the vehicle on each.

    Ids and raw evidence stand last and are for looking up: they are not printed.
    """
    last = max((column for column, entry in enumerate(fields) if entry.in_print), default=0)
    sheet.print_area(0, 0, last_row, last)
    widths = [entry.width + 1 for entry in fields[: last + 1]]
    first_key, last_key = _key_columns(fields[: last + 1])
    # The program that prints finds the breaks: where it has another font than Calibri, columns are wider or narrower.
    pages = _pages(widths, last_key, sum(widths[first_key : last_key + 1]))
    sheet.fit_to_pages(pages, 0)
    if pages > 1:
        sheet.repeat_columns(first_key, last_key)
        sheet.print_across()


def set_up_summary_printing(sheet: Worksheet, widths: Sequence[float], last_row: int) -> None:
    """The first sheet, as many pages across as its widest table needs: the 20 of a unit on one had 3.5 points."""
    sheet.print_area(0, 0, last_row, len(widths) - 1)
    pages = max(1, round(sum(widths) / _PAGE_LETTERS))
    sheet.fit_to_pages(pages, 0)
    if pages > 1:
        sheet.repeat_columns(0)
        sheet.print_across()


def _key_columns(fields: Sequence[Field]) -> tuple[int, int]:
    """First and last column that name the row: plate, with the fleet number beside it, else the first column."""
    names = [entry.name for entry in fields]
    plate = next((column for column, name in enumerate(names) if name in ("plate", "plates")), 0)
    return plate, plate + (names[plate + 1 : plate + 2] == ["fleet_number"])


def _pages(widths: Sequence[int], last_key: int, key_width: int) -> int:
    """Pages across that hold all columns, the repeated ones on each page after the one that they stand on."""
    pages, used = 1, 0
    for column, width in enumerate(widths):
        if used and used + width > _PAGE_LETTERS:
            pages, used = pages + 1, key_width if column > last_key else 0
        used += width
    return pages
