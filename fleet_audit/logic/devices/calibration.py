"""A vehicle's odometer against its GPS path: the ratio of each day, its level over time, and where it changes.

A day's ratio is a function of that day's trips alone. Levels over several days are computed from these rows where
they are shown or judged, so that a day run again, alone or in a range, gives the same rows.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.statistics import MAD_TO_SD

_MIN_SIDE = 3  # days on each side of a change


def day_calibrations(day: dt.date, trips: pd.DataFrame, legs: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Rows of `fact.calibrations` without the trace columns.

    Of trips of positions of at least `calibration_min_km` and covered over `coverage_min_pct`, all of whose legs have a
    sound odometer and a path. Steps that the odometer bridged prove nothing about either and are excluded.

    Args:
        day: operational day; trips: its `fact.trips`; legs: its `trips.legs`.
        parameters: calibration_min_km, coverage_min_pct.
    """
    well = trips[(trips["source"] == "positions") & (trips["purpose"] != "yard")]
    well = well[(well["coverage_pct"].astype("float64") >= parameters.coverage_min_pct).to_numpy()]
    measured = legs[legs["trip_id"].isin(well["trip_id"])]
    is_sound = measured["is_odometer_valid"].fillna(False).astype(bool)
    is_sound &= measured[["km_odometer", "km_gps", "km_bridged"]].notna().all(axis=1)
    sums = measured.assign(is_unsound=~is_sound).groupby("trip_id")
    by_trip = sums[["km_odometer", "km_gps", "km_bridged", "is_unsound"]].sum()
    by_trip = by_trip[by_trip["is_unsound"] == 0]
    compared = pd.DataFrame(
        {name: by_trip[name] - by_trip["km_bridged"] for name in ("km_odometer", "km_gps")}, index=by_trip.index
    )
    compared = compared[compared["km_gps"] >= parameters.calibration_min_km].assign(
        ratio=lambda rows: rows["km_odometer"] / rows["km_gps"]
    )
    owners = ["plate", "device_id", "unit_code", "carrier_code"]
    rows = well[["trip_id", *owners]].merge(compared, left_on="trip_id", right_index=True)
    found = [
        {**dict(zip(owners, key, strict=True)), **_level(group)}
        for key, group in rows.groupby(owners, dropna=False, sort=True)
    ]
    columns = [*owners, "trips", "km_odometer", "km_gps", "ratio", "spread_pct"]
    return pd.DataFrame(found, columns=columns).assign(operational_date=day)


def _level(rows: pd.DataFrame) -> dict[str, float]:
    ratio, weight = rows["ratio"].to_numpy(), rows["km_gps"].to_numpy()
    centre = weighted_median(ratio, weight)
    return {
        "trips": len(rows),
        "km_odometer": round(float(rows["km_odometer"].sum()), 3),
        "km_gps": round(float(weight.sum()), 3),
        "ratio": round(centre, 6),
        "spread_pct": round(100 * MAD_TO_SD * weighted_median(np.abs(ratio - centre), weight), 4),
    }


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The lowest value at which half of the weight is reached."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


@dataclass(frozen=True)
class Segment:
    """Days in a row over which a device's ratio keeps its level; `reason` of its begin: first, device, ratio."""

    device_id: str
    start: dt.date
    end: dt.date
    days: int
    ratio: float
    spread_pct: float
    km: float
    reason: str


def segments(days: pd.DataFrame, parameters: ParameterSet) -> dict[str, list[Segment]]:
    """The segments of each plate, in order of time.

    A new device begins a segment. Within a device a change is found where Pettitt's rank test (1979) names a day
    with p below `calibration_p`, at least three days lie on each side and the medians differ by
    `calibration_change_pct`; then both sides are looked at again. Ranks, because one bad day must not move a level; the
    least difference, because a long series makes the smallest one significant.

    Args:
        days: rows of `fact.calibrations` of any days.
        parameters: calibration_p, calibration_change_pct.
    """
    found: dict[str, list[Segment]] = {}
    ordered = days.sort_values(["plate", "operational_date", "device_id"], kind="stable")
    for plate, rows in ordered.groupby("plate", sort=True):
        is_new = (rows["device_id"] != rows["device_id"].shift()).to_numpy()
        starts = np.append(np.flatnonzero(is_new), len(rows))
        for number, (low, high) in enumerate(itertools.pairwise(starts)):
            device = rows.iloc[low:high]
            cuts = [0, *_changes(device["ratio"].to_numpy(), parameters), len(device)]
            for begin, end in itertools.pairwise(cuts):
                reason = "ratio" if begin else "device" if number else "first"
                found.setdefault(str(plate), []).append(_segment(device.iloc[begin:end], reason))
    return found


def _segment(rows: pd.DataFrame, reason: str) -> Segment:
    ratio, weight = rows["ratio"].to_numpy(), rows["km_gps"].to_numpy(dtype="float64")
    centre = weighted_median(ratio, weight)
    days = rows["operational_date"].to_list()
    spread = 100 * MAD_TO_SD * weighted_median(np.abs(ratio - centre), weight)
    device_id, km = str(rows["device_id"].iloc[0]), float(weight.sum())
    return Segment(device_id, days[0], days[-1], len(days), centre, spread, km, reason)


def _changes(ratio: np.ndarray, parameters: ParameterSet) -> list[int]:
    """Where levels begin, first excluded, in order."""
    at = _change(ratio, parameters)
    if at is None:
        return []
    left, right = _changes(ratio[:at], parameters), _changes(ratio[at:], parameters)
    return [*left, at, *(at + further for further in right)]


def _change(ratio: np.ndarray, parameters: ParameterSet) -> int | None:
    """The first day of a new level, by Pettitt's test."""
    size = len(ratio)
    if size < 2 * _MIN_SIDE:
        return None
    ahead = np.sign(ratio[:, None] - ratio[None, :])
    statistic = np.array([ahead[:cut, cut:].sum() for cut in range(1, size)])
    at = int(np.argmax(np.abs(statistic))) + 1
    p = 2 * math.exp(-6 * float(statistic[at - 1]) ** 2 / (size**3 + size**2))
    if p >= parameters.calibration_p or not _MIN_SIDE <= at <= size - _MIN_SIDE:
        return None
    before, after = np.median(ratio[:at]), np.median(ratio[at:])
    return at if abs(after / before - 1) * 100 >= parameters.calibration_change_pct else None
