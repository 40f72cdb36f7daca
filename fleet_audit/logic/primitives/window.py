"""The window of an operational day: which staged days, files and instants the computation of that day reads.

Every user of a window reads its extent here; what is computed from it belongs to the subject that computes it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

import pandas as pd

from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.logic.primitives.wall_clock import local_midnight
from fleet_audit.schema.partition import PARTITION_ZONE

DAYS_BEFORE, DAYS_AFTER = 2, 1  # staged days that the window of D reads: D-2 … D+1
WINDOW_OFFSETS = tuple(range(-DAYS_BEFORE, DAYS_AFTER + 1))
TIME_BEFORE = dt.timedelta(hours=36)  # trips of the day before are context for matching, whole ones
FILE_DAYS_AROUND = 1  # days in files are local: a file of a day has rows of the partition day beside it


@dataclass(frozen=True)
class Window:
    """The fixed span of time from which a day is computed, in one zone: `day` is the operational day."""

    day: dt.date
    zone: ZoneInfo

    def midnight(self, offset_days: int = 0) -> pd.Timestamp:
        """Local midnight that begins day + offset, as a UTC instant."""
        return local_midnight(self.day + offset_days * ONE_DAY, self.zone)

    @cached_property
    def start(self) -> pd.Timestamp:
        """First instant of the window."""
        return self.midnight() - TIME_BEFORE

    @cached_property
    def end(self) -> pd.Timestamp:
        """First instant after the window: the tail of a night trip and the next day's runs lie before it."""
        return self.midnight(DAYS_AFTER + 1)

    @cached_property
    def positions_end(self) -> pd.Timestamp:
        """First instant without positions: the staged days, those of the partition zone, end for a unit west of it."""
        return min(self.end, local_midnight(self.day + (DAYS_AFTER + 1) * ONE_DAY, ZoneInfo(PARTITION_ZONE)))


def partition_window(day: dt.date) -> Window:
    """The window of a day in the partition zone."""
    return Window(day, ZoneInfo(PARTITION_ZONE))


def partition_day_bounds(day: dt.date) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First instant of a partition day and of the next one, in UTC."""
    window = partition_window(day)
    return window.midnight(), window.midnight(1)


def window_days(day: dt.date) -> list[dt.date]:
    """D-2 … D+1: the staged days that the window of D reads (docs/architecture.md)."""
    return [day + offset * ONE_DAY for offset in WINDOW_OFFSETS]


def days_that_read(day: dt.date) -> list[dt.date]:
    """D-1 … D+2: the operational days whose windows read the staged day D."""
    return [day - offset * ONE_DAY for offset in reversed(WINDOW_OFFSETS)]


def days_with_context(days: Iterable[dt.date]) -> list[dt.date]:
    """All staged days that the windows of these days read, in order, each once."""
    return sorted({read for day in days for read in window_days(day)})


def staged_span(first: dt.date, last: dt.date) -> tuple[dt.date, dt.date]:
    """First and last staged day that the windows of first … last read."""
    return first - DAYS_BEFORE * ONE_DAY, last + DAYS_AFTER * ONE_DAY


def file_span(first: dt.date, last: dt.date) -> tuple[dt.date, dt.date]:
    """First and last local day of files that the windows of first … last may read."""
    staged_first, staged_last = staged_span(first, last)
    return staged_first - FILE_DAYS_AROUND * ONE_DAY, staged_last + FILE_DAYS_AROUND * ONE_DAY
