"""Intervals of time per vehicle as arrays: which of two sets overlap, and how much of one the other covers.

The caller decides the meaning of an overlap (a link, an observation).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

_DAY_US = 86_400_000_000


def micros(instants: pd.Series) -> np.ndarray:
    """UTC instants as whole microseconds since 1970."""
    return instants.dt.as_unit("us").to_numpy(dtype="datetime64[us]").astype("int64")


def intervals(frame: pd.DataFrame) -> pd.DataFrame:
    """plate, start_us, end_us of rows with plate, started_at, ended_at; row numbers as index."""
    return pd.DataFrame(
        {
            "plate": frame["plate"].to_numpy(dtype=object),
            "start_us": micros(frame["started_at"]),
            "end_us": micros(frame["ended_at"]),
        }
    )


def overlaps(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Pairs of one plate that share more than an instant: left, right (row numbers), overlap_us; sorted.

    Both sides are `intervals(...)`. They meet by plate and UTC day, so a whole cycle costs as much as its days one by
    one: joining a plate's month with its month makes thirty times the pairs.
    """
    pairs = _by_day(left, "left").merge(_by_day(right, "right"), on=["plate", "day"])
    pairs = pairs[["left", "right"]].drop_duplicates().sort_values(["left", "right"])
    at, to = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    start = np.maximum(left["start_us"].to_numpy()[at], right["start_us"].to_numpy()[to])
    end = np.minimum(left["end_us"].to_numpy()[at], right["end_us"].to_numpy()[to])
    pairs["overlap_us"] = end - start
    return pairs[pairs["overlap_us"] > 0].reset_index(drop=True)


def union(frame: pd.DataFrame) -> pd.DataFrame:
    """The same time of each plate as disjoint intervals: plate, start_us, end_us."""
    ordered = frame.sort_values(["plate", "start_us", "end_us"], kind="stable").reset_index(drop=True)
    reached = ordered.groupby("plate")["end_us"].cummax().groupby(ordered["plate"]).shift()
    piece = (reached.isna() | (ordered["start_us"] > reached)).cumsum()
    merged = ordered.groupby(piece).agg(
        plate=("plate", "first"), start_us=("start_us", "min"), end_us=("end_us", "max")
    )
    return merged.reset_index(drop=True)


def covered_us(of: pd.DataFrame, by: pd.DataFrame) -> np.ndarray:
    """Microseconds of each row of `of` during which any row of `by` of the same plate lasts."""
    pairs = overlaps(of, union(by))
    return np.bincount(pairs["left"], weights=pairs["overlap_us"], minlength=len(of)).astype("int64")


def _by_day(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """One row for each UTC day that a row touches: plate, day, the row's number under `name`."""
    first, last = frame["start_us"].to_numpy() // _DAY_US, frame["end_us"].to_numpy() // _DAY_US
    count = np.maximum(last - first, 0) + 1
    number = np.repeat(np.arange(len(frame)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return pd.DataFrame({"plate": frame["plate"].to_numpy()[number], "day": first[number] + step, name: number})
