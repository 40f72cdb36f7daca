"""What a carrier billed against the sums of its trips: K01 of an invoice line.

Trips without exactly one tariff are K01 of their day; which trips are paid at which rate belongs to `logic.costs`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import INVOICED, OVER, WHOLE
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed
from fleet_audit.logic.primitives.money import multiply_brl

_CENT = Decimal("0.01")
_LINE = ["vehicle_class", "rate_brl_per_km"]
_TRIP_FACTS = ["trip_id", "operational_date", "billable_km", *_LINE, "variable_cost_brl"]


def invoice_lines(context: AuditCycle) -> list[Draft]:
    """K01: the variable amount of an invoice line differs from the sum of its trips' costs by more than a cent.

    A line's trips are those of its contract, vehicle, class and rate; an empty class or rate is any. A vehicle's only
    line that fits no trip is compared with the trips that fit no line: it has another rate than theirs. A credit note
    (below zero) lessens the lines beside it, and names none: then their sum is compared. Vehicles with a
    trip without a price, or with a day that is incomplete by our own fault, are excluded: their sum is unknown. What
    was billed beyond the sum is not paid; what was billed below it is in the carrier's favour.
    """
    lines, trips, costs = _lines(context), _priced_trips(context), context.vehicle_costs
    unpriced = costs[costs["cost_status"].isin(["no_tariff", "ambiguous_tariff"])]
    unknown = set(zip(unpriced["contract_id"], unpriced["plate"], strict=True))
    unobserved = _plates_with_unobserved_days(context)
    drafts = []
    for (contract, plate), own in lines.groupby(["contract_id", "plate"], sort=True):
        if (contract, plate) in unknown or plate in unobserved:
            continue
        billed = trips[(trips["contract_id"] == contract) & (trips["plate"] == plate)]
        for line, of_line in _assigned(_with_credit_notes(own), billed):
            cost = sum(of_line["variable_cost_brl"], Decimal("0.00"))
            if abs(line["billed_brl"] - cost) > _CENT:
                drafts.append(_draft(context, line, of_line, cost))
    return drafts


def _lines(context: AuditCycle) -> pd.DataFrame:
    """Invoice lines of the cycle with a variable amount: variable_brl, else billed_km × rate."""
    lines = context.invoice_lines
    product = multiply_brl(lines["billed_km"], lines["rate_brl_per_km"])
    lines = lines.assign(billed_brl=lines["variable_brl"].fillna(product))
    return lines[lines["billed_brl"].notna()].reset_index(drop=True)


def _invoiced_plates(context: AuditCycle) -> set[str]:
    return set(_lines(context)["plate"])


def _plates_with_unobserved_days(context: AuditCycle) -> set[str]:
    return set(context.coverage.loc[context.is_unobserved, "plate"])


def _priced_trips(context: AuditCycle) -> pd.DataFrame:
    costs = context.vehicle_costs
    costs = costs[costs["variable_cost_brl"].notna() & costs["rate_brl_per_km"].notna()]
    return costs.sort_values(["operational_date", "trip_id"])


def _with_credit_notes(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines of one contract and vehicle; one line of any class and rate for all of them where one is below zero."""
    if (lines["billed_brl"] >= 0).all():
        return lines
    total, line = sum(lines["billed_brl"], Decimal("0.00")), lines.head(1)
    unknown = line[[*_LINE, "billed_km"]].reindex([-1]).set_axis(line.index)
    return line.assign(**unknown, variable_brl=[total], billed_brl=[total])


def _assigned(lines: pd.DataFrame, trips: pd.DataFrame) -> Iterator[tuple[Record, pd.DataFrame]]:
    """Each line of a vehicle with its trips, no trip twice: lines that name more choose first."""
    free = trips
    chosen: list[tuple[Record, pd.DataFrame]] = []
    for line in (
        lines.assign(open=lines[_LINE].isna().sum(axis=1)).sort_values("open", kind="stable").to_dict("records")
    ):
        fits = pd.Series(True, index=free.index)
        for name in _LINE:
            if not pd.isna(line[name]):
                fits &= (free[name] == line[name]).fillna(False)
        chosen.append((line, free[fits]))
        free = free[~fits]
    alone = [place for place, (_, of_line) in enumerate(chosen) if of_line.empty]
    if len(alone) == 1:
        chosen[alone[0]] = (chosen[alone[0]][0], free)
    return iter(chosen)


def _draft(context: AuditCycle, line: Record, trips: pd.DataFrame, cost: Decimal) -> Draft:
    plate, difference = line["plate"], line["billed_brl"] - cost
    silent = context.coverage[(context.coverage["plate"] == plate) & (context.coverage["status"] == "silent")]
    km = sum(trips["billable_km"], Decimal("0.00"))
    doubt = f"; {sentences.counted(len(silent), 'dia', 'dias')} sem dados do veículo" if len(silent) else ""
    facts: dict[str, Any] = {
        "invoice_line": {name: line[name] for name in context.invoices.columns},
        "trips_cost_brl": cost,
        "trips_km": km,
        "difference_brl": difference,
        "line_trips": trips[_TRIP_FACTS].to_dict("records"),
        "silent_dates": silent["operational_date"].to_list(),
    }
    return Draft(
        "K01",
        plate,
        f"No ciclo, {context.period}, a fatura do contrato {line['contract_id']} cobra R$ "
        f"{sentences.number(line['billed_brl'])} de custo variável do veículo {plate}{_named(line)}; a soma de suas "
        f"viagens ({len(trips)}, {sentences.km(km)}) é R$ {sentences.number(cost)}: R$ "
        f"{sentences.number(abs(difference))} a {'mais' if difference > 0 else 'menos'}{doubt}.",
        GRADE_CONFIDENCE["C" if len(silent) else "A"],
        brl_at_stake=abs(difference),
        is_in_favour=difference < 0,
        facts=facts,
        extra=(line["contract_id"], *(str(line[name]) for name in _LINE)),
        carrier_code=context.carriers_of_contracts.get(line["contract_id"]),
    )


def _named(line: Record) -> str:
    parts = [] if pd.isna(line["vehicle_class"]) else [f"classe {line['vehicle_class']}"]
    if not pd.isna(line["rate_brl_per_km"]):
        parts.append(f"R$ {sentences.number(line['rate_brl_per_km'], 4)} por km")
    return f" ({', '.join(parts)})" if parts else ""


RULES = (
    Rule(
        "K01",
        "8",
        "H",
        "Tarifa ausente ou ambígua, ou fatura que não fecha",
        "O valor variável de uma linha da fatura não é a soma dos custos das viagens que ela cobra.",
        "I+K",
        invoice_lines,
        "cycle",
        needs=(INVOICED, OVER, WHOLE),
        rests_on=("invoices", "tariffs", "contracts", "vehicles", "devices"),
        vehicle_need=VehicleNeed(
            _invoiced_plates, _plates_with_unobserved_days, "posições incompletas em dias do ciclo"
        ),
    ),
)
