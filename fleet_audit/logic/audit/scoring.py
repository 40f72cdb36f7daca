"""Compliance score of a trip: 100 minus the weights of its findings, with each deduction shown.

Scores of fleets, carriers and units are km-weighted means of these and belong to the reports.
"""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import TRIP_SCORES

_START = Decimal("100.00")
_CENT = Decimal("0.01")


def score(trips: pd.DataFrame, findings: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """`fact.trip_scores` of the trips, without the trace columns.

    A finding concerns its `trip_id` and the `trip_ids` that its evidence names: those of its group, or those
    linked to its run. A vehicle's day as a whole (D02) is in no trip's score. Each deducts weight × confidence, half-up
    to 0.01; an excepted finding deducts nothing but is listed. `contributions` is one flat JSON object of numbers that
    sum exactly to the score: `start`, `<rule>:<finding_id>` for each finding, `floor` where it would fall below 0.

    Args:
        trips: trip_id, operational_date.
        findings: `fact.findings` of the same day.
        parameters: weight_c, weight_h, weight_m, weight_l.
    """
    deductions: dict[str, dict[str, Decimal]] = {}
    for finding in findings.itertuples():
        weight = Decimal(str(getattr(parameters, f"weight_{finding.severity.lower()}")))
        points = weight * Decimal(str(finding.confidence)) if finding.status == "open" else Decimal()
        for trip_id in _concerned(finding.trip_id, finding.evidence):
            entry = f"{finding.rule_id}:{finding.finding_id}"
            deductions.setdefault(trip_id, {})[entry] = points.quantize(_CENT, rounding=ROUND_HALF_UP)
    scored = [_scored(deductions.get(trip_id, {})) for trip_id in trips["trip_id"]]
    return conform(
        pd.DataFrame(
            {
                "trip_id": trips["trip_id"].to_numpy(),
                "operational_date": trips["operational_date"].array,
                "compliance_score": [points for points, _ in scored],
                "contributions": [text for _, text in scored],
            }
        ),
        TRIP_SCORES.untraced,
    )


def _concerned(trip_id: str | None, evidence: str) -> set[str]:
    named = json.loads(evidence).get("trip_ids", ())
    return {*named} if pd.isna(trip_id) else {*named, str(trip_id)}


def _scored(deductions: dict[str, Decimal]) -> tuple[Decimal, str]:
    contributions = {"start": _START, **{name: -deductions[name] for name in sorted(deductions)}}
    total = sum(contributions.values(), Decimal())
    if total < 0:
        contributions["floor"] = -total
    numbers = {name: float(points) + 0.0 for name, points in contributions.items()}  # + 0.0 turns -0.0 into 0.0
    return max(total, Decimal("0.00")), json.dumps(numbers, separators=(",", ":"))
