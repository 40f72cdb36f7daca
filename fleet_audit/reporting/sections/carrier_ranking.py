"""The ranking of carriers: by score, then by km, with their disputed shares of the variable cost.

The figures of each carrier come from `figures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.sections.figures import Figures, percent_of
from fleet_audit.reporting.sections.listings import AMOUNT_FIELDS

RANKING_FIELDS = (
    Field("name", "Transportadora", width=24),
    Field("position", "Posição", Kind.INTEGER, 8),
    Field("score", "Score", Kind.SCORE, 7),
    Field("trips", "Viagens", Kind.INTEGER, 8),
    Field("km", "Km medidos", Kind.KM, 12),
    Field("brl_per_km", "R$/km", Kind.BRL, 8),
    Field("exceeding", "Diverg.", Kind.INTEGER, 8),
    Field("exceeding_pct", "Diverg. (%)", Kind.PERCENT, 9),
    Field("incidents", "Incidentes", Kind.INTEGER, 9),
    *AMOUNT_FIELDS,
    Field("paid_doubtful_pct", "Em dúvida / variável (%)", Kind.PERCENT, 12),
    Field("disallowed_pct", "Glosa / variável (%)", Kind.PERCENT, 12),
)


def ranking_grid(by_carrier: Mapping[Any, Figures], names: Mapping[str, str]) -> Grid:
    """One row per carrier, best score first, of equal scores the more km; `names` are by carrier code.

    What no carrier is known for is in the tables beside it, and has no place in a ranking.
    """
    rows = [
        {
            **figures.record(),
            "name": names.get(code, code),
            "exceeding_pct": percent_of(figures.exceeding, figures.compared),
            "paid_doubtful_pct": percent_of(figures.paid_doubtful_brl, figures.variable_brl),
            "disallowed_pct": percent_of(figures.disallowed_brl, figures.variable_brl),
        }
        for code, figures in by_carrier.items()
        if code
    ]
    rows.sort(key=lambda row: (-(row["score"] or Decimal(-1)), -(row["km"] or Decimal(-1)), row["name"]))
    return grid_of(RANKING_FIELDS, [{**row, "position": place} for place, row in enumerate(rows, start=1)])
