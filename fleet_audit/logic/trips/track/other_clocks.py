"""Days of devices whose clock is hours off: they show again, at another time, what another device of the vehicle shows.

Devices whose clocks agree are merged in `device_merge`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.other_clocks import find_other_clocks, find_unseen
from fleet_audit.logic.trips.track.points import local_days_of
from fleet_audit.logic.trips.track.tracks import Tracks

_DAYS = 10_000_000  # more than days of any calendar: a track's number and a day make one number


@dataclass(frozen=True)
class OtherClocks:
    """Per point: whether its device has another clock than its vehicle, and the track that it counts in (-1: none)."""

    is_other: np.ndarray
    owner: np.ndarray


@dataclass(frozen=True)
class _Vehicles:
    """Per track: number of its device, first and last track of its vehicle, and its place in the vehicle's order."""

    device: np.ndarray
    first: np.ndarray
    last: np.ndarray
    rank: np.ndarray


def without_points(tracks: Tracks, is_excluded: np.ndarray) -> Tracks:
    """The tracks without those points, and without the tracks of which none is left."""
    if not is_excluded.any():
        return tracks
    sizes = np.add.reduceat((~is_excluded).astype(np.int64), tracks.offsets[:-1])
    return tracks.pick(np.flatnonzero(~is_excluded), np.flatnonzero(sizes), np.append(0, np.cumsum(sizes[sizes > 0])))


def on_one_clock(tracks: Tracks, clocks: OtherClocks) -> Tracks:
    """The tracks without the points that count in none; what counts in the track of another device has no odometer."""
    if not clocks.is_other.any():
        return tracks
    points = np.flatnonzero(clocks.owner >= 0)
    points = points[np.lexsort((points, tracks.seconds[points], clocks.owner[points]))]
    owners, first = np.unique(clocks.owner[points], return_index=True)
    picked = tracks.pick(points, owners, np.append(first, len(points)))
    return replace(picked, odometer_km=np.where(clocks.is_other[points], np.nan, picked.odometer_km))


def points_of_other_clocks(tracks: Tracks, parameters: ParameterSet) -> OtherClocks:
    """The points of a window whose device shows on that day another one's movements at another time.

    The vehicle's clock is that of the device assigned first, of equals of the lower id, in every window: a choice by
    what each window shows paid 40 km on two days under two ids, or a true trip on none, after the first device died.
    What another clock shows while all others are silent by both clocks (`find_unseen`) counts in the first one's track.
    Devices are compared only while both are assigned to the vehicle, by either clock: of one that was exchanged in the
    register a whole day's 40 km were lost.
    """
    owner = tracks.track_of(np.arange(len(tracks.seconds)))
    is_other = np.zeros(len(owner), dtype=bool)
    vehicles = _vehicles(tracks)
    located = np.flatnonzero(tracks.is_located & np.repeat(vehicles.last - vehicles.first > 1, np.diff(tracks.offsets)))
    if (vehicles.device == vehicles.device[vehicles.first]).all() or not len(located):
        return OtherClocks(is_other, owner)
    points, clock_s, by = _found(tracks, vehicles, located, parameters)
    own = owner[points]
    is_other[points], owner[points] = True, -1
    lowest = np.full(len(vehicles.first), len(vehicles.rank))
    np.minimum.at(lowest, vehicles.first[own], vehicles.rank[own])
    is_asked = lowest[vehicles.first[own]] == vehicles.rank[own]  # of several devices with other clocks one measures
    is_asked &= tracks.is_located[points]
    points, by = points[is_asked], by[is_asked]
    is_unseen = find_unseen(
        points, clock_s[is_asked], own[is_asked], vehicles.first, vehicles.last, vehicles.device,
        np.flatnonzero(tracks.is_located & ~is_other), tracks.offsets, tracks.seconds, tracks.latitude,
        tracks.longitude, parameters.gap_split_s,
    )  # fmt: skip
    owner[points[is_unseen]] = by[is_unseen]
    return OtherClocks(is_other, owner)


def _vehicles(tracks: Tracks) -> _Vehicles:
    plates, devices = (tracks.index[name].to_numpy(dtype=object) for name in ("plate", "device_id"))
    vehicle, device = (np.unique(of, return_inverse=True)[1] for of in (plates, devices))
    order = np.lexsort((device, tracks.since, vehicle))  # the tracks of a vehicle follow each other
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    first, last = (np.searchsorted(vehicle, vehicle, side=side) for side in ("left", "right"))
    return _Vehicles(device, first, last, rank)


def _found(
    tracks: Tracks, vehicles: _Vehicles, located: np.ndarray, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of other clocks, what each one's differs by (s), and the track that shows its movements."""
    key = _keys(tracks, tracks.track_of(located), located)
    days, low = np.unique(key, return_index=True)
    clock_s, by = find_other_clocks(
        days // _DAYS, low, np.append(low[1:], len(located)), vehicles.rank, vehicles.first, vehicles.last,
        vehicles.device, *tracks.assigned_s, located, tracks.offsets, tracks.seconds, tracks.latitude, tracks.longitude,
        tracks.odometer_km, parameters.gap_note_s, parameters.compare_step_s, parameters.outlier_m,
        parameters.odometer_slack_km, parameters.mean_speed_kmh,
    )  # fmt: skip
    is_found = np.isin(np.arange(len(tracks.index)), days[by >= 0] // _DAYS)
    points = np.flatnonzero(np.repeat(is_found, np.diff(tracks.offsets)))
    key = _keys(tracks, tracks.track_of(points), points)
    at = np.minimum(np.searchsorted(days, key), len(days) - 1)
    is_of_day = (days[at] == key) & (by[at] >= 0)
    points, at = points[is_of_day], at[is_of_day]
    seconds = tracks.seconds.copy()
    seconds[points] += clock_s[at]
    by_clock = (tracks, replace(tracks, seconds=seconds))
    is_compared = np.all([_are_assigned(clock, points, by[at]) for clock in by_clock], axis=0)
    return points[is_compared], clock_s[at][is_compared], by[at][is_compared]


def _are_assigned(tracks: Tracks, points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether both a point's own device and another one are assigned to the vehicle at the point's instant, each."""
    since_s, until_s = tracks.assigned_s
    own, seconds = tracks.track_of(points), tracks.seconds[points]
    is_assigned: np.ndarray = np.all(
        [(since_s[of] <= seconds) & (seconds < until_s[of]) for of in (own, others)], axis=0
    )
    return is_assigned


def _keys(tracks: Tracks, track: np.ndarray, points: np.ndarray) -> np.ndarray:
    """One number of a track and the local day of a point, each."""
    keys: np.ndarray = track * _DAYS + local_days_of(tracks, points).astype(np.int64)
    return keys
