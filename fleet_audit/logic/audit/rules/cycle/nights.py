"""D12 of a whole cycle: night runs of one vehicle and TURNO that have more trips when all are a day later.

They are moved in `night_shifts`; the results of single days stay unchanged.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.logic.audit.night_shifts import repair_dates_of_cycle
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import RUNS_IN_CYCLE
from fleet_audit.logic.audit.rules.cycle.statistics.tested_samples import SHOWN
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Rule


def nights_dated_early(context: AuditCycle) -> list[Draft]:
    """D12 of a vehicle and TURNO: more of its night runs have a trip when all are a day later. No km are disputed."""
    if context.runs.empty:
        return []
    settled = repair_dates_of_cycle(context.runs, context.trips, context.shifts, context.registered, context.parameters)
    moved = settled[settled["is_date_repaired"] & ~context.runs["is_date_repaired"].to_numpy(dtype=bool)]
    moved = moved.assign(shift=moved["shift_code"].astype(object).fillna(""))
    return [_draft(context, str(plate), str(shift), runs) for (plate, shift), runs in moved.groupby(["plate", "shift"])]


def _draft(context: AuditCycle, plate: str, shift: str, runs: pd.DataFrame) -> Draft:
    written = runs.sort_values(["declared_date", "started_at", "declared_run_id"])
    turn = f"do turno {shift}" if shift else "noturnas"
    return Draft(
        "D12",
        plate,
        f"No ciclo, {context.period}, as atas {turn} do veículo {plate} ({len(runs)} ao todo) correspondem a mais "
        "viagens medidas quando postas um dia depois da data que trazem; os km não são contestados.",
        GRADE_CONFIDENCE["C"],
        facts={"shift_code": shift or None, "run_count": len(runs), "first_date": written["declared_date"].iloc[0]},
        context_run_ids=tuple(written["declared_run_id"].head(SHOWN)),
        extra=(shift,),
    )


RULES = (
    Rule(
        "D12",
        "3",
        "L",
        "Data declarada contradiz os horários",
        "Postas um dia depois, mais atas noturnas do turno têm viagem; os km não são contestados.",
        "B+P/V",
        nights_dated_early,
        "cycle",
        needs=(RUNS_IN_CYCLE,),
        is_by_carrier=True,
    ),
)
