"""A register that contradicts itself, over a cycle: fixed amounts of several contracts of one vehicle, and of days on
which it does not have the vehicle (Q05).

Which of them is paid is decided in `logic.costs.fixed_costs`.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.draft import WRITTEN_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.logic.costs.parallel_contracts import parallel_fixed_costs


def contradictions(context: AuditCycle) -> list[Draft]:
    """Q05: what the register says twice or not at all of a fixed amount."""
    return [*fixed_costs_of_several_contracts(context), *fixed_costs_without_vehicle(context)]


def fixed_costs_without_vehicle(context: AuditCycle) -> list[Draft]:
    """Q05: a fixed amount that is paid on days on which the register does not have the vehicle.

    The row of the amount and its contract decide what is paid (RULES 4): a vehicle that left, and whose amount nobody
    ended, is paid on. A person decides which of the two rows is right.
    """
    keys = ["plate", "operational_date"]
    paid = context.fixed_costs[context.fixed_costs["amount_brl"] > 0]
    paid = paid.merge(context.registered[keys].assign(is_registered=True), on=keys, how="left")
    paid = paid[paid["is_registered"].isna()]
    return [
        _unregistered(context, str(plate), str(contract_id), rows)
        for (plate, contract_id), rows in paid.groupby(["plate", "contract_id"], sort=True)
    ]


def _unregistered(context: AuditCycle, plate: str, contract_id: str, rows: pd.DataFrame) -> Draft:
    first, last, days = rows["operational_date"].min(), rows["operational_date"].max(), len(rows)
    amount = sum(rows["amount_brl"], Decimal("0.00"))
    return Draft(
        "Q05",
        plate,
        f"{_period(first, last, days)} são pagos {_brl(amount)} de parcela fixa do veículo {plate} sob o contrato "
        f"{contract_id}, e o cadastro não tem o veículo nesses dias: confira o fim da vigência dos dois.",
        WRITTEN_CONFIDENCE,
        facts={"plate": plate, "contract_id": contract_id, "date_from": first, "date_to": last, "days": days,
               "fixed_brl": amount},
        carrier_code=context.carriers_of_contracts.get(contract_id),
        extra=("fixed_costs_without_vehicle", contract_id),
    )  # fmt: skip


def fixed_costs_of_several_contracts(context: AuditCycle) -> list[Draft]:
    """Q05: a fixed amount that is not paid, because one of the vehicle's own contract is, or two that both are.

    One per pair of contracts: of three, any two may be paid on the same days. The first may be one that nobody ended,
    or the vehicle's row of the register is out of date, or the own contract's amount is 0.00: a person decides. Where
    the contracts are of several carriers the finding is nobody's own, because no carrier sees the amounts of another.
    """
    found = parallel_fixed_costs(
        context.cycle, context.day, context.fixed_cost_terms, context.contracts, context.vehicle_terms, context.trips
    )
    return [
        _draft(context, row) for row in found.itertuples() if not row.is_paid or row.contract_id < row.other_contract_id
    ]


def _draft(context: AuditCycle, row: Any) -> Draft:
    period = _period(row.date_from, row.date_to, row.days)
    own, other = _brl(row.amount_brl), _brl(row.other_brl)
    sentence = (
        f"{period} são pagas duas parcelas do veículo {row.plate}, sob dois contratos: {own} sob o contrato "
        f"{row.contract_id} e {other} sob {row.other_contract_id}, e nenhum é o do cadastro do veículo: confira."
        if row.is_paid
        else f"{period} não se paga o custo fixo do veículo {row.plate} sob o contrato {row.contract_id}, {own}: o "
        f"veículo está no contrato {row.other_contract_id}, que paga {other} nesses dias. Confira o fim da "
        "vigência e o cadastro do veículo."
    )
    contracts = context.contracts
    named = contracts["contract_id"].isin([row.contract_id, row.other_contract_id])
    is_of_one_carrier = contracts.loc[named, "carrier_code"].nunique() == 1
    return Draft(
        "Q05",
        row.plate if is_of_one_carrier else None,
        sentence,
        WRITTEN_CONFIDENCE,
        facts={
            "plate": row.plate,
            "contract_id": row.contract_id,
            "other_contract_id": row.other_contract_id,
            "is_paid": bool(row.is_paid),
            "date_from": row.date_from,
            "date_to": row.date_to,
            "days": row.days,
            "fixed_brl": row.amount_brl,
            "other_fixed_brl": row.other_brl,
        },
        unit_code=context.owners.get(row.plate, {}).get("unit_code"),
        extra=("fixed_costs", row.plate, row.contract_id, row.other_contract_id, str(row.date_from), str(row.is_paid)),
    )


def _period(first: dt.date, last: dt.date, days: int) -> str:
    return f"De {sentences.day(first)} a {sentences.day(last)} ({sentences.counted(days, 'dia', 'dias')})"


def _brl(amount: Decimal) -> str:
    return f"R$ {sentences.number(amount)}"


RULES = (
    Rule(
        "Q05",
        "3",
        "L",
        "Fonte contradiz a si mesma",
        "O cadastro tem custo fixo de vários contratos para o mesmo veículo nos mesmos dias, ou de um veículo que ele "
        "não tem nesses dias.",
        "K",
        contradictions,
        "cycle",
    ),
)
