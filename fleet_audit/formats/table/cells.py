"""Bytes to rows of text cells, each with its line number and its raw text: encodings, separators, stray quotes, limits.

What the cells mean belongs in `table` and in the module of each kind of file; workbooks are opened in `workbook`.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from fleet_audit.formats.parsed import Limits, RejectedFile, too_large
from fleet_audit.formats.workbook.sheets import is_workbook, workbook_rows
from fleet_audit.logic.primitives.identity import fold

_LONGEST_QUOTED_CELL = 20  # lines; the printed title of a visit report has 4
_MOST_STRAY_QUOTES = 1000  # beyond this the file is not a CSV with a slip but something else, and slow to repair
_LINES_A_ROW = 10  # a quoted cell may run over lines, a vehicle's block has 7 lines of its own; more is refused unread
_BINARY = {
    b"%PDF": "a PDF",
    b"\xd0\xcf\x11\xe0": "an old or encrypted Excel workbook",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"\x1f\x8b": "a gzip archive",
}
_SEPARATORS = ",;\t|"  # a tab is what spreadsheets put into their UTF-16 "Unicode text"
_CONTROL = bytes(code for code in range(32) if code not in b"\t\n\r\x0b\x0c\x1a\x1b")


@dataclass(frozen=True)
class Cells:
    """The non-blank rows of a file.

    Attributes:
        rows: cells as text, not stripped; rows may differ in length.
        numbers: line (or sheet row) on which each row starts, 1 = first.
        raws: each row as received; a workbook's as cells joined by `;`.
        separator: `,`, `;`, tab or `|`; empty for a workbook.
        is_last_cut: the last line has no line end: what wrote it may not have finished.
    """

    rows: list[list[str]]
    numbers: list[int]
    raws: list[str]
    separator: str
    warnings: tuple[str, ...]
    is_last_cut: bool = False


def read_cells(content: bytes, limits: Limits, vocabulary: set[str]) -> Cells:
    """The rows of a CSV file or of a workbook.

    Args:
        content: the bytes as received; XLSX bytes are a workbook, whatever the file is called.
        limits: largest size; a file with more than ten lines a row allowed is refused unread.
        vocabulary: folded names that the file is expected to hold; they tell the separator and the sheet.

    Raises:
        RejectedFile: too large, empty, binary, or a broken workbook.
    """
    if len(content) > limits.max_bytes:
        raise too_large(len(content), limits)
    if not content.strip():
        raise RejectedFile("The file is empty; send it again with its header and rows.", "empty_file")
    if is_workbook(content):
        sheet, warnings = workbook_rows(content, limits, vocabulary)
        kept = [(row, number) for number, row in enumerate(sheet, 1) if any(cell.strip() for cell in row)]
        rows = [row for row, _ in kept]
        return Cells(rows, [number for _, number in kept], [";".join(row) for row in rows], "", warnings)
    text, warnings = decode(content)
    return _csv_rows(text, warnings, limits, vocabulary)


def decode(content: bytes) -> tuple[str, tuple[str, ...]]:
    """Text of UTF-8 (with or without BOM), UTF-16 or Latin-1 bytes, and what there is to say about it.

    Raises RejectedFile when the bytes are no text.
    """
    for magic, what in _BINARY.items():
        if content.startswith(magic):
            raise RejectedFile(
                f"The file is {what}, not a CSV text; export the table as CSV (UTF-8) and send that.", "not_a_table"
            )
    encoding = _utf16(content)
    if encoding:
        text = content.decode(encoding, errors="replace").removeprefix("\ufeff")
        return _without_nul(text, (f"The file is {encoding.upper()[:6]}, read as such; UTF-8 is expected.",))
    if len(content) - len(content.translate(None, _CONTROL)) > max(len(content) // 20, 8):
        raise RejectedFile(
            "The file is binary, not a CSV text; export the table as CSV (UTF-8) and send that.", "not_a_table"
        )
    try:
        return _without_nul(content.decode("utf-8-sig"), ())
    except UnicodeDecodeError:
        pass
    text = content.decode("utf-8-sig", errors="replace")
    damaged = text.count("\ufffd")
    if len(text) - len(text.encode("ascii", errors="ignore")) - damaged > damaged:
        return _without_nul(text, (f"{damaged} characters are damaged (not UTF-8) and shown as \ufffd.",))
    try:
        text = content.decode("cp1252")  # what Brazilian Windows calls Latin-1
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return _without_nul(text, ("The file is Latin-1, read as such; UTF-8 is expected.",))


def _utf16(content: bytes) -> str | None:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16-le" if content.startswith(b"\xff\xfe") else "utf-16-be"
    head = content[:2000]
    even, odd = head[0::2].count(0) / max(len(head[0::2]), 1), head[1::2].count(0) / max(len(head[1::2]), 1)
    if odd > 0.4 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.1 else None


def _without_nul(text: str, warnings: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    count = text.count("\x00")  # PostgreSQL holds no NUL in a text
    if not count:
        return text, warnings
    return text.replace("\x00", ""), (*warnings, f"{count} NUL characters were taken out.")


def _csv_rows(text: str, warnings: tuple[str, ...], limits: Limits, vocabulary: set[str]) -> Cells:
    lines = list(io.StringIO(text, newline=""))
    if len(lines) > _LINES_A_ROW * limits.max_rows + 100:
        raise RejectedFile(
            f"The file has {len(lines):,} lines and at most {limits.max_rows:,} data rows are read; "
            "split it and send the parts.",
            "too_many_rows",
        )
    separator = _separator(lines, vocabulary)
    records = _simple_records(lines, separator)
    if records is None:
        records, strays = _careful_records(lines, separator)
        if strays:
            warnings = (*warnings, f"{strays} lines have a quotation mark that nothing closes; it was left out.")
    kept = [index for index, (row, _, _) in enumerate(records) if any(cell and not cell.isspace() for cell in row)]
    rows = [records[index][0] for index in kept]
    numbers = [records[index][1] for index in kept]
    raws = [records[index][2].rstrip("\r\n") for index in kept]
    is_cut = bool(kept) and not records[kept[-1]][2].endswith(("\r", "\n"))
    return Cells(rows, numbers, raws, separator, warnings, is_cut)


def _separator(lines: list[str], vocabulary: set[str]) -> str:
    """The separator under which the first lines hold most expected names; a comma when none does."""

    def known(separator: str) -> int:
        return sum(
            fold(cell.strip('"\ufeff \r\n')) in vocabulary
            for line in lines[:40]
            for cell in line[:5000].split(separator)
        )

    return max(_SEPARATORS, key=known)  # of equals the first


_Record = tuple[list[str], int, str]


def _simple_records(lines: list[str], separator: str) -> list[_Record] | None:
    """One record a line, in one pass; None when a quoted cell runs over lines or a quote is out of place."""
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
    """Records line by line: a quote that no later line closes is left out and swallows nothing. Second: how many."""
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
    for end in range(index + 1, min(index + _LONGEST_QUOTED_CELL, len(lines))):
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
