"""Volumes compared with those of the same weekdays before: a source that shrank without failing.

Which numbers are compared is the caller's choice; nothing here knows where they come from.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import median

WEEK = dt.timedelta(days=7)
_LEAST_DAYS = 3  # with fewer known days among the same weekdays nothing is judged


@dataclass(frozen=True)
class Limits:
    """When a volume is unusual.

    Attributes:
        low_pct: below this share of the median of the same weekdays.
        high_pct: above this share of it.
        weeks: how many weeks before a day are compared.
    """

    low_pct: float
    high_pct: float
    weeks: int = 8


@dataclass(frozen=True)
class UnusualVolume:
    """A day's number of a source, and the median of the same weekdays before it."""

    day: dt.date
    source: str
    number: float
    usual: float


def unusual_volumes(
    numbers: Mapping[str, Mapping[dt.date, float]],
    days: Collection[dt.date],
    holidays: Collection[dt.date],
    limits: Limits,
) -> list[UnusualVolume]:
    """Volumes of these days beyond the limits, in order of day and source.

    Args:
        numbers: per source, the number of each day that was counted; a day without one is unknown and not judged.
        days: the days to judge.
        holidays: days that are neither judged nor compared with.
        limits: when a volume is unusual.
    """
    found = []
    for day in sorted(set(days) - set(holidays)):
        for source, of_source in sorted(numbers.items()):
            earlier = (day - week * WEEK for week in range(1, limits.weeks + 1))
            known = [of_source[each] for each in earlier if each in of_source and each not in holidays]
            if day not in of_source or len(known) < _LEAST_DAYS:
                continue
            usual = median(known)
            low, high = usual * limits.low_pct / 100, usual * limits.high_pct / 100
            if not low <= of_source[day] <= high:
                found.append(UnusualVolume(day, source, of_source[day], usual))
    return found
