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
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed, VehicleNeeds
from fleet_audit.logic.primitives.computed_once import computed_once

_CENT, _ZERO = Decimal("0.01"), Decimal("0.00")
_LINE = ["vehicle_class", "rate_brl_per_km"]
_TRIP_FACTS = ["trip_id", "operational_date", "billable_km", *_LINE, "variable_cost_brl"]


def invoice_lines(context: AuditCycle) -> list[Draft]:
    """K01: the variable amount of an invoice line differs from the sum of its trips' costs by more than a cent.

    A line's trips are those of its contract, vehicle, class and rate; an empty class or rate is any. A vehicle's only
    line that fits no trip is compared with the trips that fit no line: it has another rate than theirs. A credit note
    (below zero) lessens the lines beside it, and names none: then their sum is compared. Vehicles with a
    trip without a price, or with a day that is incomplete by our own fault, are excluded: their sum is unknown. What
    was billed beyond the sum is not paid; what was billed below it is in the carrier's favour. A credit note of a
    contract without a plate is taken off what its vehicles were billed beyond their sums, once.
    """
    return [
        _draft(context, line, trips, cost, credit)
        for line, trips, cost, credit in _with_credits(context)
        if abs(line["billed_brl"] - cost) - credit > _CENT
    ]


@computed_once
def _with_credits(context: AuditCycle) -> list[tuple[Record, pd.DataFrame, Decimal, Decimal]]:
    """Each line of `_compared` with what credit notes of its contract without a plate take off it.

    A note is of the line that exceeds its sum by as much, else of the largest ones first: which vehicle it is for
    nobody knows, but no R$ of it excuses two.
    """
    compared, left = list(_compared(context)), _credits_without_plate(context)
    taken = [_ZERO] * len(compared)
    beyond = [line["billed_brl"] - cost for line, _, cost in compared]
    contracts = [line["contract_id"] for line, _, _ in compared]
    noted = [place for place, contract in enumerate(contracts) if contract in left and beyond[place] > _CENT]
    for place in sorted(noted, key=lambda one: (abs(beyond[one] - left[contracts[one]]) > _CENT, -beyond[one])):
        taken[place] = min(beyond[place], left[contracts[place]])
        left[contracts[place]] -= taken[place]
    return [(*one, credit) for one, credit in zip(compared, taken, strict=True)]


def _compared(context: AuditCycle) -> Iterator[tuple[Record, pd.DataFrame, Decimal]]:
    """Each line of a vehicle whose sum is known, with its trips and their cost."""
    lines, trips, costs = _lines(context), _priced_trips(context), context.vehicle_costs
    unpriced = costs[costs["cost_status"].isin(["no_tariff", "ambiguous_tariff"])]
    unknown = set(zip(unpriced["contract_id"], unpriced["plate"], strict=True))
    unobserved = _plates_with_unobserved_days(context)
    for (contract, plate), own in lines.groupby(["contract_id", "plate"], sort=True):
        if (contract, plate) in unknown or plate in unobserved:
            continue
        billed = trips[(trips["contract_id"] == contract) & (trips["plate"] == plate)]
        for line, of_line in _assigned(_with_credit_notes(own), billed):
            yield line, of_line, sum(of_line["variable_cost_brl"], _ZERO)


def _lines(context: AuditCycle) -> pd.DataFrame:
    """Invoice lines of the cycle, of a vehicle, with a variable amount: variable_brl, else billed_km × rate."""
    lines = context.invoice_lines
    return lines[lines["billed_brl"].notna() & lines["plate"].notna()].reset_index(drop=True)


def _credits_without_plate(context: AuditCycle) -> dict[str, Decimal]:
    """R$ by contract of the credit notes that name no vehicle."""
    lines = context.invoice_lines
    is_note = lines["plate"].isna() & (lines["billed_brl"] < 0).fillna(False).to_numpy(dtype=bool)
    return {str(contract): -sum(own, _ZERO) for contract, own in lines[is_note].groupby("contract_id")["billed_brl"]}


def _perhaps_credited(context: AuditCycle) -> set[str]:
    """Plates that were billed beyond the sum by no more than such a note takes off."""
    return {
        line["plate"]
        for line, _, cost, credit in (_with_credits(context) if _credits_without_plate(context) else ())
        if credit and line["billed_brl"] - cost - credit <= _CENT
    }


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
    total, line = sum(lines["billed_brl"], _ZERO), lines.sort_values("billed_brl", ascending=False).head(1)
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


def _draft(context: AuditCycle, line: Record, trips: pd.DataFrame, cost: Decimal, credit: Decimal) -> Draft:
    plate, difference = line["plate"], line["billed_brl"] - cost
    silent = context.coverage[(context.coverage["plate"] == plate) & (context.coverage["status"] == "silent")]
    km = sum(trips["billable_km"], _ZERO)
    credited = (
        f"; um crédito sem placa do contrato desconta R$ {sentences.number(credit)}, e sobram R$ "
        f"{sentences.number(difference - credit)}"
        if credit
        else ""
    )
    doubt = f"; {sentences.counted(len(silent), 'dia', 'dias')} sem dados do veículo" if len(silent) else ""
    facts: dict[str, Any] = {
        "invoice_line": {name: line[name] for name in context.invoices.columns},
        "trips_cost_brl": cost,
        "trips_km": km,
        "difference_brl": difference,
        "credit_without_plate_brl": credit,
        "line_trips": trips[_TRIP_FACTS].to_dict("records"),
        "silent_dates": silent["operational_date"].to_list(),
    }
    return Draft(
        "K01",
        plate,
        f"No ciclo, {context.period}, a fatura do contrato {line['contract_id']} cobra R$ "
        f"{sentences.number(line['billed_brl'])} de custo variável do veículo {plate}{_named(line)}; a soma de suas "
        f"viagens ({len(trips)}, {sentences.km(km)}) é R$ {sentences.number(cost)}: R$ "
        f"{sentences.number(abs(difference))} a {'mais' if difference > 0 else 'menos'}{credited}{doubt}.",
        GRADE_CONFIDENCE["C" if len(silent) else "A"],
        brl_at_stake=abs(difference) - credit,
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
        "9",
        "H",
        "Tarifa ausente ou ambígua, ou fatura que não fecha",
        "O valor variável de uma linha da fatura não é a soma dos custos das viagens que ela cobra.",
        "I+K",
        invoice_lines,
        "cycle",
        needs=(INVOICED, OVER, WHOLE),
        rests_on=("invoices", "tariffs", "contracts", "vehicles", "pois", "routes", "devices"),
        vehicle_need=VehicleNeeds(
            (
                VehicleNeed(_invoiced_plates, _plates_with_unobserved_days, "posições incompletas em dias do ciclo"),
                VehicleNeed(
                    _invoiced_plates, _perhaps_credited, "um crédito sem placa do contrato pode ser do veículo"
                ),
            )
        ),
    ),
)
