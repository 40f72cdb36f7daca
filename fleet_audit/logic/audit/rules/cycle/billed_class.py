"""The class that a carrier billed against the class of its vehicle: V02.

An invoice line that differs from the sum of its trips is K01 in `invoice`.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import INVOICED
from fleet_audit.logic.audit.rules.draft import WRITTEN_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed
from fleet_audit.logic.costs.invoices import are_credit_notes
from fleet_audit.logic.primitives.money import half_up

_CENT = Decimal("0.01")


def dearer_class(context: AuditCycle) -> list[Draft]:
    """V02: an invoice line whose class its vehicle had on no day of the cycle, at a rate above the vehicle's own.

    The vehicle's classes are those by which its trips were priced, and the registered one. Its own rate is the highest
    at which a trip of the cycle was priced under the line's contract: a vehicle without such a trip, or a line without
    a rate, shows no dearer price and is not tested. At stake is the difference of the rates over the billed km, unless
    credit notes for the vehicle return as much.
    """
    classes, rates, returned = _registered_classes(context), _highest_rates(context), _credit_notes(context)
    drafts = []
    for line in _lines_of_other_classes(context).dropna(subset="rate_brl_per_km").to_dict("records"):
        key = line["contract_id"], line["plate"]
        rate = rates.get(key)
        if rate is not None and line["rate_brl_per_km"] > rate:
            draft = _draft(context, line, sorted(classes[line["plate"]]), rate)
            if draft.brl_at_stake is None or draft.brl_at_stake > returned.get(key, 0):
                drafts.append(draft)
    return drafts


def _credit_notes(context: AuditCycle) -> dict[tuple[str, str], Decimal]:
    """R$ of the credit notes by contract and plate."""
    lines = context.invoice_lines
    notes = lines[(lines["billed_brl"] < 0).fillna(False).to_numpy(dtype=bool)]
    by_vehicle = notes.groupby(["contract_id", "plate"])["billed_brl"]
    return {(str(contract), str(plate)): -sum(own) for (contract, plate), own in by_vehicle}


def _lines_of_other_classes(context: AuditCycle) -> pd.DataFrame:
    """Invoice lines whose class their vehicle had on no day of the cycle; none of vehicles without a known class."""
    classes, lines = _registered_classes(context), context.invoice_lines
    lines = lines[~are_credit_notes(lines)]
    lines = lines[lines["vehicle_class"].notna() & lines["plate"].isin(list(classes))]
    pairs = zip(lines["plate"], lines["vehicle_class"], strict=True)
    lines = lines[np.array([billed not in classes[plate] for plate, billed in pairs], dtype=bool)]
    return lines.sort_values(["plate", "contract_id", "vehicle_class", "rate_brl_per_km"])


def _plates_of_other_classes(context: AuditCycle) -> set[str]:
    return set(_lines_of_other_classes(context)["plate"])


def _plates_without_rate(context: AuditCycle) -> set[str]:
    """Plates that were billed in another class, and whose own rate or each billed rate is not known."""
    lines, rates = _lines_of_other_classes(context), _highest_rates(context)
    is_priced = pd.MultiIndex.from_frame(lines[["contract_id", "plate"]].astype(object)).isin(list(rates))
    is_comparable = lines["rate_brl_per_km"].notna() & is_priced
    return set(lines["plate"]) - set(lines.loc[is_comparable, "plate"])


def _registered_classes(context: AuditCycle) -> dict[str, set[str]]:
    """Plate → classes that it had in the cycle."""
    known = pd.concat([context.vehicle_costs[["plate", "vehicle_class"]], context.vehicles[["plate", "vehicle_class"]]])
    known = known.dropna().drop_duplicates()
    return {str(plate): set(own) for plate, own in known.groupby("plate")["vehicle_class"]}


def _highest_rates(context: AuditCycle) -> dict[tuple[str, str], Decimal]:
    """The highest rate by contract and plate: no carrier sees what another one is paid for a vehicle that was sold."""
    costs = context.vehicle_costs
    priced = costs[(costs["cost_status"] == "priced") & costs["rate_brl_per_km"].notna()]
    by_contract = priced.groupby(["contract_id", "plate"])["rate_brl_per_km"]
    return {(str(contract), str(plate)): max(rates) for (contract, plate), rates in by_contract}


def _draft(context: AuditCycle, line: Record, classes: list[str], rate: Decimal) -> Draft:
    plate, km, names = line["plate"], line["billed_km"], sentences.VEHICLE_CLASSES
    billed, *registered = (names.get(one, one) for one in (line["vehicle_class"], *classes))
    own = " ou ".join(registered)
    difference = line["rate_brl_per_km"] - rate
    amount = None if pd.isna(km) else half_up(km * difference)
    stake = "" if amount is None else f": R$ {sentences.number(amount)} a mais em {sentences.km(km)}"
    return Draft(
        "V02",
        plate,
        f"No ciclo, {context.period}, a fatura cobra o veículo {plate} como {billed} a R$ "
        f"{_price(line['rate_brl_per_km'])} por km, mas no cadastro ele é {own}, "
        f"a no máximo R$ {_price(rate)} por km{stake}.",
        WRITTEN_CONFIDENCE,
        km_at_stake=None if pd.isna(km) else km,
        facts={
            "invoice_line": {name: line[name] for name in context.invoices.columns},
            "registered_classes": classes,
            "highest_own_rate_brl_per_km": rate,
        },
        brl_at_stake=amount,
        extra=(line["contract_id"], line["vehicle_class"], str(line["rate_brl_per_km"])),
        carrier_code=context.carriers_of_contracts.get(line["contract_id"]),
    )


def _price(rate: Decimal) -> str:
    """`4,90`, or `4,9025` where cents do not hold it."""
    return sentences.number(rate, 2 if rate == rate.quantize(_CENT) else 4)


RULES = (
    Rule(
        "V02",
        "6",
        "H",
        "Cobrado em classe mais cara",
        "A fatura cobra o veículo em uma classe que ele não tem no cadastro, por um preço maior do que o dele.",
        "I+K",
        dearer_class,
        "cycle",
        "paid_doubtful_brl",
        needs=(
            INVOICED,
            Need(
                lambda context: bool(context.vehicles["vehicle_class"].notna().any()),
                "nenhum veículo tem classe no cadastro",
            ),
        ),
        rests_on=("tariffs", "contracts", "vehicles"),
        vehicle_need=VehicleNeed(
            _plates_of_other_classes,
            _plates_without_rate,
            "cobrado em outra classe, mas sem viagem com preço ou sem preço na fatura para comparar",
        ),
    ),
)
