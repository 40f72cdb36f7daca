"""Positions of devices become tracks of vehicles: which points belong to which plate, in time order, inside a window.

A track is one device in one vehicle for as long as it is registered there: odometers are never compared beyond it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from queue import Empty, SimpleQueue
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.sphere import is_null_island
from fleet_audit.logic.primitives.window import Window
from fleet_audit.logic.primitives.workers.threads import map_in_threads
from fleet_audit.logic.trips.kernels import odometer, point_filter
from fleet_audit.logic.trips.track.position_arrays import CODED_TEXTS, NUMBER_COLUMNS, PositionArrays
from fleet_audit.logic.trips.track.time_order import TrackOrder, TrackSpans, parts_of_tracks, without_rows

_COLUMNS = (*NUMBER_COLUMNS, "driver", "trip_key", "ignition")
_INSTANT = "datetime64[us, UTC]"
_OPEN = np.datetime64("NaT", "us").astype(np.int64)  # the least number: an open beginning is before all others


@dataclass(frozen=True)
class Tracks:
    """Points of all tracks in one set of arrays; `offsets[k]:offsets[k + 1]` is track k.

    `index` has one row per track: plate, device_id, timezone; `since` is the first µs of its assignment, `until` the
    first one after it (the least number: open). Times are seconds since 1970 (float64), missing numbers NaN,
    `ignition` is 1 on, 0 off, -1 unknown. `is_lost`: the coordinates are no fix (see `fixes`). `counting_step_km`:
    the kilometres in which each track's odometer counts where these are more than 1 km, else 0. `driver` and
    `trip_key` hold codes into `drivers` and `trip_keys` (-1: none).
    """

    index: pd.DataFrame
    since: np.ndarray
    until: np.ndarray
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
    counting_step_km: np.ndarray

    @cached_property
    def resolution_km(self) -> np.ndarray:
        """Resolution of each track's odometer: its last digit, or the step in which it counts."""
        parts = map_in_threads(lambda offsets: odometer.resolutions(self.odometer_km, offsets), self.parts())
        return np.maximum(np.concatenate(parts), self.counting_step_km)

    @cached_property
    def is_located(self) -> np.ndarray:
        """Which points have coordinates that are a fix."""
        is_located = np.empty(len(self.seconds), dtype=np.bool_)
        map_in_threads(
            lambda part: point_filter.mark_located(
                self.latitude, self.longitude, self.is_lost, part[0], part[-1], is_located
            ),
            self.parts(),
        )
        return is_located

    @cached_property
    def sends_places(self) -> np.ndarray:
        """Which tracks have any coordinates, true or false: events without any are no positions."""
        coordinates = np.flatnonzero(self.is_located | self.is_lost)
        sends_places: np.ndarray = np.diff(np.searchsorted(coordinates, self.offsets)) > 0
        return sends_places

    def take(self, keep: np.ndarray) -> Tracks:
        """The tracks with only the points where `keep` is true."""
        kept = np.flatnonzero(keep)
        if 2 * len(kept) < len(keep):
            return self.pick(kept, np.arange(len(self.index)), np.searchsorted(kept, self.offsets))
        return self.without(np.flatnonzero(~keep))

    def without(self, dropped: np.ndarray) -> Tracks:
        """The tracks without the points of these numbers, which are in order."""
        if len(dropped) == 0:
            return self
        offsets = self.offsets - np.searchsorted(dropped, self.offsets)
        return self._with(lambda values: without_rows(values, dropped), np.arange(len(self.index)), offsets)

    def pick(self, points: np.ndarray, owners: np.ndarray, offsets: np.ndarray) -> Tracks:
        """Other tracks made of these points, track k from `offsets[k]`, of the vehicle of track `owners[k]`."""
        return self._with(lambda values: values[points], owners, offsets)

    def _with(self, choose: Callable[[np.ndarray], np.ndarray], owners: np.ndarray, offsets: np.ndarray) -> Tracks:
        columns = (*NUMBER_COLUMNS, "seconds", "ignition", "driver", "trip_key", "is_lost")
        chosen = dict(zip(columns, map_in_threads(lambda name: choose(getattr(self, name)), columns), strict=True))
        return Tracks(
            index=self.index.iloc[owners].reset_index(drop=True),
            since=self.since[owners],
            until=self.until[owners],
            offsets=offsets,
            drivers=self.drivers,
            trip_keys=self.trip_keys,
            counting_step_km=self.counting_step_km[owners],
            **chosen,
        )

    @cached_property
    def assigned_s(self) -> tuple[np.ndarray, np.ndarray]:
        """From which second on each track's device is assigned to its vehicle, and until when; infinite: open."""
        since, until = (np.where(of == _OPEN, -np.inf, of / 1e6) for of in (self.since, self.until))
        return since, np.where(np.isinf(until), np.inf, until)

    @cached_property
    def zones(self) -> tuple[np.ndarray, list[str]]:
        """The number of each track's time zone, and the zones."""
        codes, zones = pd.factorize(self.index["timezone"])
        return codes, [str(zone) for zone in zones]

    def parts(self) -> list[np.ndarray]:
        """The offsets of whole tracks in as many parts as threads work, each with about as many points."""
        return parts_of_tracks(self.offsets)

    def of_part(self, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """The values, one per track, of the tracks with these offsets, which are one of `parts`."""
        first = int(np.searchsorted(self.offsets, offsets[0]))
        return values[first : first + len(offsets) - 1]

    def track_of(self, points: np.ndarray) -> np.ndarray:
        """Track number of each point index."""
        return np.searchsorted(self.offsets, points, side="right") - 1

    def reading_until(self, points: np.ndarray) -> np.ndarray:
        """Index of the last point with an odometer reading at or before each point of its track, -1: none."""
        found: np.ndarray = odometer.readings_until(self.odometer_km, self.offsets, self.track_of(points), points)
        return found

    def reading_from(self, points: np.ndarray) -> np.ndarray:
        """Index of the first point with an odometer reading at or after each point of its track, -1: none."""
        found: np.ndarray = odometer.readings_from(self.odometer_km, self.offsets, self.track_of(points), points)
        return found


def within_window(rows: pd.DataFrame, zones: pd.Series, day: dt.date) -> pd.DataFrame:
    """The rows whose started_at lies in the window of a day, in each one's zone."""
    windows = {zone: Window(day, ZoneInfo(zone)) for zone in zones.unique()}
    starts, ends = (zones.map({zone: getattr(window, name) for zone, window in windows.items()}) for name in
                    ("start", "end"))  # fmt: skip
    return rows[(rows["started_at"] >= starts) & (rows["started_at"] < ends)].reset_index(drop=True)


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
    names = {name: _all_names(rows, name) for name in CODED_TEXTS}
    named = [name for name in CODED_TEXTS if len(names[name])]
    codes = map_in_threads(lambda of: _recoded(*of, names[of[1]]), [(part, name) for name in named for part in rows])
    coded = {name: codes[at * len(rows) : (at + 1) * len(rows)] for at, name in enumerate(named)}
    track_order = TrackOrder.of(
        coded.pop("device", [part.device for part in rows]),
        [part.micros for part in rows],
        TrackSpans.of(names["device"].get_indexer(spans["device_id"]), *_cuts(spans, day), len(names["device"])),
    )

    def of_parts(name: str) -> list[np.ndarray]:
        return coded.get(name) or [getattr(part, name) for part in rows]

    is_kept = _without_repeats(track_order, of_parts)
    offsets = track_order.offsets
    spare: SimpleQueue[np.ndarray] = SimpleQueue()
    if is_kept is not None:
        offsets = offsets - np.searchsorted(np.flatnonzero(~is_kept), offsets)

    def in_order(name: str) -> np.ndarray:
        if name == "seconds":
            return track_order.seconds(is_kept)
        try:
            scratch = spare.get_nowait()
        except Empty:  # one per thread
            scratch = track_order.scratch()
        column = track_order.sorted_column(of_parts(name), scratch, is_kept)
        spare.put(scratch)
        return column

    columns = ["seconds", *(name for name in _COLUMNS if name not in CODED_TEXTS or name in coded)]
    sorted_columns = dict(zip(columns, map_in_threads(in_order, columns), strict=True))
    size = len(sorted_columns["seconds"])
    sorted_columns |= {name: np.full(size, -1, dtype=np.int32) for name in {*_COLUMNS} - {*columns}}
    is_seen = np.diff(offsets) > 0
    offsets = np.append(0, offsets[1:][is_seen])
    sorted_columns["odometer_km"] = _without_idle(sorted_columns["odometer_km"], offsets)
    return Tracks(
        index=spans.loc[is_seen, ["plate", "device_id", "timezone"]].reset_index(drop=True).astype("str"),
        since=_all_micros(spans["start"])[is_seen],
        until=_all_micros(spans["end"])[is_seen],
        offsets=offsets,
        is_lost=np.zeros(size, dtype=np.bool_),
        drivers=names["driver"].to_numpy(),
        trip_keys=names["trip_key"].to_numpy(),
        counting_step_km=np.zeros(len(offsets) - 1),
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
    zone, names = pd.factorize(spans["timezone"])
    windows = [Window(day, ZoneInfo(name)) for name in names]
    edges = pd.Series([edge for window in windows for edge in (window.start, window.positions_end)], dtype=_INSTANT)
    opens, closes = _all_micros(edges).reshape(-1, 2)[zone].T
    start, end = _all_micros(spans["start"]), _all_micros(spans["end"])
    return np.maximum(start, opens), np.where(end == _OPEN, closes, np.minimum(end, closes))


def _all_micros(instants: pd.Series) -> np.ndarray:
    return instants.to_numpy("datetime64[us]").astype(np.int64)


def _without_repeats(track_order: TrackOrder, of_parts: Callable[[str], Sequence[np.ndarray]]) -> np.ndarray | None:
    """Which rows in order repeat or contradict no better one of their track and instant; None: all."""
    contested, is_next = track_order.repeated()
    if len(contested) == 0:
        return None
    rows, where = track_order.rows_at(contested)
    facts = {
        name: np.concatenate([values[said] for values, said in zip(of_parts(name), rows, strict=True)])[where]
        for name in _COLUMNS
    }
    is_located = ~(np.isnan(facts["latitude"]) | np.isnan(facts["longitude"]))
    is_located &= ~is_null_island(facts["latitude"], facts["longitude"])  # 0 is greater than a latitude in Brazil
    fullness = sum(~np.isnan(facts[name]) for name in NUMBER_COLUMNS) + (facts["driver"] >= 0)
    ranks = [fullness, *(facts[name] for name in (*NUMBER_COLUMNS, "driver", "trip_key", "ignition"))]
    groups = [np.cumsum(~is_next), is_located, np.where(is_located, -1, facts["trip_key"])]
    # NaN, a missing number, is the last one both ways.
    order = np.lexsort([-rank.astype(np.float64) for rank in ranks[::-1]] + groups)
    is_best = np.ones(len(order), dtype=bool)
    is_best[1:] = np.any([np.diff(group[order].astype(np.int64)) != 0 for group in groups], axis=0)
    is_kept = np.ones(len(track_order.times), dtype=bool)
    is_kept[contested] = False
    is_kept[contested[order[is_best]]] = True
    return is_kept
