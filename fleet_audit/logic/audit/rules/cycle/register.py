"""A register that contradicts itself, over a cycle: fixed amounts of several contracts of one vehicle (Q05).

Which of them is paid is decided in `logic.costs.fixed_costs`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.draft import WRITTEN_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.logic.costs.parallel_contracts import parallel_fixed_costs


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
    days = sentences.counted(row.days, "dia", "dias")
    period = f"De {sentences.day(row.date_from)} a {sentences.day(row.date_to)} ({days})"
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


def _brl(amount: Decimal) -> str:
    return f"R$ {sentences.number(amount)}"


RULES = (
    Rule(
        "Q05",
        "2",
        "L",
        "Fonte contradiz a si mesma",
        "O cadastro tem custo fixo de vários contratos para o mesmo veículo nos mesmos dias.",
        "K",
        fixed_costs_of_several_contracts,
        "cycle",
    ),
)
