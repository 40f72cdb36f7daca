"""Figures over the fleets of the audit-quality report: shares with confidence intervals, per rule and per bucket.

What each fleet gave is in `accuracy_fleets`, the page in `accuracy_page`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd

from benchmarks.accuracy_fleets import Outcome
from benchmarks.comparison import rule_table
from benchmarks.doubt import SOUND
from fleet_audit.logic.audit.rules.registry import RULES
from fleet_audit.logic.audit.sampling import reliability_factor
from fleet_audit.logic.primitives.statistics import share_interval

BUCKETS = (0.0, 0.4, 0.6, 0.75, 0.85, 0.925, 1.0)
FEWEST_OF_BUCKET = 30  # vehicles; own: below it the interval of a share is wider than 30 points
STATISTICAL = ("S01", "S03", "S05", "K05", "O07")
_REDRAWN = 1_000
_POINTS = 0.05  # a share may be this far from the confidence that was stated
_ROUNDED_KM = 0.0055  # the road is rounded to a metre, the measured km to 0.01


def honest(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The fleets without frauds."""
    return [outcome for outcome in outcomes if not outcome.facts["has_frauds"]]


def sound(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The fleets whose devices are not spoilt."""
    return [outcome for outcome in outcomes if outcome.facts.get("devices", SOUND) == SOUND]


def spoilt(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The fleets whose devices are spoilt."""
    return [outcome for outcome in outcomes if outcome.facts.get("devices", SOUND) != SOUND]


def total(outcomes: Iterable[Outcome], fact: str) -> float:
    """Sum of one fact of the fleets."""
    return sum(float(str(outcome.facts[fact])) for outcome in outcomes)


def findings_of(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """The findings of the fleets, with the fleet's name."""
    return pd.concat([outcome.findings.assign(fleet=outcome.facts["name"]) for outcome in outcomes], ignore_index=True)


def rule_figures(outcomes: list[Outcome]) -> pd.DataFrame:
    """Per rule of the registry: recall and precision over all fleets with intervals; what honest fleets show.

    Columns: labelled, not_tested, found, recall, recall_low, recall_high; findings, right, follows, unexplained,
    precision, precision_low, precision_high; honest (findings on honest fleets), honest_false.
    """
    labels = pd.concat([outcome.labels for outcome in outcomes], ignore_index=True)
    table = rule_table(labels, findings_of(outcomes)).drop(columns=["recall_pct", "precision_pct"])
    calm = findings_of(honest(outcomes))
    table = table.reindex(sorted({rule.rule_id for rule in RULES})).fillna(0).astype(int)
    table["honest"] = calm.groupby("rule_id").size().reindex(table.index, fill_value=0)
    is_false = calm["verdict"] == "unexplained"
    table["honest_false"] = calm[is_false].groupby("rule_id").size().reindex(table.index, fill_value=0)
    for name, hits, count in (
        ("recall", table["found"], table["labelled"]),
        ("precision", table["findings"] - table["unexplained"], table["findings"]),
    ):
        table[name] = (hits / count.where(count > 0)).astype(float)
        bounds = [share_interval(int(hit), int(of)) for hit, of in zip(hits, count, strict=True)]
        table[f"{name}_low"], table[f"{name}_high"] = zip(*bounds, strict=True)
    return table


def reliability(findings: pd.DataFrame) -> pd.DataFrame:
    """Per bucket of stated confidence: n, vehicles, confidence (mean), share that is true, its interval, verdict.

    The findings of one rule about one vehicle share its odometer and its habits: together they count once
    (`_by_vehicle`), n counts all of them. all_confidence and all_share count each finding once. Below the highest
    bucket neighbours are joined, from the lowest on, until each holds FEWEST_OF_BUCKET.
    `within`: the share is within 5 points; `miss`: not even its interval reaches them; else `too few to judge`.
    """
    rows, groups = [], _by_vehicle(findings)
    for low_edge, high_edge in _joined_buckets(groups["confidence"]):
        is_first = low_edge == BUCKETS[0]
        own = groups[groups["confidence"].between(low_edge, high_edge, inclusive="both" if is_first else "right")]
        if own.empty:
            continue
        share, stated = float(own["share"].mean()), float(own["confidence"].mean())
        low, high = share_interval(round(float(own["share"].sum())), len(own))
        is_within, can_be = abs(share - stated) <= _POINTS, low <= stated + _POINTS and high >= stated - _POINTS
        rows.append({"bucket": f"{low_edge:.2f}-{high_edge:.2f}", "n": int(own["n"].sum()), "vehicles": len(own),
                     "confidence": stated, "share": share, "low": low, "high": high,
                     **{f"all_{name}": float(np.average(own[name], weights=own["n"]))
                        for name in ("confidence", "share")},
                     "verdict": "within" if is_within else "too few to judge" if can_be else "miss"})  # fmt: skip
    return pd.DataFrame(rows)


def _by_vehicle(findings: pd.DataFrame) -> pd.DataFrame:
    """Per fleet, rule and vehicle: n findings, their mean confidence, the share of them that is true."""
    grouped = findings.groupby(["fleet", "rule_id", "plate"])
    named = grouped.agg(n=("is_true", "size"), confidence=("confidence", "mean"), share=("is_true", "mean"))
    return named.reset_index()


def _joined_buckets(confidence: pd.Series) -> list[tuple[float, float]]:
    """Edges of the buckets; what is left over below the highest one is joined to the bucket before it."""
    lows, edges = confidence[confidence <= BUCKETS[-2]], [BUCKETS[0]]
    for edge in BUCKETS[1:-1]:
        if ((lows > edges[-1]) & (lows <= edge)).sum() + (edges[-1] == 0) * (lows == 0).sum() >= FEWEST_OF_BUCKET:
            edges.append(edge)
    if edges[-1] != BUCKETS[-2]:
        edges = [*edges[: max(1, len(edges) - 1)], BUCKETS[-2]]
    return list(itertools.pairwise([*edges, BUCKETS[-1]]))


def reliability_by_rule(findings: pd.DataFrame) -> pd.DataFrame:
    """Per rule: n findings, vehicles, mean confidence, share that is true, each vehicle counting once."""
    return (
        _by_vehicle(findings)
        .groupby("rule_id")
        .agg(n=("n", "sum"), vehicles=("n", "size"), confidence=("confidence", "mean"), share=("share", "mean"))
    )


def doubt(trips: pd.DataFrame, by: str) -> pd.DataFrame:
    """Per group of trips, and of all: n, share held by km_uncertainty with interval, medians, error (all in km).

    error_pct is the error per km of road, as km are what is paid: the mean over trips would let rounding on a few short
    trips outweigh a wrong ratio on all long ones. error_low and error_high: 95 % of the figures of fleets whose
    vehicles are drawn again with replacement, because the trips of a vehicle share the error of its odometer.
    """
    error = (trips["km"] - trips["km_true"]).abs()
    trips = trips.assign(error=error, is_held=error <= trips["half_width"] + _ROUNDED_KM)
    rows = []
    for name, own in [("all", trips), *trips.groupby(by)]:
        low, high = share_interval(int(own["is_held"].sum()), len(own))
        rows.append({
            "group": name, "n": len(own), "held": float(own["is_held"].mean()), "low": low, "high": high,
            "half_width": float(own["half_width"].median()), "error": float(own["error"].median()),
            "error_pct": 100 * float(own["error"].sum() / own["km_true"].sum()), **_errors_of_redrawn_vehicles(own),
            "error_p95": float(np.quantile(own["error"], 0.95)),
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("group")


def _errors_of_redrawn_vehicles(trips: pd.DataFrame) -> dict[str, float]:
    by_vehicle = trips.groupby("vehicle")[["error", "km_true"]].sum().to_numpy()
    drawn = np.random.default_rng(0).integers(len(by_vehicle), size=(_REDRAWN, len(by_vehicle)))
    sums = by_vehicle[drawn].sum(axis=1)
    low, high = np.quantile(100 * sums[:, 0] / sums[:, 1], [0.025, 0.975])
    return {"error_low": float(low), "error_high": float(high)}


def most_false_per_1000(false: int, trips: float) -> float:
    """The one-sided 95 % upper bound (exact, Poisson) of false findings per 1,000 trips."""
    return 1000 * reliability_factor(false, 95.0) / trips


def in_doubt(outcomes: list[Outcome]) -> pd.DataFrame:
    """Honest fleets: BRL *pago e em dúvida* at the roots of incidents, by rule, verdict and what was planted there."""
    rows = findings_of(honest(outcomes))
    rows = rows[rows["is_root"] & (rows["paid_doubtful_brl"] > 0)]
    rows = rows.assign(cause=rows["cause"].where(rows["scope"] == "day", "(rule of a cycle)"))
    grouped = rows.groupby(["rule_id", "verdict", "cause"])["paid_doubtful_brl"]
    return grouped.agg(n="size", brl="sum").reset_index()


def false_accusations(outcomes: list[Outcome]) -> pd.DataFrame:
    """Honest fleets: findings of severity C or H that nothing planted explains, by rule."""
    rows = findings_of(honest(outcomes))
    return rows[rows["severity"].isin(["C", "H"]) & (rows["verdict"] == "unexplained")]
