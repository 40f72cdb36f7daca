"""A volume is unusual against the same weekdays, and only where enough of them are known."""

from __future__ import annotations

import datetime as dt

from fleet_audit.logic.primitives.volumes import Limits, UnusualVolume, unusual_volumes

DAY = dt.date(2025, 6, 18)
LIMITS = Limits(low_pct=50, high_pct=200)
WEEKS = [DAY - dt.timedelta(weeks=week) for week in range(1, 6)]


def test_a_fall_and_a_rise_beyond_the_limits_are_unusual():
    before = dict(zip(WEEKS, (90, 110, 100, 5, 4000), strict=True))
    sources = {
        "gone": before | {DAY: 0},
        "low": before | {DAY: 49},
        "usual": before | {DAY: 50},
        "high": before | {DAY: 201},
    }
    found = unusual_volumes(sources, [DAY], [], LIMITS)
    assert found == [
        UnusualVolume(DAY, name, number, 100) for name, number in (("gone", 0), ("high", 201), ("low", 49))
    ]


def test_holidays_unknown_days_and_other_weekdays_are_not_compared():
    other_weekdays = {day - dt.timedelta(days=1): 100 for day in WEEKS}
    few = {DAY: 1, **dict.fromkeys(WEEKS[:3], 100)}
    assert unusual_volumes({"a": {DAY: 1, **other_weekdays}, "b": few | {DAY: 60}}, [DAY], [], LIMITS) == []
    assert len(unusual_volumes({"b": few}, [DAY], [], LIMITS)) == 1
    assert unusual_volumes({"b": few}, [DAY], [WEEKS[0]], LIMITS) == []
    assert unusual_volumes({"b": few}, [DAY], [DAY], LIMITS) == []
    assert unusual_volumes({"b": dict.fromkeys(WEEKS, 100)}, [DAY], [], LIMITS) == []
