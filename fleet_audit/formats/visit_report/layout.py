"""The printed structure of a visit report: its title, a block a vehicle, and which line is what.

What the movements say belongs in `movements`.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.formats.table.cells import Cells
from fleet_audit.formats.table.text_table import stripped
from fleet_audit.logic.primitives.identity import fold

LABELS = {
    "descricao do ativo": "asset_description",
    "numero de registro": "plate",
    "id do ativo": "device_id",
    "nome da garagem": "garage_name",
}
HEADERS = {
    "departed_date": "Data de saída",
    "driver": "Motorista",
    "departed_time": "Horário de saída",
    "origin_address": "Saída de",
    "driving": "Tempo de Condução (hh:mm:ss)",
    "km": "distância (km)",
    "max_speed": "Vel max (Km/h)",
    "arrived_time": "Hora de chegada",
    "destination_address": "Chegou em",
    "next_departure": "Próxima Partida",
    "stopped": "Tempo parado na localidade. (hh:mm:ss)",
}
VOCABULARY = {*LABELS, *(fold(header) for header in HEADERS.values())}
_REQUIRED = ("departed_date", "departed_time", "km", "arrived_time")
_DRIVER_AT = 1  # where the driver stands when no header says so: names must not slip into the quarantine
_MOVEMENT_CELLS = 6  # filled cells that make a line without a legible date a movement nevertheless
_MOST_HEADERS = 20  # each different one costs 10 ms
_WIDEST = 60  # cells of a line; the real report has 13
_DAY = re.compile(r"^\d{1,2}/\d{1,2}/\d{4}")
_PERIOD = re.compile(r"De\s+(\d\d/\d\d/\d{4})\s+(\d\d:\d\d)\s+(?:Para|Até|a)\s+(\d\d/\d\d/\d{4})\s+(\d\d:\d\d)", re.I)
_WINDOW = re.compile(r"entre\s+(\d\d:\d\d)\s+e\s+(\d\d:\d\d)", re.I)
_LONGEST_PERIOD = dt.timedelta(days=366)


@dataclass(frozen=True)
class Period:
    """What the title says that the report covers: two instants, and the part of each day that it shows."""

    first: dt.datetime
    last: dt.datetime
    window_from: dt.time
    window_to: dt.time

    def days(self) -> pd.DataFrame:
        """date, window_start_local and window_end_local of each day; a window that ends earlier ends the day after."""
        date = pd.Series(pd.date_range(self.first.date(), self.last.date(), unit="us"))
        end_day = date + pd.Timedelta(days=int(self.window_to < self.window_from))
        start, end = date + _since_midnight(self.window_from), end_day + _since_midnight(self.window_to)
        return pd.DataFrame(
            {
                "date": date.dt.date,
                "window_start_local": start.clip(lower=self.first),
                "window_end_local": end.clip(upper=max(self.last, self.first)),
            }
        )


@dataclass(frozen=True)
class Layout:
    """A report, line by line.

    Attributes:
        movements: index = line in `cells`; block, is_without_header, excess (cells beyond the header) and the texts of
            HEADERS.
        totals: the same for the first `Totais` line of each block.
        blocks: index = block; the texts of LABELS.
        period: what the title says; None when it says nothing legible.
    """

    movements: pd.DataFrame
    totals: pd.DataFrame
    blocks: pd.DataFrame
    period: Period | None
    warnings: tuple[str, ...]


def read_layout(cells: Cells) -> Layout:
    """Finds title, blocks, movements and totals.

    Raises RejectedFile when no vehicle's block is there or a block's header lacks a required column.
    """
    first = stripped(row[0] if row else "" for row in cells.rows)
    folded = first.map({text: fold(text).rstrip(":. ") for text in first.unique()}).astype("str")
    is_label = folded.isin(list(LABELS))
    if not folded.eq("numero de registro").any():
        raise RejectedFile(
            "No vehicle's block was found (a line 'Número de registro' with the plate); send the "
            "'Relatório de visita diário' as the vendor exports it.",
            "no_vehicle_block",
        )
    block = (is_label & ~is_label.shift(fill_value=False)).cumsum()
    is_header = folded.eq(fold(HEADERS["departed_date"]))
    lines = pd.Series(range(len(first)))
    header_at = lines.where(is_header & block.gt(0)).groupby(block).ffill()
    is_total, is_mean = folded.isin(["totais", "total"]), folded.isin(["medias", "media"])
    after_total = (is_total | is_mean).groupby([block, header_at.fillna(-1)]).cumsum().gt(0)
    is_other = ~(is_label | is_header | is_total | is_mean)
    filled = pd.Series([sum(1 for cell in row[:_WIDEST] if cell.strip()) for row in cells.rows])
    is_movement = is_other & (
        (header_at.notna() & ~after_total)
        | first.map(lambda text: _DAY.match(text) is not None)
        | filled.ge(_MOVEMENT_CELLS)
    )
    first_totals = is_total & header_at.notna() & ~is_total.groupby(block).cumsum().gt(1)
    ignored = lines[is_other & ~is_movement & block.gt(0)]
    warnings = (
        [f"{len(ignored)} lines beside the movements were ignored, the first is line {cells.numbers[ignored.iloc[0]]}."]
        if len(ignored)
        else []
    )
    return Layout(
        _texts(cells, lines[is_movement], block, header_at),
        _texts(cells, lines[first_totals], block, header_at),
        _blocks(cells, lines[is_label], block, folded),
        *_period(cells, warnings),
    )


def _blocks(cells: Cells, label_lines: pd.Series, block: pd.Series, folded: pd.Series) -> pd.DataFrame:
    """The value of a label is the next filled cell of its line."""
    found = pd.DataFrame(
        {
            "block": block[label_lines],
            "label": folded[label_lines].map(LABELS),
            "value": [
                next((cell.strip() for cell in cells.rows[line][1:] if cell.strip()), "") for line in label_lines
            ],
        }
    ).drop_duplicates(["block", "label"])
    blocks = found.pivot_table(index="block", columns="label", values="value", aggfunc="first")
    return blocks.reindex(columns=list(LABELS.values()), fill_value="").fillna("").astype("str")


def _texts(cells: Cells, lines: pd.Series, block: pd.Series, header_at: pd.Series) -> pd.DataFrame:
    parts = [_texts_under(cells, part, int(at)) for at, part in _by_layout(cells, lines, header_at[lines])]
    empty = pd.DataFrame({name: pd.Series(dtype="str") for name in HEADERS}).assign(excess=0, is_without_header=False)
    texts = pd.concat([part for part in parts if len(part)] or [empty]).sort_index()
    return texts.assign(block=block.reindex(texts.index))


def _by_layout(cells: Cells, lines: pd.Series, header_at: pd.Series) -> list[tuple[float, pd.Series]]:
    """The lines by the header that governs them, equal headers together: in practice one group."""
    first_of: dict[tuple[str, ...], float] = {}
    same = {at: first_of.setdefault(tuple(cells.rows[int(at)][:_WIDEST]), at) for at in header_at.dropna().unique()}
    if len(first_of) > _MOST_HEADERS:
        raise RejectedFile(
            f"The report has {len(first_of)} different headers where one is usual; send it as the vendor exports it."
        )
    groups = header_at.map(same)
    return [(at, lines[groups.eq(at)]) for at in groups.dropna().unique()] + [(-1, lines[groups.isna()])]


def _texts_under(cells: Cells, lines: pd.Series, at: int) -> pd.DataFrame:
    """Texts of lines under the header at a line; -1 = no header."""
    header = [fold(cell) for cell in cells.rows[at][:_WIDEST]] if at >= 0 else []
    position = {name: header.index(fold(label)) for name, label in HEADERS.items() if fold(label) in header}
    missing = [HEADERS[name] for name in _REQUIRED if name not in position] if at >= 0 else []
    if missing:
        raise RejectedFile(
            f"Column {', '.join(missing)} is missing in the header in line {cells.numbers[at]}; send "
            "the report as the vendor exports it.",
            "missing_column",
        )
    if at < 0:
        position = {"driver": _DRIVER_AT}
    rows = [cells.rows[line] for line in lines]
    texts = {
        name: stripped(row[position[name]] if len(row) > position[name] else "" for row in rows)
        if name in position
        else pd.Series("", index=range(len(rows)), dtype="str")
        for name in HEADERS
    }
    excess = [sum(1 for cell in row[len(header) :] if cell.strip()) if at >= 0 else 0 for row in rows]
    return pd.DataFrame(texts).assign(excess=np.array(excess, dtype="int64"), is_without_header=at < 0).set_axis(lines)


def _period(cells: Cells, warnings: list[str]) -> tuple[Period | None, tuple[str, ...]]:
    title = "\n".join(cell for row in cells.rows[:10] for cell in row[:_WIDEST])[:10_000]
    period, window = _PERIOD.search(title), _WINDOW.search(title)
    try:
        first = dt.datetime.strptime(f"{period[1]} {period[2]}", "%d/%m/%Y %H:%M")  # type: ignore[index]  # noqa: DTZ007
        last = dt.datetime.strptime(f"{period[3]} {period[4]}", "%d/%m/%Y %H:%M")  # type: ignore[index]  # noqa: DTZ007
        starts, ends = (window[1], window[2]) if window else ("00:00", "23:59")
        found = Period(first, last, dt.time.fromisoformat(starts), dt.time.fromisoformat(ends))
    except (TypeError, ValueError):
        return None, (
            *warnings,
            "The title names no legible period (De dd/mm/aaaa HH:MM Para …): only the days of "
            "movements count as covered.",
        )
    if not dt.timedelta(0) <= last - first <= _LONGEST_PERIOD or first.year < 2000:
        return None, (*warnings, "The period of the title makes no sense: only the days of movements count as covered.")
    return found, tuple(warnings)


def _since_midnight(time: dt.time) -> pd.Timedelta:
    return pd.Timedelta(hours=time.hour, minutes=time.minute)
