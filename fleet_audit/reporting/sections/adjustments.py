"""Adjustments that a cycle bills, of closed cycles and of reversed findings: one row per difference, in every document.

Differences arrive computed; they are not part of the cycle's own sums.
"""

from __future__ import annotations

from decimal import Decimal

from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.sections.inputs import Frames, names_of, records

FIELDS = (
    Field("operational_date", "Data", Kind.DATE, 11),
    Field("origin_cycle_start", "Ciclo de origem", Kind.DATE, 12),
    Field("unit", "Unidade", width=18),
    Field("carrier", "Empresa", width=20),
    Field("plate", "Placa", width=9),
    Field("kind", "Parcela ajustada", width=14),
    Field("km_closed", "Km faturados", Kind.KM, 11),
    Field("km_now", "Km agora", Kind.KM, 11),
    Field("difference_km", "Diferença (km)", Kind.KM_DIFFERENCE, 11),
    Field("brl_closed", "Faturado (R$)", Kind.BRL, 12),
    Field("brl_now", "Agora (R$)", Kind.BRL, 12),
    Field("reason", "Motivo", width=52),
    Field("trip_id", "Viagem", width=18, in_print=False),
    Field("finding_id", "Achado", width=18, in_print=False),
    Field("adjustment_id", "Ajuste (id)", width=18, in_print=False),
    Field("difference_brl", "Diferença (R$)", Kind.BRL, 13),
)
_KINDS = {"trip": "variável", "fixed": "fixo", "finding": "achado revertido"}


def adjustments_grid(frames: Frames) -> Grid:
    """One row per adjustment, by day and vehicle; an empty difference waits for a person's decision."""
    units, carriers = names_of(frames.units, "unit_code"), names_of(frames.carriers, "carrier_code")
    ordered = frames.adjustments.sort_values(["operational_date", "plate", "adjustment_id"], kind="stable")
    rows = records(ordered)
    for row in rows:
        row["unit"] = units.get(row["unit_code"], row["unit_code"])
        row["carrier"] = carriers.get(row["carrier_code"], row["carrier_code"])
        row["kind"] = _KINDS.get(row["kind"], row["kind"])
    total = {"plate": "Total", **{name: sum_decimal(ordered[name]) for name in ("difference_km", "difference_brl")}}
    return grid_of(FIELDS, rows, total if rows else None)


def adjustments_brl(frames: Frames) -> Decimal:
    """Sum of the adjustments, without those that wait for a decision."""
    return sum_decimal(frames.adjustments["difference_brl"]) or Decimal("0.00")
