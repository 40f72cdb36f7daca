"""Whether a finding is true by what the simulated vehicles really drove, beside the labels that explain it.

Which label explains which finding is in `comparison`.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.comparison import SAME_TRIP_S

_UNLINKED = ("D05", "D06")  # about a run without a trip
_SIGNS = {"D01": 1, "D02": 1, "D04": -1}  # about a measured difference: declared above or below measured


def true_by_road(findings: pd.DataFrame, trips: pd.DataFrame, runs: pd.DataFrame, slack_s: float) -> np.ndarray:
    """Whether each finding is true.

    - D05, D06: no service trip of the truth covers at least half of the run.
    - D01, D02, D04: the declared km differ from the road's km by more than the tolerance; as the label says where the
      finding's trips are not the truth's own.
    - Any other: a label explains it.

    Args:
        findings: as `comparison.judged` returns them.
        trips: of the truth.
        runs: declared runs as the audit dates them, one row each.
        slack_s: by how much the devices may move the ends of a trip, beyond SAME_TRIP_S.
    """
    by_plate = {str(plate): own.reset_index(drop=True) for plate, own in trips.groupby("plate")}
    by_run = runs.set_index("declared_run_id")
    return np.array(
        [_is_true(row, by_plate, by_run, SAME_TRIP_S + slack_s) for row in findings.itertuples()], dtype=bool
    )


def _is_true(finding: Any, by_plate: dict[str, pd.DataFrame], by_run: pd.DataFrame, within_s: float) -> bool:
    if finding.rule_id in _UNLINKED:
        return not _took_place(finding, by_plate, by_run)
    is_explained = finding.verdict in ("right", "follows")
    if finding.rule_id not in _SIGNS:
        return is_explained
    exceeds = _exceeds(json.loads(finding.evidence), _SIGNS[finding.rule_id], by_plate, within_s)
    return is_explained if exceeds is None else exceeds


def _took_place(finding: Any, by_plate: dict[str, pd.DataFrame], by_run: pd.DataFrame) -> bool:
    own = by_plate.get(finding.plate)
    if own is None or finding.declared_run_id not in by_run.index:
        return False
    own = own[own["purpose"] == "service"]
    start, end = by_run.loc[finding.declared_run_id, ["started_at", "ended_at"]]
    met = np.minimum(own["ended_at"], end) - np.maximum(own["started_at"], start)
    return bool((met >= (end - start) / 2).any())


def _exceeds(evidence: dict[str, Any], sign: int, by_plate: dict[str, pd.DataFrame], within_s: float) -> bool | None:
    """Whether declared is further from the road's km than the tolerance; None where the road is not known."""
    roads = [_road_km(trip, by_plate, within_s) for trip in evidence["trips"]]
    if not roads or any(km is None for km in roads):
        return None
    road, limits = sum(km for km in roads if km is not None), evidence["thresholds"]
    scope, least = ("trip", "trip_tolerance_km") if "trip_tolerance_km" in limits else ("day", "day_min_km")
    pct, least_km = limits[f"{scope}_tolerance_pct"], limits[least]
    return sign * (evidence["declared_km"] - road) > max(road * pct / 100, least_km)


def _road_km(trip: dict[str, Any], by_plate: dict[str, pd.DataFrame], within_s: float) -> float | None:
    """Km of the truth's trip with both ends within `within_s` of the measured trip's."""
    own = by_plate.get(trip["plate"])
    if own is None:
        return None
    off_s = np.maximum(
        *((own[name] - pd.Timestamp(trip[name])).abs().dt.total_seconds() for name in ("started_at", "ended_at"))
    )
    return float(own["km"][off_s.idxmin()]) if off_s.min() <= within_s else None
