"""The compiled passes over positions: which points are accepted, where a vehicle stops, what each movement measures.

Here belongs what is a state machine along one vehicle's points; frames, places and trips are in `segmentation` and
`trips`. All passes take points of many tracks in one array, `offsets[k]:offsets[k + 1]` being track k in time order.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG
ACCEPTED, IMPOSSIBLE_SPEED, LONE_OUTLIER, PARKED_DRIFT, NO_FIX = 0, 1, 2, 3, 4
REASONS = ("", "impossible_speed", "lone_outlier", "parked_drift", "no_fix")
SUMS = ("km_gps", "km_bridged", "km_chord", "km_long_chord", "km_fine", "km_carried", "covered_s", "gaps")
_SMALL = 0.005  # radians: below it the series' first neglected term is less than a double's last bit
_PLANE_LIMIT = 0.01  # radians of longitude up to which `is_within` trusts the plane


@njit(cache=True, nogil=True, inline="always")
def arc_m(lat_a, lon_a, cos_a, lat_b, lon_b, cos_b):  # type: ignore[no-untyped-def]
    """Great-circle distance in metres by the haversine formula; degrees and the cosines of the latitudes in.

    Points a few km apart, nearly all, need no trigonometric function: 12 ns instead of 50.
    """
    half_lat, half_lon = abs(math.radians(lat_b - lat_a) / 2), abs(math.radians(lon_b - lon_a) / 2)
    if half_lat < _SMALL and half_lon < _SMALL:
        y, x = half_lat * half_lat, half_lon * half_lon
        sin_lat = half_lat * (1 - y / 6 * (1 - y / 20))
        sin_lon = half_lon * (1 - x / 6 * (1 - x / 20))
        chord = sin_lat * sin_lat + cos_a * cos_b * sin_lon * sin_lon
        return 2 * EARTH_RADIUS_M * math.sqrt(chord) * (1 + chord * (1 / 6 + chord * (3 / 40 + chord * 15 / 336)))
    chord = math.sin(half_lat) ** 2 + cos_a * cos_b * math.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


@njit(cache=True, nogil=True, inline="always")
def cos_degrees(degrees):  # type: ignore[no-untyped-def]
    """Cosine of an angle in degrees."""
    return math.cos(math.radians(degrees))


@njit(cache=True, nogil=True)
def distance_m(lat_a, lon_a, lat_b, lon_b):  # type: ignore[no-untyped-def]
    """`arc_m` of two points without precomputed cosines."""
    return arc_m(lat_a, lon_a, cos_degrees(lat_a), lat_b, lon_b, cos_degrees(lat_b))


@njit(cache=True, nogil=True, inline="always")
def is_within(lat_a, lon_a, cos_a, lat_b, lon_b, metres):  # type: ignore[no-untyped-def]
    """Whether `arc_m` is at most `metres`: decided in the plane through point a, unless that is too near the border.

    The cosine changes by at most the difference of latitudes on the way to b, and all else that the plane neglects
    is below a ten-thousandth of the distance's square.
    """
    north = math.radians(lat_b - lat_a)
    if abs(north) * EARTH_RADIUS_M > metres * 1.001:
        return False
    east = math.radians(lon_b - lon_a)
    if abs(east) < _PLANE_LIMIT and cos_a > _PLANE_LIMIT:
        squared = north * north + east * east * cos_a * cos_a
        slack = 1e-4 * squared + east * east * cos_a * abs(north)
        border = (metres / EARTH_RADIUS_M) ** 2
        if squared + slack <= border:
            return True
        if squared - slack > border:
            return False
    return arc_m(lat_a, lon_a, cos_a, lat_b, lon_b, cos_degrees(lat_b)) <= metres


@njit(cache=True, nogil=True)
def is_possible(metres, seconds, impossible_kmh, outlier_m):  # type: ignore[no-untyped-def]
    """Whether a vehicle can cover this distance in this time."""
    return metres <= outlier_m or metres * 3.6 <= impossible_kmh * seconds


@njit(cache=True, nogil=True)
def _fixes_elsewhere(seconds, lat, lon, last, first, end, impossible_kmh, outlier_m):  # type: ignore[no-untyped-def]
    """Whether the fix `first`, and fewer than follow it to `end`, are elsewhere: the first ones after a sleep.

    The fix after them cannot be reached from them, but can from `last`, and the one that follows it agrees with it.
    """
    for k in range(first + 1, end):
        step_m = distance_m(lat[k - 1], lon[k - 1], lat[k], lon[k])
        if is_possible(step_m, seconds[k] - seconds[k - 1], impossible_kmh, outlier_m):
            continue
        back_m = distance_m(lat[last], lon[last], lat[k], lon[k])
        further_m = distance_m(lat[k], lon[k], lat[k + 1], lon[k + 1])
        return is_possible(back_m, seconds[k] - seconds[last], impossible_kmh, outlier_m) and is_possible(
            further_m, seconds[k + 1] - seconds[k], impossible_kmh, outlier_m
        )
    return False


@njit(cache=True, nogil=True)
def filter_points(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, offsets, impossible_kmh, outlier_m, release_points, radius_m, standing_kmh, sleep_s,
    reason, is_jump, metres,
):  # fmt: skip
    """Reason code of each point (0 = accepted), whether the step to it is a jump to a new place, and its metres.

    Written into the last three arguments, which hold zeros, for the tracks of `offsets` alone.

    A point is rejected when it implies an impossible speed from the last good one, when it lies alone far off
    while the points around it agree and the odometer stood, or when it lies off a parked place and its neighbours
    agree. `release_points` rejected points in a row that agree with each other are accepted after all: the filter
    cannot lock (Traccar issue 4640), and the step to them is a jump, not a distance. The metres of an accepted
    point lead from the accepted point before it.
    """
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        if low == high:
            continue
        last, cos_last = low, cos_degrees(lat[low])
        read = read_last = odometer[low]  # readings are carried forward to points without one
        is_parked = False
        pending = 0
        cos_before = cos_last
        for i in range(low + 1, high):
            cos_i = cos_degrees(lat[i])
            if not math.isnan(odometer[i]):
                read = odometer[i]
            metres[i] = arc_m(lat[last], lon[last], cos_last, lat[i], lon[i], cos_i)
            elapsed = seconds[i] - seconds[last]
            if not is_possible(metres[i], elapsed, impossible_kmh, outlier_m):
                reason[i] = IMPOSSIBLE_SPEED
                from_before = arc_m(lat[i - 1], lon[i - 1], cos_before, lat[i], lon[i], cos_i)
                agrees = is_possible(from_before, seconds[i] - seconds[i - 1], impossible_kmh, outlier_m)
                pending = pending + 1 if pending and agrees else 1
                if pending > 1:
                    metres[i] = from_before
                if pending >= release_points:
                    first = i - pending + 1
                    reason[first : i + 1] = ACCEPTED
                    is_jump[first] = True
                    last, cos_last, read_last, pending, is_parked = i, cos_i, read, 0, False
                cos_before = cos_i
                continue
            pending = 0
            cos_before = cos_i
            if metres[i] > outlier_m and elapsed > sleep_s:
                elsewhere = _fixes_elsewhere(
                    seconds, lat, lon, last, i, min(i + release_points, high - 1), impossible_kmh, outlier_m
                )
                if elsewhere:
                    reason[i] = LONE_OUTLIER
                    continue
            if metres[i] > radius_m and i + 1 < high:
                counted = (read if math.isnan(odometer[i + 1]) else odometer[i + 1]) - read_last
                # nor does a missing odometer prove a trip
                if not counted * 1000 >= metres[i] and is_within(
                    lat[last], lon[last], cos_last, lat[i + 1], lon[i + 1], radius_m
                ):
                    if metres[i] > outlier_m:
                        reason[i] = LONE_OUTLIER
                        continue
                    if is_parked:
                        reason[i] = PARKED_DRIFT
                        continue
            is_parked = elapsed > 0 and metres[i] * 3.6 < standing_kmh * elapsed
            last, cos_last, read_last = i, cos_i, read


@njit(cache=True, nogil=True, inline="always")
def is_plausible(counted, elapsed, impossible_kmh, odometer_slack_km):  # type: ignore[no-untyped-def]
    """Whether an odometer can count `km` in `seconds`; False where either is missing."""
    return 0 <= counted <= impossible_kmh * elapsed / 3600 + odometer_slack_km


@njit(cache=True, nogil=True)
def classify_steps(  # type: ignore[no-untyped-def]
    seconds, metres, odometer, is_jump, offsets, resolution, standing_kmh, radius_m, gap_note_s, gap_split_s,
    impossible_kmh, odometer_slack_km, leg_min_km,
):  # fmt: skip
    """Of the step to each point: is_standing, is_split, is_away; and whether the point's own reading is faulty.

    A step splits when nothing is known of it: a jump, the start of a track, or more than `gap_split_s` without a
    report and the ends apart, or the vehicle away in between. It was away in a step beyond `gap_note_s` in which its
    odometer counted a leg. A parked device that stays silent and is found where it was left has no gap.

    A reading is faulty when it falls below, or jumps beyond, the one before it in the track.
    """
    size = len(seconds)
    is_standing = np.zeros(size, dtype=np.bool_)
    is_split = np.zeros(size, dtype=np.bool_)
    is_away = np.zeros(size, dtype=np.bool_)
    is_faulty = np.zeros(size, dtype=np.bool_)
    for track in range(len(offsets) - 1):
        reading, read_at = np.nan, 0.0
        for i in range(offsets[track], offsets[track + 1]):
            if i == offsets[track]:
                is_split[i] = True
            else:
                elapsed = seconds[i] - seconds[i - 1]
                if elapsed > gap_note_s:
                    counted = odometer[i] - odometer[i - 1]
                    is_away[i] = (
                        is_plausible(counted, elapsed, impossible_kmh, odometer_slack_km)
                        and counted - resolution[track] >= leg_min_km
                    )
                is_apart = not metres[i] <= radius_m
                is_split[i] = is_jump[i] or (elapsed > gap_split_s and (is_apart or is_away[i]))
                is_standing[i] = not (is_split[i] or is_away[i]) and metres[i] * 3.6 < standing_kmh * elapsed
            if not math.isnan(odometer[i]):
                change = odometer[i] - reading
                most = impossible_kmh * (seconds[i] - read_at) / 3600 + odometer_slack_km
                is_faulty[i] = change < -1e-6 or change > most
                reading, read_at = odometer[i], seconds[i]
    return is_standing, is_split, is_away, is_faulty


@njit(cache=True, nogil=True)
def sum_steps(  # type: ignore[no-untyped-def]
    seconds, metres, odometer, is_bridged, is_carried, start, end, radius_m, gap_note_s, compare_step_s, fine_step_s,
    chord_step_s, coverage_step_s, impossible_kmh, odometer_slack_km,
):  # fmt: skip
    """Sums over the steps from start[k] to end[k], none of which splits: one row for each of `SUMS`.

    A step beyond `compare_step_s`, or one that leads to or from a point without a fix (`is_bridged`), adds the
    odometer's difference to the path, or without one its chord. A chord longer than `chord_step_s` without a reading
    is in `km_chord`: it cuts corners; beyond `compare_step_s` also in `km_long_chord`: it cuts more. A step over which
    the vehicle was carried adds nothing.
    """
    sums = np.zeros((8, len(start)))
    for k in range(len(start)):
        gps = bridged = chord = long_chord = fine = carried = covered = gaps = 0.0
        for i in range(start[k] + 1, end[k] + 1):
            elapsed = seconds[i] - seconds[i - 1]
            is_apart = not metres[i] <= radius_m
            counted = odometer[i] - odometer[i - 1]
            is_read = is_plausible(counted, elapsed, impossible_kmh, odometer_slack_km)
            step_km = 0.0 if is_carried[i] else metres[i] / 1000
            carried += metres[i] / 1000 - step_km
            if elapsed > compare_step_s or is_bridged[i]:
                step_km = counted if is_read else step_km
                bridged += step_km
            elif elapsed <= fine_step_s:
                fine += step_km
            gps += step_km
            if elapsed > chord_step_s and not is_read:
                chord += step_km
                if elapsed > compare_step_s:
                    long_chord += step_km
            if not is_bridged[i] and (elapsed <= coverage_step_s or (elapsed <= gap_note_s and not is_apart)):
                covered += elapsed
            if elapsed > gap_note_s and is_apart and not is_bridged[i]:
                gaps += 1
        for row, value in enumerate((gps, bridged, chord, long_chord, fine, carried, covered, gaps)):
            sums[row, k] = value
    return sums


@njit(cache=True, nogil=True)
def find_carried(  # type: ignore[no-untyped-def]
    seconds, lat, lon, metres, odometer, ignition, is_split, offsets, resolution, radius_m, carried_min_m,
    carried_max_kmh, standing_kmh, is_carried,
):  # fmt: skip
    """Sets is_carried of the steps over which a ferry or a tow moved the vehicle.

    Over a run of points the odometer reads the same and the ignition is off; between the last point near its first and
    the first one near its last the vehicle moves `carried_min_m` or more (twice the odometer's resolution where that is
    more), at no more than `carried_max_kmh`.
    """
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        first = low
        while first < high:
            last = first
            if ignition[first] == 0 and not math.isnan(odometer[first]):
                while (
                    last + 1 < high
                    and ignition[last + 1] == 0
                    and odometer[last + 1] == odometer[first]
                    and not is_split[last + 1]
                ):
                    last += 1
            if last > first:
                leave, arrive = first, last
                cos_first, cos_last = cos_degrees(lat[first]), cos_degrees(lat[last])
                for i in range(first, last + 1):
                    if is_within(lat[first], lon[first], cos_first, lat[i], lon[i], radius_m):
                        leave = i
                for i in range(last, leave, -1):
                    if is_within(lat[last], lon[last], cos_last, lat[i], lon[i], radius_m):
                        arrive = i
                while leave > first and metres[leave] * 3.6 >= standing_kmh * (seconds[leave] - seconds[leave - 1]):
                    leave -= 1
                while arrive < last and metres[arrive + 1] * 3.6 >= standing_kmh * (
                    seconds[arrive + 1] - seconds[arrive]
                ):
                    arrive += 1
                moved_m = moved_s = 0.0
                for i in range(leave + 1, arrive + 1):
                    elapsed = seconds[i] - seconds[i - 1]
                    if metres[i] * 3.6 >= standing_kmh * elapsed:
                        moved_m += metres[i]
                        moved_s += elapsed
                apart_m = distance_m(lat[leave], lon[leave], lat[arrive], lon[arrive])
                if (
                    apart_m >= max(carried_min_m, 2000 * resolution[track])
                    and moved_m * 3.6 <= carried_max_kmh * moved_s
                ):
                    is_carried[leave + 1 : arrive + 1] = True
            first = last + 1


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def find_stops(  # type: ignore[no-untyped-def]
    seconds, lat, lon, is_standing, is_broken, offsets, tracks, radius_m, stop_min_s, stop_min_place_s, is_refused
):
    """First point, last standing point and standing seconds of each stop candidate of `tracks`.

    A candidate stays within `radius_m` of its first standing point, through no step that `is_broken`, and stands
    `stop_min_place_s` there; a first point that `is_refused` (its candidate turned out to lie in no known place) needs
    `stop_min_s`.
    """
    size = len(seconds)
    first = np.empty(size, dtype=np.int64)
    last = np.empty(size, dtype=np.int64)
    standing = np.empty(size)
    stood_until = np.empty(size)
    count = 0
    for track in tracks:
        low, end = offsets[track], offsets[track + 1]
        stood = 0.0
        for j in range(low, end):
            stood += seconds[j] - seconds[j - 1] if j > low and is_standing[j] else 0.0
            stood_until[j] = stood
        i = low
        while i + 1 < end:
            if not is_standing[i + 1]:
                i += 1
                continue
            cos_i = cos_degrees(lat[i])
            # The point up to which it must have stayed: mostly this alone shows that it did not.
            asked = (stop_min_s if is_refused[i] else stop_min_place_s) - 0.001
            reach = low + np.searchsorted(stood_until[low:end], stood_until[i] + asked)
            if reach >= end or not is_within(lat[i], lon[i], cos_i, lat[reach], lon[reach], radius_m):
                i += 1
                continue
            stood, last_standing, j = 0.0, i, i + 1
            while j < end and not is_broken[j] and is_within(lat[i], lon[i], cos_i, lat[j], lon[j], radius_m):
                if is_standing[j]:
                    stood += seconds[j] - seconds[j - 1]
                    last_standing = j
                j += 1
            if stood >= (stop_min_s if is_refused[i] else stop_min_place_s):
                first[count], last[count], standing[count] = i, last_standing, stood
                count += 1
                i = last_standing
            elif stood < stop_min_place_s and (j == end or is_broken[j]):
                i = j  # no later point of this stretch stands longer
            else:
                i += 1
    return first[:count].copy(), last[:count].copy(), standing[:count].copy()


@njit(cache=True, nogil=True)
def mark(flags, first, last):  # type: ignore[no-untyped-def]
    """Sets flags[first[k] : last[k] + 1] for each k."""
    for k in range(len(first)):
        flags[first[k] : last[k] + 1] = True


@njit(cache=True, nogil=True)
def medians(values, first, last):  # type: ignore[no-untyped-def]
    """Median of values[first[k] : last[k] + 1] for each k, none of them missing."""
    result = np.empty(len(first))
    spare = np.empty((last - first).max() + 1 if len(first) else 0)
    for k in range(len(first)):
        size = last[k] - first[k] + 1
        spare[:size] = values[first[k] : last[k] + 1]
        middle = size // 2
        _select(spare, size, middle)
        result[k] = spare[middle] if size % 2 else (spare[:middle].max() + spare[middle]) / 2
    return result


@njit(cache=True, nogil=True)
def _select(values, size, at):  # type: ignore[no-untyped-def]
    """Brings to `at` the value that would be there in order, the smaller ones before it (Hoare)."""
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) // 2
        pivot = max(min(values[low], values[middle]), min(max(values[low], values[middle]), values[high]))
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if at <= j:
            high = j
        elif at >= i:
            low = i
        else:
            return


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def most_frequent(codes, start, end):  # type: ignore[no-untyped-def]
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


@njit(cache=True, nogil=True)
def count_and_maximum(values, start, end):  # type: ignore[no-untyped-def]
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


@njit(cache=True, nogil=True)
def span_points(seconds, offsets, from_s, to_s):  # type: ignore[no-untyped-def]
    """First point at or after from_s[k] and last one at or before to_s[k] of each track k; first > last: none."""
    first = np.empty(len(offsets) - 1, dtype=np.int64)
    last = np.empty(len(offsets) - 1, dtype=np.int64)
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        first[track] = low + np.searchsorted(seconds[low:high], from_s[track])
        last[track] = low + np.searchsorted(seconds[low:high], to_s[track], side="right") - 1
    return first, last
