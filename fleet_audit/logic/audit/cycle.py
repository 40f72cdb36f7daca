"""The audit of a cycle from its days' results: findings of whole cycles, segments of each vehicle's calibration.

Each rule is in its family's module of `rules.cycle`.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.logic.audit.findings import complete
from fleet_audit.logic.audit.incidents.rows import with_cycle_roots
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.registry import CYCLE_RULES
from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.logic.devices.calibration import segments
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import FINDINGS


def find_in_cycle(context: AuditCycle) -> pd.DataFrame:
    """`fact.findings` of rules over a whole cycle, without the trace columns."""
    rules = [rule for rule in CYCLE_RULES.values() if rule.is_testable(context)]
    whole, by_carrier = ([rule for rule in rules if rule.is_by_carrier == flag] for flag in (False, True))
    parts = [(context, whole), *((part, by_carrier) for part in context.by_carrier)]
    found = [
        complete(part, [draft for rule in chosen for draft in _drafts(rule, part)], CYCLE_RULES)
        for part, chosen in parts
    ]
    findings = conform(pd.concat(found, ignore_index=True), FINDINGS.untraced).assign(cycle_start=context.cycle.start)
    return with_cycle_roots(context.cycle, findings, context.day_findings)


def _drafts(rule: Rule, context: AuditCycle) -> list[Draft]:
    """What the rule finds, of vehicles that no refused row of a reference table may excuse."""
    excused = context.plates_with_refused_terms(rule.rests_on)
    return [draft for draft in rule.find(context) if draft.plate not in excused]


def calibration_segments(context: AuditCycle) -> pd.DataFrame:
    """`fact.calibration_segments` of the cycle without the trace columns: its days and `calibration_days` before it."""
    found = segments(context.calibrations, context.parameters)
    keys = ["plate", "operational_date"]
    of_day = context.calibrations.drop_duplicates(keys, keep="last").set_index(keys)
    rows = [
        {
            "cycle_start": context.cycle.start,
            "operational_date": segment.end,
            "plate": plate,
            "segment_start": segment.start,
            "unit_code": of_day.loc[(plate, segment.end), "unit_code"],
            "carrier_code": of_day.loc[(plate, segment.end), "carrier_code"],
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
