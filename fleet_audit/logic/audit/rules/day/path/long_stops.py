"""Stops: G07, a long stop where no place is known.

Movement between stops is in the other modules of this folder.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule


def long_unknown_stops(context: AuditDay) -> list[Draft]:
    """G07: dwell above long_stop_s after a movement of D that ends at no known place.

    An end inside a gap, or one of points without a fix, has no place to be known; a leg that positions measured better
    is evidence only.
    """
    legs = context.legs_of_day
    legs = legs[
        (legs["dwell_s"] > context.parameters.long_stop_s)
        & legs["destination_poi_id"].isna()
        & ~legs["is_end_in_gap"].astype(bool)
        & legs["superseded_by_trip_id"].isna()
        & (legs["destination_latitude"].notna() | legs["destination_address"].notna())
    ]
    return [_draft(context, leg) for leg in legs.to_dict("records")]


def _draft(context: AuditDay, leg: Record) -> Draft:
    plate = leg["plate"]
    return Draft(
        "G07",
        plate,
        f"O veículo {plate} ficou parado {sentences.number(leg['dwell_s'] / 60, 0)} min a partir de "
        f"{sentences.moment(leg['ended_at'], context.zone(plate))} em local não cadastrado ({_where(leg)}).",
        GRADE_CONFIDENCE["A" if leg["source"] == "positions" else "C"],
        (leg["trip_id"],),
        facts={
            name: leg[name]
            for name in ("leg_id", "dwell_s", "destination_address", "destination_latitude", "destination_longitude")
        },
        extra=(leg["leg_id"],),
    )


def _where(leg: Record) -> str:
    if not pd.isna(leg["destination_address"]):
        return str(leg["destination_address"])
    if pd.isna(leg["destination_latitude"]):
        return "endereço desconhecido"
    return f"{sentences.number(leg['destination_latitude'], 5)}; {sentences.number(leg['destination_longitude'], 5)}"


RULES = (
    Rule(
        "G07",
        "3",
        "L",
        "Parada longa em local desconhecido",
        "O veículo ficou parado por longo tempo fora de qualquer local cadastrado.",
        "P/V",
        long_unknown_stops,
        parameters=("long_stop_s",),
        needs=(Need(lambda context: len(context.legs_of_day) > 0, "nenhum movimento medido no dia"),),
        rests_on=("P", "V", "pois"),
    ),
)
