"""RESUMO DA OPERAÇÃO: the billed sums by area, unit and carrier, and their reconciliation.

The lines that are summed are in `measurement`; what is not billed is in `disallowed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from fleet_audit.logic.closing.admitted_km import counts_unpriced
from fleet_audit.logic.costs.billing_lines import unpriced_trips
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import AREAS as AREA_NAMES
from fleet_audit.reporting.package_model import ADJUSTMENTS, SHEETS, SUMMARY, Footer, Sheet, column_sum
from fleet_audit.reporting.sections.adjustments import adjustments_brl
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.inputs import Frames

SUMMARY_FIELDS = (
    Field("operation", "Operação", width=16),
    Field("unit", "Unidade", width=24),
    Field("carrier", "Empresa", width=30),
    Field("vehicles", "Veículos", Kind.INTEGER, 10),
    Field("km", "Total Km's", Kind.KM, 15),
    Field("variable_brl", "Total Variável", Kind.BRL, 16),
    Field("fixed_brl", "Total Fixo", Kind.BRL, 16),
    Field("total_brl", "Total a Faturar", Kind.BRL, 17),
)
_SIGNATURES = tuple(
    Footer(f"{role} (nome, data, assinatura)", "_" * 28, Kind.TEXT)
    for role in ("Elaborado por", "Conferido por", "Aprovado por", "De acordo, transportadora")
)
_SUMS = ("km", "variable_brl", "fixed_brl", "total_brl")


def summary_sheet(lines: list[dict[str, Any]], frames: Frames, glosas: Grid, closing: Closing) -> Sheet:
    """One row per area, unit and carrier, summed by formulas from the two area sheets; then the reconciliation."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for line in sorted(lines, key=lambda line: (line["area"], line["unit"], line["carrier"])):
        groups.setdefault((line["area"], line["unit"], line["carrier"]), []).append(line)
    rows = [
        {
            "operation": AREA_NAMES[area],
            "unit": unit,
            "carrier": carrier,
            "vehicles": len({line["plate"] for line in own}),
            **{name: column_sum(own, name) for name in _SUMS},
        }
        for (area, unit, carrier), own in groups.items()
    ]
    total = {"operation": "Total", **{name: column_sum(lines, name) for name in _SUMS}}
    formulas = tuple({name: _sum_of(SHEETS[area], name) for name in _SUMS} for area, _, _ in groups)
    return Sheet(
        SUMMARY,
        grid_of(SUMMARY_FIELDS, rows, total),
        (*_account(frames, glosas, lines), *_closed(closing, frames, lines), *_SIGNATURES),
        formulas,
        note="Cada trecho faturado está em uma só aba de medição. O fixo de um veículo que atende as duas áreas fica "
        "inteiro na área padrão do veículo.",
    )


def _sum_of(sheet: str, name: str) -> str:
    """The lines of one sheet that have the row's unit and carrier; EXACT, because SUMIFS reads * and > in a name."""
    matches = "*".join(f"EXACT({{{sheet}!{key}}},{{{key}}})" for key in ("unit", "carrier"))
    return f"ROUND(SUMPRODUCT({matches}*{{{sheet}!{name}}}),2)"


def _account(frames: Frames, glosas: Grid, lines: Sequence[Mapping[str, Any]]) -> tuple[Footer, ...]:
    """Computed beside billed sums, and the known amounts outside of the bill."""
    variable = sum_decimal(frames.trip_costs["variable_cost_brl"]) or Decimal("0.00")
    fixed = sum_decimal(frames.fixed_cost_days["amount_brl"]) or Decimal("0.00")
    engine = variable + fixed
    without_price = unpriced_trips(frames.trips, frames.trip_costs)
    silent = int((frames.coverage["status"] == "silent").sum())
    held = frames.held_runs[frames.held_runs["reason"] != "phantom"]  # a phantom run is disallowed
    billed, adjusted = column_sum(lines, "total_brl"), adjustments_brl(frames)
    of_cycle = f"{{{SUMMARY}!total_brl}}"
    of_others = f"{{{ADJUSTMENTS}!difference_brl}}"
    return (
        Footer(
            "Ajustes de ciclos anteriores e de achados revertidos (R$)",
            adjusted,
            Kind.BRL,
            f"ROUND(SUM({of_others}),2)",
        ),
        Footer(
            "Total a Faturar com ajustes (R$)", billed + adjusted, Kind.BRL, f"ROUND(SUM({of_cycle},{of_others}),2)"
        ),
        Footer("Custo variável calculado pelo sistema (R$)", variable, Kind.BRL),
        Footer("Custo fixo calculado pelo sistema (R$)", fixed, Kind.BRL),
        Footer(
            "Diferença entre pacote e sistema (R$)",
            billed - engine,
            Kind.BRL,
            f"ROUND(SUM({of_cycle})-{engine},2)",
        ),
        Footer("Veículos no ciclo", len({line["plate"] for line in lines}), Kind.INTEGER),
        Footer("Viagens sem preço, não incluídas no total (ver GLOSAS)", len(without_price), Kind.INTEGER),
        Footer("Corridas retidas, não incluídas no total (ver GLOSAS)", len(held), Kind.INTEGER),
        Footer("Corridas retidas, R$ pela tarifa, onde há uma", sum_decimal(held["brl_at_rate"]), Kind.BRL),
        Footer("Veículos-dia sem dado (quilometragem desconhecida)", silent, Kind.INTEGER),
        Footer("Linhas em GLOSAS", len(glosas.rows), Kind.INTEGER),
    )


def _closed(closing: Closing, frames: Frames, lines: Sequence[Mapping[str, Any]]) -> tuple[Footer, ...]:
    """Closed beside printed sums: of a final close the difference is zero."""
    if closing.total_brl is None:
        return ()
    unpriced = ", com os de viagens sem preço" if counts_unpriced(closing.total_km, frames.trip_costs) else ""
    word, of_cycle = "final" if closing.is_final else "provisório", f"{{{SUMMARY}!total_brl}}"
    return (
        Footer(f"Total Variável no fechamento {word} (R$)", closing.total_variable_brl, Kind.BRL),
        Footer(f"Total Fixo no fechamento {word} (R$)", closing.total_fixed_brl, Kind.BRL),
        Footer(f"Total a Faturar no fechamento {word} (R$)", closing.total_brl, Kind.BRL),
        Footer(
            f"Diferença entre pacote e fechamento {word} (R$)",
            column_sum(lines, "total_brl") - closing.total_brl,
            Kind.BRL,
            f"ROUND(SUM({of_cycle})-{closing.total_brl},2)",
        ),
        Footer(f"Km admitidos no fechamento{unpriced}", closing.total_km, Kind.KM),
    )
