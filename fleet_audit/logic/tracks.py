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

from fleet_audit.logic.reference_view import DEFAULT_ZONE
from fleet_audit.logic.wall_clock import local_midnight

WINDOW_BEFORE = dt.timedelta(hours=36)  # trips of the day before are context for matching, whole ones
WINDOW_DAYS_AFTER = 2  # to the end of the next day: the tail of a night trip, and the next day's runs
_NUMBERS = ("latitude", "longitude", "odometer_km", "speed_kmh", "passengers")


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
    odometer_km: np.ndarray
    speed_kmh: np.ndarray
    passengers: np.ndarray
    driver: np.ndarray
    trip_key: np.ndarray
    drivers: np.ndarray

    @property
    def is_located(self) -> np.ndarray:
        """Which points have coordinates."""
        return ~(np.isnan(self.latitude) | np.isnan(self.longitude))

    def take(self, keep: np.ndarray) -> Tracks:
        """The tracks with only the points where `keep` is true."""
        if keep.all():
            return self
        return self._with(keep, self.index, np.concatenate([[0], np.cumsum(keep)])[self.offsets])

    def pick(self, points: np.ndarray, owners: np.ndarray, offsets: np.ndarray) -> Tracks:
        """Other tracks made of these points, track k from `offsets[k]`, of the vehicle of track `owners[k]`."""
        return self._with(points, self.index.iloc[owners].reset_index(drop=True), offsets)

    def _with(self, points: np.ndarray, index: pd.DataFrame, offsets: np.ndarray) -> Tracks:
        columns = (*_NUMBERS, "seconds", "driver", "trip_key")
        chosen = {name: getattr(self, name)[points] for name in columns}
        return Tracks(index=index, offsets=offsets, drivers=self.drivers, **chosen)

    def track_of(self, points: np.ndarray) -> np.ndarray:
        """Track number of each point index."""
        return np.searchsorted(self.offsets, points, side="right") - 1


def within_window(rows: pd.DataFrame, zones: pd.Series, day: dt.date) -> pd.DataFrame:
    """The rows whose started_at lies in the window of a day, in each one's zone."""
    windows = {zone: Window(day, ZoneInfo(zone)) for zone in zones.unique()}
    starts, ends = (zones.map({zone: getattr(window, name) for zone, window in windows.items()}) for name in
                    ("start", "end"))  # fmt: skip
    return rows[(rows["started_at"] >= starts) & (rows["started_at"] < ends)].reset_index(drop=True)


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

    One position a device and instant counts, of those with coordinates: the fuller, then the greater in latitude,
    longitude, odometer. A point without coordinates counts once a trip_key. Positions of devices that no span covers
    are left out: they wait in staging until the device is registered.
    """
    device, names = pd.factorize(positions["device_id"])
    seconds = positions["recorded_at"].to_numpy("datetime64[us]").astype(np.int64) / 1e6
    order = _without_repeats(positions, np.lexsort((seconds, device)), device, seconds)
    device, seconds = device[order], seconds[order]
    bounds = np.searchsorted(device, np.arange(len(names) + 1))
    code = {name: at for at, name in enumerate(names)}
    staged_end = Window(day, ZoneInfo(DEFAULT_ZONE)).end  # staged days are São Paulo's: a unit west of it ends earlier
    pieces, rows = [], []
    for span in spans.sort_values(["plate", "device_id", "start"]).itertuples():
        at = code.get(span.device_id)
        if at is None:
            continue
        window = Window(day, ZoneInfo(span.timezone))
        start = max(window.start, span.start) if not pd.isna(span.start) else window.start
        last = min(window.end, staged_end)
        end = min(last, span.end) if not pd.isna(span.end) else last
        inside = seconds[bounds[at] : bounds[at + 1]]
        low, high = np.searchsorted(inside, [start.timestamp(), end.timestamp()])
        if high > low:
            pieces.append(np.arange(bounds[at] + low, bounds[at] + high))
            rows.append((span.plate, span.device_id, span.timezone))
    points = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)
    chosen = order[points]
    driver, drivers = pd.factorize(positions["driver_id"], sort=True)
    numbers = {name: _floats(positions[name])[chosen] for name in _NUMBERS}
    return Tracks(
        index=pd.DataFrame(rows, columns=["plate", "device_id", "timezone"]).astype("str"),
        offsets=np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64),
        seconds=seconds[points],
        driver=driver.astype(np.int64)[chosen],
        trip_key=pd.factorize(positions["trip_key"], sort=True)[0].astype(np.int64)[chosen],
        drivers=np.asarray(drivers, dtype=object),
        **numbers,
    )


def _without_repeats(positions: pd.DataFrame, order: np.ndarray, device: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """The order without rows that repeat or contradict another of their device and instant, whatever their order."""
    is_next = np.zeros(len(order) + 1, dtype=bool)
    is_next[1:-1] = (device[order[1:]] == device[order[:-1]]) & (seconds[order[1:]] == seconds[order[:-1]])
    contested = np.flatnonzero(is_next[:-1] | is_next[1:])  # places in the order
    if len(contested) == 0:
        return order
    rows = positions.iloc[order[contested]]
    facts = pd.DataFrame({name: _floats(rows[name]) for name in _NUMBERS}).assign(
        **{
            name: rows[name].astype(object).where(rows[name].notna(), "").to_numpy()
            for name in ("driver_id", "trip_key")
        }
    )
    is_located = facts[["latitude", "longitude"]].notna().all(axis=1).to_numpy()
    facts = facts.assign(
        place=contested,
        fullness=facts[list(_NUMBERS)].notna().sum(axis=1) + (facts["driver_id"] != ""),
        device=device[order[contested]],
        seconds=seconds[order[contested]],
        kept_for=np.where(is_located, "", facts["trip_key"]),
        is_located=is_located,
    )
    best_first = facts.sort_values(
        ["fullness", *_NUMBERS, "driver_id", "trip_key"], ascending=False, na_position="last"
    )
    kept = best_first.drop_duplicates(["device", "seconds", "is_located", "kept_for"])["place"]
    is_dropped = np.zeros(len(order), dtype=bool)
    is_dropped[contested] = True
    is_dropped[kept] = False
    return order[~is_dropped]


def _floats(values: pd.Series) -> np.ndarray:
    return values.to_numpy(dtype="float64", na_value=np.nan)
