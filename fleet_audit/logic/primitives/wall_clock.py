"""Wall clocks of units' time zones against UTC instants, whole columns at once.

Only conversions by a zone belong here; cycles and partitions do not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

_DAY_MINUTES = 1440


@lru_cache(maxsize=4096)  # every device and trip of a day needs the same few
def local_midnight(day: dt.date, zone: ZoneInfo) -> pd.Timestamp:
    """The UTC instant at which a local day begins; on a day that skips midnight, the first instant after."""
    return pd.Timestamp(dt.datetime.combine(day, dt.time(), zone)).tz_convert("UTC")


def to_local(instants: pd.Series, zones: pd.Series) -> pd.Series:
    """Wall-clock time (no zone) of UTC instants, each in the IANA zone named beside it."""
    wall = np.full(len(instants), np.datetime64("NaT"), dtype="datetime64[us]")
    for zone, rows in _by_zone(zones):
        wall[rows] = instants.iloc[rows].dt.tz_convert(zone).dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    return pd.Series(wall, index=instants.index)


def local_days(instants: pd.Series, zones: pd.Series) -> np.ndarray:
    """Local calendar day (datetime64[D]) of UTC instants, each in the IANA zone named beside it."""
    return to_local(instants, zones).to_numpy().astype("datetime64[D]")


def local_days_of_seconds(seconds: np.ndarray, zone: str) -> np.ndarray:
    """Local calendar day (datetime64[D]) of seconds since 1970, all in one IANA zone.

    For millions of seconds of a few days: the day of each minute between them is looked up, because offsets of zones
    are whole minutes since 1972. 5 million rows take a tenth of what converting each of them takes.
    """
    if len(seconds) == 0:
        return np.empty(0, dtype="datetime64[D]")
    minutes = np.round(seconds * 1e6).astype(np.int64) // 60_000_000
    first = int(minutes.min()) // _DAY_MINUTES * _DAY_MINUTES
    return _days_of_minutes(first, int(minutes.max()) // _DAY_MINUTES * _DAY_MINUTES + _DAY_MINUTES, zone)[
        minutes - first
    ]


@lru_cache(maxsize=8)  # the stops and legs of a window ask for the same days; 46 kB for four days
def _days_of_minutes(first: int, end: int, zone: str) -> np.ndarray:
    """Local calendar day of each minute since 1970 from `first` to before `end`; callers do not change it."""
    instants = pd.DatetimeIndex(np.arange(first, end).astype("datetime64[m]").astype("datetime64[us]"), tz="UTC")
    return instants.tz_convert(zone).tz_localize(None).to_numpy().astype("datetime64[D]")


def to_utc(wall: pd.Series, zones: pd.Series, *, is_second: bool = False) -> pd.Series:
    """Wall-clock times as UTC instants; of a time that happens twice the first or second, of a skipped one the next."""
    instants = np.full(len(wall), np.datetime64("NaT"), dtype="datetime64[us]")
    for zone, rows in _by_zone(zones):
        is_first = np.full(len(rows), not is_second)
        local = wall.iloc[rows].dt.tz_localize(zone, ambiguous=is_first, nonexistent="shift_forward")
        instants[rows] = local.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    return pd.Series(instants, index=wall.index).dt.tz_localize("UTC")


def _by_zone(zones: pd.Series) -> Iterator[tuple[str, np.ndarray]]:
    codes, names = pd.factorize(zones)
    for code, name in enumerate(names):
        yield str(name), np.flatnonzero(codes == code)
