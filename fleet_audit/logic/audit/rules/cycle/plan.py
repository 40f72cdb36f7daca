"""Service trips of a vehicle's cycle against its plan: T05 more, T06 fewer.

Planned km and the forecast belong to `logic.costs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import UNPROVEN_PLACE_PT, WHOLE
from fleet_audit.logic.audit.rules.cycle.trips_by_day import trips_by_day
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed, VehicleNeeds
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.money import half_up

_UNSEEN_TRIPS_PT = (
    "fez menos viagens que o limite, mas dias sem dados ou sem contrato, ou viagens sem rota, podem completar o plano"
)
_PLAN_FACTS = ["cycle_start", "plate", "route_code", "planned_km", "planned_trips", "weekdays"]


@dataclass(frozen=True)
class _PlannedVehicle:
    """A vehicle's plan of the cycle beside what it did: the plan's rows, and the service trips on their routes.

    `without_route` counts its service trips whose route is unknown, where the plan names routes: each may be one of
    them. `perhaps` counts the trips that may be service (`AuditCycle.perhaps_service`). `unseen` is the share of
    the cycle's days without data, with incomplete data, or without a contract: it joins later, or leaves earlier.
    """

    plate: str
    plan: pd.DataFrame
    trips: pd.DataFrame
    without_route: int
    perhaps: int
    unseen: float

    @property
    def planned(self) -> int:
        """Planned trips."""
        return int(self.plan["planned_trips"].sum())

    @property
    def done(self) -> int:
        """Service trips."""
        return len(self.trips)

    def is_over(self, over_pct: float, perhaps: int = 0) -> bool:
        """Whether so many trips more than its service trips exceed the plan."""
        return self.done + perhaps > max(self.planned * over_pct / 100, self.planned + 1)

    def is_under(self, under_pct: float, perhaps: int = 0) -> bool:
        """Whether the plan is not fulfilled by so many trips more than all that it can have had."""
        done = self.done + self.without_route + self.planned * self.unseen
        return done + perhaps < self.planned * under_pct / 100

    def is_perhaps_under(self, under_pct: float) -> bool:
        """Whether the plan is fulfilled only by trips that nothing proves: of unknown routes, and of unseen days."""
        return self.done < self.planned * under_pct / 100 and not self.is_under(under_pct)


def more_trips_than_planned(context: AuditCycle) -> list[Draft]:
    """T05: service trips of the vehicle above max(plan_over_pct, +1) of those planned. Waits for the cycle's end."""
    over = [own for own in _planned(context) if own.is_over(context.parameters.plan_over_pct)]
    return [_against_plan(context, "T05", "plan_over_pct", own) for own in over]


def fewer_trips_than_planned(context: AuditCycle) -> list[Draft]:
    """T06: below plan_under_pct of those planned; a trip on an unknown route, or on a day without data, may be one.

    So may one whose place is not proven. A vehicle that only these clear is not tested: a plan may also be made for the
    days with a contract alone.
    """
    under_pct = context.parameters.plan_under_pct
    under = [own for own in _planned(context) if own.is_under(under_pct, own.perhaps)]
    return [_against_plan(context, "T06", "plan_under_pct", own) for own in under]


def _planned_plates(context: AuditCycle) -> set[str]:
    return {own.plate for own in _planned(context)}


def _perhaps_over(context: AuditCycle) -> set[str]:
    limit = context.parameters.plan_over_pct
    return {own.plate for own in _planned(context) if not own.is_over(limit) and own.is_over(limit, own.perhaps)}


def _perhaps_under(context: AuditCycle) -> set[str]:
    limit = context.parameters.plan_under_pct
    return {own.plate for own in _planned(context) if own.is_under(limit) and not own.is_under(limit, own.perhaps)}


def _under_by_what_was_seen(context: AuditCycle) -> set[str]:
    return {own.plate for own in _planned(context) if own.is_perhaps_under(context.parameters.plan_under_pct)}


@computed_once
def _planned(context: AuditCycle) -> list[_PlannedVehicle]:
    """Each planned vehicle, with its trips on the routes that its plan names: all, where a row names none."""
    plan = context.plan[(context.plan["cycle_start"] == context.cycle.start) & context.plan["planned_trips"].notna()]
    trips = dict(tuple(context.trips[context.trips["purpose"] == "service"].groupby("plate")))
    keys = ["plate", "operational_date"]
    under_contract = context.registered.loc[context.registered["contract_id"].notna(), keys]
    unseen = 1 - context.seen_days.merge(under_contract, on=keys).groupby("plate").size() / context.cycle.length
    perhaps = context.perhaps_service.groupby("plate").size()
    found = []
    for plate, rows in plan.groupby("plate", sort=True):
        own, without_route = trips.get(plate, context.trips.head(0)), 0
        if routes := _routes(rows):
            without_route = int(own["route_code"].isna().sum())
            own = own[own["route_code"].isin(routes)]
        found.append(
            _PlannedVehicle(
                str(plate), rows, own, without_route, int(perhaps.get(plate, 0)), float(unseen.get(plate, 1.0))
            )
        )
    return found


def _routes(plan: pd.DataFrame) -> list[str]:
    """The routes that a vehicle's plan names; none where a row names none, and the plan is for all."""
    return sorted(set(plan["route_code"])) if plan["route_code"].notna().all() else []


def _against_plan(context: AuditCycle, rule_id: str, threshold: str, own: _PlannedVehicle) -> Draft:
    limit = getattr(context.parameters, threshold)
    word = "acima" if rule_id == "T05" else "abaixo"
    km = own.trips["km_measured"].dropna()
    mean = sum(km, Decimal("0.00")) / len(km) if len(km) else None
    trips = "viagem" if own.done == 1 else "viagens"
    routes = _routes(own.plan)
    where = f" nas rotas do plano ({', '.join(routes)})" if routes else ""
    return Draft(
        rule_id,
        own.plate,
        f"No ciclo, {context.period}, o veículo {own.plate} fez {own.done} {trips} de serviço{where} para "
        f"{own.planned} no plano, {word} de {sentences.number(limit, 0)} % do plano.",
        GRADE_CONFIDENCE["B"],
        km_at_stake=None if mean is None else half_up(mean * abs(own.done - own.planned)),
        facts={
            "service_trips": own.done,
            "planned_trips": own.planned,
            "trips_without_route": own.without_route,
            "trips_without_proven_place": own.perhaps,
            "days_without_data_pct": round(100 * own.unseen, 1),
            "plan_rows": own.plan[_PLAN_FACTS].to_dict("records"),
            "trip_days": trips_by_day(own.trips),
        },
    )


_PLAN = Need(
    lambda context: bool((context.plan["cycle_start"] == context.cycle.start).any()), "nenhum plano para o ciclo"
)
RULES = (
    Rule(
        "T05",
        "7",
        "M",
        "Mais viagens que o planejado",
        "O veículo fez no ciclo mais viagens de serviço do que o plano prevê.",
        "P/V+K",
        more_trips_than_planned,
        "cycle",
        None,
        ("plan_over_pct",),
        (WHOLE, _PLAN),
        rests_on=("km_plan", "routes"),
        vehicle_need=VehicleNeed(_planned_plates, _perhaps_over, UNPROVEN_PLACE_PT),
        is_by_carrier=True,
    ),
    Rule(
        "T06",
        "14",
        "H",
        "Menos viagens que o planejado",
        "O veículo fez no ciclo menos viagens de serviço do que o plano prevê.",
        "P/V+K",
        fewer_trips_than_planned,
        "cycle",
        None,
        ("plan_under_pct",),
        (WHOLE, _PLAN),
        rests_on=("km_plan", "pois", "routes", "devices"),
        vehicle_need=VehicleNeeds(
            (
                VehicleNeed(_planned_plates, _perhaps_under, UNPROVEN_PLACE_PT),
                VehicleNeed(_planned_plates, _under_by_what_was_seen, _UNSEEN_TRIPS_PT),
            )
        ),
        is_by_carrier=True,
    ),
)
