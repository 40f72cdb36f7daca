"""XLSX bytes to rows of text cells, written as the CSV form of the same table would have them.

The guards against hostile workbooks are here; what the cells mean is not.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
import zlib
from collections.abc import Sequence
from xml.parsers import expat

from python_calamine import CalamineWorkbook

from fleet_audit.formats.parsed import Limits, RejectedFile
from fleet_audit.logic.primitives.identity import fold

_UNPACKED_TIMES = 20  # a full workbook of 50,000 rows x 17 columns unpacks from 2.3 MB to 24 MB
_CELLS_A_ROW = 100  # the reader keeps the whole rectangle of a sheet: two far cells would ask for all the memory
_REFERENCE = re.compile(r"^([A-Za-z]{1,3})([0-9]{1,7})$")
_BROKEN = "The workbook cannot be opened ({0}); open it in a spreadsheet program and save it again as XLSX or CSV."


def is_workbook(content: bytes) -> bool:
    """Whether the bytes are a ZIP archive, as XLSX workbooks are."""
    return content.startswith(b"PK\x03\x04")


def workbook_rows(content: bytes, limits: Limits, vocabulary: set[str]) -> tuple[list[list[str]], tuple[str, ...]]:
    """All rows, from the first, of the sheet that holds most expected names; and a warning about other sheets.

    Raises:
        RejectedFile: not a readable XLSX, or one that would unpack to more than twenty times the size limit or more
            cells than a hundred for each row allowed.
    """
    _check_archive(content, limits)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = {
            name: _texts(workbook.get_sheet_by_name(name).to_python(skip_empty_area=False))
            for name in workbook.sheet_names
        }
    except Exception as error:  # the reader has a dozen error types of its own
        raise RejectedFile(_BROKEN.format(type(error).__name__), "broken_workbook") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the reader's own crash is no subclass of Exception
            raise
        raise RejectedFile(_BROKEN.format("it crashes the reader"), "broken_workbook") from error
    filled = {name: rows for name, rows in sheets.items() if rows}
    if not filled:
        raise RejectedFile("The workbook has no filled sheet; send it again with its header and rows.", "empty_file")
    chosen = max(filled, key=lambda name: sum(fold(cell) in vocabulary for row in filled[name][:40] for cell in row))
    others = [name for name in filled if name != chosen]
    warnings = (f"Only sheet {chosen} was read, not {', '.join(others)}.",) if others else ()
    return filled[chosen], (*warnings, *_passive_parts(content))


def _passive_parts(content: bytes) -> list[str]:
    """What a workbook may do when it is opened, and was not done."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name.lower() for name in archive.namelist()]
    warnings = []
    if any(name.endswith("vbaproject.bin") for name in names):
        warnings.append("The workbook has macros: they were not run.")
    if any("externallinks/" in name for name in names):
        warnings.append("The workbook links to other files: the values that it holds were read, nothing was fetched.")
    return warnings


def _check_archive(content: bytes, limits: Limits) -> None:
    """Refuses archives that unpack to too much, before the reader sees them."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > _UNPACKED_TIMES * limits.max_bytes:
                raise RejectedFile(
                    f"The workbook unpacks to {unpacked:,} bytes, more than "
                    f"{_UNPACKED_TIMES * limits.max_bytes:,}; send it as CSV, or in parts.",
                    "unsafe_workbook",
                )
            if "xl/workbook.xml" not in archive.namelist():
                raise RejectedFile(
                    "The file is a ZIP archive but no XLSX workbook; send an XLSX or a CSV.", "not_a_table"
                )
            # Sizes in the directory can lie; reading every entry up to its stated size finds that by its checksum.
            damaged = archive.testzip()
            if damaged is not None:
                raise RejectedFile(_BROKEN.format(f"{damaged[:60]} is damaged"), "broken_workbook")
            for name in archive.namelist():
                if name.lower().endswith(".xml"):
                    _check_extent(archive.read(name), limits)
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        expat.ExpatError,
    ) as error:
        raise RejectedFile(_BROKEN.format(type(error).__name__), "broken_workbook") from error


def _check_extent(xml: bytes, limits: Limits) -> None:
    """Refuses a sheet whose furthest filled cells span too large a rectangle."""
    extent = _Extent()
    parser = expat.ParserCreate()
    parser.StartElementHandler = extent.start
    parser.Parse(xml, True)
    if extent.last_row * extent.last_column > _CELLS_A_ROW * limits.max_rows:
        raise RejectedFile(
            f"A sheet of the workbook spans {extent.last_row:,} rows and {extent.last_column:,} columns"
            "; remove what lies outside of the table and send it again.",
            "unsafe_workbook",
        )


class _Extent:
    """Furthest row and column with a value, counted while a sheet's XML goes by."""

    def __init__(self) -> None:
        self.row = self.column = self.last_row = self.last_column = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if tag == "c":
            reference = _REFERENCE.match(attributes.get("r", ""))
            if reference:
                self.row, self.column = int(reference[2]), _column_number(reference[1])
            else:
                self.column += 1
        elif tag in ("v", "is"):
            self.last_row, self.last_column = max(self.last_row, self.row), max(self.last_column, self.column)
        elif tag == "row":
            self.row = int(attributes["r"]) if attributes.get("r", "").isdecimal() else self.row + 1
            self.column = 0


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def _texts(rows: Sequence[Sequence[object]]) -> list[list[str]]:
    return [[_text(cell) for cell in row] for row in rows]


def _text(cell: object) -> str:
    """A typed cell as the CSV form writes it."""
    if isinstance(cell, str):
        return cell.replace("\x00", "")
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, (int, float)):
        return _number(float(cell))
    if isinstance(cell, dt.datetime):
        return cell.strftime("%d/%m/%Y %H:%M:%S")
    if isinstance(cell, dt.date):
        return cell.strftime("%d/%m/%Y")
    if isinstance(cell, dt.time):
        return cell.strftime("%H:%M:%S")
    if isinstance(cell, dt.timedelta):
        seconds = round(cell.total_seconds())
        return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
    return "" if cell is None else str(cell)


def _number(value: float) -> str:
    """Decimal comma, never exactly three decimals: those would read as thousands of an English export."""
    if value == int(value) if abs(value) < 1e15 else False:
        return str(int(value))
    whole, _, decimals = f"{value:.6f}".partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole},{decimals + '0' if len(decimals) == 3 else decimals}" if decimals else whole
