"""FATURAS: the invoice lines that carriers delivered, each beside what the facts bill for it.

Which difference is a finding (K01) is decided in `logic.audit`; here both sides are only shown.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd

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
    "O fixo admitido de um veículo está na linha em que a fatura o cobra."
)
_KEYS = ["contract_id", "plate", "vehicle_class", "rate"]


def invoices_grid(frames: Frames, cycle: Cycle) -> Grid:
    """One row per contract, plate, class and rate of the cycle's invoices or billing lines; empty without invoices."""
    invoices = frames.invoices[(frames.invoices["cycle_start"] == cycle.start).fillna(False)]
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
    rows = records(_fixed_beside_fixed(both))
    return grid_of(FIELDS, [_row(row, owners.to_dict(), carriers) for row in rows])


def _fixed_beside_fixed(both: pd.DataFrame) -> pd.DataFrame:
    """The admitted fixed cost of a contract and vehicle on the first invoice line that states one, 0.00 on its others.

    A carrier states it on a line of its choice: beside another line's it was never compared, and both lines agreed.
    """
    states = both["invoiced_fixed_brl"].notna()
    vehicle = both["contract_id"] + "|" + both["plate"]
    is_stated = vehicle.isin(vehicle[states])
    owed = both.groupby(vehicle)["fixed_brl"].sum(min_count=1)
    is_first = states & ~vehicle.where(states).duplicated()
    here = [
        (owed[key] if first and not pd.isna(owed[key]) else Decimal("0.00")) if stated else None
        for key, stated, first in zip(vehicle, states, is_first, strict=True)
    ]
    moved = pd.Series(here, index=both.index, dtype=both["fixed_brl"].dtype)
    return both.assign(fixed_brl=both["fixed_brl"].where(~is_stated, moved))


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
    is_equal = not any(differences.values())
    return {
        **row,
        **differences,
        "carrier": carriers.get(code or "", code),
        "contract_id": row["contract_id"] or None,
        "vehicle_class": VEHICLE_CLASSES.get(row["vehicle_class"], row["vehicle_class"] or None),
        "rate_brl_per_km": Decimal(row["rate"]) if row["rate"] else None,
        "state": states[str(row["_merge"])] or ("confere" if is_equal else "difere"),
    }


def _difference(invoiced: Any, admitted: Any) -> Any:
    return None if invoiced is None or admitted is None else invoiced - admitted
