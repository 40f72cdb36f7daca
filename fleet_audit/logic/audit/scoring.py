"""Compliance score of a trip: 100 minus the weights of its findings, with each deduction shown.

Scores of fleets, carriers and units are km-weighted means of these and belong to the reports.
"""

from __future__ import annotations

import json
from decimal import Decimal

import pandas as pd

from fleet_audit.logic.primitives.money import half_up
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import TRIP_SCORES

START, FLOOR = "start", "floor"  # entries of a score that no rule gives
_START_POINTS = Decimal("100.00")
# The payer's own register and our own data: no carrier answers for them (RULES, "Score").
_WITHOUT_POINTS = r"K01|V01|Q\d\d"


def score(trips: pd.DataFrame, findings: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """`fact.trip_scores` of the trips, without the trace columns.

    A finding concerns its `trip_id` and the `trip_ids` that its evidence names: those of its group, or those
    linked to its run. A vehicle's day as a whole (D02) is in no trip's score. An incident deducts once per trip: the
    largest weight × confidence of its findings, half-up to 0.01, at its root where that concerns the trip, else at the
    finding itself. The others are listed with 0, like excepted ones, rules about the payer's register or our own data
    (K01, V01, Q*), and what a wrong clock or our own gap explains. `contributions` is one flat JSON object of numbers
    that sum exactly to the score: `start`, `<rule>:<finding_id>` for each finding, `floor` where it would fall below 0.

    Args:
        trips: trip_id, operational_date.
        findings: `fact.findings` of the same day; one without `root_finding_id` is its own root.
        parameters: weight_c, weight_h, weight_m, weight_l.
    """
    deductions: dict[str, dict[str, Decimal]] = {}
    for row in _deductions(findings, parameters).itertuples():
        deductions.setdefault(str(row.trip_id), {})[str(row.entry)] = row.points
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


def _deductions(findings: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """trip_id, entry, points: what each finding deducts from each trip that it concerns."""
    roots = findings["root_finding_id"].astype("str").fillna(findings["finding_id"].astype("str"))
    root_rules = roots.map(dict(zip(findings["finding_id"], findings["rule_id"], strict=True))).astype("str")
    rows = findings.assign(
        entry=findings["rule_id"].astype("str") + ":" + findings["finding_id"].astype("str"),
        root=roots,
        is_member=roots != findings["finding_id"],
        weighs=(findings["status"] == "open")
        & ~findings["rule_id"].str.match(_WITHOUT_POINTS)
        & ~root_rules.str.startswith("Q"),
        trip_ids=[_concerned(*named) for named in zip(findings["trip_id"], findings["evidence"], strict=True)],
    )
    rows = rows.explode("trip_ids").dropna(subset=["trip_ids"]).rename(columns={"trip_ids": "concerned"})
    points = [
        _points(row.severity, row.confidence, parameters) if row.weighs else Decimal("0.00")
        for row in rows.itertuples()
    ]
    table = pd.DataFrame(
        {
            "trip_id": rows["concerned"].to_numpy(dtype=object),
            "root": rows["root"].to_numpy(),
            "is_member": rows["is_member"].to_numpy(),
            "entry": rows["entry"].to_numpy(),
            "points": pd.Series(points, dtype=object).to_numpy(),
        }
    ).sort_values(["trip_id", "root", "is_member", "points", "entry"], ascending=[True, True, True, False, True])
    of_incident = table.groupby(["trip_id", "root"])
    largest, place = of_incident["points"].transform("max"), of_incident.cumcount()
    return table.assign(points=largest.where(place == 0, Decimal("0.00")))


def _points(severity: str, confidence: float, parameters: ParameterSet) -> Decimal:
    weight = Decimal(str(getattr(parameters, f"weight_{severity.lower()}")))
    return half_up(weight * Decimal(str(confidence)))


def _concerned(trip_id: str | None, evidence: str) -> list[str]:
    named = json.loads(evidence).get("trip_ids", ())
    return sorted({*named} if pd.isna(trip_id) else {*named, str(trip_id)})


def _scored(deductions: dict[str, Decimal]) -> tuple[Decimal, str]:
    contributions = {START: _START_POINTS, **{name: -deductions[name] for name in sorted(deductions)}}
    total = sum(contributions.values(), Decimal())
    if total < 0:
        contributions[FLOOR] = -total
    numbers = {name: float(points) + 0.0 for name, points in contributions.items()}  # + 0.0 turns -0.0 into 0.0
    return max(total, Decimal("0.00")), json.dumps(numbers, separators=(",", ":"))
