"""Rows that add up the others of their vehicle and day, or period, written as if they were rows of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd

_FEWEST = 3  # a total and two rows: one alone may be the same row twice


def are_sums(
    groups: list[pd.Series],
    ends: tuple[pd.Series, pd.Series],
    km: pd.Series,
    rounding_km: float,
    is_claim: np.ndarray | bool = False,
) -> np.ndarray:
    """Whether each row reaches from the first to the last of its group, and its km are the sum of all others.

    `ends` are times or readings, of the beginning and of the end. `rounding_km` is allowed per row; one that
    `is_claim` is none. A day's total without its label was paid as a movement: three buses earned R$ 2,943 a day too
    much. Of two such rows, the only way of a day and its total beside a halt of 0 km, the last is the total: both were
    taken for one, and the way was lost.
    """
    columns = zip(("first", "last", "km"), (*ends, km), strict=True)
    rows = pd.DataFrame({name: column.astype("float64").to_numpy(na_value=np.nan) for name, column in columns})
    by_group = rows.groupby([group.to_numpy() for group in groups])
    count = by_group["km"].transform("count")
    others = by_group["km"].transform("sum") - rows["km"]
    reaches = rows["first"].eq(by_group["first"].transform("min")) & rows["last"].eq(by_group["last"].transform("max"))
    is_sum = (others - rows["km"]).abs() <= rounding_km * count + 1e-9
    may_be = reaches & is_sum & (count >= _FEWEST) & (rows["km"] > 0) & ~np.asarray(is_claim)
    found: np.ndarray = may_be.to_numpy(copy=True)
    found[may_be] = ~by_group.ngroup()[may_be].duplicated(keep="last")
    return found


def are_sums_of_several_days(
    groups: list[pd.Series], departed: pd.Series, arrived: pd.Series, km: pd.Series, rounding_km: float
) -> np.ndarray:
    """Whether each row's km are the sum of all others of its group, and its clocks are those at the others' ends.

    A total over a file's whole period is written under one of its days, so that its instants reach from nowhere to
    nowhere: it departs at the hour of the first of the others and arrives at that of the last. Such a row of a bulletin
    of three days was a claim of 363 km (D02, critical); in a visit report it hid 26 km.
    """
    rows = pd.DataFrame({"departed": departed, "arrived": arrived, "km": km.astype("float64")}).reset_index(drop=True)
    group = pd.MultiIndex.from_arrays([each.to_numpy() for each in groups]).factorize()[0]
    by_group = rows.groupby(group)["km"]
    count, others = by_group.transform("count"), by_group.transform("sum") - rows["km"]
    is_sum = (others - rows["km"]).abs().le(rounding_km * count + 1e-9) & count.ge(_FEWEST) & rows["km"].gt(0)
    rest = rows[~is_sum]
    ends = rest.groupby(group[rest.index]).agg({"departed": "min", "arrived": "max"}).reindex(group)
    is_at_ends = [_clock(rows[name]).to_numpy() == _clock(ends[name]).to_numpy() for name in ("departed", "arrived")]
    found: np.ndarray = is_sum.to_numpy() & is_at_ends[0] & is_at_ends[1]
    return found


def _clock(instants: pd.Series) -> pd.Series:
    return instants - instants.dt.normalize()


def sentence(kind: str, row_numbers: pd.Series) -> list[str]:
    """What a file's message says of its totals; nothing without one."""
    if row_numbers.empty:
        return []
    lines = ", ".join(str(number) for number in row_numbers.head(10))
    return [f"{len(row_numbers)} {kind} are the sum of the others of their vehicle, in line {lines}: totals."]
