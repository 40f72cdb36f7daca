"""The charts that the reports draw from their tables of figures.

Which columns become bars is decided here; how bars look is in `charts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Chart, Grid
from fleet_audit.reporting.drawing.charts import BLUE, GREY, ORANGE, SKY, Bar, bars, columns

_DECLARED = ("declarados", ORANGE, "declared_km")


def cost_chart(title: str, grid: Grid) -> Chart:
    """Variable and fixed cost, stacked, one bar per row of a table of figures."""
    rows = [
        Bar(name, (variable, fixed), locale.NO_DATA if total is None else locale.money(total))
        for name, variable, fixed, total in zip(
            *(grid.column(column) for column in ("name", "variable_brl", "fixed_brl", "total_brl")), strict=True
        )
    ]
    return Chart(title, bars(title, (("variável", BLUE), ("fixo", SKY)), rows, stacked=True))


def plan_chart(title: str, grid: Grid) -> Chart:
    """Service km planned, measured and declared, one bar each per row of a table of figures."""
    return _side_by_side(title, grid, (("planejados", GREY, "planned_km"), ("medidos", BLUE, "service_km"), _DECLARED))


def divergence_chart(title: str, grid: Grid) -> Chart:
    """Km declared above and below the measured ones, of what exceeds the tolerance; rows without any are excluded."""
    series = (("a mais", ORANGE, "over_km"), ("a menos", BLUE, "under_km"))
    return _side_by_side(title, grid, series, is_empty_shown=False)


def _side_by_side(
    title: str, grid: Grid, series: Sequence[tuple[str, str, str]], *, is_empty_shown: bool = True
) -> Chart:
    names, columns_ = grid.column("name"), [grid.column(column) for _, _, column in series]
    rows = []
    for name, *lengths in zip(names, *columns_, strict=True):
        if is_empty_shown or any(lengths):
            marks = tuple(_km(length) for length in lengths)
            words = ", ".join(f"{word} {mark} km" for (word, _, _), mark in zip(series, marks, strict=True))
            rows.append(Bar(name, tuple(lengths), words, marks))
    return Chart(title, bars(title, [(word, colour) for word, colour, _ in series], rows, stacked=False))


def km_chart(title: str, grid: Grid) -> Chart:
    """Service km measured beside km declared, one pair of bars per row of a table of figures."""
    return _side_by_side(title, grid, (("medidos", BLUE, "service_km"), _DECLARED))


def _km(value: Decimal | None) -> str:
    return locale.NO_DATA if value is None else locale.number(value, 0)


def daily_chart(title: str, grid: Grid) -> Chart:
    """Variable and fixed cost of each day, stacked, one column per row of a table by day."""
    rows = [
        Bar(f"{name:%d/%m}", (variable, fixed), locale.NO_DATA if total is None else locale.money(total))
        for name, variable, fixed, total in zip(
            *(grid.column(column) for column in ("name", "variable_brl", "fixed_brl", "total_brl")), strict=True
        )
    ]
    return Chart(title, columns(title, (("variável", BLUE), ("fixo", SKY)), rows))


def charts_of(*charts: Chart) -> tuple[Chart, ...]:
    """The charts that have data."""
    return tuple(chart for chart in charts if chart.picture)
