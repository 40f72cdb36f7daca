"""Fixed costs of a reserve and of the vehicle that it replaces: V03.

How a reserve's share is computed belongs to `logic.costs.fixed_costs`; a titular that stands idle is V04 in `costs`.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import OVER
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed

_LISTED = 10


def charged_twice(context: AuditCycle) -> list[Draft]:
    """V03: working days on which a reserve and its titular both have a fixed cost and the reserve replaced nobody.

    A reserve is paid for days on which its titular has no service. That is a substitution only where the reserve
    has service itself; where both were seen and neither served, or where the titular served as well, one of the two
    amounts is in doubt: the reserve's. Days on which either was not seen, or whose positions are incomplete, prove
    nothing. Days that the calendar does not call `util` are no substitution that anybody missed. Nor is a day on which
    the reserve may have served, for a place is not proven.
    """
    util = context.calendar.loc[context.calendar["day_type"] == "util", ["date", "unit_code"]]
    shares = context.fixed_costs[context.fixed_costs["amount_brl"] > 0]
    shares = shares.groupby(["operational_date", "plate"], as_index=False)["amount_brl"].agg(
        lambda own: sum(own, Decimal())
    )
    drafts = []
    service = context.trips[context.trips["purpose"] == "service"]
    for reserve in _reserves(context):
        plate, titular = reserve["plate"], reserve["titular_plate"]
        own, of_titular = (shares[shares["plate"] == each] for each in (plate, titular))
        days = set(own["operational_date"]) & set(of_titular["operational_date"])
        days &= set(util.loc[util["unit_code"] == reserve["unit_code"], "date"])
        days &= _seen_days(context, plate) & _seen_days(context, titular)
        served = _days_of(service, plate) | _days_of(context.perhaps_service, plate)
        doubtful = (days - served) | (days & _days_of(service, titular))
        if doubtful:
            drafts.append(_draft(context, plate, titular, own[own["operational_date"].isin(doubtful)]))
    return drafts


def _reserves(context: AuditCycle) -> list[Record]:
    """Vehicles that replace a titular, by plate."""
    vehicles = context.vehicles
    reserves = vehicles[(vehicles["status"] == "reserva") & vehicles["titular_plate"].notna()]
    return reserves.sort_values("plate").to_dict("records")


def _reserve_plates(context: AuditCycle) -> set[str]:
    return {reserve["plate"] for reserve in _reserves(context)}


def _perhaps_substituted(context: AuditCycle) -> set[str]:
    """Reserves with a day on which they or their titular may have served, and are not proven to have.

    On such days of the titular the reserve's share is held (`logic.costs.fixed_costs`).
    """
    service = context.trips[context.trips["purpose"] == "service"]
    return {
        reserve["plate"]
        for reserve in _reserves(context)
        for plate in (reserve["plate"], reserve["titular_plate"])
        if _days_of(context.perhaps_service, plate) - _days_of(service, plate)
    }


def _seen_days(context: AuditCycle, plate: str) -> set[dt.date]:
    coverage = context.coverage
    is_seen = (coverage["plate"] == plate) & (coverage["status"] == "complete") & ~context.is_unobserved
    return set(coverage.loc[is_seen, "operational_date"])


def _days_of(trips: pd.DataFrame, plate: str) -> set[dt.date]:
    return set(trips.loc[trips["plate"] == plate, "operational_date"])


def _draft(context: AuditCycle, plate: str, titular: str, days: pd.DataFrame) -> Draft:
    dates = sorted(days["operational_date"])
    amount = sum(days["amount_brl"], Decimal("0.00"))
    listed = ", ".join(sentences.day(day) for day in dates[:_LISTED])
    more = f" e mais {sentences.counted(len(dates) - _LISTED, 'dia', 'dias')}" if len(dates) > _LISTED else ""
    count = sentences.counted(len(dates), "dia útil", "dias úteis")
    return Draft(
        "V03",
        plate,
        f"No ciclo, {context.period}, o reserva {plate} e o titular {titular} têm custo fixo em {count} sem que o "
        f"reserva tenha substituído o titular ({listed}{more}): R$ {sentences.number(amount)} do reserva.",
        GRADE_CONFIDENCE["A"],
        facts={"titular_plate": titular, "dates": dates, "reserve_fixed_brl": amount},
        brl_at_stake=amount,
    )


RULES = (
    Rule(
        "V03",
        "3",
        "H",
        "Reserva e titular com custo fixo no mesmo dia",
        "O reserva e o titular têm custo fixo em dias em que o reserva não substituiu o titular.",
        "P+K",
        charged_twice,
        "cycle",
        "paid_doubtful_brl",
        needs=(
            OVER,
            Need(lambda context: bool(context.vehicles["titular_plate"].notna().any()), "nenhum reserva cadastrado"),
            Need(lambda context: len(context.fixed_costs) > 0, "nenhum custo fixo no ciclo"),
            Need(lambda context: len(context.calendar) > 0, "nenhum calendário"),
        ),
        vehicle_need=VehicleNeed(
            _reserve_plates,
            _perhaps_substituted,
            "o reserva ou o titular fez viagens que podem ser de serviço, cujo local as coordenadas arredondadas não "
            "comprovam; nos dias em que o titular as fez a parcela do reserva fica retida",
        ),
    ),
)
