"""Rows of a bulletin that contradict each other (Q05): one number for two runs.

What a run declares against what was measured is in `divergence` and `presence`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.draft import Draft

_CONTENT = ("plate", "started_at", "ended_at", "declared_km", "odometer_start_km", "odometer_end_km")


def numbers_with_two_meanings(context: AuditDay) -> list[Draft]:
    """Q05: a NUMERO ATA of one carrier that two rows of the window state with other times, plate or km."""
    runs = context.runs[context.runs["bulletin_number"].notna() & context.runs["carrier_code"].notna()]
    runs = runs.sort_values(["carrier_code", "bulletin_number", "started_at", "declared_km", "declared_run_id"])
    known = runs.drop_duplicates(["carrier_code", "bulletin_number", *_CONTENT])
    known = known[known.duplicated(["carrier_code", "bulletin_number"], keep=False)]
    of_day = set(context.of_day(known)["declared_run_id"])
    drafts = []
    for _, rows in known.groupby(["carrier_code", "bulletin_number"], sort=True):
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
