"""The window of a day: what it reads, in each zone, on days of 23 and 25 hours; and that it is defined once."""

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

import fleet_audit
from fleet_audit.logic.primitives.window import Window, days_that_read, file_span, partition_day_bounds, window_days
from fleet_audit.schema.partition import PARTITION_ZONE

DAY = dt.date(2025, 6, 10)


def test_days_that_read_a_staged_day_are_those_whose_window_has_it() -> None:
    around = [DAY + dt.timedelta(days=offset) for offset in range(-5, 6)]
    assert days_that_read(DAY) == [day for day in around if DAY in window_days(day)]


def test_no_window_asks_for_an_instant_that_its_staged_days_do_not_hold() -> None:
    for zone in (PARTITION_ZONE, "America/Campo_Grande", "America/Manaus"):
        window = Window(DAY, ZoneInfo(zone))
        first, last = window_days(DAY)[0], window_days(DAY)[-1]
        assert partition_day_bounds(first)[0] <= window.start
        assert window.positions_end <= partition_day_bounds(last)[1]


@pytest.mark.parametrize(("day", "hours"), [(dt.date(2018, 11, 4), 23), (dt.date(2018, 2, 17), 25)])
def test_a_day_of_a_clock_change_has_its_own_length(day: dt.date, hours: int) -> None:
    start, end = partition_day_bounds(day)
    assert end - start == pd.Timedelta(hours=hours)


def test_files_are_read_a_day_beyond_the_staged_days() -> None:
    assert file_span(DAY, DAY) == (DAY - dt.timedelta(days=3), DAY + dt.timedelta(days=2))


def test_the_partition_zone_is_written_once() -> None:
    root = Path(fleet_audit.__file__).parent
    written = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if f'"{PARTITION_ZONE}"' in path.read_text(encoding="utf-8") and "simulation" not in path.parts
    ]
    assert written == ["schema/partition.py"]
