"""What km without a price are worth by the nearest tariff: part of the findings K01 and V01.

Which tariff is the nearest is decided in `logic.costs.nearest_tariffs`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.draft import Draft


def with_estimate(context: AuditDay, draft: Draft, trip_ids: Iterable[str]) -> Draft:
    """The draft with the estimate of these trips as its BRL, in its sentence and, trip by trip, in its evidence.

    It stays without BRL where none of them has a nearest tariff.
    """
    found = [context.price_estimates[trip_id] for trip_id in trip_ids if trip_id in context.price_estimates]
    if not found:
        return draft
    low, high = (sum(estimate[side] for estimate in found) for side in ("low_brl", "high_brl"))
    named = sorted({f"{each['tariff_ids']} do contrato {each['contract_id']}" for each in found})
    tariffs = {tariff for each in found for tariff in each["tariff_ids"].split(", ")}
    nearest = "pela tarifa mais próxima" if len(tariffs) == 1 else "pelas tarifas mais próximas"
    amount = f"R$ {sentences.number(low)}" + ("" if low == high else f" a R$ {sentences.number(high)}")
    return replace(
        draft,
        explanation_pt=f"{draft.explanation_pt.removesuffix('.')}; estimativa {nearest} "
        f"({'; '.join(named)}): {amount}.",
        brl_at_stake=low,
        brl_high=high,
        facts={**draft.facts, "estimates": found},
    )
