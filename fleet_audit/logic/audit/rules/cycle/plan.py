"""Service trips of a vehicle's cycle against its plan: T05 more, T06 fewer.

Planned km and the forecast belong to `logic.costs`.
"""

from __future__ import annotations

from decimal import Decimal

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import WHOLE
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.primitives.money import half_up


def more_trips_than_planned(context: AuditCycle) -> list[Draft]:
    """T05: service trips of the vehicle above max(plan_over_pct, +1) of those planned. Waits for the cycle's end."""
    parameters = context.parameters
    over = [
        (plate, done, planned)
        for plate, done, planned, _ in _planned(context)
        if done > max(planned * parameters.plan_over_pct / 100, planned + 1)
    ]
    return [_against_plan(context, "T05", "plan_over_pct", *row) for row in over]


def fewer_trips_than_planned(context: AuditCycle) -> list[Draft]:
    """T06: below plan_under_pct of those planned; what could have run on days without data counts as done."""
    under = [
        (plate, done, planned)
        for plate, done, planned, unseen in _planned(context)
        if done + planned * unseen < planned * context.parameters.plan_under_pct / 100
    ]
    return [_against_plan(context, "T06", "plan_under_pct", *row) for row in under]


def _planned(context: AuditCycle) -> list[tuple[str, int, int, float]]:
    """Of each planned vehicle: service trips, planned trips, share of its days without data or with incomplete data."""
    plan = context.plan[(context.plan["cycle_start"] == context.cycle.start) & context.plan["planned_trips"].notna()]
    planned = plan.groupby("plate")["planned_trips"].sum()
    done = context.trips[context.trips["purpose"] == "service"].groupby("plate").size()
    is_unseen = (context.coverage["status"] == "silent") | context.coverage["operational_date"].isin(
        context.unobserved_dates
    )
    unseen = is_unseen.groupby(context.coverage["plate"]).mean()
    return [
        (str(plate), int(done.get(plate, 0)), int(trips), float(unseen.get(plate, 1.0)))
        for plate, trips in planned.items()
    ]


def _against_plan(context: AuditCycle, rule_id: str, threshold: str, plate: str, done: int, planned: int) -> Draft:
    limit = getattr(context.parameters, threshold)
    word = "acima" if rule_id == "T05" else "abaixo"
    service = context.service.loc[context.service["plate"] == plate, "km_measured"]
    mean = sum(service, Decimal("0.00")) / len(service) if len(service) else None
    trips = "viagem" if done == 1 else "viagens"
    return Draft(
        rule_id,
        plate,
        f"No ciclo, {context.period}, o veículo {plate} fez {done} {trips} de serviço para {planned} no plano, "
        f"{word} de {sentences.number(limit, 0)} % do plano.",
        GRADE_CONFIDENCE["B"],
        km_at_stake=None if mean is None else half_up(mean * abs(done - planned)),
        facts={"service_trips": done, "planned_trips": planned},
    )


_PLAN = Need(
    lambda context: bool((context.plan["cycle_start"] == context.cycle.start).any()), "nenhum plano para o ciclo"
)
RULES = (
    Rule(
        "T05",
        "2",
        "M",
        "Mais viagens que o planejado",
        "O veículo fez no ciclo mais viagens de serviço do que o plano prevê.",
        "P/V+K",
        more_trips_than_planned,
        "cycle",
        None,
        ("plan_over_pct",),
        (WHOLE, _PLAN),
    ),
    Rule(
        "T06",
        "2",
        "H",
        "Menos viagens que o planejado",
        "O veículo fez no ciclo menos viagens de serviço do que o plano prevê.",
        "P/V+K",
        fewer_trips_than_planned,
        "cycle",
        None,
        ("plan_under_pct",),
        (WHOLE, _PLAN),
    ),
)
