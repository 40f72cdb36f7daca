"""Fixed costs of a reserve and of the vehicle that it replaces: V03.

How a reserve's share is computed belongs to `logic.costs.fixed_costs`; a titular that stands idle is V04 in `costs`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pandas as pd

from fleet_audit.logic.audit.evidence import known
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import CALENDAR, NO_CALENDAR_PT, OVER
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed, VehicleNeeds
from fleet_audit.logic.primitives.computed_once import computed_once

_LISTED = 10
_UNPROVEN_SUBSTITUTION_PT = (
    "o reserva ou o titular fez viagens que podem ser de serviço, cujo local as coordenadas não comprovam; "
    "nos dias em que o titular as fez a parcela do reserva fica retida"
)


def charged_twice(context: AuditCycle) -> list[Draft]:
    """V03: working days on which a reserve and its titular both have a fixed cost and the reserve replaced nobody.

    A reserve is paid for days on which its titular has no service. That is a substitution only where the reserve has
    service itself; where both were seen and neither served, or where the titular served as well, one of the two amounts
    is in doubt: the reserve's. Days on which either was not seen, whose positions are incomplete, or on which a device
    was not on its vehicle (O04, O08) prove nothing. Days that the calendar does not call `util` are not a substitution
    that anybody missed. Nor is a day on which the reserve may have served, for a place is not proven. Of a reserve that
    was sold each carrier answers for its own days, whoever has the titular.
    """
    first = context.reserve_days.sort_values("operational_date", kind="stable").drop_duplicates("plate")
    first = first.set_index("plate")[["titular_plate", "carrier_code"]].T.to_dict()
    drafts = []
    for plate, titular, days in _doubtful_days(context):
        if not days["is_unknown"].all():
            draft = _draft(context, plate, titular, days)
            # a reserve of one titular and carrier keeps the id that earlier releases gave it
            names = {"titular_plate": titular, "carrier_code": draft.carrier_code}
            others = (str(name) for key, name in names.items() if name != known(first[plate][key]))
            drafts.append(replace(draft, extra=tuple(others)))
    return drafts


@computed_once
def _doubtful_days(context: AuditCycle) -> list[tuple[str, str, pd.DataFrame]]:
    """Each reserve, its titular and the reserve's shares of days that are in doubt if they are working days.

    operational_date, amount_brl, carrier_code (of one carrier), is_unknown: whether the unit's calendar lacks the day.
    """
    shares = context.fixed_costs[context.fixed_costs["amount_brl"] > 0]
    shares = shares.groupby(["operational_date", "plate"], as_index=False)["amount_brl"].agg(
        lambda own: sum(own, Decimal())
    )
    service, found = context.trips[context.trips["purpose"] == "service"], []
    for plate, titular, registered in _reserves(context):
        own, of_titular = (shares[shares["plate"] == each] for each in (plate, titular))
        days = set(registered["operational_date"]) & set(of_titular["operational_date"])
        days &= _seen_days(context, plate) & _seen_days(context, titular)
        served = _days_of(service, plate) | _days_of(context.perhaps_service, plate)
        doubtful = (days - served) | (days & _days_of(service, titular))
        rows = own[own["operational_date"].isin(doubtful)].merge(registered, on="operational_date")
        if len(rows):
            found.append((plate, titular, rows[["operational_date", "amount_brl", "carrier_code", "is_unknown"]]))
    return found


def _reserves(context: AuditCycle) -> list[tuple[str, str, pd.DataFrame]]:
    """Each reserve with a titular that it replaces; the days that may be working days, of each of its carriers.

    Those on which it is registered so, in order of plate: operational_date, carrier_code, is_unknown.
    """
    days, day_types = context.reserve_days, context.day_types(context.reserve_days)
    days = days.assign(is_unknown=day_types.isna())[day_types.isna() | (day_types == "util")]
    return [
        (str(plate), str(titular), rows[["operational_date", "carrier_code", "is_unknown"]])
        for (plate, titular, _), rows in days.groupby(["plate", "titular_plate", "carrier_code"], dropna=False)
    ]


def _reserve_plates(context: AuditCycle) -> set[str]:
    return set(context.reserve_days["plate"])


def _without_calendar(context: AuditCycle) -> set[str]:
    """Reserves that are only in doubt if days that the calendar of their unit lacks are working days."""
    in_doubt = _doubtful_days(context)
    accused = {plate for plate, _, days in in_doubt if not days["is_unknown"].all()}
    return {plate for plate, _, _ in in_doubt} - accused


def _perhaps_substituted(context: AuditCycle) -> set[str]:
    """Reserves with a day on which they or their titular may have served, and are not proven to have.

    On such days of the titular the reserve's share is held (`logic.costs.fixed_costs`).
    """
    service = context.trips[context.trips["purpose"] == "service"]
    return {
        reserve
        for reserve, titular in context.reserve_days[["plate", "titular_plate"]].drop_duplicates().to_numpy()
        for plate in (reserve, titular)
        if _days_of(context.perhaps_service, plate) - _days_of(service, plate)
    }


def _seen_days(context: AuditCycle, plate: str) -> set[dt.date]:
    coverage = context.coverage
    is_seen = (coverage["plate"] == plate) & (coverage["status"] == "complete")
    return set(coverage.loc[is_seen & ~context.is_unproven, "operational_date"])


def _days_of(trips: pd.DataFrame, plate: str) -> set[dt.date]:
    return set(trips.loc[trips["plate"] == plate, "operational_date"])


def _draft(context: AuditCycle, plate: str, titular: str, in_doubt: pd.DataFrame) -> Draft:
    days, unknown = in_doubt[~in_doubt["is_unknown"]], int(in_doubt["is_unknown"].sum())
    dates = sorted(days["operational_date"])
    amount = sum(days["amount_brl"], Decimal("0.00"))
    listed = ", ".join(sentences.day(day) for day in dates[:_LISTED])
    more = f" e mais {sentences.counted(len(dates) - _LISTED, 'dia', 'dias')}" if len(dates) > _LISTED else ""
    count = sentences.counted(len(dates), "dia útil", "dias úteis")
    without_calendar = f", sem contar {sentences.counted(unknown, 'dia', 'dias')} sem calendário" if unknown else ""
    return Draft(
        "V03",
        plate,
        f"No ciclo, {context.period}, o reserva {plate} e o titular {titular} têm custo fixo em {count} sem que o "
        f"reserva tenha substituído o titular ({listed}{more}): R$ {sentences.number(amount)} do reserva"
        f"{without_calendar}.",
        GRADE_CONFIDENCE["A"],
        facts={"titular_plate": titular, "dates": dates, "reserve_fixed_brl": amount},
        brl_at_stake=amount,
        carrier_code=known(in_doubt["carrier_code"].iloc[0]),
    )


RULES = (
    Rule(
        "V03",
        "11",
        "H",
        "Reserva e titular com custo fixo no mesmo dia",
        "O reserva e o titular têm custo fixo em dias em que o reserva não substituiu o titular.",
        "P+K",
        charged_twice,
        "cycle",
        "paid_doubtful_brl",
        needs=(
            OVER,
            Need(lambda context: len(context.reserve_days) > 0, "nenhum reserva cadastrado"),
            Need(lambda context: len(context.fixed_costs) > 0, "nenhum custo fixo no ciclo"),
            CALENDAR,
        ),
        rests_on=("calendar", "pois", "vehicles", "devices"),
        vehicle_need=VehicleNeeds(
            (
                VehicleNeed(_reserve_plates, _without_calendar, NO_CALENDAR_PT),
                VehicleNeed(_reserve_plates, _perhaps_substituted, _UNPROVEN_SUBSTITUTION_PT),
            )
        ),
    ),
)
