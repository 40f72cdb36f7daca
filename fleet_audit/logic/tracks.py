"""Positions of devices become tracks of vehicles: which points belong to which plate, in time order, inside a window.

A track is one device in one vehicle for as long as it is registered there: odometers are never compared beyond it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.logic.ordering import by_device_and_time
from fleet_audit.logic.reference_view import DEFAULT_ZONE
from fleet_audit.logic.wall_clock import local_midnight

WINDOW_BEFORE = dt.timedelta(hours=36)  # trips of the day before are context for matching, whole ones
WINDOW_DAYS_AFTER = 2  # to the end of the next day: the tail of a night trip, and the next day's runs
_NUMBERS = ("latitude", "longitude", "odometer_km", "speed_kmh", "passengers")
_MOST = {"odometer_km": 1e9}  # a greater number is no reading, whatever its unit, and fits no column of km
_TEXTS = {"device": "device_id", "driver": "driver_id", "trip_key": "trip_key"}


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
class Rows:
    """Positions as plain arrays, in any order: 52 bytes a row, where a frame with its texts takes 83.

    `micros` are since 1970; `device`, `driver` and `trip_key` hold codes (-1: none) into the sorted texts of `names`.
    """

    micros: np.ndarray
    device: np.ndarray
    driver: np.ndarray
    trip_key: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    odometer_km: np.ndarray
    speed_kmh: np.ndarray
    passengers: np.ndarray
    names: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, positions: pd.DataFrame) -> Rows:
        """The rows of `staging.positions`."""
        codes, names = {}, {}
        for name, column in _TEXTS.items():
            found, texts = pd.factorize(positions[column], sort=True)
            codes[name], names[name] = found.astype(np.int32), np.asarray(texts, dtype=object)
        return cls(
            micros=positions["recorded_at"].to_numpy("datetime64[us]").astype(np.int64),
            names=names,
            **codes,
            **{name: _measurable(positions[name], _MOST.get(name, np.inf)) for name in _NUMBERS},
        )


class JoinedRows:
    """Several `Rows`, the days of a window, as one; a column is put together when it is asked for and not kept."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        """`parts` may have different devices, drivers and keys."""
        self._parts = parts
        self.names = {
            name: np.unique(np.concatenate([part.names[name] for part in parts]).astype(object)) for name in _TEXTS
        }

    def column(self, name: str) -> np.ndarray:
        """The column called `name` of all rows, part after part."""
        if name not in _TEXTS:
            values = [getattr(part, name) for part in self._parts]
            return values[0] if len(values) == 1 else np.concatenate(values)
        return np.concatenate(
            [
                np.append(np.searchsorted(self.names[name], part.names[name]), -1).astype(np.int32)[getattr(part, name)]
                for part in self._parts
            ]
        )


@dataclass(frozen=True)
class Tracks:
    """Points of all tracks in one set of arrays; `offsets[k]:offsets[k + 1]` is track k.

    `index` has one row a track: plate, device_id, timezone. Times are seconds since 1970 (float64), missing numbers
    NaN, `driver` and `trip_key` hold codes into `drivers` and `trip_keys` (-1: none).
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
    trip_keys: np.ndarray

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
        return Tracks(index=index, offsets=offsets, drivers=self.drivers, trip_keys=self.trip_keys, **chosen)

    def track_of(self, points: np.ndarray) -> np.ndarray:
        """Track number of each point index."""
        return np.searchsorted(self.offsets, points, side="right") - 1

    def reading_until(self, points: np.ndarray) -> np.ndarray:
        """Index of the last point with an odometer reading at or before each point of its track, -1: none."""
        readings = self._readings
        at = np.searchsorted(readings, points, side="right") - 1
        found = readings[at] if len(readings) else at
        return np.where((at >= 0) & (found >= self.offsets[self.track_of(points)]), found, -1)

    def reading_from(self, points: np.ndarray) -> np.ndarray:
        """Index of the first point with an odometer reading at or after each point of its track, -1: none."""
        readings = self._readings
        at = np.searchsorted(readings, points)
        found = readings[np.minimum(at, len(readings) - 1)] if len(readings) else at
        return np.where((at < len(readings)) & (found < self.offsets[self.track_of(points) + 1]), found, -1)

    @cached_property
    def _readings(self) -> np.ndarray:
        """Points that have an odometer reading."""
        return np.flatnonzero(~np.isnan(self.odometer_km))


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
    """`tracks_of` rows of `staging.positions`."""
    return tracks_of(JoinedRows([Rows.of(positions)]), spans, day)


def tracks_of(rows: JoinedRows, spans: pd.DataFrame, day: dt.date) -> Tracks:
    """Tracks of the window of a day.

    Args:
        rows: positions, any order.
        spans: `assignments(...)`.
        day: operational day; the window is cut per vehicle in its own zone.

    One position a device and instant counts, of those with coordinates: the fuller, then the greater in latitude,
    longitude, odometer. A point without coordinates counts once a trip_key. Positions of devices that no span covers
    are left out: they wait in staging until the device is registered.
    """
    names = rows.names["device"]
    order, starts, times = by_device_and_time(rows.column("device"), rows.column("micros"), len(names))
    is_kept = _without_repeats(rows, order, starts, times)
    if not is_kept.all():
        order, starts, times = order[is_kept], np.concatenate([[0], np.cumsum(is_kept)])[starts], times[is_kept]
    pieces, found = _pieces(spans, {name: at for at, name in enumerate(names)}, starts, times, day)
    chosen = np.concatenate([order[piece] for piece in pieces]) if pieces else order[:0]
    columns = ("driver", "trip_key", *_NUMBERS)
    with ThreadPoolExecutor(2) as threads:  # waiting for memory is half of the work
        gathered = list(threads.map(lambda name: rows.column(name).take(chosen), columns))
    return Tracks(
        index=pd.DataFrame(found, columns=["plate", "device_id", "timezone"]).astype("str"),
        offsets=np.concatenate([[0], np.cumsum([piece.stop - piece.start for piece in pieces])]).astype(np.int64),
        seconds=np.concatenate([times[piece] for piece in pieces]) / 1e6 if pieces else np.empty(0),
        drivers=rows.names["driver"],
        trip_keys=rows.names["trip_key"],
        **dict(zip(columns, gathered, strict=True)),
    )


def _pieces(
    spans: pd.DataFrame, code: dict[str, int], starts: np.ndarray, times: np.ndarray, day: dt.date
) -> tuple[list[slice], list[tuple[str, str, str]]]:
    """Which of the ordered positions each span has inside the window, and its plate, device_id, timezone."""
    windows = {zone: Window(day, ZoneInfo(zone)) for zone in spans["timezone"].unique()}
    staged_end = Window(day, ZoneInfo(DEFAULT_ZONE)).end  # staged days are São Paulo's: a unit west of it ends earlier
    first = {zone: _micros(window.start) for zone, window in windows.items()}
    last = {zone: _micros(min(window.end, staged_end)) for zone, window in windows.items()}
    pieces, found = [], []
    for span in spans.sort_values(["plate", "device_id", "start"]).itertuples():
        at = code.get(span.device_id)
        if at is None:
            continue
        start, end = first[span.timezone], last[span.timezone]
        start = start if pd.isna(span.start) else max(start, _micros(span.start))
        end = end if pd.isna(span.end) else min(end, _micros(span.end))
        low, high = starts[at] + np.searchsorted(times[starts[at] : starts[at + 1]], [start, end])
        if high > low:
            pieces.append(slice(low, high))
            found.append((span.plate, span.device_id, span.timezone))
    return pieces, found


def _micros(instant: pd.Timestamp) -> int:
    return instant.value // 1000


def _without_repeats(rows: JoinedRows, order: np.ndarray, starts: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Which of the ordered rows repeat or contradict no better one of their device and instant, in any order."""
    is_next = np.zeros(len(order) + 1, dtype=bool)
    is_next[1:-1] = times[1:] == times[:-1]
    is_next[starts] = False
    is_kept = np.ones(len(order), dtype=bool)
    contested = np.flatnonzero(is_next[:-1] | is_next[1:])  # places in the order
    if len(contested) == 0:
        return is_kept
    said = order[contested]
    facts = pd.DataFrame({name: rows.column(name)[said] for name in (*_NUMBERS, "driver", "trip_key")})
    is_located = facts[["latitude", "longitude"]].notna().all(axis=1)
    facts = facts.assign(
        place=contested,
        fullness=facts[list(_NUMBERS)].notna().sum(axis=1) + (facts["driver"] >= 0),
        instant=np.cumsum(~is_next[:-1][contested]),
        kept_for=facts["trip_key"].mask(is_located, -1),
        is_located=is_located,
    )
    best_first = facts.sort_values(["fullness", *_NUMBERS, "driver", "trip_key"], ascending=False, na_position="last")
    is_kept[contested] = False
    is_kept[best_first.drop_duplicates(["instant", "is_located", "kept_for"])["place"]] = True
    return is_kept


def _measurable(values: pd.Series, most: float) -> np.ndarray:
    """The numbers, NaN where there is none, or an infinite one, or one beyond `most` either way."""
    numbers = values.to_numpy(dtype="float64", na_value=np.nan)
    is_none = np.abs(numbers) >= most
    return np.where(is_none, np.nan, numbers) if is_none.any() else numbers
