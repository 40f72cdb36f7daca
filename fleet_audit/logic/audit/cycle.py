"""The audit of a cycle from its days' results: findings of whole cycles, segments of each vehicle's calibration.

Each rule is in `rules.cycle` or `rules.cycle_nights`; here is only their order, and which of them lack their data.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from fleet_audit.logic.audit.findings import complete
from fleet_audit.logic.audit.rules import cycle
from fleet_audit.logic.audit.rules.cycle import AuditCycle
from fleet_audit.logic.audit.rules.cycle_nights import nights_dated_early
from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.devices.calibration import segments

CYCLE_RULES: dict[str, Callable[[AuditCycle], list[Draft]]] = {
    "D03": cycle.declared_above_measured,
    "D12": nights_dated_early,
    "O05": cycle.ratio_off,
    "T05": cycle.more_trips_than_planned,
    "T06": cycle.fewer_trips_than_planned,
    "V04": cycle.idle_fixed_cost,
    "K03": cycle.too_much_deadhead,
}


def find_in_cycle(context: AuditCycle) -> pd.DataFrame:
    """`fact.findings` of rules over a whole cycle, without the trace columns."""
    drafts = [draft for rule in CYCLE_RULES.values() for draft in rule(context)]
    return complete(context, drafts).assign(cycle_start=context.cycle.start)


def untested(context: AuditCycle) -> dict[str, str]:
    """Rules that lack their data, and why: such a rule is not passed, it is not tested."""
    waits = "" if context.is_over else "espera o fim do ciclo"
    has_plan = (context.plan["cycle_start"] == context.cycle.start).any()
    plan = waits or ("" if has_plan else "nenhum plano para o ciclo")
    fixed = "" if len(context.fixed_costs) else "nenhum custo fixo no ciclo"
    reasons = {
        "D03": "" if context.matches["difference_km"].notna().any() else "nenhuma ata comparada no ciclo",
        "O05": "" if len(context.calibrations) else "nenhuma viagem com hodômetro e GPS",
        "D12": "" if len(context.runs) else "nenhuma ata no ciclo",
        "T05": plan,
        "T06": plan,
        "V04": waits or fixed or ("" if len(context.calendar) else "nenhum calendário"),
        "K03": waits,
    }
    return {rule_id: reason for rule_id, reason in reasons.items() if reason}


def calibration_segments(context: AuditCycle) -> pd.DataFrame:
    """`fact.calibration_segments` of the cycle without the trace columns: its days and `calibration_days` before it."""
    found = segments(context.calibrations, context.parameters)
    rows = [
        {
            "cycle_start": context.cycle.start,
            "operational_date": segment.end,
            "plate": plate,
            "segment_start": segment.start,
            "unit_code": context.owners.get(plate, {}).get("unit_code"),
            "carrier_code": context.owners.get(plate, {}).get("carrier_code"),
            "device_id": segment.device_id,
            "ratio": round(segment.ratio, 6),
            "spread_pct": round(segment.spread_pct, 4),
            "days": segment.days,
            "km": round(segment.km, 3),
            "is_change_point": segment.reason != "first",
            "reason": segment.reason,
        }
        for plate, of_plate in found.items()
        for segment in of_plate
    ]
    columns = ["cycle_start", "operational_date", "plate", "segment_start", "unit_code", "carrier_code", "device_id",
               "ratio", "spread_pct", "days", "km", "is_change_point", "reason"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
