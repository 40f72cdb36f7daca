"""Stretches over which an odometer stands while its vehicle moves (frozen), or counts while it stands (parked)."""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.odometer import is_plausible
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.kernels.stale_readings import most_counted_km
from fleet_audit.logic.trips.track.points import Points, carried_steps, local_days_of


def frozen_and_parked(points: Points, parameters: ParameterSet) -> tuple[tuple[np.ndarray, ...], ...]:
    """First and last point, and km of path, of each frozen and of each parked stretch.

    Steps that are measured by the odometer alone, or over which the vehicle was carried, are excluded.
    """
    tracks = points.tracks
    measured = (
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        tracks.odometer_km,
        local_days_of(tracks, np.arange(len(tracks.seconds))).astype(np.int64),
        points.is_jump | points.is_bridged | carried_steps(points, tracks.resolution_km, parameters),
        tracks.offsets,
        tracks.resolution_km,
        parameters.parked_radius_m,
    )
    frozen = find_frozen(
        *measured,
        parameters.frozen_km,
        parameters.compare_step_s,
        parameters.gap_split_s,
        parameters.fine_step_s,
        parameters.agree_pct,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
    )
    parked = find_parked(
        *measured,
        parameters.parked_count_km,
        parameters.gap_note_s,
        parameters.stop_min_s,
        parameters.fine_step_s,
        parameters.agree_pct / 100,
        parameters.long_chord_uncertainty_pct / 100,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
    )
    return frozen, parked


@njit(cache=True)
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


@njit(cache=True)
def _next_difference(odometer, point, track_end):  # type: ignore[no-untyped-def]
    """The first point after `point` whose reading differs from its own; `point` itself where none follows."""
    for i in range(point + 1, track_end):
        if not np.isnan(odometer[i]) and odometer[i] != odometer[point]:
            return i
    return point


@njit(cache=True)
def find_parked(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, day, is_cut, offsets, resolution, radius_m, parked_km, gap_note_s, unseen_s,
    fine_step_s, agree_share, chord_share, impossible_kmh, slack_km,
):  # fmt: skip
    """Points within `radius_m` of the first of them over which the odometer counts more than `parked_km`: points, km.

    A silence beyond `gap_note_s` ends it: a vehicle may drive and come back unseen. So it may in a single step beyond
    `unseen_s`, which without a point in between makes none: on six simulated fleets with a position every 300 s four
    vehicles counted 2.3 to 2.6 km in such a step, and none was without its tracker. Jumps and falls do not count, nor
    does an odometer that catches up with what the tracker drove while its reading stood (frozen, O03). The path of such
    a tracker is the way between its first and its last point.
    """
    size = len(seconds)
    first = np.empty(size, dtype=np.int64)
    last = np.empty(size, dtype=np.int64)
    path = np.empty(size)
    count = 0
    for track in range(len(offsets) - 1):
        anchor, reading, start, end = -1, -1, -1, -1
        counted = driven_km = chords_km = 0.0
        place, standing = offsets[track], np.nan
        for i in range(offsets[track], offsets[track + 1] + 1):
            is_over = i == offsets[track + 1]
            is_new = is_over or anchor < 0
            if not is_new:
                is_new = day[i] != day[anchor] or is_cut[i] or seconds[i] - seconds[i - 1] > gap_note_s
                is_new = is_new or distance_m(lat[anchor], lon[anchor], lat[i], lon[i]) > radius_m
            if is_new:
                is_seen = end - start > 1 or (end >= 0 and seconds[end] - seconds[start] <= unseen_s)
                if anchor >= 0 and is_seen and counted > parked_km + resolution[track]:
                    first[count], last[count] = start, end
                    path[count] = distance_m(lat[start], lon[start], lat[end], lon[end]) / 1000
                    count += 1
                if is_over:
                    break
                anchor, reading, start, end, counted = i, -1, -1, -1, 0.0
            moved = distance_m(lat[place], lon[place], lat[i], lon[i])
            if moved > radius_m:
                driven_km += moved / 1000
                chords_km += moved / 1000 if seconds[i] - seconds[i - 1] > fine_step_s else 0.0
                place = i
            if np.isnan(odometer[i]):
                continue
            most_missed_km = most_counted_km(driven_km, chords_km, agree_share, chord_share) + resolution[track]
            is_catching_up = driven_km > 0 and odometer[i] - standing <= most_missed_km
            if odometer[i] != standing:
                standing, driven_km, chords_km = odometer[i], 0.0, 0.0
            if reading >= 0:
                change = odometer[i] - odometer[reading]
                most = impossible_kmh * (seconds[i] - seconds[reading]) / 3600 + slack_km
                if 0 < change <= most and not is_catching_up:
                    counted += change
                    start = reading if start < 0 else start
                    end = i
                if -resolution[track] - 1e-6 <= change < 0:  # a flicker, whose way back does not count either
                    continue
            reading = i
    return first[:count], last[:count], path[:count]
