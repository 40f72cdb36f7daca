"""The period that a file is about, and rows that are dated more than a year from it.

A day that lost four years to another date system, or a device's clock, must not be filed under another year.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.formats.quarantine import Quarantine

_YEAR = pd.Timedelta(days=366)  # CONTRACTS 1.1: a date more than a year from the file's period is refused


def refuse_outside_period(
    quarantine: Quarantine,
    label: str,
    text: pd.Series,
    day: pd.Series,
    first: pd.Series | None = None,
    last: pd.Series | None = None,
) -> None:
    """Rejects the rows whose day lies more than a year before or after the file's period.

    Args:
        quarantine: takes the rejected rows.
        label, text: the column and what it holds, for the sentence.
        day: the day or instant of each row, null where it is not legible.
        first, last: ends of the period that the file itself states for each row; where they are null, the period is
            that of the year that holds most rows (of two, the later one).
    """
    dense_first, dense_last = _densest_year(day)
    starts = pd.Series(dense_first, index=day.index) if first is None else first.fillna(dense_first)
    ends = pd.Series(dense_last, index=day.index) if last is None else last.fillna(dense_last)
    is_outside = ((day < starts - _YEAR) | (day > ends + _YEAR)).fillna(False)
    if not is_outside.any():
        return
    spoken = starts.dt.strftime("%d/%m/%Y") + " to " + ends.dt.strftime("%d/%m/%Y")
    quarantine.refuse_value(
        is_outside,
        "outside_period",
        label,
        text,
        "more than a year from the other dates of the file ("
        + spoken
        + "); correct the date or send it in its own file",
    )


def _densest_year(day: pd.Series) -> tuple[pd.Timestamp, pd.Timestamp]:
    ordered = np.sort(day.dropna().to_numpy())
    if not len(ordered):
        return pd.NaT, pd.NaT  # type: ignore[return-value]
    beyond = np.searchsorted(ordered, ordered + _YEAR.to_numpy(), side="right")
    held = beyond - np.arange(len(ordered))
    start = len(held) - 1 - int(np.argmax(held[::-1]))
    return pd.Timestamp(ordered[start]), pd.Timestamp(ordered[beyond[start] - 1])
