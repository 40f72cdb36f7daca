"""Rows that add up the others of their vehicle and day, written as if they were rows of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd

_FEWEST = 3  # a total and two rows: one alone may be the same row twice


def are_sums(
    groups: list[pd.Series], ends: tuple[pd.Series, pd.Series], km: pd.Series, rounding_km: float
) -> np.ndarray:
    """Whether each row reaches from the first to the last of its group, and its km are the sum of all others.

    `ends` are times or readings, of the beginning and of the end. `rounding_km` is allowed per row. A day's total
    without its label was paid as a movement: three buses earned R$ 2,943 a day too much.
    """
    columns = zip(("first", "last", "km"), (*ends, km), strict=True)
    rows = pd.DataFrame({name: column.astype("float64").to_numpy(na_value=np.nan) for name, column in columns})
    by_group = rows.groupby([group.to_numpy() for group in groups])
    count = by_group["km"].transform("count")
    others = by_group["km"].transform("sum") - rows["km"]
    reaches = rows["first"].eq(by_group["first"].transform("min")) & rows["last"].eq(by_group["last"].transform("max"))
    is_sum = (others - rows["km"]).abs() <= rounding_km * count + 1e-9
    found: np.ndarray = (reaches & is_sum & (count >= _FEWEST) & (rows["km"] > 0)).to_numpy()
    return found


def sentence(kind: str, row_numbers: pd.Series) -> list[str]:
    """What a file's message says of its totals; nothing without one."""
    if row_numbers.empty:
        return []
    lines = ", ".join(str(number) for number in row_numbers.head(10))
    return [f"{len(row_numbers)} {kind} are the sum of the others of their vehicle and day, in line {lines}: totals."]
