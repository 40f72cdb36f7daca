"""Local days of many instants: the day that a clock in the zone shows, also where the clock is set back at midnight."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fleet_audit.logic.primitives.wall_clock import local_days, local_days_of_seconds


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/Sao_Paulo", "2025-06-10"),
        ("America/Sao_Paulo", "2018-02-17"),  # 24:00 becomes 23:00
        ("America/Sao_Paulo", "2018-11-04"),  # 00:00 becomes 01:00
        ("America/St_Johns", "2010-11-07"),  # 00:01 becomes 23:01 of the day before
        ("Asia/Kathmandu", "2025-06-10"),  # 5 h 45 min
    ],
)
def test_each_second_has_the_day_that_its_clock_shows(zone, day):
    start = pd.Timestamp(day, tz="UTC").timestamp()
    seconds = start + np.arange(-86_400, 2 * 86_400, 29.7)
    instants = pd.Series(pd.to_datetime(np.round(seconds * 1e6).astype("int64"), unit="us", utc=True))
    expected = local_days(instants, pd.Series(zone, index=instants.index))
    np.testing.assert_array_equal(local_days_of_seconds(seconds, zone), expected)


def test_no_instants_have_no_days():
    assert local_days_of_seconds(np.empty(0), "America/Sao_Paulo").tolist() == []
