"""Device assignments as spans of time: which device is in which vehicle, between local midnights.

Cutting them to the window of a day is in `tracks`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.wall_clock import local_midnight


def assignments(devices: pd.DataFrame, zones: pd.Series) -> pd.DataFrame:
    """Device assignments as UTC spans: device_id, plate, timezone, start, end (NaT: open), from `ref.devices`.

    `zones`: the time zone of each row's plate. A device changes vehicle at local midnight of the vehicle's unit.
    """
    known = devices.assign(timezone=zones.to_numpy())
    spans = pd.DataFrame(
        {
            "device_id": known["device_id"].to_numpy(),
            "plate": known["plate"].to_numpy(),
            "timezone": known["timezone"].to_numpy(),
            "start": _midnights(known["valid_from"], known["timezone"], 0),
            "end": _midnights(known["valid_to"], known["timezone"], 1),
        }
    )
    # Of a device that moves to a unit in another zone the later assignment begins at its own midnight.
    order = spans.assign(first=as_days(devices["valid_from"]), last=as_days(devices["valid_to"]))
    order = order.sort_values(["device_id", "first"], kind="stable", na_position="first")
    following = order.groupby("device_id")[["first", "start"]].shift(-1)
    is_next = (following["first"] - order["last"]).eq(pd.Timedelta(days=1))
    return spans.assign(end=spans["end"].where(~is_next.reindex(spans.index), following["start"].reindex(spans.index)))


def _midnights(days: pd.Series, zones: pd.Series, offset: int) -> pd.Series:
    """The local midnights that begin the days + offset; every day is looked up once per zone."""
    distinct, at = np.unique(as_days(days), return_inverse=True)
    midnights = pd.Series(pd.NaT, index=days.index, dtype="datetime64[us, UTC]")
    for zone in zones.unique():
        known = [_midnight(day, zone, offset) for day in distinct.tolist()]
        rows = (zones == zone).to_numpy()
        midnights[rows] = pd.Series(known, dtype="datetime64[us, UTC]").array[at[rows]]
    return midnights


def _midnight(day: dt.date | None, zone: str, offset: int) -> Any:
    return pd.NaT if day is None else local_midnight(day + dt.timedelta(days=offset), ZoneInfo(zone))
