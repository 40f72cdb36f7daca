"""Stretches over which an odometer stands while its vehicle moves: no trip is measured by it, and O03 names it.

An odometer that is only read seldom has not failed: see `seldom_read`.
"""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.odometer import is_plausible
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.track.points import Points, local_days_of

_WAY_SHARE = 0.999  # sums of the same steps in another order differ in their last digits


def frozen_stretches(
    points: Points, is_carried: np.ndarray, offsets: np.ndarray, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last point, and km of path, of each frozen stretch of the tracks of `offsets`.

    Excluded are steps that are measured by the odometer alone, or over which the vehicle was carried (`is_carried`), or
    that lead to or from no place. Only readings that are repeated over a way are searched: of 5.1 million points in
    four days of 500 vehicles the search of all took 0.20 s, their local days another 0.03 s.
    """
    tracks = points.tracks
    runs = find_repeated(
        points.metres, tracks.odometer_km, offsets, tracks.of_part(tracks.resolution_km, offsets),
        _WAY_SHARE * parameters.frozen_km,
    )  # fmt: skip
    size = len(points.metres)
    days, is_cut = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.bool_)
    within = np.concatenate([np.empty(0, dtype=np.int64), *map(np.arange, *runs[:2])])
    if len(within):
        days[within] = local_days_of(tracks, within).astype(np.int64)
        is_cut[within] = np.isnan(points.metres[within])
        for is_excluded in (points.is_jump, points.is_bridged, is_carried):
            is_cut[within] |= is_excluded[within]
    found: tuple[np.ndarray, np.ndarray, np.ndarray] = find_frozen(
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        tracks.odometer_km,
        days,
        is_cut,
        *runs,
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
def find_repeated(metres, odometer, offsets, resolution, least_km):  # type: ignore[no-untyped-def]
    """Runs of points up to the next other reading, over whose equal ones the steps are longer than `least_km`.

    First point of each, the one after its last, whether its track goes on there, and the track's resolution.
    """
    size = len(metres)
    first, end = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    goes_on, resolution_km = np.empty(size, dtype=np.bool_), np.empty(size)
    count = 0
    for track in range(len(offsets) - 1):
        start, way_m, read_m = -1, 0.0, 0.0
        for i in range(offsets[track], offsets[track + 1] + 1):
            is_over = i == offsets[track + 1]
            if not is_over:
                way_m += metres[i] if metres[i] > 0 else 0.0
                if np.isnan(odometer[i]):
                    continue
                if start >= 0 and odometer[i] == odometer[start]:
                    read_m = way_m
                    continue
            if read_m / 1000 > least_km + resolution[track]:
                first[count], end[count], goes_on[count] = start, i, not is_over
                resolution_km[count] = resolution[track]
                count += 1
            start, way_m, read_m = i, 0.0, 0.0
    return first[:count], end[:count], goes_on[:count], resolution_km[:count]


@njit(cache=True, nogil=True)
def find_frozen(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, day, is_cut, run_first, run_end, goes_on, resolution, radius_m, frozen_km,
    compare_step_s, gap_split_s, fine_step_s, agree_pct, impossible_kmh, slack_km,
):  # fmt: skip
    """Equal readings of one local day over which the path is longer than `frozen_km` and the resolution: points, km.

    The path is counted in pieces that leave `radius_m` within `compare_step_s`: shorter ones are standing. Eight hours
    of a parked receiver's jitter (35 m, every minute) are 11 km step by step, and nothing in such pieces. A longer step
    up to `gap_split_s` counts its chord where its ends are as far apart, and only beside another such step: then the
    device reported on the way, and its odometer stood. Over a single one the tracker may have had no power.

    An odometer that is read less often than the place has not failed: where steps of `fine_step_s` or more hold half of
    the path, and the next differing reading has caught up with it (less `agree_pct`, the resolution and `radius_m`).
    """
    size = (run_end - run_first).sum()
    first = np.empty(size, dtype=np.int64)
    last = np.empty(size, dtype=np.int64)
    path = np.empty(size)
    count = 0
    for run in range(len(run_first)):
        start, end, anchor, chords = -1, -1, -1, 0
        piece = metres = chords_m = coarse_m = committed = 0.0
        for i in range(run_first[run], run_end[run] + 1):
            is_over = i == run_end[run]
            is_new = not is_over and start >= 0 and (day[i] != day[start] or is_cut[i])
            if is_over or is_new:
                is_frozen = start >= 0 and committed / 1000 > frozen_km + resolution[run]
                if is_frozen and 2 * coarse_m >= committed:
                    after = run_end[run] if goes_on[run] else end
                    counted = odometer[after] - odometer[end]
                    most_missed_km = radius_m / 1000 + resolution[run] + agree_pct / 100 * committed / 1000
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
