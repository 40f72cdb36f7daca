"""MEDIÇÃO sheets: the billing lines of a cycle with names for codes, one sheet per area, with live footers.

Which line a trip or a fixed share is billed in is decided in `logic.costs.billing_lines`.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from fleet_audit.logic.costs.billing_lines import billed_trips, line_ids
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Field, Kind, grid_of
from fleet_audit.reporting.labels import AREAS as AREA_NAMES
from fleet_audit.reporting.labels import CONTRACT_KINDS, NO_CARRIER, NO_UNIT, REGIMES, VEHICLE_CLASSES
from fleet_audit.reporting.package_model import SHEETS, Footer, Sheet, column_sum
from fleet_audit.reporting.sections.inputs import Frames, names_of, records

LINE_FIELDS = (
    Field("unit", "Unidade", width=21),
    Field("carrier", "Empresa", width=19),
    Field("operation", "Operação", width=13),
    Field("period", "Período", width=12),
    Field("plate", "Placa", width=9),
    Field("fleet_number", "Frota", width=8),
    Field("routes", "Rota do Veículo", width=40),
    Field("shifts", "Turnos Atendidos", width=10),
    Field("regime", "Regime", width=13),
    Field("kind", "Contrato/Spot", width=10),
    Field("vehicle_class", "Tipo do Veículo", width=13),
    Field("km", "Km Rodado", Kind.KM, 11),
    Field("rate_brl_per_km", "Custo Variável", Kind.RATE, 10),
    Field("variable_brl", "Total Variável", Kind.BRL, 13),
    Field("monthly_brl", "Custo Fixo", Kind.BRL, 13),
    Field("fixed_brl", "Parcela", Kind.BRL, 13),
    Field("total_brl", "Total Mensal (A Faturar)", Kind.BRL, 15),
)
# Behind the contract's columns, whose order a company may change: where each line comes from.
ORIGIN_FIELDS = (
    Field("service_km", "Km de Serviço", Kind.KM, 11),
    Field("deadhead_km", "Km Vazios Pagos", Kind.KM, 11),
    Field("contract_id", "Contrato", width=20),
    Field("tariffs", "Tarifas", width=28, in_print=False),
    Field("cost_center", "Centro de Custo", width=12, in_print=False),
    Field("billing_line_id", "Linha (id)", width=18, in_print=False),
)
_LINE_FORMULAS = {"total_brl": "ROUND(SUM({variable_brl},{fixed_brl}),2)"}
_FOOTERS = (
    ("Total Km's", "km", Kind.KM),
    ("Total Variável", "variable_brl", Kind.BRL),
    ("Total Fixo", "fixed_brl", Kind.BRL),
    ("Total a Faturar", "total_brl", Kind.BRL),
)


_OF_LINE = ("billing_line_id", "purpose")


def measurement_lines(frames: Frames, period: str) -> list[dict[str, Any]]:
    """One dictionary per billing line, in the order of print: the fact's columns and the texts of `LINE_FIELDS`."""
    units, carriers = names_of(frames.units, "unit_code"), names_of(frames.carriers, "carrier_code")
    routes, silent = names_of(frames.routes, "route_code"), _silent_days(frames)
    trips = _line_trips(frames)
    centers = frames.units.drop_duplicates("unit_code").set_index("unit_code")["cost_center"].dropna().to_dict()
    lines = [
        line
        | {
            "unit": units.get(line["unit_code"], line["unit_code"]) or NO_UNIT,
            "carrier": carriers.get(line["carrier_code"], line["carrier_code"]) or NO_CARRIER,
            "operation": AREA_NAMES[line["area"]],
            "period": period,
            "routes": _routes(line, routes, silent),
            "shifts": "; ".join(line["shift_codes"]) or None,
            "regime": REGIMES.get(line["regime"], line["regime"]),
            "kind": CONTRACT_KINDS.get(line["contract_kind"], line["contract_kind"]),
            "vehicle_class": VEHICLE_CLASSES.get(line["vehicle_class"], line["vehicle_class"]),
            "cost_center": centers.get(line["unit_code"]),
            **trips.get(line["billing_line_id"], {}),
        }
        for line in records(frames.billing_lines)
    ]
    return sorted(lines, key=lambda line: (line["unit"], line["carrier"], line["plate"]))


def measurement_sheets(lines: list[dict[str, Any]], fields: tuple[Field, ...]) -> tuple[Sheet, ...]:
    """One sheet per area, with footers that a spreadsheet computes."""
    return tuple(_sheet(SHEETS[area], fields, [line for line in lines if line["area"] == area]) for area in SHEETS)


def _routes(line: dict[str, Any], names: dict[str, str], silent: dict[str, int]) -> str:
    """The routes of a line; of a line without km the reason in brackets."""
    if line["line_status"] == "billed":
        return "; ".join(sorted(names.get(code, code) for code in line["route_codes"])) or "(sem rota)"
    if line["line_status"] == "unpriced":
        return "(viagens sem preço: ver GLOSAS)"
    if line["line_status"] == "no_data":
        return "(sem dado no ciclo)"
    days = silent.get(line["plate"], 0)
    return "(sem viagem faturada)" + (f"; {locale.counted(days, 'dia', 'dias')} sem dado" if days else "")


def _line_trips(frames: Frames) -> dict[str, dict[str, Any]]:
    """By line: the tariffs that priced its trips, and the service and deadhead km that it pays."""
    trips = billed_trips(frames.trips, frames.trip_costs)
    trips = trips.assign(billing_line_id=line_ids(trips, frames.billing_lines)).dropna(subset=["billing_line_id"])
    rows = pa.table({name: pa.array(trips[name], from_pandas=True) for name in (*_OF_LINE, "billable_km")})
    sums = rows.group_by([*_OF_LINE], use_threads=False).aggregate([("billable_km", "sum")]).to_pylist()
    km = {(row["billing_line_id"], row["purpose"]): row["billable_km_sum"] for row in sums}
    priced = trips[["billing_line_id", "tariff_id"]].dropna().drop_duplicates().sort_values("tariff_id")
    tariffs = priced.groupby("billing_line_id")["tariff_id"].agg("; ".join).to_dict()
    return {
        line_id: {
            "tariffs": tariffs.get(line_id),
            **{f"{purpose}_km": km.get((line_id, purpose)) for purpose in ("service", "deadhead")},
        }
        for line_id in trips["billing_line_id"].unique()
    }


def _silent_days(frames: Frames) -> dict[str, int]:
    return frames.coverage.loc[frames.coverage["status"] == "silent", "plate"].value_counts().to_dict()


def _sheet(name: str, fields: tuple[Field, ...], lines: list[dict[str, Any]]) -> Sheet:
    footers = tuple(
        Footer(label, column_sum(lines, column), kind, f"ROUND(SUM({{{name}!{column}}}),2)")
        for label, column, kind in _FOOTERS
    )
    return Sheet(name, grid_of(fields, lines), footers, (_LINE_FORMULAS,) * len(lines), frozen_columns=2,
                 footer_field="total_brl")  # fmt: skip
