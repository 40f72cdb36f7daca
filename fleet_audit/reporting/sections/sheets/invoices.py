"""FATURAS: the invoice lines that carriers delivered, each beside what the facts bill for it.

Which difference is a finding (K01) is decided in `logic.audit`; here both sides are only shown.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from typing import Any

import pandas as pd

from fleet_audit.logic.costs.invoices import with_known_contracts
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import VEHICLE_CLASSES
from fleet_audit.reporting.sections.inputs import Frames, names_of, records

FIELDS = (
    Field("carrier", "Empresa", width=22),
    Field("contract_id", "Contrato", width=20),
    Field("plate", "Placa", width=9),
    Field("vehicle_class", "Tipo do Veículo", width=13),
    Field("rate_brl_per_km", "Custo Variável", Kind.RATE, 10),
    Field("billed_km", "Km faturados", Kind.KM, 12),
    Field("km", "Km admitidos", Kind.KM, 12),
    Field("difference_km", "Diferença (km)", Kind.KM_DIFFERENCE, 12),
    Field("invoiced_variable_brl", "Variável na fatura", Kind.BRL, 13),
    Field("variable_brl", "Variável admitido", Kind.BRL, 13),
    Field("difference_variable_brl", "Diferença variável", Kind.KM_DIFFERENCE, 13),
    Field("invoiced_fixed_brl", "Fixo na fatura", Kind.BRL, 13),
    Field("fixed_brl", "Fixo admitido", Kind.BRL, 13),
    Field("difference_fixed_brl", "Diferença fixo", Kind.KM_DIFFERENCE, 13),
    Field("state", "Situação", width=34),
)
NOTE = (
    "Diferença = fatura − admitido. Linha sem par em um dos lados tem o outro vazio: desconhecido, nunca zero. "
    "O fixo admitido de um veículo está nas linhas em que a fatura o cobra; a diferença, na de maior valor."
)
_ZERO = Decimal("0.00")
_KEYS = ["contract_id", "plate", "vehicle_class", "rate"]


def invoices_grid(frames: Frames, cycle: Cycle) -> Grid:
    """One row per contract, plate, class and rate of the cycle's invoices or billing lines; empty without invoices."""
    invoices = frames.invoices[(frames.invoices["cycle_start"] == cycle.start).fillna(False)]
    invoices = with_known_contracts(invoices, frames.contracts)
    if invoices.empty:
        return grid_of(FIELDS, [])
    sides = (
        _summed(invoices, ["billed_km", "variable_brl", "fixed_brl"]).rename(
            columns={"variable_brl": "invoiced_variable_brl", "fixed_brl": "invoiced_fixed_brl"}
        ),
        _summed(frames.billing_lines, ["km", "variable_brl", "fixed_brl"]),
    )
    both = sides[0].merge(sides[1], on=_KEYS, how="outer", indicator=True).sort_values(_KEYS)
    owners = frames.contracts.drop_duplicates("contract_id", keep="last").set_index("contract_id")["carrier_code"]
    carriers = names_of(frames.carriers, "carrier_code")
    of_vehicles = groupby(records(both), key=lambda row: (row["contract_id"], row["plate"]))
    rows = [row for _, own in of_vehicles for row in _fixed_as_stated(list(own))]
    return grid_of(FIELDS, [_row(row, owners.to_dict(), carriers) for row in rows])


def _fixed_as_stated(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one contract and vehicle with the admitted fixed cost on the lines whose invoice states one (> 0).

    A carrier states it on lines of its choice, and each of them is beside its own amount. What the invoices state
    beyond the admitted sum is taken from the largest line, then from the next; what they state less is on the largest.
    A billing line of nothing but this cost is excluded: it is on the invoice's lines.
    """
    stated = [row for row in rows if (row["invoiced_fixed_brl"] or 0) > 0]
    if not stated:
        return rows
    admitted = [row["fixed_brl"] for row in rows if row["fixed_brl"] is not None]
    beyond = sum((row["invoiced_fixed_brl"] for row in stated), _ZERO) - sum(admitted, _ZERO)
    beside: dict[str, Decimal] = {}
    for row in sorted(stated, key=lambda row: row["invoiced_fixed_brl"], reverse=True):
        taken = min(beyond, row["invoiced_fixed_brl"])
        beside[_line(row)], beyond = row["invoiced_fixed_brl"] - taken, beyond - taken
    return [
        {
            **row,
            "fixed_brl": beside.get(_line(row), _ZERO) if admitted and row["invoiced_fixed_brl"] is not None else None,
        }
        for row in rows
        if str(row["_merge"]) != "right_only" or row["km"] or row["variable_brl"] or row["fixed_brl"] is None
    ]


def _line(row: dict[str, Any]) -> str:
    return f"{row['vehicle_class']}|{row['rate']}"


def _summed(rows: pd.DataFrame, values: list[str]) -> pd.DataFrame:
    """Sums by contract, plate, class and rate; a group whose values are all unknown stays unknown."""
    keyed = rows.assign(rate=rows["rate_brl_per_km"].astype("str"))
    keyed = keyed.assign(**{name: keyed[name].astype("str").fillna("") for name in _KEYS})
    return keyed.groupby(_KEYS)[values].sum(min_count=1).reset_index()


def _row(row: dict[str, Any], owners: dict[str, str], carriers: dict[str, str]) -> dict[str, Any]:
    states = {
        "both": None,
        "left_only": "só na fatura: " + ("admitido apenas o fixo" if row["fixed_brl"] else "nada admitido"),
        "right_only": "não faturada pela transportadora",
    }
    code = owners.get(row["contract_id"])
    differences = {
        "difference_km": _difference(row["billed_km"], row["km"]),
        "difference_variable_brl": _difference(row["invoiced_variable_brl"], row["variable_brl"]),
        "difference_fixed_brl": _difference(row["invoiced_fixed_brl"], row["fixed_brl"]),
    }
    is_fixed_unknown = bool(row["invoiced_fixed_brl"]) and row["fixed_brl"] is None
    compared = "difere" if any(differences.values()) else "fixo só na fatura" if is_fixed_unknown else "confere"
    return {
        **row,
        **differences,
        "carrier": carriers.get(code or "", code),
        "contract_id": row["contract_id"] or None,
        "plate": row["plate"] or None,
        "vehicle_class": VEHICLE_CLASSES.get(row["vehicle_class"], row["vehicle_class"] or None),
        "rate_brl_per_km": Decimal(row["rate"]) if row["rate"] else None,
        "state": states[str(row["_merge"])] or compared,
    }


def _difference(invoiced: Any, admitted: Any) -> Any:
    return None if invoiced is None or admitted is None else invoiced - admitted
