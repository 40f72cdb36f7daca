"""CASCATA: from the declared value of each carrier's cycle to what is billed, line by line, exact to the cent.

The line of a difference is decided in `logic.costs.waterfall`; here fixed cost and adjustments are added.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.costs.waterfall import COLUMNS, CycleFacts, waterfall, waterfall_rows
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.money import known_sum
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import NO_CARRIER
from fleet_audit.reporting.sections.inputs import Frames, names_of, records

FIELDS = (
    Field("carrier", "Transportadora", width=26),
    Field("declared_brl", "Declarado pela tarifa", Kind.BRL, 14),
    Field("disallowed_brl", "Glosas", Kind.BRL, 13),
    Field("held_brl", "Retido", Kind.BRL, 13),
    Field("in_favour_brl", "A favor da transportadora", Kind.BRL, 13),
    Field("undeclared_brl", "Admitido sem ata", Kind.BRL, 13),
    Field("excepted_brl", "Coberto por exceção", Kind.BRL, 13),
    Field("tolerance_brl", "Diferenças na tolerância", Kind.BRL, 13),
    Field("deadhead_brl", "Vazio pago pelo contrato", Kind.BRL, 13),
    Field("admitted_brl", "Variável admitido", Kind.BRL, 14),
    Field("fixed_brl", "Fixo", Kind.BRL, 14),
    Field("adjustments_brl", "Ajustes", Kind.BRL, 13),
    Field("total_brl", "A faturar", Kind.BRL, 15),
    Field("paid_doubtful_brl", "Do total: pago e em dúvida", Kind.BRL, 14),
)
FORMULAS = {
    "admitted_brl": "ROUND(SUM({declared_brl},{disallowed_brl},{held_brl},{in_favour_brl},{undeclared_brl},"
    "{excepted_brl},{tolerance_brl},{deadhead_brl}),2)",
    "total_brl": "ROUND(SUM({admitted_brl},{fixed_brl},{adjustments_brl}),2)",
}
NOTE = (
    "Glosas, retido e o coberto por exceção diminuem o declarado; o que é devido à transportadora aumenta. Pago e em "
    "dúvida é parte do total e não se soma. Km sem preço e vazio não pago estão em GLOSAS e não entram na cascata."
)
_ZERO = Decimal("0.00")


def cycle_facts(frames: Frames) -> CycleFacts:
    """The input rows of the waterfall."""
    return CycleFacts(frames.trips, frames.trip_costs, frames.matches, frames.held_runs, frames.findings)


@computed_once
def cycle_rows(frames: Frames) -> pd.DataFrame:
    """The rows of the waterfall, which GLOSAS lists and CASCATA adds up."""
    return waterfall_rows(cycle_facts(frames))


@computed_once
def waterfall_grid(frames: Frames) -> Grid:
    """One row per carrier, by name, and the sums of all."""
    lines = {row["carrier_code"]: row for row in records(waterfall(cycle_rows(frames)))}
    beside: dict[str, Mapping[str, Decimal | None]] = {
        "fixed_brl": _sums(frames.billing_lines, "fixed_brl"),
        "adjustments_brl": _sums(frames.adjustments, "difference_brl"),
        "paid_doubtful_brl": _doubtful(frames.vehicle_cycle_amounts),
    }
    names = names_of(frames.carriers, "carrier_code")
    rows = []
    for code in sorted({*lines, *(code for sums in beside.values() for code in sums)}):
        row: dict[str, Any] = {name: lines.get(code, {}).get(name, _ZERO) for name in COLUMNS}
        row |= {name: sums.get(code, _ZERO) for name, sums in beside.items()}
        row["total_brl"] = row["admitted_brl"] + row["fixed_brl"] + row["adjustments_brl"]
        rows.append({"carrier": names.get(code, code) or NO_CARRIER, **row})
    rows.sort(key=lambda row: row["carrier"])
    total = {entry.name: known_sum(row[entry.name] for row in rows) for entry in FIELDS[1:]}
    if None in [row["paid_doubtful_brl"] for row in rows]:
        total["paid_doubtful_brl"] = total["paid_doubtful_brl"] or None
    return grid_of(FIELDS, rows, {"carrier": "Total", **total} if rows else None)


def _sums(frame: pd.DataFrame, name: str) -> dict[str, Decimal]:
    known = frame[frame[name].notna()]
    return {str(code): sum(own, _ZERO) for code, own in known[name].groupby(known["carrier_code"].fillna(""))}


def _doubtful(amounts: pd.DataFrame) -> dict[str, Decimal | None]:
    """What is paid and in doubt, per carrier; None where nothing is known but that some vehicle's amount is unknown."""
    name = "paid_doubtful_brl"
    unknown = set(amounts.loc[amounts[name].isna(), "carrier_code"].fillna(""))
    sums = _sums(amounts, name)
    return {**sums, **{code: sums.get(code) or None for code in unknown}}
