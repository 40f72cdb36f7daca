"""Rows of cells to a table with a header: a text column for each known name, extra and missing columns, misfit rows.

What a column's text must look like belongs in the module of each kind of file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.formats.parsed import Limits, RejectedFile
from fleet_audit.formats.quarantine import Quarantine
from fleet_audit.formats.table.cells import Cells, read_cells
from fleet_audit.logic.primitives.identity import fold

_HEADER_WITHIN = 20  # rows; some exporters print a title above the table
_MOST_COLUMNS = 200  # rows are filled up to the header's width: one of a million commas would ask for all the memory


@dataclass(frozen=True)
class TextTable:
    """A table as text, and the quarantine that its rows may go to.

    Attributes:
        text: one stripped text column a known name (empty text = empty cell); columns that the file lacks are absent.
        quarantine: already holds the rows that have more cells than the header, or are cut off.
        separator: what separates its cells; empty for a workbook.
    """

    text: pd.DataFrame
    quarantine: Quarantine
    separator: str
    warnings: tuple[str, ...]

    @property
    def is_workbook(self) -> bool:
        """Whether its cells were typed: numbers are written with a decimal comma, a day may be a serial number."""
        return not self.separator

    def column(self, name: str) -> pd.Series:
        """The text of a column; empty texts where the file lacks it."""
        return self.text[name] if name in self.text else pd.Series("", index=self.text.index, dtype="str")


def read_table(content: bytes, limits: Limits, known: Iterable[str], required: Iterable[str]) -> TextTable:
    """The table of a file. Headers match without regard to case, accents and outer spaces.

    Raises:
        RejectedFile: unreadable, more data rows than the limit, a required column missing, or a known one twice.
    """
    names = {fold(name): name for name in known}
    cells = read_cells(content, limits, set(names))
    at = _header_index(cells, names)
    header = [fold(cell.strip("\ufeff \t")) for cell in cells.rows[at]]
    _check_header(header, names, required, cells.numbers[at])
    rows, numbers, raws = cells.rows[at + 1 :], cells.numbers[at + 1 :], cells.raws[at + 1 :]
    if len(rows) > limits.max_rows:
        raise RejectedFile(
            f"The file has {len(rows):,} data rows and at most {limits.max_rows:,} are read; "
            "split it and send the parts.",
            "too_many_rows",
        )
    width = len(header)
    columns = list(zip(*(_fitted(row, width) for row in rows), strict=True)) if rows else [()] * width
    text = pd.DataFrame(
        {names[name]: stripped(columns[position]) for position, name in enumerate(header) if name in names},
        index=range(len(rows)),
    )
    quarantine = Quarantine(numbers, raws)
    _refuse_misfits(quarantine, rows, width, cells.is_last_cut)
    warnings = [*cells.warnings]
    if at:
        warnings.append(f"{at} rows above the header were ignored.")
    extra = [
        cells.rows[at][position].strip() or f"column {position + 1} without a name"
        for position, name in enumerate(header)
        if name not in names and (name or any(columns[position]))
    ]
    if extra:
        warnings.append(f"Extra columns were ignored: {', '.join(name[:40] for name in extra[:10])}.")
    return TextTable(text, quarantine, cells.separator, tuple(warnings))


def stripped(values: Iterable[str]) -> pd.Series:
    """Texts without outer white space, as a `str` column."""
    array = pc.utf8_trim_whitespace(pa.array(list(values), type=pa.large_string()))
    return pd.Series(array.to_pandas(), dtype="str")


def _header_index(cells: Cells, names: dict[str, str]) -> int:
    counts = [
        len({fold(cell.strip("\ufeff \t")) for cell in row[:_MOST_COLUMNS]} & names.keys())
        for row in cells.rows[:_HEADER_WITHIN]
    ]
    if not counts:
        raise RejectedFile("The file has no rows; send it again with its header.", "empty_file")
    return counts.index(max(counts))


def _check_header(header: list[str], names: dict[str, str], required: Iterable[str], line: int) -> None:
    if len(header) > _MOST_COLUMNS:
        raise RejectedFile(
            f"The header (line {line}) has {len(header):,} columns and at most {_MOST_COLUMNS} are "
            "read; send the table without the others.",
            "too_many_columns",
        )
    missing = [name for name in required if fold(name) not in header]
    if missing:
        raise RejectedFile(
            f"Column {', '.join(missing)} is missing in the header (line {line}); "
            f"the header must name: {', '.join(required)}.",
            "missing_column",
        )
    twice = [names[name] for name in names if header.count(name) > 1]
    if twice:
        raise RejectedFile(
            f"Column {', '.join(twice)} is in the header (line {line}) more than once; keep one.", "repeated_column"
        )


def _fitted(row: list[str], width: int) -> list[str]:
    return row if len(row) == width else (row + [""] * (width - len(row)))[:width]


def _refuse_misfits(quarantine: Quarantine, rows: list[list[str]], width: int, is_last_cut: bool) -> None:
    lengths = pd.Series([len(row) for row in rows], dtype="int64")
    beyond = pd.Series(
        [any(cell.strip() for cell in row[width:]) if len(row) > width else False for row in rows], dtype=bool
    )
    quarantine.refuse(
        beyond,
        "bad_width",
        "The row has " + lengths.astype("str") + f" cells and the header {width}: "
        "put values that contain the separator (a decimal comma, an address) in quotation marks.",
    )
    if is_last_cut and len(rows):
        cut = (lengths < width) & (lengths.index == len(rows) - 1)
        quarantine.refuse(cut, "bad_width", "The last line is cut off: send the whole file.")
