"""Departures and arrivals of a bulletin in the hour that a clock change repeats.

The day of a night run is decided in `night_shifts`; impossible arrivals are parsed in `formats`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.intervals import micros
from fleet_audit.logic.primitives.wall_clock import to_local, to_utc

_ONE_DAY = pd.Timedelta(days=1)
_HOUR_US = 3_600_000_000


def shortest_reading(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with the readings of started_at and ended_at that make each run shortest; of equal ones the first.

    RULES section 5: written 23:30 to 23:18 on the night of 25 hours, a run took 48 minutes.
    Only times that the clock of the run's `timezone` shows twice have another reading. An arrival that was put on the
    day after because it is earlier than the departure is tried on the departure's own day, too.
    """
    zones = runs["timezone"]
    start = to_local(runs["started_at"], zones)
    end = to_local(runs["ended_at"], zones)
    starts = [micros(runs["started_at"]), _second_reading_us(start, runs["started_at"], zones)]
    same_day = to_utc(end - _ONE_DAY, zones)
    ends = [
        micros(runs["ended_at"]),
        _second_reading_us(end, runs["ended_at"], zones),
        _second_reading_us(end - _ONE_DAY, same_day, zones),
    ]
    best_start, best_end = starts[0].copy(), ends[0].copy()
    for number, candidate_end in enumerate(ends):
        is_other = candidate_end != micros(same_day) if number == 2 else np.ones(len(runs), dtype=bool)
        for candidate_start in starts:
            lasting = candidate_end - candidate_start
            is_better = is_other & (lasting >= 0) & (lasting < best_end - best_start)
            best_start = np.where(is_better, candidate_start, best_start)
            best_end = np.where(is_better, candidate_end, best_end)
    return runs.assign(started_at=_instants(best_start, runs), ended_at=_instants(best_end, runs))


def departs_in_repeated_hour(runs: pd.DataFrame, zones: pd.Series) -> np.ndarray:
    """Whether each run departs in an hour that the clock of its zone shows twice, at either of the two times."""
    hour = pd.Timedelta(hours=1)
    wall = to_local(runs["started_at"], zones)
    return np.logical_or.reduce(
        [(to_local(runs["started_at"] + offset, zones) == wall).to_numpy(dtype=bool) for offset in (hour, -hour)]
    )


def _second_reading_us(wall: pd.Series, first: pd.Series, zones: pd.Series) -> np.ndarray:
    """Microseconds of the second time at which the clock shows `wall`; of the first where it shows it once."""
    hour_later = first + pd.Timedelta(hours=1)
    is_twice = (to_local(hour_later, zones) == wall).to_numpy(dtype=bool)
    return micros(first) + np.where(is_twice, _HOUR_US, 0)


def _instants(micros_since_1970: np.ndarray, runs: pd.DataFrame) -> pd.Series:
    return pd.Series(micros_since_1970.astype("datetime64[us]"), index=runs.index).dt.tz_localize("UTC")
