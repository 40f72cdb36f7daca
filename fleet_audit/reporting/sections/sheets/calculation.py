"""MEMÓRIA DE CÁLCULO: one row per paid trip with everything that its cost is computed from.

The rows sum to the MEDIÇÃO sheets to the cent; which trips are paid is decided in `logic.costs`.
"""

from __future__ import annotations

from typing import Any

from fleet_audit.logic.costs.billing_lines import billed_trips, line_ids
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import AREAS, BILLED_PURPOSES, KM_METHODS, NO_CARRIER, NO_UNIT, PURPOSES
from fleet_audit.reporting.sections.inputs import Frames, names_of, records
from fleet_audit.reporting.sections.trip_lines import local_times

FIELDS = (
    Field("trip_id", "Viagem", width=18),
    Field("unit", "Unidade", width=21),
    Field("carrier", "Empresa", width=21),
    Field("operation", "Operação", width=13),
    Field("plate", "Placa", width=9),
    Field("started_local", "Saída", Kind.MOMENT, 15),
    Field("ended_local", "Chegada", Kind.MOMENT, 15),
    Field("purpose", "Finalidade", width=12),
    Field("route", "Rota", width=30),
    Field("km_measured", "Km medidos", Kind.KM, 11),
    Field("km_method", "Método", width=12),
    Field("evidence_grade", "Grau", width=6),
    Field("contract_id", "Contrato", width=18),
    Field("tariff_id", "Tarifa", width=30),
    Field("billing_line_id", "Linha (id)", width=18),
    Field("km", "Km admitidos", Kind.KM, 11),
    Field("rate_brl_per_km", "R$/km", Kind.RATE, 9),
    Field("variable_brl", "Valor (R$)", Kind.BRL, 13),
)


def calculation_grid(frames: Frames) -> Grid:
    """One row per paid trip by unit, carrier, plate and departure, with the sums of km and R$."""
    trips = billed_trips(frames.trips, frames.trip_costs)
    trips = trips.assign(billing_line_id=line_ids(trips, frames.billing_lines))
    trips = trips.join(local_times(trips, frames.units)).sort_values(["started_at", "trip_id"], kind="stable")
    units, carriers = names_of(frames.units, "unit_code"), names_of(frames.carriers, "carrier_code")
    routes = names_of(frames.routes, "route_code")
    rows: list[dict[str, Any]] = [
        row
        | {
            "unit": units.get(row["unit_code"], row["unit_code"]) or NO_UNIT,
            "carrier": carriers.get(row["carrier_code"], row["carrier_code"]) or NO_CARRIER,
            "operation": AREAS[row["area"]],
            "purpose": BILLED_PURPOSES.get(row["purpose"], PURPOSES[row["purpose"]]),
            "route": routes.get(row["route_code"], row["route_code"]),
            "km_method": KM_METHODS.get(row["km_method"], row["km_method"]),
            "km": row["billable_km"],
            "variable_brl": row["variable_cost_brl"],
        }
        for row in records(trips)
    ]
    rows.sort(key=lambda row: (row["unit"], row["carrier"], row["plate"]))
    total = {
        "trip_id": "Total",
        "km": sum_decimal(trips["billable_km"]),
        "variable_brl": sum_decimal(trips["variable_cost_brl"]),
    }
    return grid_of(FIELDS, rows, total if rows else None)
