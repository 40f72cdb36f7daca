"""Positions of devices become tracks of vehicles: which points belong to which plate, in time order, inside a window.

A track is one device in one vehicle for as long as it is registered there: odometers are never compared beyond it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.logic.wall_clock import local_midnight

WINDOW_BEFORE = dt.timedelta(hours=36)  # trips of the day before are context for matching, whole ones
WINDOW_DAYS_AFTER = 2  # to the end of the next day: the tail of a night trip, and the next day's runs


@dataclass(frozen=True)
class Window:
    """The fixed span from which a day is computed, in one zone: `day` is the operational day."""

    day: dt.date
    zone: ZoneInfo

    def midnight(self, offset_days: int = 0) -> pd.Timestamp:
        """Local midnight that begins day + offset, as a UTC instant."""
        return local_midnight(self.day + dt.timedelta(days=offset_days), self.zone)

    @property
    def start(self) -> pd.Timestamp:
        """First instant that is looked at."""
        return self.midnight() - WINDOW_BEFORE

    @property
    def end(self) -> pd.Timestamp:
        """First instant that is no longer looked at."""
        return self.midnight(WINDOW_DAYS_AFTER)


@dataclass(frozen=True)
class Tracks:
    """Points of all tracks in one set of arrays; `offsets[k]:offsets[k + 1]` is track k.

    `index` has one row a track: plate, device_id, timezone. Times are seconds since 1970 (float64), missing numbers
    NaN, `driver` holds codes into `drivers` (-1: none).
    """

    index: pd.DataFrame
    offsets: np.ndarray
    seconds: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    speed_kmh: np.ndarray
    odometer_km: np.ndarray
    passengers: np.ndarray
    driver: np.ndarray
    drivers: np.ndarray

    def take(self, keep: np.ndarray) -> Tracks:
        """The tracks with only the points where `keep` is true."""
        kept = np.concatenate([[0], np.cumsum(keep)])
        return Tracks(
            self.index,
            kept[self.offsets],
            self.seconds[keep],
            self.latitude[keep],
            self.longitude[keep],
            self.speed_kmh[keep],
            self.odometer_km[keep],
            self.passengers[keep],
            self.driver[keep],
            self.drivers,
        )

    def track_of(self, points: np.ndarray) -> np.ndarray:
        """Track number of each point index."""
        return np.searchsorted(self.offsets, points, side="right") - 1


def assignments(devices: pd.DataFrame, zones: pd.Series) -> pd.DataFrame:
    """Device assignments as UTC spans: device_id, plate, timezone, start, end (NaT: open), from `ref.devices`.

    `zones`: the time zone of each row's plate. A device changes vehicle at local midnight of the vehicle's unit.
    """
    known = devices.assign(timezone=zones.to_numpy())
    return pd.DataFrame(
        {
            "device_id": known["device_id"].to_numpy(),
            "plate": known["plate"].to_numpy(),
            "timezone": known["timezone"].to_numpy(),
            "start": [_bound(day, zone, 0) for day, zone in zip(known["valid_from"], known["timezone"], strict=True)],
            "end": [_bound(day, zone, 1) for day, zone in zip(known["valid_to"], known["timezone"], strict=True)],
        }
    )


def _bound(day: Any, zone: str, offset: int) -> Any:
    return pd.NaT if pd.isna(day) else local_midnight(day + dt.timedelta(days=offset), ZoneInfo(zone))


def build_tracks(positions: pd.DataFrame, spans: pd.DataFrame, day: dt.date) -> Tracks:
    """Tracks of the window of a day.

    Args:
        positions: rows of `staging.positions`, any order.
        spans: `assignments(...)`.
        day: operational day; the window is cut per vehicle in its own zone.

    Points without coordinates are kept (NaN): their odometer still counts. Positions of devices that no span covers
    are left out: they wait in staging until the device is registered.
    """
    device, names = pd.factorize(positions["device_id"])
    seconds = positions["recorded_at"].to_numpy("datetime64[us]").astype(np.int64) / 1e6
    order = np.lexsort((seconds, device))
    device, seconds = device[order], seconds[order]
    bounds = np.searchsorted(device, np.arange(len(names) + 1))
    code = {name: at for at, name in enumerate(names)}
    pieces, rows = [], []
    for span in spans.sort_values(["plate", "device_id", "start"]).itertuples():
        at = code.get(span.device_id)
        if at is None:
            continue
        window = Window(day, ZoneInfo(span.timezone))
        start = max(window.start, span.start) if not pd.isna(span.start) else window.start
        end = min(window.end, span.end) if not pd.isna(span.end) else window.end
        inside = seconds[bounds[at] : bounds[at + 1]]
        low, high = np.searchsorted(inside, [start.timestamp(), end.timestamp()])
        if high > low:
            pieces.append(np.arange(bounds[at] + low, bounds[at] + high))
            rows.append((span.plate, span.device_id, span.timezone))
    points = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)
    chosen = order[points]
    driver, drivers = pd.factorize(positions["driver_id"])

    def numbers(name: str) -> np.ndarray:
        return positions[name].to_numpy(dtype="float64", na_value=np.nan)[chosen]

    return Tracks(
        index=pd.DataFrame(rows, columns=["plate", "device_id", "timezone"]),
        offsets=np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64),
        seconds=seconds[points],
        latitude=numbers("latitude"),
        longitude=numbers("longitude"),
        speed_kmh=numbers("speed_kmh"),
        odometer_km=numbers("odometer_km"),
        passengers=numbers("passengers"),
        driver=driver.astype(np.int64)[chosen],
        drivers=np.asarray(drivers, dtype=object),
    )
