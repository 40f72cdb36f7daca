"""The local calendar: calendar days as columns, and the measurement cycles that they belong to.

Reference rows that are valid on a day are in `reference_view`; what a cycle costs is in `fixed_costs` and `forecast`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Cycle:
    """A measurement period of local days, both ends inclusive."""

    start: dt.date
    end: dt.date

    @property
    def length(self) -> int:
        """Number of days."""
        return (self.end - self.start).days + 1


def cycle_of(day: dt.date, closing_day: int) -> Cycle:
    """The cycle that a day belongs to: from `closing_day` of a month to the day before it in the next.

    Raises ValueError when closing_day is not 1..28 (a later one does not exist in every month).
    """
    if not 1 <= closing_day <= 28:
        raise ValueError(f"closing day {closing_day} is not between 1 and 28: set FLEET_CLOSING_DAY to one that is")
    start = day.replace(day=closing_day)
    if day < start:
        start = (start.replace(day=1) - ONE_DAY).replace(day=closing_day)
    following = (start.replace(day=28) + 4 * ONE_DAY).replace(day=closing_day)
    return Cycle(start, following - ONE_DAY)


def cycle_days(cycle: Cycle) -> list[dt.date]:
    """Every day of the cycle, in order."""
    return days_between(cycle.start, cycle.end)


def days_between(first: dt.date, last: dt.date) -> list[dt.date]:
    """Every day from first to last, both inclusive, in order."""
    return [first + number * ONE_DAY for number in range((last - first).days + 1)]


def as_days(values: object) -> np.ndarray:
    """Calendar days as datetime64[D], missing ones as NaT: from one date, or a list, array or Series of dates."""
    if isinstance(values, (dt.date, np.datetime64)):
        return np.array(values, dtype="datetime64[D]")
    if isinstance(values, pd.Series) and isinstance(values.dtype, np.dtype):
        values = values.to_numpy()
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return values.astype("datetime64[D]")
    array = pa.array(values, type=pa.date32(), from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array.to_numpy(zero_copy_only=False).astype("datetime64[D]")


def dates(values: np.ndarray) -> pd.api.extensions.ExtensionArray:
    """datetime64[D] as the column type of calendar days (Arrow date32)."""
    return pd.array(pa.array(values.astype("datetime64[D]"), type=pa.date32()), dtype=pd.ArrowDtype(pa.date32()))
