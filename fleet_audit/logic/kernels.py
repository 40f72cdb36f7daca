"""The compiled passes over positions: which points to believe, where a vehicle stops, what each movement measures.

Here belongs what is a state machine along one vehicle's points; frames, places and trips are in `segmentation` and
`trips`. All passes take points of many tracks in one array, `offsets[k]:offsets[k + 1]` being track k in time order.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG
ACCEPTED, IMPOSSIBLE_SPEED, LONE_OUTLIER, PARKED_DRIFT = 0, 1, 2, 3
REASONS = ("", "impossible_speed", "lone_outlier", "parked_drift")
SUMS = ("km_gps", "km_bridged", "km_chord", "covered_s", "gaps", "odometer_faults")


@njit(cache=True, inline="always")
def distance_m(lat_a, lon_a, lat_b, lon_b):  # type: ignore[no-untyped-def]
    """Great-circle distance in metres by the haversine formula; degrees in."""
    half_lat = math.radians(lat_b - lat_a) / 2
    half_lon = math.radians(lon_b - lon_a) / 2
    chord = (
        math.sin(half_lat) ** 2
        + math.cos(math.radians(lat_a)) * math.cos(math.radians(lat_b)) * math.sin(half_lon) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


@njit(cache=True)
def _is_possible(metres, seconds, impossible_kmh, outlier_m):  # type: ignore[no-untyped-def]
    return metres <= outlier_m or metres * 3.6 <= impossible_kmh * seconds


@njit(cache=True)
def judge_points(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, offsets, impossible_kmh, outlier_m, release_points, radius_m, standing_kmh
):
    """Reason code of each point (0 = believed) and whether the step to it is a jump to a new place.

    A point is not believed when it implies an impossible speed from the last good one, when it lies alone far off
    while the points around it agree and the odometer stood, or when it lies off a parked place and its neighbours
    agree. `release_points` disbelieved points in a row that agree with each other are believed after all: the filter
    cannot lock (Traccar issue 4640), and the step to them is a jump, not a distance.
    """
    reason = np.zeros(len(seconds), dtype=np.int8)
    is_jump = np.zeros(len(seconds), dtype=np.bool_)
    for track in range(len(offsets) - 1):
        last = offsets[track]
        is_parked = False
        pending = 0
        for i in range(offsets[track] + 1, offsets[track + 1]):
            metres = distance_m(lat[last], lon[last], lat[i], lon[i])
            elapsed = seconds[i] - seconds[last]
            if not _is_possible(metres, elapsed, impossible_kmh, outlier_m):
                reason[i] = IMPOSSIBLE_SPEED
                if pending and _is_possible(
                    distance_m(lat[i - 1], lon[i - 1], lat[i], lon[i]),
                    seconds[i] - seconds[i - 1],
                    impossible_kmh,
                    outlier_m,
                ):
                    pending += 1
                else:
                    pending = 1
                if pending >= release_points:
                    first = i - pending + 1
                    reason[first : i + 1] = ACCEPTED
                    is_jump[first] = True
                    last, pending, is_parked = i, 0, False
                continue
            pending = 0
            if metres > radius_m and i + 1 < offsets[track + 1]:
                following = distance_m(lat[last], lon[last], lat[i + 1], lon[i + 1])
                counted = odometer[i + 1] - odometer[last]
                if following <= radius_m and not counted * 1000 >= metres:  # nor does a missing odometer prove a trip
                    if metres > outlier_m:
                        reason[i] = LONE_OUTLIER
                        continue
                    if is_parked:
                        reason[i] = PARKED_DRIFT
                        continue
            is_parked = elapsed > 0 and metres * 3.6 < standing_kmh * elapsed
            last = i
    return reason, is_jump


@njit(cache=True)
def measure_steps(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, is_jump, offsets, resolution, standing_kmh, radius_m, gap_note_s, gap_split_s,
    compare_step_s, coverage_step_s, impossible_kmh, odometer_slack_km, leg_min_km,
):  # fmt: skip
    """Facts of the step to each point: metres, is_standing, is_split, is_away, and six running sums (see `SUMS`).

    A step splits when nothing is known of it: a jump, the start of a track, or more than `gap_split_s` without a
    report and the ends apart, or the vehicle away in between. It was away in a step beyond `gap_note_s` in which its
    odometer counted a leg. A parked device that stays silent and is found where it was left is no gap.

    A step beyond `compare_step_s` adds the odometer's difference to the path, or without one its chord. A reading is
    faulty when it falls below, or jumps beyond, the one before it in the track.
    """
    size = len(seconds)
    metres = np.zeros(size)
    is_standing = np.zeros(size, dtype=np.bool_)
    is_split = np.zeros(size, dtype=np.bool_)
    is_away = np.zeros(size, dtype=np.bool_)
    sums = np.zeros((6, size))
    gps = bridged = chord = covered = 0.0
    gaps = faults = 0
    for track in range(len(offsets) - 1):
        reading, read_at = np.nan, 0.0
        for i in range(offsets[track], offsets[track + 1]):
            if i == offsets[track]:
                is_split[i] = True
            else:
                metres[i] = distance_m(lat[i - 1], lon[i - 1], lat[i], lon[i])
                elapsed = seconds[i] - seconds[i - 1]
                counted = odometer[i] - odometer[i - 1]
                is_plausible = 0 <= counted <= impossible_kmh * elapsed / 3600 + odometer_slack_km
                is_apart = not metres[i] <= radius_m
                is_away[i] = elapsed > gap_note_s and is_plausible and counted - resolution[track] >= leg_min_km
                is_split[i] = is_jump[i] or (elapsed > gap_split_s and (is_apart or is_away[i]))
                if not is_split[i]:
                    is_standing[i] = not is_away[i] and metres[i] * 3.6 < standing_kmh * elapsed
                    if elapsed <= compare_step_s:
                        gps += metres[i] / 1000
                    else:
                        step_km = counted if is_plausible else metres[i] / 1000
                        gps += step_km
                        bridged += step_km
                        chord += 0.0 if is_plausible else step_km
                    if elapsed <= coverage_step_s or (elapsed <= gap_note_s and not is_apart):
                        covered += elapsed
                    if elapsed > gap_note_s and is_apart:
                        gaps += 1
            if not np.isnan(odometer[i]):
                change = odometer[i] - reading
                most = impossible_kmh * (seconds[i] - read_at) / 3600 + odometer_slack_km
                if change < -1e-6 or change > most:
                    faults += 1
                reading, read_at = odometer[i], seconds[i]
            sums[0, i], sums[1, i], sums[2, i] = gps, bridged, chord
            sums[3, i], sums[4, i], sums[5, i] = covered, gaps, faults
    return metres, is_standing, is_split, is_away, sums


@njit(cache=True)
def resolutions(odometer, offsets):  # type: ignore[no-untyped-def]
    """Resolution of each track's odometer: the coarsest of 1, 0.1, 0.01 km that holds all its readings, else 0.001."""
    result = np.empty(len(offsets) - 1)
    for track in range(len(offsets) - 1):
        scale = 1.0
        for i in range(offsets[track], offsets[track + 1]):
            while scale < 1000 and abs(odometer[i] * scale - np.round(odometer[i] * scale)) > 1e-3:
                scale *= 10
        result[track] = 1 / scale
    return result


@njit(cache=True)
def find_stops(  # type: ignore[no-untyped-def]
    seconds, lat, lon, is_standing, is_broken, offsets, radius_m, stop_min_s, stop_min_place_s, is_refused
):
    """First point, last standing point and standing seconds of each stop candidate.

    A candidate stays within `radius_m` of its first standing point, through no step that `is_broken`, and stands
    `stop_min_place_s` there; a first point that `is_refused` (its candidate turned out to lie in no known place) needs
    `stop_min_s`.
    """
    size = len(seconds)
    first = np.empty(size, dtype=np.int64)
    last = np.empty(size, dtype=np.int64)
    standing = np.empty(size)
    count = 0
    for track in range(len(offsets) - 1):
        i, end = offsets[track], offsets[track + 1]
        while i + 1 < end:
            if not is_standing[i + 1]:
                i += 1
                continue
            stood, last_standing, j = 0.0, i, i + 1
            while j < end and not is_broken[j] and distance_m(lat[i], lon[i], lat[j], lon[j]) <= radius_m:
                if is_standing[j]:
                    stood += seconds[j] - seconds[j - 1]
                    last_standing = j
                j += 1
            if stood >= (stop_min_s if is_refused[i] else stop_min_place_s):
                first[count], last[count], standing[count] = i, last_standing, stood
                count += 1
                i = last_standing
            else:
                i += 1
    return first[:count], last[:count], standing[:count]


@njit(cache=True)
def medians(values, first, last):  # type: ignore[no-untyped-def]
    """Median of values[first[k] : last[k] + 1] for each k."""
    result = np.empty(len(first))
    for k in range(len(first)):
        result[k] = np.median(values[first[k] : last[k] + 1])
    return result


@njit(cache=True)
def find_movements(is_split, offsets, first, last):  # type: ignore[no-untyped-def]
    """Movements between stops, cut where the track splits: start and end point, stop before and after (-1: none).

    A movement without a stop at one end starts or ends where nothing is known: in a split, or at the track's edge.
    """
    size = len(first) + len(offsets) + int(is_split.sum())
    start = np.empty(size, dtype=np.int64)
    end = np.empty(size, dtype=np.int64)
    before = np.empty(size, dtype=np.int64)
    after = np.empty(size, dtype=np.int64)
    count = stop = 0
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        a, stop_before = low, -1
        while a < high:
            has_next = stop < len(first) and first[stop] < high
            b = first[stop] if has_next else high - 1
            i = a + 1
            while i <= b:
                if is_split[i]:
                    if i - 1 > a:
                        start[count], end[count], before[count], after[count] = a, i - 1, stop_before, -1
                        count += 1
                    a, stop_before = i, -1
                i += 1
            if b > a:
                start[count], end[count], before[count], after[count] = a, b, stop_before, stop if has_next else -1
                count += 1
            if not has_next:
                break
            a, stop_before = last[stop], stop
            stop += 1
    return start[:count], end[:count], before[:count], after[:count]


@njit(cache=True)
def nearest_readings(odometer, offsets):  # type: ignore[no-untyped-def]
    """Index of the last reading at or before, and the first at or after each point (-1: none in the track)."""
    size = len(odometer)
    previous = np.full(size, -1, dtype=np.int64)
    following = np.full(size, -1, dtype=np.int64)
    for track in range(len(offsets) - 1):
        seen = -1
        for i in range(offsets[track], offsets[track + 1]):
            if not np.isnan(odometer[i]):
                seen = i
            previous[i] = seen
        seen = -1
        for i in range(offsets[track + 1] - 1, offsets[track] - 1, -1):
            if not np.isnan(odometer[i]):
                seen = i
            following[i] = seen
    return previous, following


@njit(cache=True)
def commonest(codes, start, end):  # type: ignore[no-untyped-def]
    """Most frequent code >= 0 of codes[start[k] : end[k] + 1], the earliest of equals; -1 where there is none."""
    result = np.full(len(start), -1, dtype=np.int64)
    names = np.empty(64, dtype=np.int64)
    counts = np.empty(64, dtype=np.int64)
    for k in range(len(start)):
        known = 0
        for i in range(start[k], end[k] + 1):
            if codes[i] < 0:
                continue
            at = 0
            while at < known and names[at] != codes[i]:
                at += 1
            if at == known:
                if known == 64:
                    continue
                names[at], counts[at] = codes[i], 0
                known += 1
            counts[at] += 1
        best = 0
        for at in range(known):
            if counts[at] > best:
                best, result[k] = counts[at], names[at]
    return result


@njit(cache=True)
def extremes(values, start, end):  # type: ignore[no-untyped-def]
    """Number and maximum (NaN: none) of the present values of values[start[k] : end[k] + 1]."""
    number = np.zeros(len(start), dtype=np.int64)
    highest = np.full(len(start), np.nan)
    for k in range(len(start)):
        for i in range(start[k], end[k] + 1):
            if not np.isnan(values[i]):
                number[k] += 1
                if not highest[k] >= values[i]:
                    highest[k] = values[i]
    return number, highest
