"""The charts that the reports draw from their tables of figures.

Which columns become bars is decided here; how bars look is in `charts`.
"""

from __future__ import annotations

from decimal import Decimal

from fleet_audit.reporting import locale
from fleet_audit.reporting.charts import BLUE, ORANGE, SKY, Bar, bars, columns
from fleet_audit.reporting.document import Chart, Grid


def cost_chart(title: str, grid: Grid) -> Chart:
    """Variable and fixed cost, stacked, one bar a row of a table of figures."""
    rows = [
        Bar(name, (variable, fixed), locale.NO_DATA if total is None else locale.money(total))
        for name, variable, fixed, total in zip(
            *(grid.column(column) for column in ("name", "variable_brl", "fixed_brl", "total_brl")), strict=True
        )
    ]
    return Chart(title, bars(title, (("variável", BLUE), ("fixo", SKY)), rows, stacked=True))


def km_chart(title: str, grid: Grid) -> Chart:
    """Service km measured beside km declared, one pair of bars a row of a table of figures."""
    rows = [
        Bar(name, (measured, declared), f"{_km(measured)} / {_km(declared)}")
        for name, measured, declared in zip(
            grid.column("name"), grid.column("service_km"), grid.column("declared_km"), strict=True
        )
    ]
    return Chart(title, bars(title, (("medidos", BLUE), ("declarados", ORANGE)), rows, stacked=False))


def _km(value: Decimal | None) -> str:
    return locale.NO_DATA if value is None else locale.number(value, 0)


def daily_chart(title: str, grid: Grid) -> Chart:
    """Variable and fixed cost of each day, stacked, one column a row of a table by day (dd/mm/aaaa)."""
    rows = [
        Bar(name[:5], (variable, fixed), locale.NO_DATA if total is None else locale.money(total))
        for name, variable, fixed, total in zip(
            *(grid.column(column) for column in ("name", "variable_brl", "fixed_brl", "total_brl")), strict=True
        )
    ]
    return Chart(title, columns(title, (("variável", BLUE), ("fixo", SKY)), rows))


def charts_of(*charts: Chart) -> tuple[Chart, ...]:
    """Those charts that have something to show."""
    return tuple(chart for chart in charts if chart.picture)
