"""Text to rows of cells: the separator, quoted cells over several lines, stray quotation marks.

Encodings are read in `encoding`; what the cells mean is not decided here.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

from fleet_audit.formats.parsed import Limits, RejectedFile
from fleet_audit.formats.table.spelling import header_name

LONGEST_QUOTED_CELL = 20  # lines; the printed title of a visit report has 4
_MOST_STRAY_QUOTES = 1000  # beyond this the file is not a CSV with a slip but something else, and slow to repair
_LINES_PER_ROW = (
    10  # a quoted cell may run over lines, a vehicle's block has 7 lines of its own; more is refused unread
)
_WHOLE_LINE = re.compile(r'^"((?:[^"]|"")*)"[;,]*(\r?\n?)$')
_SEPARATORS = ",;\t|"  # a tab is what spreadsheets put into their UTF-16 "Unicode text"


@dataclass(frozen=True)
class DelimitedText:
    """Records (cells, line number from 1, text as received) of a text, blank ones included; and its separator."""

    records: list[tuple[list[str], int, str]]
    separator: str
    warnings: tuple[str, ...]


def read_delimited(text: str, limits: Limits, vocabulary: set[str]) -> DelimitedText:
    """The records of a text. Raises RejectedFile for too many lines or too many stray quotation marks."""
    lines = list(io.StringIO(text, newline=""))
    if len(lines) > _LINES_PER_ROW * limits.max_rows + 100:
        raise RejectedFile(
            f"The file has {len(lines):,} lines and at most {limits.max_rows:,} data rows are read; "
            "split it and send the parts.",
            "too_many_rows",
        )
    lines = _unwrapped(lines)
    separator = _separator(lines, vocabulary)
    records = _simple_records(lines, separator)
    if records is not None:
        return DelimitedText(records, separator, ())
    records, strays = _careful_records(lines, separator)
    have = "line has" if strays == 1 else "lines have"
    warning = f"{strays} {have} a quotation mark that nothing closes; it was ignored."
    return DelimitedText(records, separator, (warning,) if strays else ())


def _unwrapped(lines: list[str]) -> list[str]:
    """The lines without the quotation marks around each whole line, as a spreadsheet saves rows that it took for one
    cell; other lines as they are.
    """
    filled = [line for line in lines if line.strip()]
    if not filled or not all(_WHOLE_LINE.match(line) for line in filled):
        return lines
    inner = [_WHOLE_LINE.sub(lambda found: found[1].replace('""', '"') + found[2], line) for line in lines]
    return inner if any(mark in inner[lines.index(filled[0])] for mark in _SEPARATORS) else lines


def _separator(lines: list[str], vocabulary: set[str]) -> str:
    """The separator under which the first lines hold most expected names; a comma when none does."""

    def known(separator: str) -> int:
        return sum(
            header_name(cell.strip('" \r\n')) in vocabulary
            for line in lines[:40]
            for cell in line[:5000].split(separator)
        )

    return max(_SEPARATORS, key=known)  # of equals the first


_Record = tuple[list[str], int, str]


def _simple_records(lines: list[str], separator: str) -> list[_Record] | None:
    """One record per line, in one pass; None when a quoted cell runs over lines or a quote is out of place."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    records: list[_Record] = []
    try:
        for number, (row, line) in enumerate(zip(reader, lines, strict=False), 1):
            if reader.line_num != number:
                return None
            records.append((row, number, line))
    except csv.Error:
        return None
    return records


def _careful_records(lines: list[str], separator: str) -> tuple[list[_Record], int]:
    """Records line by line: a quote that no later line closes is ignored. Second: how many such quotes."""
    records: list[_Record] = []
    strays, width, index = 0, 0, 0
    while index < len(lines):
        used, row = _record_at(lines, index, separator, width)
        if used == 0:
            strays, used = strays + 1, 1
            if strays > _MOST_STRAY_QUOTES:
                raise RejectedFile(
                    f"More than {_MOST_STRAY_QUOTES} lines have a quotation mark that nothing closes; "
                    "export the table again as CSV."
                )
        records.append((row, index + 1, "".join(lines[index : index + used])))
        width = max(width, len(row))
        index += used
    return records, strays


def _record_at(lines: list[str], index: int, separator: str, width: int) -> tuple[int, list[str]]:
    """Number of lines and cells of the record that starts at a line; 0 lines when its quote is a stray one."""
    line = lines[index]
    row = _cells(line, separator)
    if row is not None:
        return 1, row
    for end in range(index + 1, min(index + LONGEST_QUOTED_CELL, len(lines))):
        if '"' in lines[end]:
            row = _cells("".join(lines[index : end + 1]), separator)
            if row is not None:
                if not width or len(row) <= width:
                    return end + 1 - index, row
                break
        if width > 2 and lines[end].count(separator) >= width - 1:
            break  # this line is a row of its own, so the quote was never meant to reach it
    return 0, [cell.strip("\r\n").strip('"') for cell in line.split(separator)]


def _cells(text: str, separator: str) -> list[str] | None:
    """Cells of one record; None when a quoted cell is still open at the end or a quote is out of place."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        row = next(reader, [])
        return None if next(reader, None) is not None else row
    except csv.Error:
        return None
