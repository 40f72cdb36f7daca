"""Stretches over which an odometer stands while its vehicle moves: no trip is measured by it, and O03 names it.

An odometer that is only read seldom has not failed: see `seldom_read`.
"""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.odometer import is_plausible
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.track.tracks import Tracks


def frozen_stretches(
    tracks: Tracks, days: np.ndarray, is_cut: np.ndarray, offsets: np.ndarray, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last point, and km of path, of each frozen stretch of the tracks of `offsets`.

    days: local day of each point, as numbers. The steps of `is_cut` are measured by the odometer alone, or the vehicle
    was carried over them.
    """
    found: tuple[np.ndarray, np.ndarray, np.ndarray] = find_frozen(
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        tracks.odometer_km,
        days,
        is_cut,
        offsets,
        tracks.of_part(tracks.resolution_km, offsets),
        parameters.parked_radius_m,
        parameters.frozen_km,
        parameters.compare_step_s,
        parameters.gap_split_s,
        parameters.fine_step_s,
        parameters.agree_pct,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
    )
    return found


@njit(cache=True, nogil=True)
def find_frozen(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, day, is_cut, offsets, resolution, radius_m, frozen_km, compare_step_s, gap_split_s,
    fine_step_s, agree_pct, impossible_kmh, slack_km,
):  # fmt: skip
    """Equal readings of one local day over which the path is longer than `frozen_km` and the resolution: points, km.

    The path is counted in pieces that leave `radius_m` within `compare_step_s`: shorter ones are standing. Eight hours
    of a parked receiver's jitter (35 m, every minute) are 11 km step by step, and nothing in such pieces. A longer step
    up to `gap_split_s` counts its chord where its ends are as far apart, and only beside another such step: then the
    device reported on the way, and its odometer stood. Over a single one the tracker may have had no power.

    An odometer that is read less often than the place has not failed: where steps of `fine_step_s` or more hold half of
    the path, and the next differing reading has caught up with it (less `agree_pct`, the resolution and `radius_m`).
    """
    size = len(seconds)
    first = np.empty(size, dtype=np.int64)
    last = np.empty(size, dtype=np.int64)
    path = np.empty(size)
    count = 0
    for track in range(len(offsets) - 1):
        start, end, anchor, chords = -1, -1, -1, 0
        piece = metres = chords_m = coarse_m = committed = 0.0
        for i in range(offsets[track], offsets[track + 1] + 1):
            is_over = i == offsets[track + 1]
            is_new = not is_over and start >= 0 and (day[i] != day[start] or is_cut[i])
            is_other = not is_over and not np.isnan(odometer[i]) and start >= 0 and odometer[i] != odometer[start]
            if is_over or is_new or is_other:
                is_frozen = start >= 0 and committed / 1000 > frozen_km + resolution[track]
                if is_frozen and 2 * coarse_m >= committed:
                    after = _next_difference(odometer, end, offsets[track + 1])
                    counted = odometer[after] - odometer[end]
                    most_missed_km = radius_m / 1000 + resolution[track] + agree_pct / 100 * committed / 1000
                    is_frozen = not (
                        is_plausible(counted, seconds[after] - seconds[start], impossible_kmh, slack_km)
                        and counted >= committed / 1000 - most_missed_km
                    )
                if is_frozen:
                    first[count], last[count], path[count] = start, end, committed / 1000
                    count += 1
                start = -1
            if is_over:
                break
            if start < 0:
                if not np.isnan(odometer[i]):
                    start, end, anchor, chords = i, i, i, 0
                    piece = metres = chords_m = coarse_m = committed = 0.0
                continue
            step_m = distance_m(lat[i - 1], lon[i - 1], lat[i], lon[i])
            piece += step_m
            if compare_step_s < seconds[i] - seconds[i - 1] <= gap_split_s and step_m > radius_m:
                chords_m += step_m
                chords += 1
            if seconds[i] - seconds[i - 1] >= fine_step_s and step_m > radius_m:
                coarse_m += step_m
            is_soon = seconds[i] - seconds[anchor] <= compare_step_s
            is_away = distance_m(lat[anchor], lon[anchor], lat[i], lon[i]) > radius_m
            if is_soon and is_away:
                metres += piece
            if is_away or not is_soon:
                anchor, piece = i, 0.0
            if not np.isnan(odometer[i]):
                end, committed = i, metres + (chords_m if chords > 1 else 0.0)
    return first[:count], last[:count], path[:count]


@njit(cache=True, nogil=True)
def _next_difference(odometer, point, track_end):  # type: ignore[no-untyped-def]
    """The first point after `point` whose reading differs from its own; `point` itself where none follows."""
    for i in range(point + 1, track_end):
        if not np.isnan(odometer[i]) and odometer[i] != odometer[point]:
            return i
    return point
