"""Stretches over which an odometer stands while its vehicle moves (frozen), or counts while it stands (parked)."""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.kernels.stale_readings import most_counted_km
from fleet_audit.logic.trips.track.frozen_odometers import frozen_stretches
from fleet_audit.logic.trips.track.points import Points, carried_steps, local_days_of


def frozen_and_parked(points: Points, parameters: ParameterSet) -> tuple[tuple[np.ndarray, ...], ...]:
    """First and last point, and km of path, of each frozen and of each parked stretch.

    Steps that are measured by the odometer alone, or over which the vehicle was carried, are excluded.
    """
    tracks = points.tracks
    days = local_days_of(tracks, np.arange(len(tracks.seconds))).astype(np.int64)
    is_carried = carried_steps(points, tracks.resolution_km, parameters)
    is_cut = points.is_jump | points.is_bridged | is_carried
    frozen = frozen_stretches(points, is_carried, tracks.offsets, parameters)
    parked = find_parked(
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        tracks.odometer_km,
        days,
        is_cut,
        tracks.offsets,
        tracks.resolution_km,
        parameters.parked_radius_m,
        parameters.parked_count_km,
        parameters.gap_note_s,
        parameters.stop_min_s,
        parameters.fine_step_s,
        parameters.agree_pct / 100,
        parameters.long_chord_uncertainty_pct / 100,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
        parameters.fall_km,
    )
    return frozen, parked


@njit(cache=True)
def find_parked(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, day, is_cut, offsets, resolution, radius_m, parked_km, gap_note_s, unseen_s,
    fine_step_s, agree_share, chord_share, impossible_kmh, slack_km, fall_km,
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
                # A flicker, whose way back does not count either: readings of two exports of a day, in whole and in
                # tenths of km, were 5 km that a parked bus counted.
                if -max(resolution[track], fall_km) - 1e-6 <= change < 0:
                    continue
            reading = i
    return first[:count], last[:count], path[:count]
