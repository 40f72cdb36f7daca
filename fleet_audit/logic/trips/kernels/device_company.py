"""The compiled comparison of two devices of a vehicle: when they report together, move together, or follow each other.

A device's fixes are numbers of points in time order; seconds, latitudes and longitudes are those of all points.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.sphere import distance_m

SAME_TIME_S = 60  # two devices are compared where they report so close to each other
_MOST_BETWEEN_S = 600  # two fixes further apart do not show where a device was between them
_MOVED_M = 100  # a device that is so far from where it was SAME_TIME_S ago, or at its fix before, moves
_LEAST_WAY_M = 2_000  # an odometer that counts half of as much counts the trips of its vehicle
_HANDOVER_S = 180  # one device falls silent and the other one begins within as much of each other
LEAST_TOGETHER = 3  # fixes: trips of two clocks may touch for a minute where one ends and the other begins
UNKNOWN, TOGETHER, ELSEWHERE = 0, 1, 2


@njit(cache=True, nogil=True, inline="always")
def points_between(points, low, high):  # type: ignore[no-untyped-def]
    """The points of `low:high`."""
    return points[np.searchsorted(points, low) : np.searchsorted(points, high)]


@njit(cache=True, nogil=True)
def company_of(mine, theirs, clock_s, seconds, lat, lon, outlier_m):  # type: ignore[no-untyped-def]
    """Whether a device is with the primary when both report, and how many fixes move along with it and apart from it.

    `ELSEWHERE` when mostly more than `outlier_m` away. What counts is above all where one of them moves: parked in one
    yard, devices of any clock are together. They are `TOGETHER` only where both move. `clock_s` is added to the
    device's times.
    """
    apart, moving = np.empty(len(theirs)), np.empty(len(theirs))
    count, moves, both, alone = 0, 0, 0, 0
    if not len(mine) or not len(theirs):
        return UNKNOWN, both, alone
    at = max(first_from(mine, seconds, seconds[theirs[0]] + clock_s) - 1, 0)
    for number in range(len(theirs)):
        other, now = theirs[number], seconds[theirs[number]] + clock_s
        while at + 1 < len(mine) and abs(seconds[mine[at + 1]] - now) <= abs(seconds[mine[at]] - now):
            at += 1
        if abs(seconds[mine[at]] - now) > SAME_TIME_S:
            continue
        apart[count] = _apart_m(mine, at, other, now, seconds, lat, lon)
        do_move = (has_moved(mine, at, seconds, lat, lon), has_moved(theirs, number, seconds, lat, lon))
        if do_move[0] and apart[count] > outlier_m and not _is_known(mine, at, now, seconds):
            continue
        if do_move[0] or do_move[1]:
            moving[moves] = apart[count]
            moves += 1
            both += do_move[0] and do_move[1] and apart[count] <= outlier_m
            alone += apart[count] > outlier_m
        count += 1
    is_elsewhere = count > 0 and np.median(apart[:count]) > outlier_m
    if is_elsewhere or (moves >= LEAST_TOGETHER and np.median(moving[:moves]) > outlier_m):
        return ELSEWHERE, both, alone
    return (TOGETHER if both >= LEAST_TOGETHER else UNKNOWN), both, alone


@njit(cache=True, nogil=True)
def _is_known(mine, at, now, seconds):  # type: ignore[no-untyped-def]
    """Whether an instant near the fix `at` is between two fixes that show where a device was: it is not silent then.

    Within 60 s of falling silent on the way it may be further than `outlier_m` from there.
    """
    beside = at + (1 if now > seconds[mine[at]] else -1)
    if now == seconds[mine[at]]:
        return True
    return 0 <= beside < len(mine) and abs(seconds[mine[beside]] - seconds[mine[at]]) <= _MOST_BETWEEN_S


@njit(cache=True, nogil=True)
def _apart_m(mine, at, other, now, seconds, lat, lon):  # type: ignore[no-untyped-def]
    """The least way from a fix, at the instant `now`, to the primary's fix `at`, to the one beyond `now`, and between.

    At 90 km/h a bus drives 1.1 km in 45 s, and a clock may be a minute off.
    """
    here = mine[at]
    least_m = distance_m(lat[here], lon[here], lat[other], lon[other])
    beside = at + (1 if now > seconds[here] else -1)
    if not 0 <= beside < len(mine) or (now - seconds[here]) * (seconds[mine[beside]] - now) <= 0:
        return least_m
    there = mine[beside]
    share = (now - seconds[here]) / (seconds[there] - seconds[here])
    latitude, longitude = lat[here] + share * (lat[there] - lat[here]), lon[here] + share * (lon[there] - lon[here])
    least_m = min(least_m, distance_m(latitude, longitude, lat[other], lon[other]))
    if abs(seconds[there] - now) <= SAME_TIME_S:
        least_m = min(least_m, distance_m(lat[there], lon[there], lat[other], lon[other]))
    return least_m


@njit(cache=True, nogil=True)
def first_from(points, seconds, instant):  # type: ignore[no-untyped-def]
    """How many of the points are earlier than an instant."""
    left, right = 0, len(points)
    while left < right:
        middle = (left + right) // 2
        if seconds[points[middle]] < instant:
            left = middle + 1
        else:
            right = middle
    return left


@njit(cache=True, nogil=True, inline="always")
def has_moved(points, at, seconds, lat, lon):  # type: ignore[no-untyped-def]
    """Whether a device is elsewhere than SAME_TIME_S ago, and still at the next fix: one fix astray does not count."""
    here, earlier, after = points[at], max(at - 1, 0), points[min(at + 1, len(points) - 1)]
    while earlier > 0 and seconds[here] - seconds[points[earlier]] < SAME_TIME_S:
        earlier -= 1
    before = points[earlier]
    is_away = distance_m(lat[before], lon[before], lat[here], lon[here]) > _MOVED_M
    return is_away and distance_m(lat[before], lon[before], lat[after], lon[after]) > _MOVED_M


@njit(cache=True, nogil=True)
def count_moving(points, seconds, lat, lon):  # type: ignore[no-untyped-def]
    """How many fixes of a device move."""
    count = 0
    for at in range(len(points)):
        count += has_moved(points, at, seconds, lat, lon)
    return count


@njit(cache=True, nogil=True)
def is_replacement(mine, theirs, seconds, lat, lon, outlier_m):  # type: ignore[no-untyped-def]
    """Whether one device goes on where the other fell silent for good: until then it stood within `outlier_m`.

    But for single fixes astray.
    """
    if not len(mine) or not len(theirs):
        return False
    end, begin = mine[-1], mine[0]
    until_end = theirs[: max(first_from(theirs, seconds, seconds[end] + 1e-6), 1)]
    from_begin = theirs[min(first_from(theirs, seconds, seconds[begin]), len(theirs) - 1) :]
    return _stands(until_end, end, lat, lon, outlier_m) or _stands(from_begin, begin, lat, lon, outlier_m)


@njit(cache=True, nogil=True)
def hands_over_in_motion(mine, theirs, seconds, lat, lon, gap_note_s, outlier_m):  # type: ignore[no-untyped-def]
    """Whether one device falls silent on the way where and when the other one begins, and this drives on the same way.

    Two trackers that sleep while the other one reports are at no time seen together for longer.
    """
    for one, other in ((mine, theirs), (theirs, mine)):
        for at in range(1, len(one)):
            left = one[at]
            if at + 1 < len(one) and seconds[one[at + 1]] - seconds[left] <= gap_note_s:
                continue
            first = first_from(other, seconds, seconds[left] - _HANDOVER_S)
            until = first_from(other, seconds, seconds[left] + _HANDOVER_S + 1e-6)
            while 0 < first < until and seconds[other[first]] - seconds[other[first - 1]] <= gap_note_s:
                first += 1
            if first >= min(until, len(other) - 1):
                continue
            came = one[max(first_from(one, seconds, seconds[left] - SAME_TIME_S), 1) - 1]
            goes = other[min(first_from(other, seconds, seconds[other[first]] + SAME_TIME_S), len(other) - 1)]
            if _drives_on(came, left, other[first], goes, seconds, lat, lon, gap_note_s, outlier_m):
                return True
    return False


@njit(cache=True, nogil=True)
def _drives_on(came, left, found, goes, seconds, lat, lon, gap_note_s, outlier_m):  # type: ignore[no-untyped-def]
    """Whether `found` is where a device was that drove from `came` to `left`, or would be, and it goes on alike."""
    before_s, after_s = seconds[left] - seconds[came], seconds[goes] - seconds[found]
    if before_s > gap_note_s or after_s > gap_note_s:
        return False
    moves = distance_m(lat[came], lon[came], lat[left], lon[left]) > _MOVED_M
    if not moves or distance_m(lat[found], lon[found], lat[goes], lon[goes]) <= _MOVED_M:
        return False
    north, east = lat[left] - lat[came], lon[left] - lon[came]
    scale = math.cos(math.radians(lat[left]))
    if north * (lat[goes] - lat[found]) + east * (lon[goes] - lon[found]) * scale * scale <= 0:
        return False
    share = (seconds[found] - seconds[left]) / before_s
    as_far_m = distance_m(lat[left] + share * north, lon[left] + share * east, lat[found], lon[found])
    return min(as_far_m, distance_m(lat[left], lon[left], lat[found], lon[found])) <= outlier_m


@njit(cache=True, nogil=True)
def takes_turns(mine, theirs, seconds, lat, lon):  # type: ignore[no-untyped-def]
    """Whether one device only moves after the other one fell silent for good, or only before it first reported.

    One fix of a tracker that was tried out in the garage, the evening before the other one died on the road, lost the
    40 km of the new tracker's first afternoon.
    """
    if not len(mine) or not len(theirs):
        return False
    until_end = theirs[: first_from(theirs, seconds, seconds[mine[-1]] + 1e-6)]
    from_begin = theirs[first_from(theirs, seconds, seconds[mine[0]]) :]
    return not (count_moving(until_end, seconds, lat, lon) and count_moving(from_begin, seconds, lat, lon))


@njit(cache=True, nogil=True)
def _stands(points, place, lat, lon, outlier_m):  # type: ignore[no-untyped-def]
    """Whether the points are within `outlier_m` of a place: no two in a row, nor a single one, are further away."""
    astray = 0
    for point in points:
        is_away = distance_m(lat[place], lon[place], lat[point], lon[point]) > outlier_m
        astray = astray + 1 if is_away else 0
        if astray == min(2, len(points)):
            return False
    return True


@njit(cache=True, nogil=True)
def points_within(points, seconds, before, after):  # type: ignore[no-untyped-def]
    """The points later than one instant and earlier than another, by two binary searches."""
    edges = [0, 0]
    for number in range(2):
        left, right = edges[0], len(points)
        while left < right:
            middle = (left + right) // 2
            at = seconds[points[middle]]
            if at < after and (number == 1 or at <= before):
                left = middle + 1
            else:
                right = middle
        edges[number] = left
    return points[edges[0] : edges[1]]


@njit(cache=True, nogil=True)
def way_km(way, seconds, lat, lon):  # type: ignore[no-untyped-def]
    """Km to each fix that moves from the fix before."""
    total_km = 0.0
    for at in range(1, len(way)):
        if has_moved(way, at, seconds, lat, lon):
            total_km += distance_m(lat[way[at - 1]], lon[way[at - 1]], lat[way[at]], lon[way[at]]) / 1000
    return total_km


@njit(cache=True, nogil=True)
def moves_without(standing, driving, seconds, lat, lon, odometer, gap_note_s, outlier_m):  # type: ignore[no-untyped-def]
    """Whether a device moves in silences of another one, which is found where it was left and did not count the way.

    It counted less than half of it, by an odometer that counts its other trips, read where it moves next: its first
    reading on waking may be the last one before, which lost 40 of 120 km. Silences before it ever moves prove nothing:
    a tracker that was tried out in the garage the evening before it was built in there lost its first 40 km. A fix
    without a reading proves nothing: of a device that sends one with every second position, 80 km were paid.
    """
    standing = standing[~np.isnan(odometer[standing])]
    if not _odometer_counts(standing, seconds, lat, lon, odometer, gap_note_s, outlier_m):
        return False
    has_driven, left, driven_km = False, -1, 0.0
    for at in range(1, len(standing)):
        before, here = standing[at - 1], standing[at]
        step_m = distance_m(lat[before], lon[before], lat[here], lon[here])
        is_silence = seconds[here] - seconds[before] > gap_note_s and step_m <= outlier_m
        if is_silence:
            left = before if left < 0 else left
            driven_km += way_km(points_within(driving, seconds, seconds[before], seconds[here]), seconds, lat, lon)
        moves = not is_silence and has_moved(standing, at, seconds, lat, lon)
        is_judged = has_driven and (moves or at == len(standing) - 1) and driven_km * 1000 > outlier_m
        if is_judged and 2 * (odometer[here] - odometer[left] - step_m / 1000) < driven_km:
            return True
        if moves:
            has_driven, left, driven_km = True, -1, 0.0
    return False


@njit(cache=True, nogil=True)
def _odometer_counts(points, seconds, lat, lon, odometer, gap_note_s, outlier_m):  # type: ignore[no-untyped-def]
    """Whether a device's odometer counts at least half of its trips, and of each way that it shows over a silence.

    A tracker that counts itself misses what it sleeps over.
    """
    way_m, counted_m = 0.0, 0.0
    for at in range(1, len(points)):
        start, end = points[at - 1], points[at]
        step_m = distance_m(lat[start], lon[start], lat[end], lon[end])
        step_counted_m = 1000 * (odometer[end] - odometer[start])
        if seconds[end] - seconds[start] > gap_note_s:
            if step_m > outlier_m and 2 * step_counted_m < step_m:
                return False
        elif not np.isnan(step_counted_m):
            way_m += step_m * has_moved(points, at, seconds, lat, lon)
            counted_m += step_counted_m
    return way_m >= _LEAST_WAY_M and 2 * counted_m >= way_m
