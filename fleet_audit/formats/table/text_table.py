"""Rows of cells to a table with a header: a text column per known name, extra and missing columns, misfit rows.

What a column's text must look like belongs in the module of each kind of file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.formats.parsed import Limits, RejectedFile
from fleet_audit.formats.quarantine import Quarantine
from fleet_audit.formats.table.cells import Cells, Sheet, read_cells
from fleet_audit.formats.table.page_breaks import find_page_rows
from fleet_audit.formats.table.spelling import header_name, is_blank, stripped
from fleet_audit.formats.workbook.sheet_scan import NO_RESULT

_HEADER_WITHIN = 40  # rows; some exporters print a title above the table
_MOST_COLUMNS = 200  # rows are filled up to the header's width: one of a million commas would fill the memory
_MOST_NAMED = 10  # columns or rows that one warning names


@dataclass(frozen=True)
class TableFormat:
    """What a kind of table looks like.

    Attributes:
        known: names of its columns.
        required: those that the header must hold.
        keys: columns that every data row fills; rows without them can be totals or titles (see `page_breaks`).
        merged: columns in which a cell merged over rows is the value of each row; in the others it is the first row's.
        unpaid: columns in which the error of a formula is read as empty, for no amount rests on them.
    """

    known: Sequence[str]
    required: Sequence[str]
    keys: Sequence[str] = ()
    merged: Sequence[str] = ()
    unpaid: Sequence[str] = ()


@dataclass(frozen=True)
class TextTable:
    """A table as text, and the quarantine that its rows may go to.

    Attributes:
        text: one stripped text column per known name (empty text = empty cell); columns that the file lacks are absent.
        quarantine: already holds the rows that have more cells than the header, or are cut off.
        separator: what separates its cells; empty for a workbook.
        serials_from: day 0 of unformatted day numbers; None for a text.
        rows_ignored: repeated headers, totals, titles and footers below the header.
    """

    text: pd.DataFrame
    quarantine: Quarantine
    separator: str
    serials_from: str | None
    rows_ignored: int
    warnings: tuple[str, ...]

    @property
    def is_workbook(self) -> bool:
        """Whether its cells were typed: numbers are written with a decimal comma, a day may be a serial number."""
        return not self.separator

    def column(self, name: str) -> pd.Series:
        """The text of a column; empty texts where the file lacks it."""
        return self.text[name] if name in self.text else pd.Series("", index=self.text.index, dtype="str")


@dataclass(frozen=True)
class _Part:
    """The table of one sheet: positions of its data rows in the cells, their texts, and how wide its header is."""

    positions: list[int]
    ignored: list[int]
    columns: dict[str, pd.Series]
    width: int
    warnings: tuple[str, ...]


def read_table(content: bytes, limits: Limits, table: TableFormat) -> TextTable:
    """The table of a file: of all sheets with the header, one after another.

    Headers match without regard to case, accents, line breaks, outer and invisible spaces. Sheets that lack a required
    column are named in the warnings when another sheet has them all.

    Raises:
        RejectedFile: unreadable, more data rows than the limit, a required column missing, or a known one twice.
    """
    names = {header_name(name): name for name in table.known}
    cells = read_cells(content, limits, set(names))
    parts, warnings = _parts(cells, names, table)
    positions = [position for part in parts for position in part.positions]
    if len(positions) > limits.max_rows:
        raise RejectedFile(
            f"The file has {len(positions):,} data rows and at most {limits.max_rows:,} are read; "
            "split it and send the parts.",
            "too_many_rows",
        )
    frames = [pd.DataFrame(part.columns, index=range(len(part.positions))) for part in parts]
    text = pd.concat(frames, ignore_index=True).fillna("").astype("str") if len(frames) > 1 else frames[0]
    places = [cells.place(position) for position in positions] if cells.has_several_sheets else None
    quarantine = Quarantine(
        [cells.numbers[position] for position in positions], [cells.raws[position] for position in positions], places
    )
    _refuse_misfits(quarantine, cells, parts)
    if cells.serials_from is not None:
        warnings += _without_errors(text, table.unpaid)
        quarantine.refuse_formulas(text)
    ignored = [position for part in parts for position in part.ignored]
    return TextTable(
        text,
        quarantine,
        cells.separator,
        cells.serials_from,
        len(ignored),
        (*cells.warnings, *warnings, *ignored_warning(cells, ignored)),
    )


def _without_errors(text: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Empties the errors of these columns of a workbook; a sentence that counts them."""
    counts = {}
    for name in text.columns.intersection(columns):
        is_error = text[name].str.endswith(NO_RESULT)
        if is_error.any():
            text[name] = text[name].mask(is_error, "")
            counts[name] = int(is_error.sum())
    named = ", ".join(f"{name} ({count})" for name, count in counts.items())
    return [f"Errors of formulas were read as empty cells: {named}."] if counts else []


def ignored_warning(cells: Cells, positions: Sequence[int]) -> list[str]:
    """A sentence that counts the rows beside the data and names the first of them; none without such rows."""
    if not len(positions):
        return []
    named = ", ".join(cells.place(position) for position in positions[:_MOST_NAMED])
    more = f" and {len(positions) - _MOST_NAMED} more" if len(positions) > _MOST_NAMED else ""
    return [f"{len(positions)} repeated headers, totals, titles or page footers are not data rows: {named}{more}."]


def merged_filled(text: pd.Series, sheet: Sheet, column: int, positions: Sequence[int]) -> pd.Series:
    """A column's texts, the value of a cell merged over rows in each of those rows; other texts stay."""
    ranges = [(first, last) for first, last, at in sheet.merged if at == column]
    is_overlapping = sum(last - first + 1 for first, last in ranges) > sheet.stop - sheet.start
    if not ranges or is_overlapping:  # no spreadsheet program writes overlapping ranges, and thousands would cost hours
        return text
    filled, place = text.tolist(), np.asarray(positions)
    for first, last in ranges:
        low, high = np.searchsorted(place, [first, last + 1])
        for at in range(low + 1, high):
            filled[at] = filled[at] or filled[low]
    return pd.Series(filled, index=text.index, dtype="str")


def _parts(cells: Cells, names: dict[str, str], table: TableFormat) -> tuple[list[_Part], list[str]]:
    """The table of each sheet that has one, and the warnings about the sheets."""
    parts, problems, warnings = [], [], []
    for sheet in cells.sheets:
        try:
            parts.append(_part(cells, sheet, names, table))
        except RejectedFile as problem:
            problems.append(problem)
            warnings.append(f"Sheet {sheet.name!r} was not read: {problem}")
    if not parts:
        raise problems[0]
    return parts, [*dict.fromkeys(warning for part in parts for warning in part.warnings), *warnings]


def _part(cells: Cells, sheet: Sheet, names: dict[str, str], table: TableFormat) -> _Part:
    at = _header_position(cells, sheet, names)
    header = [header_name(cell) for cell in cells.rows[at]]
    _check_header(header, names, table.required, cells.place(at))
    rows = cells.rows[at + 1 : sheet.stop]
    key_at = tuple(header.index(header_name(name)) for name in table.keys)
    is_beside = find_page_rows(rows, cells.rows[at], key_at)
    if cells.is_last_cut and len(rows):
        is_beside[-1] &= len(rows[-1]) >= len(header)  # a torn line is refused as such
    positions = [at + 1 + int(index) for index in np.flatnonzero(~is_beside)]
    width = len(header)
    fitted = [_fitted(cells.rows[position], width) for position in positions]
    columns = list(zip(*fitted, strict=True)) if fitted else [()] * width
    merged = {header_name(name) for name in table.merged}
    texts = {
        names[name]: merged_filled(stripped(columns[place]), sheet, place, positions)
        if name in merged
        else stripped(columns[place])
        for place, name in enumerate(header)
        if name in names
    }
    above = at - sheet.start
    warnings = [f"{above} rows above the header were ignored."] if above else []
    extra = [
        cells.rows[at][place].strip() or f"column {place + 1} without a name"
        for place, name in enumerate(header)
        if name not in names and (name or any(columns[place]))
    ]
    if extra:
        warnings.append(f"Extra columns were ignored: {', '.join(name[:40] for name in extra[:_MOST_NAMED])}.")
    ignored = [at + 1 + int(index) for index in np.flatnonzero(is_beside)]
    return _Part(positions, ignored, texts, width, tuple(warnings))


def _header_position(cells: Cells, sheet: Sheet, names: dict[str, str]) -> int:
    counts = [
        len({header_name(cell) for cell in row[:_MOST_COLUMNS]} & names.keys())
        for row in cells.rows[sheet.start : min(sheet.start + _HEADER_WITHIN, sheet.stop)]
    ]
    if not counts:
        raise RejectedFile("The file has no rows; send it again with its header.", "empty_file")
    return sheet.start + counts.index(max(counts))


def _check_header(header: list[str], names: dict[str, str], required: Sequence[str], place: str) -> None:
    if len(header) > _MOST_COLUMNS:
        raise RejectedFile(
            f"The header ({place}) has {len(header):,} columns and at most {_MOST_COLUMNS} are "
            "read; send the table without the others.",
            "too_many_columns",
        )
    missing = [name for name in required if header_name(name) not in header]
    if missing:
        raise RejectedFile(
            f"Column {', '.join(missing)} is missing in the header ({place}); "
            f"the header must name: {', '.join(required)}.",
            "missing_column",
        )
    twice = [names[name] for name in names if header.count(name) > 1]
    if twice:
        raise RejectedFile(
            f"Column {', '.join(twice)} is in the header ({place}) more than once; keep one.", "repeated_column"
        )


def _fitted(row: list[str], width: int) -> list[str]:
    return row if len(row) == width else (row + [""] * (width - len(row)))[:width]


def _refuse_misfits(quarantine: Quarantine, cells: Cells, parts: list[_Part]) -> None:
    """Refuses rows with filled cells beyond the header, longer rows of a comma file, and a torn last line."""
    rows = [(cells.rows[position], part.width) for part in parts for position in part.positions]
    lengths = pd.Series([len(row) for row, _ in rows], dtype="int64")
    widths = pd.Series([width for _, width in rows], dtype="int64")
    beyond = np.array([len(row) > width and not all(map(is_blank, row[width:])) for row, width in rows], dtype=bool)
    is_longer = (lengths > widths).to_numpy()
    if cells.separator == "," and not is_longer.all():
        # An unquoted 117,279 moves the cells after it; an empty last cell then hides that the row is longer.
        beyond |= is_longer
    if beyond.any():
        quarantine.refuse(
            beyond,
            "bad_width",
            "The row has " + lengths.astype("str") + " cells and the header " + widths.astype("str") + ": "
            "put values that contain the separator (a decimal comma, an address) in quotation marks.",
        )
    if cells.is_last_cut and len(rows):
        is_cut = (lengths < widths) & (lengths.index == len(rows) - 1)
        quarantine.refuse(is_cut, "bad_width", "The last line is cut off: send the whole file.")
