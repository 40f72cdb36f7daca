"""A day beside the days before it: the day before, the mean of the same weekday, the cycle so far, and its budget.

Sums of earlier days and the budget are inputs; sums of the day itself are its figures.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from fleet_audit.logic.costs.budget import Budget
from fleet_audit.logic.primitives.cycles import ONE_DAY, Cycle
from fleet_audit.logic.primitives.money import half_up, known_sum
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.locale import counted, number, weekday
from fleet_audit.reporting.sections.figures import Figures
from fleet_audit.reporting.sections.forecast_table import budget_note
from fleet_audit.reporting.sections.inputs import Frames, records

SAME_WEEKDAYS = 4  # a month of them: a holiday among them moves the mean by a quarter at most
_MEASURES = ("km", "billable_km", "variable_brl", "fixed_brl")


def days_before(day: dt.date, cycle: Cycle) -> tuple[dt.date, dt.date]:
    """First and last day whose sums the comparison of a day needs."""
    return min(cycle.start, day - 7 * SAME_WEEKDAYS * ONE_DAY), day - ONE_DAY


def comparison_grid(frames: Frames, figures: Figures, day: dt.date, cycle: Cycle, budget: Budget | None) -> Grid:
    """Cost, km and cost per km of the day, of days before it, and of the budget of the cycle's days that were run.

    No rows without an earlier day.
    """
    if frames.recent_days.empty:
        return grid_of(_fields(day), [])
    days = {row["operational_date"]: row for row in records(frames.recent_days)}
    days[day] = {name: getattr(figures, name) for name in _MEASURES}
    same = [days[when] for back in range(1, SAME_WEEKDAYS + 1) if (when := day - 7 * back * ONE_DAY) in days]
    so_far = _sums([row for when, row in days.items() if cycle.start <= when <= day])
    columns = {
        "today": _sums([days[day]]),
        "yesterday": _sums([days[day - ONE_DAY]] if day - ONE_DAY in days else []),
        "weekday": _means(same),
        "to_date": so_far,
        "budget": {"km": budget.planned_km, "total_brl": budget.total_brl} if budget else {},
    }
    rows = [
        {"name": label, **{name: value.get(measure) for name, value in columns.items()}}
        for label, measure in (("Gasto (R$)", "total_brl"), ("Km medidos", "km"), ("R$/km medido", "brl_per_km"))
    ]
    return grid_of(_fields(day), rows)


def comparison_note(frames: Frames, day: dt.date, cycle: Cycle, budget: Budget | None) -> str:
    """How many of the cycle's days up to the day the sums hold, and what the budget is."""
    known = {when for when in frames.recent_days["operational_date"] if cycle.start <= when < day}
    passed = (day - cycle.start).days + 1
    return (
        f"Ciclo até o dia: {counted(len(known) + 1, 'dia processado', 'dias processados')} de {number(passed, 0)}. "
        f"Orçamento desses dias: km planejados × tarifa + custo fixo. {budget_note(budget)}"
    ).rstrip()


def _fields(day: dt.date) -> tuple[Field, ...]:
    return (
        Field("name", "Comparação", width=24),
        Field("today", "No dia", Kind.BRL, 13),
        Field("yesterday", "Dia anterior", Kind.BRL, 13),
        Field("weekday", f"Média de {weekday(day)}", Kind.BRL, 14),
        Field("to_date", "Ciclo até o dia", Kind.BRL, 14),
        Field("budget", "Orçamento desses dias", Kind.BRL, 14),
    )


def _sums(rows: list[dict[str, Any]]) -> dict[str, Decimal | None]:
    sums = {name: known_sum(row[name] for row in rows) for name in _MEASURES}
    return _derived(sums)


def _means(rows: list[dict[str, Any]]) -> dict[str, Decimal | None]:
    found: dict[str, Decimal | None] = {}
    for name in _MEASURES:
        known = [row[name] for row in rows if row[name] is not None]
        found[name] = half_up(sum(known, Decimal(0)) / len(known)) if known else None
    return _derived(found)


def _derived(sums: dict[str, Decimal | None]) -> dict[str, Decimal | None]:
    total, km = known_sum((sums["variable_brl"], sums["fixed_brl"])), sums["km"]
    return sums | {"total_brl": total, "brl_per_km": half_up(total / km) if total is not None and km else None}
