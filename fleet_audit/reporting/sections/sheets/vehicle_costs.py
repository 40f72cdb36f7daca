"""CUSTO POR VEÍCULO: what each vehicle is billed, per km and per passenger, with its seats and occupancy.

The billed lines are those of `measurement`; passengers are those that the bulletins declare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from fleet_audit.logic.primitives.money import half_up, known_sum
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.package_model import column_sum
from fleet_audit.reporting.sections.inputs import Frames, records

FIELDS = (
    Field("unit", "Unidade", width=18),
    Field("cost_center", "Centro de Custo", width=12),
    Field("carrier", "Empresa", width=18),
    Field("plate", "Placa", width=9),
    Field("fleet_number", "Frota", width=8),
    Field("contracts", "Contratos", width=20),
    Field("service_km", "Km de Serviço", Kind.KM, 12),
    Field("deadhead_km", "Km Vazios Pagos", Kind.KM, 12),
    Field("km", "Km Rodado", Kind.KM, 12),
    Field("variable_brl", "Total Variável", Kind.BRL, 13),
    Field("fixed_brl", "Total Fixo", Kind.BRL, 13),
    Field("total_brl", "Total a Faturar", Kind.BRL, 14),
    Field("brl_per_km", "R$/km", Kind.BRL, 9),
    Field("seats", "Lugares", Kind.INTEGER, 8),
    Field("passengers", "Passageiros", Kind.INTEGER, 10),
    Field("occupancy_pct", "Ocupação (%)", Kind.PERCENT, 10),
    Field("brl_per_passenger", "R$/passageiro", Kind.BRL, 11),
)
NOTE = (
    "Passageiros são os declarados nos boletins; a ocupação considera só as corridas que os informam. R$/km e "
    "R$/passageiro incluem o fixo. Célula vazia: desconhecido, nunca zero."
)
_SUMS = ("service_km", "deadhead_km", "km", "variable_brl", "fixed_brl", "total_brl")


def vehicle_costs_grid(lines: Sequence[Mapping[str, Any]], frames: Frames) -> Grid:
    """One row per unit, carrier and vehicle of the billing lines (rows of `measurement_lines`), with their sums."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for line in lines:
        groups.setdefault((line["unit"], line["carrier"], line["plate"]), []).append(line)
    people = _passengers(frames)
    rows = [_row(key, own, people.get((own[0]["carrier_code"], key[2]))) for key, own in sorted(groups.items())]
    total = {"unit": "Total", **{name: column_sum(rows, name) for name in _SUMS}}
    return grid_of(FIELDS, rows, total if rows else None)


def _row(
    key: tuple[str, str, str], lines: Sequence[Mapping[str, Any]], people: Mapping[str, Any] | None
) -> dict[str, Any]:
    unit, carrier, plate = key
    sums = {name: known_sum(line.get(name) for line in lines) for name in _SUMS}
    people = people or {}
    return {
        "unit": unit,
        "carrier": carrier,
        "plate": plate,
        "cost_center": lines[0]["cost_center"],
        "fleet_number": next((line["fleet_number"] for line in lines if line["fleet_number"]), None),
        "contracts": "; ".join(sorted({line["contract_id"] for line in lines if line["contract_id"]})) or None,
        **sums,
        "brl_per_km": _ratio(sums["total_brl"], sums["km"]),
        "brl_per_passenger": _ratio(sums["total_brl"], people.get("passengers")),
        **people,
    }


def _passengers(frames: Frames) -> dict[tuple[str, str], dict[str, Any]]:
    """Seats, passengers and occupancy by carrier and plate; only what is known."""
    seats = {
        row["plate"]: row["seats"]
        for row in records(frames.vehicles.sort_values("valid_from", na_position="first")[["plate", "seats"]])
        if row["seats"] is not None
    }
    runs = frames.declared_runs.dropna(subset=["passengers", "carrier_code"])
    found: dict[tuple[str, str], dict[str, Any]] = {
        (row["carrier_code"], row["plate"]): {"seats": seats.get(row["plate"])}
        for row in records(frames.vehicles[["carrier_code", "plate"]].dropna())
    }
    for (carrier, plate), own in runs.groupby(["carrier_code", "plate"]):
        passengers, of_plate = int(own["passengers"].sum()), seats.get(plate)
        found[(carrier, plate)] = {
            "seats": of_plate,
            "passengers": passengers,
            "occupancy_pct": _ratio(Decimal(100 * passengers), of_plate * len(own) if of_plate else None),
        }
    return found


def _ratio(part: Decimal | None, whole: Decimal | int | None) -> Decimal | None:
    if part is None or not whole:
        return None
    return half_up(part / Decimal(whole))
