"""Deadlines for answers, in business days of the local calendar.

Publication and its date are decided elsewhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Set as AbstractSet

from fleet_audit.logic.primitives.cycles import ONE_DAY

_SATURDAY = 5


def business_deadline(published: dt.date, days: int, holidays: AbstractSet[dt.date]) -> dt.date:
    """Date that is the given number of business days after publication: Monday to Friday, without holidays."""
    day, left = published, days
    while left > 0:
        day += ONE_DAY
        if day.weekday() < _SATURDAY and day not in holidays:
            left -= 1
    return day
