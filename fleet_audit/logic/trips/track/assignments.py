"""Device assignments as spans of time: which device is in which vehicle, between local midnights.

Cutting them to the window of a day is in `tracks`.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.wall_clock import local_midnight


def assignments(devices: pd.DataFrame, zones: pd.Series) -> pd.DataFrame:
    """Device assignments as UTC spans: device_id, plate, timezone, start, end (NaT: open), from `ref.devices`.

    `zones`: the time zone of each row's plate. A device changes vehicle at local midnight of the vehicle's unit.
    """
    first, last = as_days(devices["valid_from"]), as_days(devices["valid_to"])
    zone, names = pd.factorize(zones)
    start, end = _midnights(first, zone, names, 0), _midnights(last, zone, names, 1)
    # Of a device that moves to a unit in another zone the later assignment begins at its own midnight.
    device = pd.factorize(devices["device_id"])[0]
    order = np.lexsort((first.astype(np.int64), device))  # NaT, an open beginning, is the least number
    at, following = order[:-1], order[1:]
    is_next = (device[at] == device[following]) & (first[following] - last[at] == np.timedelta64(1, "D"))
    end[at[is_next]] = start[following[is_next]]
    return pd.DataFrame(
        {
            "device_id": devices["device_id"].to_numpy(),
            "plate": devices["plate"].to_numpy(),
            "timezone": zones.to_numpy(),
            "start": pd.Series(start, index=devices.index).dt.tz_localize("UTC"),
            "end": pd.Series(end, index=devices.index).dt.tz_localize("UTC"),
        }
    )


def _midnights(days: np.ndarray, zone: np.ndarray, names: pd.Index, offset: int) -> np.ndarray:
    """The UTC instants at which the days + offset begin in their zones; every day is looked up once per zone."""
    pairs, at = np.unique(np.column_stack([zone, days.astype(np.int64)]), axis=0, return_inverse=True)
    known = [_midnight(np.datetime64(day, "D").item(), names[code], offset) for code, day in pairs.tolist()]
    return np.array(known, dtype="datetime64[us]")[at.ravel()]


def _midnight(day: dt.date | None, zone: str, offset: int) -> np.datetime64:
    if day is None:
        return np.datetime64("NaT", "us")
    return local_midnight(day + dt.timedelta(days=offset), ZoneInfo(zone)).tz_localize(None).to_datetime64()
