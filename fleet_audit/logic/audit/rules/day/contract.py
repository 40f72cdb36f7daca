"""Gaps of contracts: K01, a trip without exactly one tariff.

Choosing a tariff belongs to `logic.costs.tariffs`; invoices are compared in `rules.cycle.invoice`.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.estimates import with_estimate
from fleet_audit.logic.audit.rules.day.needs import TRIPS
from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule

_WHY = {
    "no_tariff": "não tem tarifa aplicável",
    "ambiguous_tariff": "tem mais de uma tarifa igualmente específica",
}


def unpriced_trips(context: AuditDay) -> list[Draft]:
    """K01: cost status no_tariff or ambiguous_tariff. The km are known, their price is not: BRL are an estimate."""
    costs = context.costs[context.costs["cost_status"].isin(list(_WHY))].set_index("trip_id")
    trips = context.trips_of_day
    drafts = []
    for trip_id, trip in context.trip_records(trips.loc[trips["trip_id"].isin(costs.index), "trip_id"]).items():
        cost = costs.loc[trip_id]
        km = next((value for value in (cost["billable_km"], trip["km_measured"]) if not pd.isna(value)), None)
        distance = "km desconhecidos" if km is None else sentences.km(km)
        drafts.append(
            with_estimate(
                context,
                Draft(
                    "K01",
                    trip["plate"],
                    f"A viagem do veículo {trip['plate']} em {sentences.period(trip, context.zone(trip['plate']))} "
                    f"({distance}) {_WHY[cost['cost_status']]} no contrato {cost['contract_id']}.",
                    1.0,
                    (trip_id,),
                    km_at_stake=km,
                    facts={name: cost[name] for name in ("cost_status", "cost_reason", "contract_id")},
                ),
                [trip_id],
            )
        )
    return drafts


RULES = (
    Rule(
        "K01",
        "2",
        "H",
        "Tarifa ausente ou ambígua, ou fatura que não fecha",
        "O contrato não tem tarifa para a viagem, ou tem mais de uma igualmente específica.",
        "K",
        unpriced_trips,
        amount="in_favour_brl",
        needs=(
            TRIPS,
            Need(lambda context: len(context.costs) > 0, "nenhum custo calculado"),
        ),
    ),
)
