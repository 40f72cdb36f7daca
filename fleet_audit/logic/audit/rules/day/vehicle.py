"""Contract and passengers of a vehicle: V01 no valid contract, V05 more passengers than seats, V06 an empty run.

Classes and fixed costs (V02 to V04) are compared over a cycle, not here.
"""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.estimates import with_estimate
from fleet_audit.logic.audit.rules.day.needs import RUNS, TRIPS
from fleet_audit.logic.audit.rules.draft import WRITTEN_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.reference.plate_forms import other_form


def without_contract(context: AuditDay) -> list[Draft]:
    """V01: a vehicle-day with trips whose cost status is no_contract, or with runs while no contract is in force.

    At stake are the measured service km, with their estimate at the nearest tariff; or what was declared where nothing
    was measured, without BRL: a run that nobody could verify is held. The other form of a plate, before or after the
    Mercosul change, names the same vehicle.
    """
    status = context.costs.set_index("trip_id")["cost_status"]
    trips = context.trips_of_day
    trips = trips[trips["trip_id"].map(status) == "no_contract"]
    covered = context.vehicles.loc[context.vehicles["contract_id"].notna(), "plate"]
    runs = context.runs_of_day
    runs = runs[~runs["plate"].isin([*covered, *map(other_form, covered)])]
    return [
        _without_contract(context, plate, trips[trips["plate"] == plate], runs[runs["plate"] == plate])
        for plate in sorted({*trips["plate"], *runs["plate"]})
    ]


def empty_runs(context: AuditDay) -> list[Draft]:
    """V06: QTDE PESSOAS is 0; an empty cell is unknown. The whole run is at stake."""
    runs = context.runs_of_day
    drafts = []
    for run_id, run in context.run_records(
        runs.loc[(runs["passengers"] == 0).fillna(False), "declared_run_id"]
    ).items():
        trips = tuple(context.trips_of_run.get(run_id, ()))
        drafts.append(
            Draft(
                "V06",
                run["plate"],
                f"A {sentences.run(run)} de {sentences.period(run, context.zone(run['plate']))}, declara zero "
                "passageiros "
                f"em uma corrida de {sentences.km(run['declared_km'])}.",
                WRITTEN_CONFIDENCE,
                trips,
                (run_id,),
                run["declared_km"],
                context.rate_of(trips, [run_id]),
                {"passengers": 0},
            )
        )
    return drafts


def overfull_runs(context: AuditDay) -> list[Draft]:
    """V05: QTDE PESSOAS above the vehicle's seats on that day; vehicles of unknown or 0 seats are not judged."""
    seats = context.vehicles[context.vehicles["seats"] > 0].set_index("plate")["seats"]
    runs = context.runs_of_day
    limit = runs["plate"].astype(object).map(seats)
    over = runs[(runs["passengers"] > limit).fillna(False)]
    drafts = []
    for run_id, run in context.run_records(over["declared_run_id"]).items():
        count, places = int(run["passengers"]), int(seats[run["plate"]])
        drafts.append(
            Draft(
                "V05",
                run["plate"],
                f"A {sentences.run(run)} de {sentences.period(run, context.zone(run['plate']))}, declara {count} "
                f"passageiros, e o veículo {run['plate']} tem {places} lugares no cadastro.",
                WRITTEN_CONFIDENCE,
                (),
                (run_id,),
                facts={"passengers": count, "seats": places},
                context_trip_ids=tuple(context.trips_of_run.get(run_id, ())),
            )
        )
    return drafts


def _without_contract(context: AuditDay, plate: str, trips: pd.DataFrame, runs: pd.DataFrame) -> Draft:
    service = trips.loc[(trips["purpose"] == "service") & trips["km_measured"].notna(), "km_measured"]
    km = service if len(trips) else runs["declared_km"]
    stake = sum(km, Decimal("0.00"))
    movements = sentences.counted(len(trips), "movimento medido", "movimentos medidos")
    seen = " e ".join([*([movements] if len(trips) else []),
                       *([sentences.counted(len(runs), "ata", "atas")] if len(runs) else [])])  # fmt: skip
    draft = Draft(
        "V01",
        plate,
        f"O veículo {plate} operou em {sentences.day(context.day)} sem contrato vigente: {seen}; nenhum contrato cobre "
        f"{sentences.km(stake)}.",
        1.0,
        tuple(trips["trip_id"]),
        km_at_stake=stake,
        context_run_ids=tuple(runs["declared_run_id"]),
        is_vehicle_day=True,
        carrier_code=next(iter(runs["carrier_code"].dropna()), None),  # of a vehicle that no register names
    )
    return with_estimate(context, draft, trips["trip_id"])


def _has_operation(context: AuditDay) -> bool:
    return RUNS.is_met(context) or TRIPS.is_met(context)


def _has_passengers(context: AuditDay) -> bool:
    return bool(context.runs_of_day["passengers"].notna().any())


RULES = (
    Rule(
        "V01",
        "4",
        "C",
        "Veículo sem contrato válido",
        "O veículo operou em um dia em que nenhum contrato vigente o cobre.",
        "P/V/B+K",
        without_contract,
        amount="in_favour_brl",
        needs=(
            Need(lambda context: len(context.vehicles) > 0, "nenhum veículo cadastrado"),
            Need(_has_operation, "nenhuma operação no dia"),
        ),
    ),
    Rule(
        "V05",
        "4",
        "M",
        "Passageiros acima da lotação, ou sempre lotado",
        "A ata declara mais passageiros do que o veículo tem de lugares.",
        "B+K",
        overfull_runs,
        needs=(
            RUNS,
            Need(_has_passengers, "nenhuma ata traz QTDE PESSOAS"),
            Need(lambda context: bool((context.vehicles["seats"] > 0).any()), "nenhum veículo tem lugares no cadastro"),
        ),
        rests_on=("vehicles",),
    ),
    Rule(
        "V06",
        "4",
        "M",
        "Corrida vazia declarada como serviço",
        "A própria ata declara zero passageiros em uma corrida de serviço.",
        "B",
        empty_runs,
        needs=(
            RUNS,
            Need(_has_passengers, "nenhuma ata traz QTDE PESSOAS"),
        ),
    ),
)
