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
    one: joining a plate's month with its month makes thirty times the pairs. In arrays, because windows and rules of a
    day ask some 60 times: of ten rows and ten a merge of pandas takes 3.8 ms, this 0.3 ms.
    """
    plates = np.concatenate([frame["plate"].to_numpy(dtype=object) for frame in (left, right)])
    code = pd.factorize(plates, use_na_sentinel=False)[0]
    starts, ends = ([frame[name].to_numpy() for frame in (left, right)] for name in ("start_us", "end_us"))
    day, number = _each_day(starts[0], ends[0])
    other_day, other = _each_day(starts[1], ends[1])
    first_day = min(day.min(initial=0), other_day.min(initial=0))
    days = max(day.max(initial=0), other_day.max(initial=0)) - first_day + 1
    key = code[number] * days + day - first_day
    other_key = code[len(left) + other] * days + other_day - first_day
    order = np.argsort(other_key, kind="stable")
    other_key, other = other_key[order], other[order]
    low, high = np.searchsorted(other_key, key, side="left"), np.searchsorted(other_key, key, side="right")
    met = np.repeat(np.arange(len(key)), high - low)
    at, to = number[met], other[_counted(low, high)]
    start = np.maximum(starts[0][at], starts[1][to])
    overlap_us = np.minimum(ends[0][at], ends[1][to]) - start
    kept = (overlap_us > 0) & (day[met] == start // _DAY_US)  # those that share several days meet on each of them
    at, to, overlap_us = at[kept], to[kept], overlap_us[kept]
    order = np.lexsort((to, at))
    return pd.DataFrame({"left": at[order], "right": to[order], "overlap_us": overlap_us[order]})


def union(frame: pd.DataFrame) -> pd.DataFrame:
    """The same time of each plate as disjoint intervals: plate, start_us, end_us."""
    code = pd.factorize(frame["plate"].to_numpy(dtype=object), sort=True, use_na_sentinel=False)[0]
    start, end = (frame[name].to_numpy() for name in ("start_us", "end_us"))
    order = np.lexsort((end, start, code))
    code, start, end = code[order], start[order], end[order]
    instants, rank = np.unique(end, return_inverse=True)  # ranks, of which each plate's are higher than those before it
    reached = np.maximum.accumulate(code * len(instants) + rank) % max(len(instants), 1)
    is_piece = np.diff(code, prepend=-1) != 0
    is_piece[1:] |= start[1:] > instants[reached[:-1]]
    first = np.flatnonzero(is_piece)
    last = np.append(first[1:] - 1, len(code) - 1)[: len(first)]
    return pd.DataFrame(
        {
            "plate": frame["plate"].array.take(order[first]),
            "start_us": start[first],
            "end_us": instants[reached[last]],
        }
    )


def covered_us(of: pd.DataFrame, by: pd.DataFrame) -> np.ndarray:
    """Microseconds of each row of `of` during which any row of `by` of the same plate lasts."""
    pairs = overlaps(of, union(by))
    return np.bincount(pairs["left"], weights=pairs["overlap_us"], minlength=len(of)).astype("int64")


def _each_day(start_us: np.ndarray, end_us: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each UTC day that a row touches, and the row's number."""
    first, last = start_us // _DAY_US, end_us // _DAY_US
    count = np.maximum(last - first, 0) + 1
    number = np.repeat(np.arange(len(count)), count)
    return np.repeat(first, count) + _counted(np.zeros_like(count), count), number


def _counted(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """low[k], low[k] + 1, ... high[k] - 1 of each k, one after the other."""
    count = high - low
    return np.arange(count.sum()) + np.repeat(low - np.cumsum(count) + count, count)
