"""The days that a file names, found without reading what else it says.

The rows of a day are parsed in the module of each format.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class NamedDays:
    """Local days of a file.

    Attributes:
        named: days of its rows and notes, none after its arrival.
        first_departure_s: seconds after midnight at which the first run of a day departs, where one is legible.
    """

    named: frozenset[dt.date]
    first_departure_s: Mapping[dt.date, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, day: pd.Series, is_misdated: np.ndarray, today: dt.date, departed: pd.Series | None = None
    ) -> NamedDays:
        """The distinct days of the rows that are legible, not misdated and not after `today`."""
        legible = day.where(~is_misdated & (day <= pd.Timestamp(today)).to_numpy(dtype=bool))
        first = {} if departed is None else departed.dropna().groupby(legible.dt.date).min().to_dict()
        return cls(frozenset(legible.dropna().dt.date), first)
