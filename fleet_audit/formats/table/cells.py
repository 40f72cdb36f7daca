"""Files to rows of text cells, each with its number and its text as received: CSV and workbooks alike.

Encodings are read in `encoding`, separators in `delimited`, workbooks in `formats.workbook`.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from fleet_audit.formats.parsed import Limits, RejectedFile, too_large
from fleet_audit.formats.table.delimited import read_delimited
from fleet_audit.formats.table.encoding import decode
from fleet_audit.formats.table.spelling import is_blank
from fleet_audit.formats.values import SERIALS_FROM_1900, SERIALS_FROM_1904
from fleet_audit.formats.workbook.sheet_scan import NO_RESULT
from fleet_audit.formats.workbook.worksheets import Worksheet, is_workbook, read_worksheets


@dataclass(frozen=True)
class Sheet:
    """Where one sheet's rows stand in `Cells`; a text file is one sheet without a name.

    Attributes:
        start, stop: its rows are `rows[start:stop]`.
        offset: a row's number in the sheet is its number in the file minus this.
        merged: (first row, last row, column) of ranges merged over rows; rows as positions in `Cells`.
    """

    name: str
    start: int
    stop: int
    offset: int = 0
    merged: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Cells:
    """The rows of a file that are not blank; in a workbook, nor blank but for errors.

    Attributes:
        rows: cells as text, not stripped; rows may differ in length.
        numbers: line on which each row starts, 1 = first; the rows of a workbook are numbered through all of its
            sheets, the ones that are not read included.
        raws: each row as received; a workbook's as cells joined by `;`.
        separator: `,`, `;`, tab or `|`; empty for a workbook.
        sheets: the sheets that were read, in order.
        has_several_sheets: the workbook has more than one filled sheet, so that a number alone does not show the place.
        is_1904: unformatted day numbers count from 1904.
        is_last_cut: the last line has no line end: what wrote it may not have finished.
    """

    rows: list[list[str]]
    numbers: list[int]
    raws: list[str]
    separator: str
    sheets: tuple[Sheet, ...]
    warnings: tuple[str, ...]
    has_several_sheets: bool = False
    is_1904: bool = False
    is_last_cut: bool = False

    @property
    def serials_from(self) -> str | None:
        """Day 0 of unformatted day numbers; None for a text, in which a number is not a day."""
        if self.separator:
            return None
        return SERIALS_FROM_1904 if self.is_1904 else SERIALS_FROM_1900

    def place(self, position: int) -> str:
        """`line 8`, or `sheet 'KPU9A36', row 8`, of a row's position."""
        if not self.has_several_sheets:
            return f"line {self.numbers[position]}"
        sheet = next(sheet for sheet in self.sheets if sheet.start <= position < sheet.stop)
        return f"sheet '{sheet.name}', row {self.numbers[position] - sheet.offset}"


def read_cells(content: bytes, limits: Limits, vocabulary: set[str]) -> Cells:
    """The rows of a CSV file or of a workbook's sheets.

    Args:
        content: the bytes as received; XLSX bytes are a workbook, whatever the file is called.
        limits: largest size; a file with more than ten lines per row allowed is refused unread.
        vocabulary: names (as `header_name` gives them) that the file is expected to hold; they decide the separator
            and the sheets. Without any, all sheets are read.

    Raises:
        RejectedFile: too large, empty, binary, or a broken workbook.
    """
    if len(content) > limits.max_bytes:
        raise too_large(len(content), limits)
    if not content.strip():
        raise RejectedFile("The file is empty; send it again with its header and rows.", "empty_file")
    if is_workbook(content):
        return _workbook_cells(content, limits, vocabulary)
    text, notes = decode(content)
    delimited = read_delimited(text, limits, vocabulary)
    kept = [record for record in delimited.records if not all(is_blank(cell) for cell in record[0])]
    return Cells(
        [row for row, _, _ in kept],
        [number for _, number, _ in kept],
        [raw.rstrip("\r\n") for _, _, raw in kept],
        delimited.separator,
        (Sheet("", 0, len(kept)),),
        (*notes, *delimited.warnings),
        is_last_cut=bool(kept) and not kept[-1][2].endswith(("\r", "\n")),
    )


def _workbook_cells(content: bytes, limits: Limits, vocabulary: set[str]) -> Cells:
    book = read_worksheets(content, limits, vocabulary)
    rows: list[list[str]] = []
    numbers: list[int] = []
    sheets = []
    for worksheet in book.worksheets:
        kept = [at for at, row in enumerate(worksheet.rows) if not all(_is_void(cell) for cell in row)]
        merged = _merged(worksheet, kept, len(rows))
        sheets.append(Sheet(worksheet.name, len(rows), len(rows) + len(kept), worksheet.offset, merged))
        rows += [worksheet.rows[at] for at in kept]
        numbers += [worksheet.offset + at + 1 for at in kept]
    return Cells(
        rows,
        numbers,
        [";".join(row) for row in rows],
        "",
        tuple(sheets),
        book.warnings,
        has_several_sheets=book.has_several,
        is_1904=book.is_1904,
    )


def _is_void(cell: str) -> bool:
    """Whether a workbook's cell is blank or an error: templates hold formulas for rows that nobody filled in."""
    return is_blank(cell) or cell.endswith(NO_RESULT)


def _merged(worksheet: Worksheet, kept: list[int], start: int) -> tuple[tuple[int, int, int], ...]:
    """Merged ranges by the positions of the rows that are kept; ranges that hold fewer than two of them are dropped."""
    ranges = []
    for first, last, column in worksheet.merged:
        low, high = bisect.bisect_left(kept, first), bisect.bisect_right(kept, last) - 1
        if low < high and kept[low] == first:  # the value stands in the first row
            ranges.append((start + low, start + high, column))
    return tuple(ranges)
