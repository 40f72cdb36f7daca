"""The forecast of the end of a cycle as a table: so far, remaining, total, plan or budget.

Forecast and budget are computed in `logic.costs`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fleet_audit.logic.costs.budget import Budget
from fleet_audit.logic.costs.forecast import Forecast
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Card, Field, Grid, Kind, grid_of

FORECAST_NOTE = (
    "Previsão: cada dia ainda não processado vale a média de km dos dias já processados da sua classe (útil, sábado, "
    "domingo, feriado) × fator sazonal; o custo variável, a suavização exponencial do custo diário da classe. "
    "Orçamento: km planejados × tarifa + custo fixo do ciclo."
)
FORECAST_FIELDS = (
    Field("name", "Previsão", width=24),
    Field("so_far", "Até agora", Kind.KM, 14),
    Field("remaining", "Restante previsto", Kind.KM, 14),
    Field("total", "Fim do ciclo", Kind.KM, 14),
    Field("planned", "Plano / orçamento", Kind.KM, 16),
    Field("difference", "Previsto − orçado", Kind.KM_DIFFERENCE, 15),
)


def forecast_grid(forecast: Forecast | None, budget: Budget | None) -> Grid:
    """Rows of km, variable, fixed and total cost (BRL), each with its plan or budget; no rows without a forecast.

    A total of which a part is unknown is unknown.
    """
    if forecast is None:
        return grid_of(FORECAST_FIELDS, [])
    variable = {
        "so_far": forecast.variable_cost_so_far_brl,
        "remaining": forecast.variable_cost_remaining_brl,
        "total": forecast.variable_cost_total_brl,
        "planned": budget.variable_brl if budget else None,
    }
    fixed = {
        "so_far": budget.fixed_so_far_brl if budget else None,
        "remaining": budget.fixed_remaining_brl if budget else None,
        "total": budget.fixed_brl if budget else None,
        "planned": budget.fixed_brl if budget else None,
    }
    rows: list[dict[str, Any]] = [
        {
            "name": "Km de serviço",
            "so_far": forecast.km_so_far,
            "remaining": forecast.km_remaining,
            "total": forecast.km_total,
            "planned": budget.planned_km if budget else None,
        },
        {"name": "Custo variável (R$)", **variable},
        {"name": "Custo fixo (R$)", **fixed},
        {"name": "Custo total (R$)", **{name: _added(variable[name], fixed[name]) for name in variable}},
    ]
    return grid_of(FORECAST_FIELDS, [{**row, "difference": _difference(row["total"], row["planned"])} for row in rows])


def total_card(forecast: Forecast, budget: Budget) -> Card:
    """What the cycle will cost, fixed included, beside its budget."""
    total = _added(forecast.variable_cost_total_brl, budget.fixed_brl)
    planned = budget.total_brl
    note = "sem orçamento: falta plano de km ou custo fixo" if planned is None else f"orçamento {locale.money(planned)}"
    return Card("Custo total previsto", total, Kind.BRL, note)


def budget_note(budget: Budget | None) -> str:
    """Which lines of the plan have no tariff; empty where all have one."""
    if budget is None or not budget.unpriced_lines:
        return ""
    lines = locale.counted(budget.unpriced_lines, "linha", "linhas")
    return f"O orçamento não inclui {lines} do plano sem tarifa conhecida."


def _added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


def _difference(total: Decimal | None, planned: Decimal | None) -> Decimal | None:
    return None if total is None or planned is None else total - planned
