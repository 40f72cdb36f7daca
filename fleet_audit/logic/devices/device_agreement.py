"""Whether two devices that report from one vehicle on one day count the same kilometres.

The primary measures the vehicle's trips (`trips.track.device_merge`); what the others count is evidence only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.track.device_merge import points_of_other_vehicles, primary_pairs
from fleet_audit.logic.trips.track.points import Points, local_days_of
from fleet_audit.logic.trips.track.tracks import Tracks


class _Counter(NamedTuple):
    """Kilometres counted up to each instant (s), and by how much their difference may err (km)."""

    seconds: np.ndarray
    km: np.ndarray
    doubt_km: float


def compare_devices(
    tracks: Tracks, is_excluded: np.ndarray, points: Points, day: np.datetime64, parameters: ParameterSet
) -> pd.DataFrame:
    """Each device of a local day beside the primary of its vehicle, over the time that both report.

    Both odometers are compared where both hold, else both paths where steps up to `fine_step_s` hold half of each.

    Args:
        tracks: clean tracks of the window, one per device; is_excluded: those of other clocks.
        points: the accepted points of the same tracks.
        day: local day.
        parameters: agree_pct and agree_km (the tolerance of O05), and those that say when an odometer holds.

    Returns:
        plate, device_id, primary_device_id, km_counted, km_primary, is_disputed, has_other_clock, is_apart: a row
        per device that is not the primary and can be compared; or shows its movements at another time, or is not on
        its vehicle: then without km.
    """
    is_own = local_days_of(tracks, np.arange(len(tracks.seconds))) == day
    is_apart = points_of_other_vehicles(tracks, is_excluded, parameters)[is_own]
    own, is_excluded = tracks.take(is_own), is_excluded[is_own]
    plates, devices = (tracks.index[name].to_numpy(dtype=object) for name in ("plate", "device_id"))
    rows: list[tuple[object, ...]] = []
    for primary, other in primary_pairs(own, is_excluded, parameters):
        part = slice(own.offsets[other], own.offsets[other + 1])
        if is_excluded[part].any() or is_apart[part].any():
            reasons = (is_excluded[part].any(), is_apart[part].any())
            rows.append((plates[other], devices[other], devices[primary], np.nan, np.nan, False, *reasons))
            continue
        found = _compared([_odometer(own, track, parameters) for track in (primary, other)])
        found = found or _compared([_path(points, track, day, parameters) for track in (primary, other)])
        if found:
            km_primary, km_counted, doubt_km = found
            limit = max(parameters.agree_pct / 100 * km_primary, parameters.agree_km) + doubt_km
            is_disputed = abs(km_counted - km_primary) > limit + 1e-9
            rows.append(
                (plates[other], devices[other], devices[primary], km_counted, km_primary, is_disputed, False, False)
            )
    columns = ["plate", "device_id", "primary_device_id", "km_counted", "km_primary", "is_disputed", "has_other_clock",
               "is_apart"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).drop_duplicates(["plate", "device_id"])


def _odometer(tracks: Tracks, track: int, parameters: ParameterSet) -> _Counter | None:
    """What an odometer counted; None where it falls or jumps, or has fewer than two readings."""
    part = slice(tracks.offsets[track], tracks.offsets[track + 1])
    seconds, km = tracks.seconds[part], tracks.odometer_km[part]
    seconds, km = seconds[~np.isnan(km)], km[~np.isnan(km)]
    steps = np.diff(km)
    if len(km) < 2 or (steps < 0).any() or (steps > parameters.drivable_km(np.diff(seconds))).any():
        return None
    return _Counter(seconds, km, float(tracks.resolution_km[track]))


def _path(points: Points, track: int, day: np.datetime64, parameters: ParameterSet) -> _Counter | None:
    """The path of the day without the drift of a parked receiver.

    None where coarse steps hold more than half of it, or its coordinates are rounded.
    """
    places = np.arange(points.tracks.offsets[track], points.tracks.offsets[track + 1])
    places = places[points.has_fix[places] & (local_days_of(points.tracks, places) == day)]
    if len(places) < 2 or points.is_jump[places[1:]].any() or points.grid_m[places].any():
        return None
    seconds = points.tracks.seconds[places]
    elapsed, km = np.diff(seconds), np.nan_to_num(points.metres[places[1:]]) / 1000
    km = np.where(km * 3600 >= parameters.standing_kmh * elapsed, km, 0.0)
    coarse_km = km[elapsed > parameters.fine_step_s].sum()
    if 2 * coarse_km > km.sum():
        return None
    doubt_km = parameters.chord_uncertainty_pct / 100 * coarse_km
    return _Counter(seconds, np.cumsum(np.append(0.0, km)), float(doubt_km))


def _compared(counters: list[_Counter | None]) -> tuple[float, float, float] | None:
    """Km of both over their common time, and the doubt of the difference; None where they have none.

    What is counted over the step that an end of the common time cuts is doubt: a device may be silent meanwhile.
    """
    first, second = counters
    if first is None or second is None:
        return None
    start = max(first.seconds[0], second.seconds[0])
    end = min(first.seconds[-1], second.seconds[-1])
    if start >= end:
        return None
    counted, doubt_km = [], first.doubt_km + second.doubt_km
    for seconds, km, _ in (first, second):
        counted.append(float(np.interp(end, seconds, km) - np.interp(start, seconds, km)))
        for edge in (start, end):
            before, after = np.searchsorted(seconds, edge, side="right") - 1, np.searchsorted(seconds, edge)
            doubt_km += float(km[after] - km[before])
    return counted[0], counted[1], doubt_km
