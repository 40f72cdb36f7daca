"""Days of devices whose clock is hours off: they show again, at another time, what another device of the vehicle shows.

Devices whose clocks agree are merged in `device_merge`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.other_clocks import find_other_clocks, weigh_tracks
from fleet_audit.logic.trips.track.points import local_days_of
from fleet_audit.logic.trips.track.tracks import Tracks

_MOSTLY = 0.8  # share of the metres of the device with the most that makes a device show the movement of its vehicle
_DAYS = 10_000_000  # more than days of any calendar: a track's number and a day make one number


def without_points(tracks: Tracks, is_excluded: np.ndarray) -> Tracks:
    """The tracks without those points, and without the tracks of which none is left."""
    if not is_excluded.any():
        return tracks
    sizes = np.add.reduceat((~is_excluded).astype(np.int64), tracks.offsets[:-1])
    return tracks.pick(np.flatnonzero(~is_excluded), np.flatnonzero(sizes), np.append(0, np.cumsum(sizes[sizes > 0])))


def points_of_other_clocks(tracks: Tracks, parameters: ParameterSet) -> np.ndarray:
    """Per point of a window: whether its device shows on that day another one's movements at another time.

    The vehicle's clock is that of the device that moves along with more of the others, then of one that shows
    four fifths of the most metres, then of the one assigned first: a device that is added later changes no clock.
    How long they report does not matter: a device that is three hours off and sleeps with reports covered more seconds,
    slept over a trip and left 20 of 40 km. A day is excluded while the other device reports on it by either clock: what
    only the excluded device shows then is proven by nobody, and is held. Devices are compared only while both are
    assigned to the vehicle, by either clock: of one that was exchanged in the register a whole day's 40 km were lost.
    """
    is_other = np.zeros(len(tracks.seconds), dtype=bool)
    plates, devices = (tracks.index[name].to_numpy(dtype=object) for name in ("plate", "device_id"))
    vehicle = np.unique(plates, return_inverse=True)[1]  # the tracks of a vehicle follow each other
    device = np.unique(devices, return_inverse=True)[1]
    first, last = np.searchsorted(vehicle, vehicle), np.searchsorted(vehicle, vehicle, side="right")
    if (device == device[first]).all():
        return is_other
    located = np.flatnonzero(tracks.is_located & np.repeat(last - first > 1, np.diff(tracks.offsets)))
    if not len(located):
        return is_other
    arrays = (tracks.offsets, tracks.seconds, tracks.latitude, tracks.longitude)
    companions, moved_m = weigh_tracks(
        first, last, located, *arrays, parameters.gap_note_s, parameters.impossible_kmh, parameters.outlier_m
    )
    most_m = np.maximum.reduceat(moved_m, np.unique(first))[vehicle]
    order = np.lexsort((device, tracks.since, moved_m < _MOSTLY * most_m, -companions, vehicle))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    key = _keys(tracks, tracks.track_of(located), located)
    days, low = np.unique(key, return_index=True)
    clock_s, by = find_other_clocks(
        days // _DAYS, low, np.append(low[1:], len(located)), rank, first, last, device, *tracks.assigned_s,
        located, *arrays, tracks.odometer_km, parameters.gap_note_s, parameters.compare_step_s, parameters.outlier_m,
        parameters.odometer_slack_km, parameters.mean_speed_kmh,
    )  # fmt: skip
    points = np.flatnonzero(np.repeat(np.isin(np.arange(len(device)), days[by >= 0] // _DAYS), np.diff(tracks.offsets)))
    key = _keys(tracks, tracks.track_of(points), points)
    at = np.minimum(np.searchsorted(days, key), len(days) - 1)
    is_found = (days[at] == key) & (by[at] >= 0)
    points, at = points[is_found], at[is_found]
    seconds = tracks.seconds.copy()
    seconds[points] += clock_s[at]
    by_clock = (tracks, replace(tracks, seconds=seconds))
    is_shown = np.isin([_keys(clock, by[at], points) for clock in by_clock], days).any(axis=0)
    is_other[points] = is_shown & np.all([_are_assigned(clock, points, by[at]) for clock in by_clock], axis=0)
    return is_other


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
