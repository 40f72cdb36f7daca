"""Passengers over a vehicle's cycle: V05, a vehicle that is always declared exactly full.

A run with more passengers than seats is V05 of its day.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.statistics.tested_samples import SHOWN
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule


def always_full(context: AuditCycle) -> list[Draft]:
    """V05: of at least full_min_runs runs with passengers, full_pct declare exactly the vehicle's seats."""
    parameters, runs = context.parameters, _counted(context)
    drafts = []
    for plate, own in runs.groupby("plate", sort=True):
        full, seats = int(own["is_full"].sum()), int(own["seats"].iloc[0])
        if len(own) < parameters.full_min_runs or 100 * full < parameters.full_pct * len(own):
            continue
        drafts.append(
            Draft(
                "V05",
                str(plate),
                f"Indício: no ciclo, {context.period}, {full} de {len(own)} atas do veículo {plate} declaram "
                f"exatamente {seats} passageiros, a sua lotação ({sentences.number(100 * full / len(own), 1)} %): o "
                "número pode não ter sido contado.",
                GRADE_CONFIDENCE["C"],
                facts={
                    "n": len(own),
                    "full_runs": full,
                    "seats": seats,
                    "passengers": {str(count): int(size) for count, size in own.groupby("passengers").size().items()},
                },
                context_run_ids=tuple(own["declared_run_id"].head(SHOWN)),
                extra=("always_full",),
            )
        )
    return drafts


def _counted(context: AuditCycle) -> pd.DataFrame:
    """Runs with passengers of vehicles with known seats, in order of start."""
    runs = context.runs[context.runs["passengers"].notna()]
    runs = runs.merge(context.vehicles.loc[context.vehicles["seats"].notna(), ["plate", "seats"]], on="plate")
    runs = runs.assign(is_full=(runs["passengers"].astype("int64") == runs["seats"].astype("int64")).to_numpy())
    return runs.sort_values(["plate", "started_at", "declared_run_id"])


RULES = (
    Rule(
        "V05",
        "4",
        "M",
        "Passageiros acima da lotação, ou sempre lotado",
        "Quase todas as atas do ciclo declaram exatamente a lotação do veículo.",
        "B+K",
        always_full,
        "cycle",
        parameters=("full_pct", "full_min_runs"),
        needs=(
            Need(
                lambda context: len(_counted(context)) > 0,
                "nenhuma ata traz QTDE PESSOAS de um veículo de lotação conhecida",
            ),
        ),
        rests_on=("vehicles",),
        is_by_carrier=True,
    ),
)
