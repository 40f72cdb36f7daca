"""The coverage matrix: vehicle × day, complete, partial or silent, as one SVG for the UI and for reports.

Only the drawing belongs here; statuses are decided in `logic.trips.coverage`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd

from fleet_audit.reporting.drawing.charts import BLUE, FONT, GREY, INK, MUTED, ORANGE
from fleet_audit.reporting.locale import counted, day, number

# Distinguished by shape as well as by colour, so that paper and colour-blind readers lose nothing: a full square, one
# filled to its half, an empty one with a cross, a dot.
STATUSES = ("complete", "partial", "silent", "unknown")
_WORDS = {
    "complete": ("completo", "completos"),
    "partial": ("parcial", "parciais"),
    "silent": ("silencioso", "silenciosos"),
    "unknown": ("não processado", "não processados"),
}
_CELL, _STEP, _LABEL, _TOP, _NOTE = 13, 16, 74, 44, 96
_MONTH_COLUMNS = 3  # that `05/2025` covers
_LEGEND_WIDTH = 420


def coverage_matrix(coverage: pd.DataFrame, days: Sequence[dt.date], *, most_vehicles: int = 60) -> str:
    """The matrix of the days given, in order, as an SVG with an alternative text; no vehicles: an empty text.

    The vehicles seen least come first; beyond `most_vehicles` their number is shown. A vehicle-day without a row
    was not processed, or the vehicle was not in service.

    Args:
        coverage: rows of `fact.vehicle_day_coverage` (operational_date, plate, status).
        days: the columns.
        most_vehicles: rows drawn at most.
    """
    cells = _cells(coverage, days)
    if cells.empty:
        return ""
    shown = cells.iloc[:most_vehicles]
    width = max(_LABEL + _STEP * len(days) + _NOTE, _LEGEND_WIDTH)
    hidden = _hidden(cells.iloc[most_vehicles:])
    height = _TOP + _STEP * len(shown) + (22 if hidden else 6)
    parts = [_legend(), _header(days), _labels(shown), _squares(shown)]
    if hidden:
        parts.append(_text(_LABEL, height - 6, hidden, MUTED))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(_summary(cells, days))}" font-family="{FONT}" font-size="10">'
        f'<rect width="{width}" height="{height}" fill="#FFFFFF"/>{"".join(parts)}</svg>'
    )


def _cells(coverage: pd.DataFrame, days: Sequence[dt.date]) -> pd.DataFrame:
    """Status of each vehicle (row) on each day (column), the vehicles seen least first."""
    known = coverage[coverage["operational_date"].isin(list(days))]
    table = known.assign(operational_date=known["operational_date"].astype(object)).pivot_table(
        index="plate", columns="operational_date", values="status", aggfunc="first"
    )
    table = table.reindex(columns=list(days)).astype(object)
    table = table.where(table.notna(), "unknown")
    order = pd.DataFrame({status: (table == status).sum(axis=1) for status in ("silent", "partial")})
    return table.loc[order.sort_values(["silent", "partial"], ascending=False, kind="stable").index]


def _summary(cells: pd.DataFrame, days: Sequence[dt.date]) -> str:
    counts = _status_counts(cells)
    period = day(days[0]) if len(days) == 1 else f"{day(days[0])} a {day(days[-1])}"
    silent = (cells == "silent").sum(axis=1)
    worst = [f"{plate} {counted(int(count), 'dia', 'dias')}" for plate, count in silent.head(5).items() if count]
    return f"Cobertura de {counted(len(cells), 'veículo', 'veículos')} de {period}, em veículos-dia: {counts}." + (
        f" Mais silenciosos: {', '.join(worst)}." if worst else ""
    )


def _status_counts(cells: pd.DataFrame) -> str:
    """`12 completos, 1 silencioso`."""
    values, counts = np.unique(cells.to_numpy(dtype=str), return_counts=True)
    found = dict(zip(values.tolist(), counts.tolist(), strict=True))
    return ", ".join(counted(found[status], *_WORDS[status]) for status in STATUSES if status in found)


def _hidden(cells: pd.DataFrame) -> str:
    return f"e mais {counted(len(cells), 'veículo', 'veículos')}: {_status_counts(cells)}" if len(cells) else ""


def _legend() -> str:
    parts, left = [], float(_LABEL)
    for status in STATUSES:
        name = _WORDS[status][0]
        parts += [_mark(status, [(left, 4.0)]), _text(left + _CELL + 5, 14, name, INK)]
        left += _CELL + 22 + 5.8 * len(name)
    return "".join(parts)


def _header(days: Sequence[dt.date]) -> str:
    """Day of the month over each column, the month where it begins and, where it has room, over the first."""
    parts = []
    for column, date in enumerate(days):
        middle = _LABEL + column * _STEP + _CELL / 2
        parts.append(_text(middle, _TOP - 5, str(date.day), INK if date.isoweekday() <= 5 else MUTED, "middle"))
        if date.day == 1 or (column == 0 and not any(each.day == 1 for each in days[1:_MONTH_COLUMNS])):
            parts.append(_text(_LABEL + column * _STEP, _TOP - 16, f"{date:%m/%Y}", MUTED))
    return "".join(parts)


def _labels(cells: pd.DataFrame) -> str:
    """Plates on the left; on the right how often a vehicle was silent or seen in part."""
    right = _LABEL + len(cells.columns) * _STEP + 4
    parts = []
    for row, (plate, statuses) in enumerate(cells.iterrows()):
        base = _TOP + row * _STEP + _CELL - 3
        parts.append(_text(_LABEL - 8, base, str(plate), INK, "end"))
        silent, partial = ((statuses == status).sum() for status in ("silent", "partial"))
        counts = [
            f"{number(int(count), 0)} {letter}" for count, letter in ((silent, "sil."), (partial, "parc.")) if count
        ]
        if counts:
            parts.append(_text(right, base, " · ".join(counts), MUTED))
    return "".join(parts)


def _squares(cells: pd.DataFrame) -> str:
    values = cells.to_numpy(dtype=str)
    return "".join(
        _mark(status, [(_LABEL + column * _STEP, _TOP + row * _STEP) for row, column in np.argwhere(values == status)])
        for status in STATUSES
    )


def _mark(status: str, corners: Sequence[tuple[float, float]]) -> str:
    """One shape at each upper left corner, all in one path per colour: 500 vehicles stay below 1 MB."""
    if not corners:
        return ""
    half = _CELL / 2
    if status == "complete":
        return f'<path fill="{BLUE}" d="{_squares_path(corners, _CELL)}"/>'
    if status == "unknown":
        return f'<path fill="{GREY}" d="{_squares_path([(x + half - 1, y + half - 1) for x, y in corners], 2)}"/>'
    inset = [(x + 0.5, y + 0.5) for x, y in corners]
    if status == "partial":
        lower = "".join(f"M{x:g} {y + half:g}h{_CELL}v{half:g}h-{_CELL}z" for x, y in corners)
        frame = f'<path fill="none" stroke="{ORANGE}" d="{_squares_path(inset, _CELL - 1)}"/>'
        return f'<path fill="{ORANGE}" d="{lower}"/>{frame}'
    cross = "".join(
        f"M{x + 3.5:g} {y + 3.5:g}l6 6M{x + 9.5:g} {y + 3.5:g}l-6 6{_square(x + 0.5, y + 0.5, _CELL - 1)}"
        for x, y in corners
    )
    return f'<path fill="none" stroke="{INK}" d="{cross}"/>'


def _squares_path(corners: Sequence[tuple[float, float]], size: float) -> str:
    return "".join(_square(x, y, size) for x, y in corners)


def _square(x: float, y: float, size: float) -> str:
    return f"M{x:g} {y:g}h{size:g}v{size:g}h-{size:g}z"


def _text(x: float, y: float, content: str, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}" text-anchor="{anchor}">{escape(content)}</text>'
