"""The printed structure of a visit report: titles, a block per vehicle, page breaks, and which line is what.

The values of movements are read in `movements`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.formats.table.cells import Cells, Sheet
from fleet_audit.formats.table.encoding import TORN
from fleet_audit.formats.table.spelling import clean, header_name, is_blank, stripped
from fleet_audit.formats.table.text_table import ignored_warning, merged_filled
from fleet_audit.formats.visit_report.headers import (
    DATE_HEADER,
    HEADERS,
    LABELS,
    REQUIRED,
    columns_of,
    spelling_warnings,
)
from fleet_audit.formats.visit_report.period import Period, UnusablePeriod, find_period

_DRIVER_AT = 1  # column of the driver when no header names it: names must not reach the quarantine
_MERGED = ("departed_date", "driver")  # a cell merged over rows is the value of each; a merged distance is one row's
_MOVEMENT_CELLS = 6  # filled cells that make a line without a legible date a movement nevertheless
_PAGE_CELLS = 3  # filled cells that a title or page footer has at most; a movement has four that it cannot do without
_MOST_HEADERS = 20  # each different one costs 10 ms
_WIDEST = 60  # cells of a line; the real report has 13
_DAY = re.compile(r"^\d{1,2}/\d{1,2}/\d{4}|^\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Layout:
    """A report, line by line. Lines are positions in `Cells`.

    Attributes:
        movements: index = line; block, is_without_header, excess (cells beyond the header) and the texts of HEADERS.
        totals: the same for the `Totais` lines of vehicles that have exactly one.
        blocks: index = block; the texts of LABELS, period_first and period_last (null without a legible title).
        windows: block, date, window_start_local and window_end_local of each day of each block's period.
    """

    movements: pd.DataFrame
    totals: pd.DataFrame
    blocks: pd.DataFrame
    windows: pd.DataFrame
    rows_ignored: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Lines:
    """What each line is; all by position of the line."""

    name: pd.Series
    block: pd.Series
    header_at: pd.Series
    is_label: pd.Series
    is_movement: pd.Series
    is_total: pd.Series
    is_beside: pd.Series


def read_layout(cells: Cells) -> Layout:
    """Finds titles, blocks, movements and totals, on every page of every sheet.

    Raises RejectedFile when no vehicle's block is there or a header lacks a required column.
    """
    lines = _classified(cells)
    if not lines.name.eq("numero de registro").any():
        raise RejectedFile(
            "No vehicle's block was found (a line 'Número de registro' with the plate); send the "
            "'Relatório de visita diário' as the vendor exports it.",
            "no_vehicle_block",
        )
    periods, warnings = _periods(cells, lines)
    blocks = _labels(cells, lines)
    for end in ("first", "last"):
        ends = {block: getattr(period, end) for block, period in periods.items()}
        blocks[f"period_{end}"] = pd.to_datetime(blocks.index.to_series().map(ends)).astype("datetime64[us]")
    continued = _continued(blocks, lines)
    lines = replace(lines, block=lines.block.map(continued))
    blocks = blocks[continued.eq(blocks.index)]
    periods = {block: period for block, period in periods.items() if block in blocks.index}
    at = pd.Series(range(len(lines.name)))
    totals = _texts(cells, at[lines.is_total & lines.header_at.notna()], lines)
    ignored = at[lines.is_beside].tolist()
    headers = lines.header_at.dropna().unique()
    spelled = dict.fromkeys(text for line in headers for text in spelling_warnings(cells.rows[int(line)][:_WIDEST]))
    return Layout(
        _texts(cells, at[lines.is_movement], lines),
        totals[~totals.duplicated("block", keep=False)],
        blocks,
        _windows(periods),
        len(ignored),
        (*spelled, *ignored_warning(cells, ignored), *warnings),
    )


def _classified(cells: Cells) -> _Lines:
    first = stripped(next((cell for cell in row if not is_blank(cell)), "") for row in cells.rows)
    name = first.map({text: header_name(text) for text in first.unique()}).astype("str")
    filled = pd.Series([sum(1 for cell in row[:_WIDEST] if cell and not cell.isspace()) for row in cells.rows])
    sheet = pd.Series(np.repeat(range(len(cells.sheets)), [one.stop - one.start for one in cells.sheets]))
    starts_sheet = sheet.ne(sheet.shift())
    is_label, is_header = name.isin(list(LABELS)), name.eq(DATE_HEADER)
    last = stripped(next((cell for cell in reversed(row) if not is_blank(cell)), "") for row in cells.rows)
    is_before_hole = last.str.endswith(TORN)
    is_behind_hole = first.str.startswith(TORN) & is_before_hole.shift(fill_value=False)
    # a hole may have taken the labels of the vehicle whose rows follow
    block = (starts_sheet | is_behind_hole | (is_label & ~is_label.shift(fill_value=False))).cumsum()
    has_vehicle = is_label.groupby(block).transform("any")
    line = pd.Series(range(len(first)))
    header_at = line.where(is_header).groupby(block).ffill()
    is_total, is_mean = name.isin(["totais", "total"]), name.isin(["medias", "media"])
    after_total = (is_total | is_mean).groupby([block, header_at.fillna(-1)]).cumsum().gt(0)
    is_other = ~(is_label | is_header | is_total | is_mean)
    is_day = first.map({text: _DAY.match(text) is not None for text in first.unique()}).astype(bool)
    is_sparse = is_other & ~is_day & ~is_before_hole & filled.le(_PAGE_CELLS)
    is_page = _ends_at_break(is_sparse, is_label | is_header, starts_sheet)
    if cells.is_last_cut and len(is_page):
        is_page.iloc[-1] = False  # a torn line is a movement that is refused
    is_movement = is_other & ~is_page & ((header_at.notna() & ~after_total) | is_day | filled.ge(_MOVEMENT_CELLS))
    is_beside = (is_other & ~is_movement & has_vehicle) | (is_header & header_at.groupby(block).shift().notna())
    return _Lines(name, block, header_at, is_label, is_movement, is_total, is_beside)


def _ends_at_break(is_sparse: pd.Series, is_break: pd.Series, starts_sheet: pd.Series) -> pd.Series:
    """Sparse lines whose run ends at a break, at the end of their sheet or of the file."""
    run = (is_sparse.ne(is_sparse.shift()) | starts_sheet).cumsum()
    ends_well = is_break | starts_sheet
    follows = ends_well.shift(-1, fill_value=True)
    return is_sparse & follows.groupby(run).transform("last")


def _labels(cells: Cells, lines: _Lines) -> pd.DataFrame:
    """The texts of LABELS per block: the value of a label is the next filled cell of its line."""
    at = np.flatnonzero(lines.is_label)
    found = pd.DataFrame(
        {
            "block": lines.block[at],
            "label": lines.name[at].map(LABELS),
            "value": stripped(_value(cells.rows[line]) for line in at).to_numpy(),
        }
    ).drop_duplicates(["block", "label"])
    blocks = found.pivot_table(index="block", columns="label", values="value", aggfunc="first")
    return blocks.reindex(lines.block.unique()).reindex(columns=list(LABELS.values())).astype("str").fillna("")


def _value(row: list[str]) -> str:
    filled = [cell for cell in row[:_WIDEST] if not is_blank(cell)]
    return filled[1] if len(filled) > 1 else ""


def _continued(blocks: pd.DataFrame, lines: _Lines) -> pd.Series:
    """Block → the block that it continues: a page break repeats a vehicle's labels before its totals."""
    has_total = lines.is_total.groupby(lines.block).any().reindex(blocks.index)
    key = blocks["plate"] + "\n" + blocks["device_id"] + blocks["period_first"].astype("str")
    continues = key.eq(key.shift()) & blocks["plate"].ne("") & ~has_total.shift(fill_value=True)
    return blocks.index.to_series().where(~continues).ffill().astype(int)


def _periods(cells: Cells, lines: _Lines) -> tuple[dict[int, Period], list[str]]:
    """Per block the period of the last title above it on its sheet; and what is wrong with the titles."""
    periods: dict[int, Period] = {}
    is_unusable = False
    at_block = lines.block.drop_duplicates(keep="first")
    for sheet in cells.sheets:
        titles = []
        for line, text in _titles(cells, lines, sheet):
            try:
                found = find_period(text)
            except UnusablePeriod:
                is_unusable = True
                continue
            if found is not None:
                titles.append((line, found))
        for line, block in at_block[(at_block.index >= sheet.start) & (at_block.index < sheet.stop)].items():
            above = [period for at, period in titles if at <= line] or [period for _, period in titles[:1]]
            if above:
                periods[int(block)] = above[-1]
    if is_unusable:
        return periods, ["The period of a title cannot be: only the days of movements count as covered there."]
    named = lines.block[lines.is_label].unique()
    if any(block not in periods for block in named):
        return periods, [
            "A title names no legible period (De dd/mm/aaaa HH:MM Para …): only the days of movements count as covered."
        ]
    return periods, []


def _titles(cells: Cells, lines: _Lines, sheet: Sheet) -> list[tuple[int, str]]:
    """First line and text of each run of lines that are neither labels, headers, totals nor movements."""
    titles: list[tuple[int, str]] = []
    is_text = ~(lines.is_movement | lines.is_total | lines.is_label | lines.name.eq(DATE_HEADER))
    previous = -2
    for line in np.flatnonzero(is_text[sheet.start : sheet.stop]) + sheet.start:
        text = " ".join(filter(None, map(clean, cells.rows[line][:_WIDEST])))
        if line == previous + 1:
            titles[-1] = (titles[-1][0], f"{titles[-1][1]}\n{text}")
        else:
            titles.append((int(line), text))
        previous = int(line)
    return titles


def _windows(periods: dict[int, Period]) -> pd.DataFrame:
    days = {period: period.days() for period in set(periods.values())}
    frames = [days[period].assign(block=block) for block, period in periods.items()]
    columns = ["block", "date", "window_start_local", "window_end_local"]
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def _texts(cells: Cells, at: pd.Series, lines: _Lines) -> pd.DataFrame:
    parts = [_texts_under(cells, part, int(header)) for header, part in _by_layout(cells, at, lines.header_at[at])]
    empty = pd.DataFrame({name: pd.Series(dtype="str") for name in HEADERS}).assign(excess=0, is_without_header=False)
    texts = pd.concat([part for part in parts if len(part)] or [empty]).sort_index()
    return texts.assign(block=lines.block.reindex(texts.index))


def _by_layout(cells: Cells, at: pd.Series, header_at: pd.Series) -> list[tuple[float, pd.Series]]:
    """The lines by the header that governs them, equal headers of one sheet together: in practice one group."""
    first_of: dict[tuple[str, ...], float] = {}
    same = {}
    for line in header_at.dropna().unique():
        sheet = next(number for number, one in enumerate(cells.sheets) if one.start <= line < one.stop)
        key = (str(sheet) if cells.sheets[sheet].merged else "", *cells.rows[int(line)][:_WIDEST])
        same[line] = first_of.setdefault(key, line)
    if len(first_of) > _MOST_HEADERS + len(cells.sheets):
        raise RejectedFile(
            f"The report has {len(first_of)} different headers where one is usual; send it as the vendor exports it."
        )
    groups = header_at.map(same)
    return [(line, at[groups.eq(line)]) for line in groups.dropna().unique()] + [(-1, at[groups.isna()])]


def _texts_under(cells: Cells, at: pd.Series, header: int) -> pd.DataFrame:
    """Texts of lines under the header at a line; -1 = no header."""
    names = cells.rows[header][:_WIDEST] if header >= 0 else []
    position = columns_of(names)
    missing = [HEADERS[name] for name in REQUIRED if name not in position] if header >= 0 else []
    if missing:
        raise RejectedFile(
            f"Column {', '.join(missing)} is missing in the header ({cells.place(header)}); send "
            "the report as the vendor exports it.",
            "missing_column",
        )
    if header < 0:
        position = {"driver": _DRIVER_AT}
    rows = [cells.rows[line] for line in at]
    texts = {
        name: stripped(row[position[name]] if len(row) > position[name] else "" for row in rows)
        if name in position
        else pd.Series("", index=range(len(rows)), dtype="str")
        for name in HEADERS
    }
    sheet = next((one for one in cells.sheets if one.start <= header < one.stop), None)
    if sheet is not None and sheet.merged:
        for name in _MERGED:
            if name in position:
                texts[name] = merged_filled(texts[name], sheet, position[name], at.tolist())
    excess = [sum(not is_blank(cell) for cell in row[len(names) :]) if header >= 0 else 0 for row in rows]
    return pd.DataFrame(texts).assign(excess=np.array(excess, dtype="int64"), is_without_header=header < 0).set_axis(at)
