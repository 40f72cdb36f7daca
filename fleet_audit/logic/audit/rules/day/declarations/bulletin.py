"""Rows of a bulletin that contradict themselves or each other (Q05): one number for two runs, mistyped readings, 0 km.

What a run declares against what was measured is in `divergence` and `presence`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from fleet_audit.logic.audit.bulletin_numbers import NUMBER_KEY, with_number_series
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.declarations.chain import mistyped_pairs
from fleet_audit.logic.audit.rules.day.presence import claims_km, unlinked_runs
from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.written_readings import DRIVABLE_BY, mistyped_runs

_CONTENT = ("plate", "started_at", "ended_at", "declared_km", "odometer_start_km", "odometer_end_km")


def numbers_with_two_meanings(context: AuditDay) -> list[Draft]:
    """Q05: a NUMERO ATA of one carrier that two rows of the window state with other times, plate or km."""
    runs = context.runs[context.runs["bulletin_number"].notna() & context.runs["carrier_code"].notna()]
    runs = with_number_series(runs).sort_values([*NUMBER_KEY, "started_at", "declared_km", "declared_run_id"])
    known = runs.drop_duplicates([*NUMBER_KEY, *_CONTENT])
    known = known[known.duplicated([*NUMBER_KEY], keep=False)]
    of_day = set(context.of_day(known)["declared_run_id"])
    drafts = []
    for _, rows in known.groupby([*NUMBER_KEY], sort=True):
        if rows["declared_run_id"].iloc[-1] in of_day:
            drafts.append(_two_meanings(context, rows))
    return drafts


def _two_meanings(context: AuditDay, rows: pd.DataFrame) -> Draft:
    first, *others = rows.to_dict("records")
    last = others[-1]
    return Draft(
        "Q05",
        last["plate"],
        f"A {sentences.run(last)} aparece {len(rows)} vezes com conteúdos diferentes: {_content(context, first)}; e "
        f"{_content(context, last)}.",
        1.0,
        run_ids=(last["declared_run_id"], *(row["declared_run_id"] for row in (first, *others[:-1]))),
        facts={"issue": "number_twice", "bulletin_number": last["bulletin_number"]},
        extra=("number_twice",),
    )


def _content(context: AuditDay, run: dict[str, Any]) -> str:
    return (
        f"veículo {run['plate']}, {sentences.period(run, context.zone(run['plate']))}, "
        f"{sentences.km(run['declared_km'])}"
    )


def mistyped_readings(context: AuditDay) -> list[Draft]:
    """Q05: odometer readings of one run, or of a run and the one before, that no vehicle can have driven.

    KM ROTA is what the run claims: a typing error beside it puts no km in doubt. Where it claims as many km as the
    readings are apart, they are compared with what was measured.
    """
    runs = context.runs_of_day
    counted = runs["odometer_end_km"] - runs["odometer_start_km"]
    is_wrong = mistyped_runs(runs, context.parameters) & ~counted.eq(runs["declared_km"]).fillna(False).to_numpy(
        dtype=bool
    )
    alone = [(run_id,) for run_id in runs.loc[is_wrong, "declared_run_id"]]
    pairs = [(pair["next"], pair["previous"]) for pair in mistyped_pairs(context)]
    records = context.run_records(run_id for run_ids in (*alone, *pairs) for run_id in run_ids)
    return [_mistyped(context, [records[run_id] for run_id in run_ids]) for run_ids in (*alone, *pairs)]


def _mistyped(context: AuditDay, runs: list[Record]) -> Draft:
    """The later run first, and the run before it where the readings of two are compared."""
    last, first = runs[0], runs[-1]
    zone = context.zone(last["plate"])
    if last is first:
        said = f"começa no km {_reading(last, 'start')} e termina no km {_reading(last, 'end')}"
    else:
        said = f"termina no km {_reading(first, 'end')}, e a {sentences.run(last)} começa no km " + _reading(
            last, "start"
        )
    return Draft(
        "Q05",
        last["plate"],
        f"A {sentences.run(first)} do veículo {last['plate']}, de {sentences.period(first, zone)}, {said}: nenhum "
        "veículo percorre essa diferença nesse tempo. Ela conta como erro de digitação, e nenhum km é contestado por "
        "isso.",
        1.0,
        run_ids=tuple(run["declared_run_id"] for run in runs),
        facts={"issue": "mistyped_reading"},
        thresholds={name: getattr(context.parameters, name) for name in DRIVABLE_BY},
        extra=("mistyped_reading",),
    )


def _reading(run: Record, side: str) -> str:
    return sentences.number(run[f"odometer_{side}_km"], 0)


def runs_without_km(context: AuditDay) -> list[Draft]:
    """Q05: runs of 0 km that no trip is linked to: an empty row, about which D05 and D06 would say nothing."""
    unlinked = unlinked_runs(context)
    records = context.run_records(unlinked.loc[~claims_km(unlinked), "declared_run_id"])
    return [
        Draft(
            "Q05",
            run["plate"],
            f"A {sentences.run(run)} do veículo {run['plate']}, de "
            f"{sentences.period(run, context.zone(run['plate']))}, declara 0 km: não há corrida a verificar nem a "
            "pagar, e a linha precisa ser corrigida ou retirada.",
            1.0,
            run_ids=(run_id,),
            facts={"issue": "no_km"},
            extra=("no_km",),
        )
        for run_id, run in records.items()
    ]
