"""The forecast of the end of a cycle as a table: so far, remaining, total, planned.

The forecast itself is computed in `logic.costs.forecast`.
"""

from __future__ import annotations

from fleet_audit.logic.costs.forecast import Forecast
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.sections.figures import Figures

FORECAST_FIELDS = (
    Field("name", "Previsão", width=24),
    Field("so_far", "Até agora", Kind.KM, 14),
    Field("remaining", "Restante previsto", Kind.KM, 14),
    Field("total", "Fim do ciclo", Kind.KM, 14),
    Field("planned", "Planejado", Kind.KM, 14),
)


def forecast_grid(forecast: Forecast | None, figures: Figures) -> Grid:
    """One row of km and one of variable cost (BRL); no rows without a forecast."""
    if forecast is None:
        return grid_of(FORECAST_FIELDS, [])
    return grid_of(
        FORECAST_FIELDS,
        [
            {
                "name": "Km",
                "so_far": forecast.km_so_far,
                "remaining": forecast.km_remaining,
                "total": forecast.km_total,
                "planned": figures.planned_km,
            },
            {
                "name": "Custo variável (R$)",
                "so_far": forecast.variable_cost_so_far_brl,
                "remaining": forecast.variable_cost_remaining_brl,
                "total": forecast.variable_cost_total_brl,
            },
        ],
    )
