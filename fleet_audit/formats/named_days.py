"""The days that a file names, found without reading what else it says.

The rows of a day are parsed in the module of each format.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class NamedDays:
    """Local days of a file.

    Attributes:
        named: days of its rows and notes, none after its arrival.
        early: those of them with a run that departs soon after midnight.
    """

    named: frozenset[dt.date]
    early: frozenset[dt.date] = frozenset()

    @classmethod
    def of(
        cls, day: pd.Series, is_misdated: np.ndarray, today: dt.date, is_early: np.ndarray | None = None
    ) -> NamedDays:
        """The distinct days of the rows that are legible, not misdated and not after `today`."""
        legible = day.where(~is_misdated & (day <= pd.Timestamp(today)).to_numpy(dtype=bool))
        early = legible.iloc[:0] if is_early is None else legible[is_early]
        return cls(frozenset(legible.dropna().dt.date), frozenset(early.dropna().dt.date))
