"""XLSX bytes to the rows of its worksheets as text: which sheets are read, which are not, and why.

The archive's limits are in `archive`, cells as text in `cell_text`; what the cells mean is not decided here.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from python_calamine import CalamineWorkbook, SheetMetadata, SheetTypeEnum, SheetVisibleEnum

from fleet_audit.formats.parsed import Limits, RejectedFile
from fleet_audit.formats.table.spelling import header_name
from fleet_audit.formats.workbook.archive import BROKEN, Archive, open_archive
from fleet_audit.formats.workbook.cell_text import cell_text
from fleet_audit.formats.workbook.sheet_scan import SheetScan

_HEADER_WITHIN = 40  # rows of a sheet in which its header, or its first vehicle, stands


@dataclass(frozen=True)
class Worksheet:
    """Rows of one sheet, from its first.

    Attributes:
        offset: rows of the sheets before it: a row's number in the file is this plus its number in the sheet.
        merged: first and last row (from 0) and column (from 0) of ranges that are merged over rows.
    """

    name: str
    rows: list[list[str]]
    offset: int
    merged: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class WorksheetSet:
    """The worksheets that are read, notes on those that are not, and what their numbers count from."""

    worksheets: tuple[Worksheet, ...]
    is_1904: bool
    has_several: bool
    warnings: tuple[str, ...]


def is_workbook(content: bytes) -> bool:
    """Whether the bytes are a ZIP archive, as XLSX workbooks are."""
    return content.startswith(b"PK\x03\x04")


def read_worksheets(content: bytes, limits: Limits, vocabulary: set[str]) -> WorksheetSet:
    """Every visible sheet that holds at least half as many expected names as the best one, in the workbook's order.

    Hidden sheets are read only when no visible one qualifies. Hidden sheets, chart sheets and sheets without the header
    are named in the warnings.

    Raises:
        RejectedFile: not a readable XLSX, or beyond a limit of `open_archive`.
    """
    archive = open_archive(content, limits)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(archive.content))
        of_tables = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        worksheets = _worksheets(workbook, of_tables, archive.scans)
    except Exception as error:  # the reader has a dozen error types of its own
        raise RejectedFile(BROKEN.format(type(error).__name__), "broken_workbook") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the reader's own crash is not a subclass of Exception
            raise
        raise RejectedFile(BROKEN.format("it crashes the reader"), "broken_workbook") from error
    if not worksheets:
        raise RejectedFile("The workbook has no filled sheet; send it again with its header and rows.", "empty_file")
    hidden = {sheet.name for sheet in of_tables if sheet.visible != SheetVisibleEnum.Visible}
    read, skipped = _chosen(worksheets, hidden, vocabulary)
    skipped += [
        f"{sheet.name!r} (not a worksheet)"
        for sheet in workbook.sheets_metadata
        if sheet.typ != SheetTypeEnum.WorkSheet
    ]
    warnings = [f"Sheets that were not read: {', '.join(skipped[:20])}."] if skipped else []
    if any(sheet.name in hidden for sheet in read):
        warnings.append("The workbook shows no sheet with the header, so its hidden sheet was read.")
    return WorksheetSet(tuple(read), archive.is_1904, len(worksheets) > 1, (*warnings, *_passive_parts(archive)))


def _worksheets(
    workbook: CalamineWorkbook, sheets: list[SheetMetadata], scans: dict[str, SheetScan]
) -> list[Worksheet]:
    """The filled sheets, in the workbook's order."""
    found, offset = [], 0
    for sheet in sheets:
        opened = workbook.get_sheet_by_name(sheet.name)
        rows = [[cell_text(cell) for cell in row] for row in opened.to_python(skip_empty_area=False)]
        _show_unresolved(rows, scans.get(sheet.name, SheetScan()))
        merged = tuple(
            (first, min(last, len(rows) - 1), column)
            for (first, column), (last, _) in opened.merged_cell_ranges or []
            if first < last and first < len(rows)
        )
        if rows:
            found.append(Worksheet(sheet.name, rows, offset, merged))
        offset += len(rows)
    return found


def _show_unresolved(rows: list[list[str]], scan: SheetScan) -> None:
    """A formula whose result was not stored, or is an error, stands as a text: it is neither zero nor empty."""
    for (row, column), shown in scan.unresolved.items():
        while len(rows) < row:
            rows.append([])
        cells = rows[row - 1]
        cells.extend([""] * (column - len(cells)))
        cells[column - 1] = cells[column - 1] or shown


def _chosen(worksheets: list[Worksheet], hidden: set[str], vocabulary: set[str]) -> tuple[list[Worksheet], list[str]]:
    """The sheets to read; and each other one with the reason why it is not read. No vocabulary: all of them."""
    if not vocabulary:
        return worksheets, []
    known = {
        sheet.name: len({header_name(cell) for row in sheet.rows[:_HEADER_WITHIN] for cell in row} & vocabulary)
        for sheet in worksheets
    }
    with_header = [sheet for sheet in worksheets if known[sheet.name] >= max(known.values()) / 2]
    shown = [sheet for sheet in with_header if sheet.name not in hidden]
    read = shown or with_header
    skipped = [
        f"{sheet.name!r} (hidden, {len(sheet.rows)} rows)" if sheet.name in hidden else f"{sheet.name!r} (no header)"
        for sheet in worksheets
        if sheet not in read
    ]
    return read, skipped


def _passive_parts(archive: Archive) -> list[str]:
    """What a workbook may do when it is opened, and was not done."""
    warnings = []
    if any(name.endswith("vbaproject.bin") for name in archive.names):
        warnings.append("The workbook has macros: they were not run.")
    if any("externallinks/" in name for name in archive.names):
        warnings.append("The workbook links to other files: the values that it holds were read, nothing was fetched.")
    return warnings
