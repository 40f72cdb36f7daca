"""The period that the title of a visit report states, and the part of each day that the report shows.

Which title governs which vehicle is found in `layout`.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import pandas as pd

_PERIOD = re.compile(
    r"De\s+(\d\d/\d\d/\d{4})\s+(\d\d:\d\d)(?::\d\d)?\s+(?:Para|Até|a)\s+(\d\d/\d\d/\d{4})\s+(\d\d:\d\d)", re.IGNORECASE
)
_WINDOW = re.compile(r"entre\s+(\d\d:\d\d)(?::\d\d)?\s+e\s+(\d\d:\d\d)", re.IGNORECASE)
_LONGEST_PERIOD = dt.timedelta(days=366)
_LONGEST_TITLE = 10_000  # characters that are searched


class UnusablePeriod(ValueError):  # noqa: N818  it names what the title holds
    """A title states a period that cannot be."""


@dataclass(frozen=True)
class Period:
    """The period that a title names: two instants, and the part of each day that the report covers."""

    first: dt.datetime
    last: dt.datetime
    window_from: dt.time
    window_to: dt.time

    def days(self) -> pd.DataFrame:
        """date, window_start_local and window_end_local of each day; a window that ends earlier ends the day after."""
        date = pd.Series(pd.date_range(self.first.date(), self.last.date(), unit="us"))
        end_day = date + pd.Timedelta(days=int(self.window_to < self.window_from))
        start, end = date + _since_midnight(self.window_from), end_day + _since_midnight(self.window_to)
        return pd.DataFrame(
            {
                "date": date.dt.date,
                "window_start_local": start.clip(lower=self.first),
                "window_end_local": end.clip(upper=max(self.last, self.first)),
            }
        )


def find_period(title: str) -> Period | None:
    """The period that a title states; None when it names none. Raises UnusablePeriod when it cannot be."""
    title = title[:_LONGEST_TITLE]
    period, window = _PERIOD.search(title), _WINDOW.search(title)
    if period is None:
        return None
    try:
        first = dt.datetime.strptime(f"{period[1]} {period[2]}", "%d/%m/%Y %H:%M")  # noqa: DTZ007
        last = dt.datetime.strptime(f"{period[3]} {period[4]}", "%d/%m/%Y %H:%M")  # noqa: DTZ007
        starts, ends = (window[1], window[2]) if window else ("00:00", "23:59")
        found = Period(first, last, dt.time.fromisoformat(starts), dt.time.fromisoformat(ends))
    except ValueError as error:
        raise UnusablePeriod(str(error)) from error
    if not dt.timedelta(0) <= last - first <= _LONGEST_PERIOD or first.year < 2000:
        raise UnusablePeriod(f"{first} to {last}")
    return found


def _since_midnight(time: dt.time) -> pd.Timedelta:
    return pd.Timedelta(hours=time.hour, minutes=time.minute)
