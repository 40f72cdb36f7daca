"""Contradictions inside a bulletin: D08 one run twice, D11 its arithmetic, D12 its date.

Its odometer readings from run to run are in `chain`, its comparison with what was measured in `divergence`.
"""

from __future__ import annotations

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.needs import RUNS, TRIPS
from fleet_audit.logic.audit.rules.day.presence import claims_km
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.written_readings import DRIVABLE_BY, is_empty_reading, mistyped_runs
from fleet_audit.logic.primitives.money import to_hundredths

# Measured: 415 of 415 nights of one simulated fleet (seed 7) and 127 of 127 of another (seed 101) were right.
_DATED_BY_TRIP, _DATED_BY_READINGS = 0.98, GRADE_CONFIDENCE["C"]


def declared_twice(context: AuditDay) -> list[Draft]:
    """D08: an earlier run of the plate starts within same_run_s, between the same places. The later row is accused.

    One of 0 km repeats nothing that could be paid. One that another carrier than the vehicle's declares is its own
    affair: the finding names that carrier, and shows it neither the run nor the trip of the vehicle's carrier.
    """
    pairs = context.repeated_runs
    pairs = pairs[pairs["later"].isin(context.runs_of_day.loc[claims_km(context.runs_of_day), "declared_run_id"])]
    runs = context.run_records([*pairs["later"], *pairs["earlier"]])
    drafts = []
    for pair in pairs.itertuples():
        later, earlier = runs[pair.later], runs[pair.earlier]
        zone, trips = context.zone(later["plate"]), tuple(context.trips_of_run.get(pair.later, ()))
        original = "ata que a transportadora do veículo declarou" if pair.is_foreign else sentences.run(earlier)
        drafts.append(
            Draft(
                "D08",
                later["plate"],
                f"A {sentences.run(later)} repete a {original}: mesmo veículo {later['plate']}, saídas "
                "em "
                f"{sentences.local_day(later['started_at'], zone)} às {sentences.clock(earlier['started_at'], zone)} "
                "e às "
                f"{sentences.clock(later['started_at'], zone)}, mesmos locais; {sentences.km(later['declared_km'])} "
                "foram "
                "declarados duas vezes.",
                (1 - 0.05 * pair.apart_s / context.parameters.same_run_s) * (0.8 if pair.is_nowhere else 1.0),
                () if pair.is_foreign else trips,
                (pair.later,) if pair.is_foreign else (pair.later, pair.earlier),
                later["declared_km"],
                context.rate_of(trips, [pair.later]),
                {"starts_apart_s": pair.apart_s},
            )
        )
    return drafts


def arithmetic(context: AuditDay) -> list[Draft]:
    """D11: KM ROTA is not KM CHEGADA - KM SAÍDA, where all three are written, and the readings can be right.

    A typing error in a reading (Q05), or an empty cell written as 0, says nothing about KM ROTA.
    """
    runs = context.runs_of_day
    runs = runs[runs[["route_km", "odometer_start_km", "odometer_end_km"]].notna().all(axis=1)]
    run_by_reading = to_hundredths(runs["odometer_end_km"]) - to_hundredths(runs["odometer_start_km"])
    is_no_reading = mistyped_runs(runs, context.parameters) | is_empty_reading(runs, context.parameters)
    wrong = runs[(to_hundredths(runs["route_km"]) != run_by_reading) & ~is_no_reading]
    drafts = []
    for run_id, run in context.run_records(wrong["declared_run_id"]).items():
        by_reading = run["odometer_end_km"] - run["odometer_start_km"]
        difference = abs(run["route_km"] - by_reading)
        trips = context.trips_of_run.get(run_id, ())
        drafts.append(
            Draft(
                "D11",
                run["plate"],
                f"A {sentences.run(run)} de {sentences.period(run, context.zone(run['plate']))}, informa KM ROTA "
                f"{sentences.number(run['route_km'])}, mas KM CHEGADA menos KM SAÍDA é {sentences.number(by_reading)}: "
                f"diferença de {sentences.km(difference)}.",
                1.0,
                tuple(trips),
                (run_id,),
                difference,
                context.rate_of(trips, [run_id]),
                {"route_km": run["route_km"], "by_reading_km": by_reading},
            )
        )
    return drafts


def date_contradicted(context: AuditDay) -> list[Draft]:
    """D12: the run took place on the day after DATA, by its trip or, unseen, by its readings. No km are disputed."""
    runs = context.runs_of_day
    drafts = []
    for run_id, run in context.run_records(runs.loc[runs["is_date_repaired"].astype(bool), "declared_run_id"]).items():
        trips = tuple(context.trips_of_run.get(run_id, ()))
        period = sentences.period(run, context.zone(run["plate"]))
        drafts.append(
            Draft(
                "D12",
                run["plate"],
                f"A {sentences.run(run)} traz a data {sentences.day(run['declared_date'])}, mas "
                + (
                    f"a viagem que corresponde aos seus horários ocorreu em {period}"
                    if trips
                    else f"as suas leituras de hodômetro só cabem em {period}, entre as das outras atas"
                )
                + "; os km não são contestados.",
                _DATED_BY_TRIP if trips else _DATED_BY_READINGS,
                trips,
                (run_id,),
                facts={"declared_date": run["declared_date"], "operational_date": run["operational_date"]},
            )
        )
    return drafts


def _has_route_km(context: AuditDay) -> bool:
    columns = ["odometer_start_km", "odometer_end_km", "route_km"]
    return bool(context.runs_of_day[columns].notna().all(axis=1).any())


RULES = (
    Rule(
        "D08",
        "6",
        "C",
        "Corrida declarada duas vezes",
        "Duas atas declaram a mesma corrida: mesmo veículo, mesmo horário, mesmos locais.",
        "B",
        declared_twice,
        amount="disallowed_brl",
        parameters=("same_run_s",),
        needs=(RUNS,),
    ),
    Rule(
        "D11",
        "4",
        "H",
        "KM ROTA diferente de chegada menos saída",
        "O KM ROTA da ata não é KM CHEGADA menos KM SAÍDA da mesma linha.",
        "B",
        arithmetic,
        amount="disallowed_brl",
        parameters=DRIVABLE_BY,
        needs=(
            RUNS,
            Need(_has_route_km, "nenhuma ata traz KM ROTA e os dois hodômetros"),
        ),
    ),
    Rule(
        "D12",
        "5",
        "L",
        "Data declarada contradiz os horários",
        "A ata traz o dia do turno, mas a corrida ocorreu no dia seguinte; os km não são contestados.",
        "B+P/V",
        date_contradicted,
        parameters=(
            "night_departure_h",
            "match_overlap_pct",
        ),
        needs=(
            RUNS,
            TRIPS,
        ),
    ),
)
