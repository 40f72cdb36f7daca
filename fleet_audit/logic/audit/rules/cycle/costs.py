"""Costs that a vehicle's cycle does not justify: K03 too much deadhead, V04 a fixed cost without operation.

How deadhead and fixed costs are paid belongs to `logic.costs`.
"""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import (
    CALENDAR,
    ENOUGH_DAYS,
    NO_CALENDAR_PT,
    OVER,
    UNPROVEN_PLACE_PT,
)
from fleet_audit.logic.audit.rules.cycle.trips_by_day import trips_by_day
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed, VehicleNeeds
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.money import half_up, to_hundredths

_CENT = Decimal("0.01")
_UNSEEN_PT = "dias em que o veículo não foi visto contam como dias de serviço e mudariam o resultado"


def too_much_deadhead(context: AuditCycle) -> list[Draft]:
    """K03: deadhead km in per cent of the vehicle's service km above deadhead_pct; no doubt above deadhead_sure_pct.

    At stake are the km beyond deadhead_pct that the contract pays, if it pays any: of a contract that pays 20 % of the
    service km, those from 10 % to 20 %. Their doubt is that of the empty trips plus deadhead_pct of that of the
    service trips. A vehicle without service is V04's. One of which trips may be
    service, for a place is not proven, is only found where it is above deadhead_pct with these. Days of which a source
    is incomplete by our own fault do not count, nor do those on which the device was off the bus (O04, O08): their
    service is missing.
    """
    trips = _trips_of_proven_days(context)
    parameters, known = context.parameters, trips[trips["km_measured"].notna()]
    known = known.assign(km=to_hundredths(known["km_measured"]))
    km = known.pivot_table(index="plate", columns="purpose", values="km", aggfunc="sum", fill_value=0)
    km = km.reindex(columns=["service", "deadhead"], fill_value=0)
    doubt = known.assign(km=known["km_uncertainty"].astype("float64").fillna(0.0))
    doubt = doubt.pivot_table(index="plate", columns="purpose", values="km", aggfunc="sum", fill_value=0.0)
    doubt = doubt.reindex(columns=["service", "deadhead"], fill_value=0.0)
    paid, share = _paid_deadhead(context), Decimal(str(parameters.deadhead_pct)) / 100
    km = km[~km.index.isin(_perhaps_less_empty(context))]
    unproven = context.coverage.loc[context.is_unproven, "plate"].value_counts()
    drafts = []
    for plate, row in km[km["service"] > 0].iterrows():
        service, deadhead = (Decimal(int(row[name])) / 100 for name in ("service", "deadhead"))
        pct = float(100 * deadhead / service)
        if pct <= parameters.deadhead_pct:
            continue
        own = known[known["plate"] == plate]
        allowed = (service * share).quantize(_CENT)
        paid_km, paid_brl = paid.get(str(plate), (Decimal("0.00"), None))
        paid_excess, excess = max(paid_km - allowed, Decimal("0.00")), deadhead - allowed
        at_stake = paid_excess or excess
        days = sentences.counted(int(unproven.get(plate, 0)), "dia", "dias")
        without = f", sem contar {days} de fonte incompleta ou com o rastreador fora dele" if plate in unproven else ""
        drafts.append(
            Draft(
                "K03",
                str(plate),
                f"No ciclo, {context.period}, o veículo {plate} percorreu {sentences.km(deadhead)} vazio para "
                f"{sentences.km(service)} em serviço ({sentences.number(pct, 1)} %), acima de "
                f"{sentences.number(parameters.deadhead_pct, 0)} %{without}.",
                GRADE_CONFIDENCE["A" if pct > parameters.deadhead_sure_pct else "C"],
                km_at_stake=at_stake,
                brl_at_stake=None if paid_brl is None else half_up(paid_excess * paid_brl / paid_km),
                brl_paid=paid_brl,
                km_uncertainty=float(doubt.loc[plate, "deadhead"] + float(share) * doubt.loc[plate, "service"]),
                tolerance_km=float(at_stake - excess),  # the doubt is about the excess, whatever of it is paid
                facts={
                    "service_km": service,
                    "deadhead_km": deadhead,
                    "deadhead_pct": round(pct, 2),
                    "paid_deadhead_km": paid_km,
                    **{
                        f"{purpose}_days": trips_by_day(own[own["purpose"] == purpose])
                        for purpose in ("deadhead", "service")
                    },
                },
            )
        )
    return drafts


@computed_once
def _trips_of_proven_days(context: AuditCycle) -> pd.DataFrame:
    """The trips without those of vehicle-days that are not shown whole (`AuditCycle.is_unproven`)."""
    keys = ["plate", "operational_date"]
    unproven, asked = (
        pd.MultiIndex.from_frame(rows[keys].astype(object))
        for rows in (context.coverage[context.is_unproven], context.trips)
    )
    return context.trips[~asked.isin(unproven)]


def _plates_with_deadhead(context: AuditCycle) -> set[str]:
    return set(context.trips.loc[context.trips["purpose"] == "deadhead", "plate"])


@computed_once
def _perhaps_less_empty(context: AuditCycle) -> set[str]:
    """Plates above deadhead_pct of their service km, but not of these with those of trips that may be service."""
    trips = _trips_of_proven_days(context)
    trips = trips[trips["km_measured"].notna()]
    is_perhaps = trips["trip_id"].isin(context.perhaps_service["trip_id"])
    purpose = trips["purpose"].mask(is_perhaps, "perhaps")
    km = pd.DataFrame({"plate": trips["plate"], "purpose": purpose, "km": to_hundredths(trips["km_measured"])})
    km = km.pivot_table(index="plate", columns="purpose", values="km", aggfunc="sum", fill_value=0)
    km = km.reindex(columns=["service", "deadhead", "perhaps"], fill_value=0)
    limit = context.parameters.deadhead_pct / 100
    is_above = (km["service"] > 0) & (km["deadhead"] > limit * km["service"])
    unmeasured = context.perhaps_service.loc[context.perhaps_service["km_measured"].isna(), "plate"]
    is_open = (km["deadhead"] <= limit * (km["service"] + km["perhaps"])) | km.index.isin(unmeasured)
    return set(km.index[is_above & is_open])


def _paid_deadhead(context: AuditCycle) -> dict[str, tuple[Decimal, Decimal]]:
    """Plate → km and BRL of the deadhead that the contract pays."""
    trips = _trips_of_proven_days(context)
    trips = trips.loc[trips["purpose"] == "deadhead", ["trip_id", "plate"]]
    rows = trips.merge(context.costs[["trip_id", "billable_km", "variable_cost_brl"]], on="trip_id")
    rows = rows[(rows["variable_cost_brl"] > 0).fillna(False)]
    return {
        str(plate): (sum(own["billable_km"], Decimal()), sum(own["variable_cost_brl"], Decimal()))
        for plate, own in rows.groupby("plate", sort=True)
    }


def idle_fixed_cost(context: AuditCycle) -> list[Draft]:
    """V04: a fixed cost is paid and on more than idle_pct of its working days (calendar: util) service is missing.

    A day on which it was not seen, or whose positions are incomplete, or with a trip that may be service, proves
    nothing: it counts as a day of service, and a vehicle that these days alone clear is not tested. Waits for the
    cycle's end; on days on which it is a reserve that replaces a titular it is paid by the day and excluded.
    """
    return [_idle(context, plate, rows) for plate, rows in _mostly(context, "is_idle").items()]


def _mostly(context: AuditCycle, flag: str, days: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
    """The paid working days, or these of them, of each plate of which more than idle_pct have the flag, by plate."""
    days = _paid_working_days(context) if days is None else days
    return {
        str(plate): rows
        for plate, rows in days.groupby("plate", sort=True)
        if 100 * _days(rows, flag) > context.parameters.idle_pct * rows["operational_date"].nunique()
    }


def _days(rows: pd.DataFrame, flag: str) -> int:
    """Days with the flag; one of two contracts has two rows."""
    return int(rows.loc[rows[flag], "operational_date"].nunique())


def _plates_with_fixed_cost(context: AuditCycle) -> set[str]:
    return set(_paid_working_days(context)["plate"])


def _perhaps_idle(context: AuditCycle) -> set[str]:
    """Plates that are idle only if no trip of theirs whose place is not proven was service."""
    return _mostly(context, "is_perhaps_idle").keys() - _mostly(context, "is_idle").keys()


def _without_calendar(context: AuditCycle) -> set[str]:
    """Plates that are idle only if days that the calendar of their unit lacks are working days.

    One day that a calendar lacks left no vehicle of its unit tested, also those that served on each day.
    """
    days = _paid_working_days(context)
    possible = days[days["is_unserved"] | ~days["is_unknown"]]
    return _mostly(context, "is_unserved", possible).keys() - _mostly(context, "is_perhaps_idle").keys()


def _unseen(context: AuditCycle) -> set[str]:
    """Plates that are idle only if they did not serve on days on which they were not seen."""
    return _mostly(context, "is_perhaps_unserved").keys() - _mostly(context, "is_perhaps_idle").keys()


@computed_once
def _paid_working_days(context: AuditCycle) -> pd.DataFrame:
    """Shares of working days: plate, operational_date, amount_brl, is_unknown, is_unserved, is_perhaps_idle, is_idle,
    is_perhaps_unserved: no trip of a day of the calendar is proven to be service, seen or not.

    A day is unserved where the vehicle was seen and no trip is proven to be service. It is perhaps idle where its
    unit's calendar has it, idle where no trip may be service either. Days that the calendar lacks are unknown: each
    may be a working day, and none is idle. A vehicle belongs to the unit of the day, and on days on which it is not
    registered to its last one.
    """
    keys = ["plate", "operational_date"]
    paid = context.fixed_costs.merge(context.reserve_days[keys].assign(is_reserve=True), on=keys, how="left")
    paid = paid[paid["is_reserve"].isna()].merge(context.registered[[*keys, "unit_code"]], on=keys, how="left")
    last_unit = paid["plate"].map({plate: owner["unit_code"] for plate, owner in context.owners.items()})
    paid = paid.assign(unit_code=paid["unit_code"].fillna(last_unit))
    day_types = context.day_types(paid)
    days = paid.assign(is_unknown=day_types.isna())[day_types.isna() | (day_types == "util")]
    served = context.trips.loc[context.trips["purpose"] == "service", ["plate", "operational_date"]].drop_duplicates()
    days = days.merge(served.assign(is_served=True), on=["plate", "operational_date"], how="left")
    days = days.merge(context.seen_days.assign(is_seen=True), on=["plate", "operational_date"], how="left")
    perhaps = context.perhaps_service[["plate", "operational_date"]].drop_duplicates()
    days = days.merge(perhaps.assign(is_perhaps=True), on=["plate", "operational_date"], how="left")
    is_unserved = days["is_seen"].notna() & days["is_served"].isna()
    days = days.assign(is_unserved=is_unserved, is_perhaps_idle=is_unserved & ~days["is_unknown"])
    days = days.assign(is_perhaps_unserved=days["is_served"].isna() & ~days["is_unknown"])
    return days.assign(is_idle=days["is_perhaps_idle"] & days["is_perhaps"].isna())


def _idle(context: AuditCycle, plate: str, days: pd.DataFrame) -> Draft:
    idle = days[days["is_idle"]]
    amount = sum(idle["amount_brl"], Decimal("0.00"))
    total = days["operational_date"].nunique()
    unknown = _days(days, "is_unknown")
    without_calendar = f" ({unknown} deles sem calendário)" if unknown else ""
    return Draft(
        "V04",
        plate,
        f"No ciclo, {context.period}, o veículo {plate} teve custo fixo e nenhuma viagem de serviço em "
        f"{_days(days, 'is_idle')} de {total} dias úteis{without_calendar}, acima de "
        f"{sentences.number(context.parameters.idle_pct, 0)} %: R$ {sentences.number(amount)} de parcela fixa neles.",
        GRADE_CONFIDENCE["A"],
        facts={
            "idle_dates": idle["operational_date"].drop_duplicates().to_list(),
            "working_days": total,
            "fixed_brl": amount,
        },
        brl_at_stake=amount,
    )


RULES = (
    Rule(
        "V04",
        "13",
        "H",
        "Custo fixo sem operação",
        "O veículo tem custo fixo e não teve viagem de serviço em muitos dias úteis do ciclo.",
        "P+K",
        idle_fixed_cost,
        "cycle",
        "paid_doubtful_brl",
        ("idle_pct",),
        (
            OVER,
            ENOUGH_DAYS,
            Need(lambda context: len(context.fixed_costs) > 0, "nenhum custo fixo no ciclo"),
            CALENDAR,
        ),
        rests_on=("calendar", "pois", "vehicles", "devices"),
        vehicle_need=VehicleNeeds(
            (
                VehicleNeed(_plates_with_fixed_cost, _without_calendar, NO_CALENDAR_PT),
                VehicleNeed(_plates_with_fixed_cost, _perhaps_idle, UNPROVEN_PLACE_PT),
                VehicleNeed(_plates_with_fixed_cost, _unseen, _UNSEEN_PT),
            )
        ),
        is_by_carrier=True,
    ),
    Rule(
        "K03",
        "8",
        "M",
        "Deslocamento vazio em excesso",
        "O veículo rodou vazio, no ciclo, mais do que o contrato admite em relação ao serviço.",
        "P+K",
        too_much_deadhead,
        "cycle",
        "paid_doubtful_brl",
        ("deadhead_pct", "deadhead_sure_pct"),
        (OVER, ENOUGH_DAYS),
        rests_on=("contracts", "pois", "devices"),
        vehicle_need=VehicleNeed(_plates_with_deadhead, _perhaps_less_empty, UNPROVEN_PLACE_PT),
        is_by_carrier=True,
    ),
)
