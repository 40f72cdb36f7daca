"""Positions of devices become tracks of vehicles: which points belong to which plate, in time order, inside a window.

A track is one device in one vehicle for as long as it is registered there: odometers are never compared beyond it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.threads import map_in_threads
from fleet_audit.logic.primitives.wall_clock import local_midnight
from fleet_audit.logic.primitives.window import Window
from fleet_audit.logic.trips.track.time_order import TrackOrder, TrackSpans, any_beyond

_NUMBERS = ("latitude", "longitude", "odometer_km", "speed_kmh", "passengers")
_MOST = {"odometer_km": 1e9}  # a greater number cannot be a reading, whatever its unit, and fits no column of km
_TEXTS = {"device": "device_id", "driver": "driver_id", "trip_key": "trip_key"}
TEXT_COLUMNS = [*_TEXTS.values()]
POSITION_COLUMNS = [
    "recorded_at",
    *TEXT_COLUMNS,
    *_NUMBERS,
    "ignition",
]  # of staging.positions: what tracks are made of


@dataclass(frozen=True)
class PositionArrays:
    """Positions as plain arrays, in any order: 60 bytes per row, where a frame with its texts takes 83.

    `micros` are since 1970; `ignition` is 1 on, 0 off, -1 unknown; `device`, `driver` and `trip_key` hold codes (-1:
    none) into the texts of `names`.
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
    ignition: np.ndarray
    names: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, positions: pa.Table) -> PositionArrays:
        """The rows of `staging.positions`, its texts best as dictionaries: each is decoded once."""
        instants = positions["recorded_at"].cast(pa.timestamp("us", "UTC"), safe=False)
        texts = map_in_threads(lambda column: _encoded(positions[column]), _TEXTS.values())
        numbers = map_in_threads(lambda name: _measurable(positions[name], _MOST.get(name, np.inf)), _NUMBERS)
        codes = dict(zip(_TEXTS, texts, strict=True))
        return cls(
            micros=_joined(instants.chunks).view(np.int64),
            ignition=_joined(_flags(positions["ignition"]).chunks).astype(np.int8, copy=False),
            names={name: distinct for name, (_, distinct) in codes.items()},
            **{name: numbered for name, (numbered, _) in codes.items()},
            **dict(zip(_NUMBERS, numbers, strict=True)),
        )

    @classmethod
    def of_frame(cls, positions: pd.DataFrame) -> PositionArrays:
        """The rows of a frame of `staging.positions`."""
        return cls.of(pa.Table.from_pandas(positions[POSITION_COLUMNS], preserve_index=False))


def _encoded(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Codes (-1: none) into the distinct texts of a column, and these."""
    if column.null_count == len(column):
        return np.full(len(column), -1, dtype=np.int32), np.empty(0, dtype=object)
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    chunks = encoded.unify_dictionaries().chunks
    codes = _joined([chunk.indices.fill_null(-1) for chunk in chunks])
    return codes.astype(np.int32, copy=False), chunks[0].dictionary.to_numpy(zero_copy_only=False).astype(object)


def _flags(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of booleans as 1, 0 and -1 (null)."""
    return pc.fill_null(column.cast(pa.bool_()).cast(pa.int8()), -1)


def _joined(chunks: Sequence[pa.Array]) -> np.ndarray:
    """Chunks as one array; missing numbers are NaN."""
    parts = [chunk.to_numpy(zero_copy_only=False) for chunk in chunks]
    return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.empty(0)


def _measurable(column: pa.ChunkedArray, most: float) -> np.ndarray:
    """The numbers, NaN where there is none, or an infinite one, or one beyond `most` either way."""
    numbers = _joined(column.cast(pa.float64(), safe=False).chunks)
    return np.where(np.abs(numbers) >= most, np.nan, numbers) if any_beyond(numbers, most) else numbers


@dataclass(frozen=True)
class Tracks:
    """Points of all tracks in one set of arrays; `offsets[k]:offsets[k + 1]` is track k.

    `index` has one row per track: plate, device_id, timezone; `since` is the first µs of its assignment. Times are
    seconds since 1970 (float64), missing numbers NaN, `ignition` is 1 on, 0 off, -1 unknown. `is_lost`: the coordinates
    are no fix (see `fixes`). `driver` and `trip_key` hold codes into `drivers` and `trip_keys` (-1: none).
    """

    index: pd.DataFrame
    since: np.ndarray
    offsets: np.ndarray
    seconds: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    odometer_km: np.ndarray
    speed_kmh: np.ndarray
    passengers: np.ndarray
    ignition: np.ndarray
    driver: np.ndarray
    trip_key: np.ndarray
    is_lost: np.ndarray
    drivers: np.ndarray
    trip_keys: np.ndarray

    @cached_property
    def is_located(self) -> np.ndarray:
        """Which points have coordinates that are a fix."""
        return ~(np.isnan(self.latitude) | np.isnan(self.longitude) | self.is_lost)

    def take(self, keep: np.ndarray) -> Tracks:
        """The tracks with only the points where `keep` is true."""
        if keep.all():
            return self
        return self._with(keep, self.index, self.since, np.concatenate([[0], np.cumsum(keep)])[self.offsets])

    def pick(self, points: np.ndarray, owners: np.ndarray, offsets: np.ndarray) -> Tracks:
        """Other tracks made of these points, track k from `offsets[k]`, of the vehicle of track `owners[k]`."""
        return self._with(points, self.index.iloc[owners].reset_index(drop=True), self.since[owners], offsets)

    def _with(self, points: np.ndarray, index: pd.DataFrame, since: np.ndarray, offsets: np.ndarray) -> Tracks:
        columns = (*_NUMBERS, "seconds", "ignition", "driver", "trip_key", "is_lost")
        chosen = {name: getattr(self, name)[points] for name in columns}
        return Tracks(
            index=index, since=since, offsets=offsets, drivers=self.drivers, trip_keys=self.trip_keys, **chosen
        )

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


def build_tracks_of_frame(positions: pd.DataFrame, spans: pd.DataFrame, day: dt.date) -> Tracks:
    """`build_tracks` rows of a frame of `staging.positions`."""
    return build_tracks([PositionArrays.of_frame(positions)], spans, day)


def build_tracks(rows: Sequence[PositionArrays], spans: pd.DataFrame, day: dt.date) -> Tracks:
    """Tracks of the window of a day.

    Args:
        rows: positions, any order, in parts that may have different devices, drivers and keys.
        spans: `assignments(...)`.
        day: operational day; the window is cut per vehicle in its own zone.

    One position per device and instant counts, of those with coordinates: the fuller, then the greater in latitude,
    longitude, odometer. A point without coordinates counts once per trip_key. Positions of devices that no span covers
    are excluded: they wait in staging until the device is registered.
    """
    spans = spans.sort_values(["plate", "device_id", "start"]).reset_index(drop=True)
    names = {name: _all_names(rows, name) for name in _TEXTS}
    track_order = TrackOrder.of(
        [_recoded(part, "device", names["device"]) for part in rows],
        [part.micros for part in rows],
        TrackSpans.of(names["device"].get_indexer(spans["device_id"]), *_cuts(spans, day), len(names["device"])),
    )

    def placed(name: str) -> np.ndarray:
        if name in _TEXTS and not len(names[name]):
            return np.full(len(track_order.times), -1, dtype=np.int32)
        if name in _TEXTS:
            return track_order.placed_column([_recoded(part, name, names[name]) for part in rows])
        return track_order.placed_column([getattr(part, name) for part in rows])

    columns = ("driver", "trip_key", "ignition", *_NUMBERS)
    waiting = dict(zip(columns, map_in_threads(placed, columns), strict=True))
    is_kept = _without_repeats(track_order, waiting)
    in_order = map_in_threads(lambda name: track_order.sorted_column(waiting.pop(name), is_kept), columns)
    sorted_columns = dict(zip(columns, in_order, strict=True))
    offsets, times = track_order.offsets, track_order.times
    if is_kept is not None:
        offsets, times = np.concatenate([[0], np.cumsum(is_kept)])[offsets], times[is_kept]
    is_seen = np.diff(offsets) > 0
    offsets = np.append(0, offsets[1:][is_seen])
    sorted_columns["odometer_km"] = _without_idle(sorted_columns["odometer_km"], offsets)
    return Tracks(
        index=spans.loc[is_seen, ["plate", "device_id", "timezone"]].reset_index(drop=True).astype("str"),
        since=_all_micros(spans["start"])[is_seen],
        offsets=offsets,
        seconds=times / 1e6,
        is_lost=np.zeros(len(times), dtype=np.bool_),
        drivers=names["driver"].to_numpy(),
        trip_keys=names["trip_key"].to_numpy(),
        **sorted_columns,
    )


def _without_idle(odometer_km: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The readings without those of a track that has only zeros: it has no odometer."""
    if len(odometer_km) == 0:
        return odometer_km
    is_idle = np.fmax.reduceat(odometer_km, offsets[:-1]) == 0
    return np.where(np.repeat(is_idle, np.diff(offsets)), np.nan, odometer_km) if is_idle.any() else odometer_km


def _all_names(rows: Sequence[PositionArrays], name: str) -> pd.Index:
    """The sorted texts of all parts."""
    return pd.Index(np.unique(np.concatenate([part.names[name] for part in rows]).astype(object)), dtype=object)


def _recoded(part: PositionArrays, name: str, names: pd.Index) -> np.ndarray:
    """A part's codes as codes into the texts of all parts."""
    rank = np.append(names.get_indexer(part.names[name]), -1).astype(np.int32)
    return rank[getattr(part, name)]


def _cuts(spans: pd.DataFrame, day: dt.date) -> tuple[np.ndarray, np.ndarray]:
    """First µs of each span inside the window of its zone, and the first one no longer in it."""
    windows = {zone: Window(day, ZoneInfo(zone)) for zone in spans["timezone"].unique()}
    opens = spans["timezone"].map({zone: window.start for zone, window in windows.items()})
    closes = spans["timezone"].map({zone: window.positions_end for zone, window in windows.items()})
    return (
        _all_micros(spans["start"].where(spans["start"] > opens, opens)),
        _all_micros(spans["end"].where(spans["end"] < closes, closes)),
    )


def _all_micros(instants: pd.Series) -> np.ndarray:
    return instants.to_numpy("datetime64[us]").astype(np.int64)


def _without_repeats(track_order: TrackOrder, placed: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Which rows in order repeat or contradict no better one of their track and instant; None: all."""
    times = track_order.times
    is_next = np.zeros(len(times) + 1, dtype=bool)
    is_next[1:-1] = times[1:] == times[:-1]
    is_next[track_order.offsets] = False
    contested = np.flatnonzero(is_next[:-1] | is_next[1:])  # places in the order
    if len(contested) == 0:
        return None
    said = track_order.placed_rows(contested)
    facts = pd.DataFrame({name: placed[name][said] for name in (*_NUMBERS, "driver", "trip_key", "ignition")})
    is_located = facts[["latitude", "longitude"]].notna().all(axis=1)
    facts = facts.assign(
        place=contested,
        fullness=facts[list(_NUMBERS)].notna().sum(axis=1) + (facts["driver"] >= 0),
        instant=np.cumsum(~is_next[:-1][contested]),
        kept_for=facts["trip_key"].mask(is_located, -1),
        is_located=is_located,
    )
    order = ["fullness", *_NUMBERS, "driver", "trip_key", "ignition"]
    best_first = facts.sort_values(order, ascending=False, na_position="last")
    is_kept = np.ones(len(times), dtype=bool)
    is_kept[contested] = False
    is_kept[best_first.drop_duplicates(["instant", "is_located", "kept_for"])["place"]] = True
    return is_kept
