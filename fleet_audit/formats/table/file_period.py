"""The period that a file is about, and rows that are dated more than a year from it.

A day that lost four years to another date system, or a device's clock, must not be filed under another year.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.formats.quarantine import Quarantine

_YEAR = pd.Timedelta(days=366)  # CONTRACTS 1.1: a date more than a year from the file's period is refused
# From a period that the file itself states: a movement may be under way at its start, and its clock in another zone.
_STATED = pd.Timedelta(days=2)


def refuse_outside_period(
    quarantine: Quarantine,
    label: str,
    text: pd.Series,
    day: pd.Series,
    first: pd.Series | None = None,
    last: pd.Series | None = None,
) -> None:
    """Rejects rows whose day lies more than a year from the file's days, or two days from the period that it states.

    In a report of 10 to 12 June whose rows wrote the month first, 06/10/2025 was a day of October: the movements of
    June were missing, and in October they would have been paid.

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
    slack = pd.Series(_YEAR, index=day.index)
    if first is not None and last is not None:
        slack[(first.notna() & last.notna()).to_numpy()] = _STATED
    is_outside = ((day < starts - slack) | (day > ends + slack)).fillna(False)
    if not is_outside.any():
        return
    spoken = starts.dt.strftime("%d/%m/%Y") + " to " + ends.dt.strftime("%d/%m/%Y")
    distance = slack.map({_YEAR: "more than a year from the other dates", _STATED: "outside of the period"})
    quarantine.refuse_value(
        is_outside,
        "outside_period",
        label,
        text,
        distance + " of the file (" + spoken + "); correct the date or send it in its own file",
    )


def _densest_year(day: pd.Series) -> tuple[pd.Timestamp, pd.Timestamp]:
    ordered = np.sort(day.dropna().to_numpy())
    if not len(ordered):
        return pd.NaT, pd.NaT  # type: ignore[return-value]
    beyond = np.searchsorted(ordered, ordered + _YEAR.to_numpy(), side="right")
    held = beyond - np.arange(len(ordered))
    start = len(held) - 1 - int(np.argmax(held[::-1]))
    return pd.Timestamp(ordered[start]), pd.Timestamp(ordered[beyond[start] - 1])
