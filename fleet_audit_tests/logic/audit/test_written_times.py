"""On nights of 23 and 25 hours a written run is read as the run that took place."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from fleet_audit.logic.audit.written_times import departs_in_repeated_hour, shortest_reading
from fleet_audit.logic.primitives.wall_clock import to_utc

SANTIAGO = "America/Santiago"  # 24:00 of 2025-04-05 is 23:00 again; 2025-09-07 begins at 01:00


def written(start: str, end: str, day: dt.date) -> pd.DataFrame:
    """A run as staging has it: the arrival a day later when it is earlier, a doubled time the first."""
    departed = pd.Timestamp(f"{day} {start}")
    arrived = pd.Timestamp(f"{day} {end}")
    arrived += pd.Timedelta(days=int(arrived < departed))
    zones = pd.Series([SANTIAGO])
    return pd.DataFrame(
        {
            "started_at": to_utc(pd.Series([departed]), zones),
            "ended_at": to_utc(pd.Series([arrived]), zones),
            "timezone": zones,
        }
    )


@pytest.mark.parametrize(
    ("start", "end", "day", "utc_start", "utc_end"),
    [
        ("22:30", "23:18", dt.date(2025, 4, 5), "01:30", "02:18"),
        ("23:30", "23:18", dt.date(2025, 4, 5), "02:30", "03:18"),
        ("23:30", "00:18", dt.date(2025, 4, 5), "03:30", "04:18"),
        ("23:10", "23:50", dt.date(2025, 4, 5), "02:10", "02:50"),
        ("23:30", "01:18", dt.date(2025, 9, 6), "03:30", "04:18"),
    ],
    ids=[
        "into the first",
        "from the first into the second",
        "from the second",
        "both doubled",
        "over the skipped hour",
    ],
)
def test_a_doubled_hour_is_read_as_the_shorter_run(start: str, end: str, day: dt.date, utc_start: str, utc_end: str):
    read = shortest_reading(written(start, end, day)).iloc[0]
    assert (f"{read['started_at']:%H:%M}", f"{read['ended_at']:%H:%M}") == (utc_start, utc_end)


def test_on_other_days_an_earlier_arrival_stays_past_midnight() -> None:
    read = shortest_reading(written("22:30", "01:15", dt.date(2025, 6, 10))).iloc[0]
    assert read["ended_at"] - read["started_at"] == pd.Timedelta(hours=2, minutes=45)


@pytest.mark.parametrize(("start", "is_repeated"), [("23:30", True), ("22:30", False), ("21:00", False)])
def test_a_departure_in_the_repeated_hour_is_known(start: str, is_repeated: bool) -> None:
    runs = written(start, "23:59", dt.date(2025, 4, 5))
    assert departs_in_repeated_hour(runs, runs["timezone"]).tolist() == [is_repeated]
    assert not departs_in_repeated_hour(written(start, "23:59", dt.date(2025, 6, 10)), runs["timezone"]).any()
