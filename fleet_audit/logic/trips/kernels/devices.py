"""The compiled passes of `device_merge`: when a device hands over to another, and which points fill a primary's gaps.

All take the points of all tracks in one set of arrays, `offsets[k]:offsets[k + 1]` being track k in time order; which
device is the primary of a day is decided in `device_merge`.
"""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.sphere import distance_m

SAME_TIME_S = 60  # two devices are compared where they report so close to each other
_MOVED_M = 100  # a device that is so far from where it was SAME_TIME_S ago, or at its fix before, moves
_DEGREE_M = 111_000  # of latitude, a little too short
LEAST_TOGETHER = 3  # fixes: trips of two clocks may touch for a minute where one ends and the other begins
_UNKNOWN, TOGETHER, ELSEWHERE = 0, 1, 2


@njit(cache=True, nogil=True)
def find_handovers(  # type: ignore[no-untyped-def]
    group, primary, begin, seconds, lat, lon, offsets, located, gap_note_s, stop_min_s, stop_radius_m
):
    """Pieces of each vehicle's track: columns group, owner (the measuring track), low, high (its points), start, end.

    `group`, `primary` and `begin` name the primary of each vehicle-day in order; `located` holds the points with a fix.
    """
    size = len(group)
    of_group, owner, start = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size)
    count = 0
    for day in range(size):
        if day == 0 or group[day] != group[day - 1]:
            start[count] = -np.inf
        elif primary[day] != owner[count - 1]:
            fixes = points_between(located, offsets[owner[count - 1]], offsets[owner[count - 1] + 1])
            start[count] = _next_rest(fixes, begin[day], seconds, lat, lon, gap_note_s, stop_min_s, stop_radius_m)
        else:
            continue
        of_group[count], owner[count] = group[day], primary[day]
        count += 1
    end, low, high = np.full(count, np.inf), np.empty(count, np.int64), np.empty(count, np.int64)
    for piece in range(count):
        if piece + 1 < count and of_group[piece + 1] == of_group[piece]:
            end[piece] = start[piece + 1]
        first, last = offsets[owner[piece]], offsets[owner[piece] + 1]
        low[piece] = first + np.searchsorted(seconds[first:last], start[piece])
        high[piece] = max(low[piece], first + np.searchsorted(seconds[first:last], end[piece]))
    return of_group[:count], owner[:count], low, high, start[:count], end


@njit(cache=True, nogil=True, inline="always")
def points_between(points, low, high):  # type: ignore[no-untyped-def]
    """The points of `low:high`."""
    return points[np.searchsorted(points, low) : np.searchsorted(points, high)]


@njit(cache=True, nogil=True)
def _next_rest(points, begin, seconds, lat, lon, gap_note_s, stop_min_s, stop_radius_m):  # type: ignore[no-untyped-def]
    """First instant from `begin` on from which the points stand for a stop, or fall silent; `begin` without one."""
    size = len(points)
    for at in range(size):
        here = points[at]
        if seconds[here] < begin - gap_note_s:
            continue
        until, is_resting = at, True
        while until < size and seconds[points[until]] < seconds[here] + stop_min_s:
            until += 1
        if seconds[points[min(until, size - 1)]] < begin:
            continue
        is_last = until >= size or seconds[points[min(at + 1, size - 1)]] - seconds[here] > gap_note_s
        for other in points[at : until + 1]:
            if is_last or not is_resting:
                break
            is_resting = distance_m(lat[here], lon[here], lat[other], lon[other]) <= stop_radius_m
        if is_last or is_resting:
            return max(begin, seconds[here])
    return begin


@njit(cache=True, nogil=True)
def fill_gaps(  # type: ignore[no-untyped-def]
    first,
    last,
    owner,
    low,
    high,
    start,
    end,
    seconds,
    lat,
    lon,
    odometer,
    offsets,
    located,
    useful,
    gap_note_s,
    outlier_m,
):
    """Points of other tracks inside the gaps of each piece, with their piece: of each gap those of one track.

    Piece k holds the points `low[k]:high[k]` of track `owner[k]` from `start[k]` to `end[k]`, the tracks of its vehicle
    are `first[k]:last[k]`. The track with most of the `useful` points of a gap fills it, of equals the first.

    A device that was never seen to move along with the primary fills no gap with a way that the primary shows at
    another time and its odometer did not count, and the time after (or before) the primary only if it took over from it
    (or was replaced by it), or first moved after (or last before) the primary reported and shows no such way: two
    clocks an hour apart, of devices that sleep while parked, made 80 km of 40, and 120 km without odometers. An
    odometer that stood proves nothing alone: a tracker counts none itself while it is off.
    """
    points, piece_of = np.empty(len(useful), np.int64), np.empty(len(useful), np.int64)
    count = 0
    for piece in range(len(owner)):
        mine = points_between(located, offsets[owner[piece]], offsets[owner[piece] + 1])
        company = np.full(last[piece] - first[piece], ELSEWHERE)
        replaces, takes_turns = np.zeros((2, last[piece] - first[piece]), np.bool_)
        for track in range(first[piece], last[piece]):
            theirs = points_between(located, offsets[track], offsets[track + 1])
            if track != owner[piece]:
                company[track - first[piece]] = company_of(mine, theirs, 0.0, seconds, lat, lon, outlier_m)[0]
                replaces[track - first[piece]] = is_replacement(mine, theirs, seconds, lat, lon, outlier_m)
                takes_turns[track - first[piece]] = _takes_turns(mine, theirs, seconds, lat, lon)
        at, stop = np.searchsorted(located, low[piece]), np.searchsorted(located, high[piece])
        before = start[piece]
        while at <= stop:
            after = seconds[located[at]] if at < stop else end[piece]
            if after - before > gap_note_s:
                most = useful[:0]
                is_between = before > start[piece] and at < stop
                may_fill = company == TOGETHER
                may_fill |= (company == _UNKNOWN) & (replaces | takes_turns | is_between)
                counted_km = odometer[located[at]] - odometer[located[at - 1]] if is_between else np.nan
                for track in first[piece] + np.flatnonzero(may_fill):
                    inside = _inside(points_between(useful, offsets[track], offsets[track + 1]), seconds, before, after)
                    if len(inside) <= len(most):
                        continue
                    is_taken_over = replaces[track - first[piece]] and not is_between
                    if company[track - first[piece]] == _UNKNOWN and not is_taken_over:
                        theirs = points_between(located, offsets[track], offsets[track + 1])
                        way = _inside(theirs, seconds, before, after)
                        if _is_of_another_time(mine, theirs, way, counted_km, seconds, lat, lon, outlier_m):
                            continue
                    most = inside
                points[count : count + len(most)], piece_of[count : count + len(most)] = most, piece
                count += len(most)
            before = after
            at += 1
    return points[:count], piece_of[:count]


@njit(cache=True, nogil=True)
def _inside(points, seconds, before, after):  # type: ignore[no-untyped-def]
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
def _is_of_another_time(mine, theirs, way, counted_km, seconds, lat, lon, outlier_m):  # type: ignore[no-untyped-def]
    """Whether a device shows in a gap of the primary a way that the primary shows itself, by one difference of clocks.

    The primary's odometer counted less than half of it over the gap, or no readings show what it counted. Under the
    same difference the device is with the primary wherever both report.
    """
    moving = np.array([at for at in range(len(way)) if has_moved(way, at, seconds, lat, lon)], dtype=np.int64)
    if len(moving) < LEAST_TOGETHER:
        return False
    way_km = 0.0
    for at in moving[1:]:
        way_km += distance_m(lat[way[at - 1]], lon[way[at - 1]], lat[way[at]], lon[way[at]]) / 1000
    if 2 * counted_km >= way_km:
        return False
    pivot = way[moving[len(moving) // 2]]
    nearest, nearest_m = -1, np.inf  # of each passing of the pivot: a vehicle in a yard is near it all day
    for at in range(len(mine) + 1):
        metres = np.inf
        if at < len(mine) and abs(lat[mine[at]] - lat[pivot]) < outlier_m / _DEGREE_M:
            metres = distance_m(lat[mine[at]], lon[mine[at]], lat[pivot], lon[pivot])
        if metres <= outlier_m:
            if metres < nearest_m:
                nearest, nearest_m = at, metres
            continue
        if nearest >= 0:
            clock_s = seconds[mine[nearest]] - seconds[pivot]
            company, both = company_of(mine, way, clock_s, seconds, lat, lon, outlier_m)
            is_shown = abs(clock_s) > SAME_TIME_S and company == TOGETHER and 2 * both >= len(moving)
            if is_shown and company_of(mine, theirs, clock_s, seconds, lat, lon, outlier_m)[0] == TOGETHER:
                return True
            nearest, nearest_m = -1, np.inf
    return False


@njit(cache=True, nogil=True)
def company_of(mine, theirs, clock_s, seconds, lat, lon, outlier_m):  # type: ignore[no-untyped-def]
    """Whether a device is with the primary when both report, and how many of its fixes move along with the primary.

    `ELSEWHERE` when mostly more than `outlier_m` away. What counts is above all where one of them moves: parked in one
    yard, devices of any clock are together. They are `TOGETHER` only where both move. `clock_s` is added to the
    device's times.
    """
    apart, moving = np.empty(len(theirs)), np.empty(len(theirs))
    count, moves, both = 0, 0, 0
    if not len(mine) or not len(theirs):
        return _UNKNOWN, both
    at = max(first_from(mine, seconds, seconds[theirs[0]] + clock_s) - 1, 0)
    for number in range(len(theirs)):
        other, now = theirs[number], seconds[theirs[number]] + clock_s
        while at + 1 < len(mine) and abs(seconds[mine[at + 1]] - now) <= abs(seconds[mine[at]] - now):
            at += 1
        if abs(seconds[mine[at]] - now) > SAME_TIME_S:
            continue
        apart[count] = _apart_m(mine, at, other, now, seconds, lat, lon)
        do_move = (has_moved(mine, at, seconds, lat, lon), has_moved(theirs, number, seconds, lat, lon))
        if do_move[0] or do_move[1]:
            moving[moves] = apart[count]
            moves += 1
            both += do_move[0] and do_move[1] and apart[count] <= outlier_m
        count += 1
    is_elsewhere = count > 0 and np.median(apart[:count]) > outlier_m
    if is_elsewhere or (moves >= LEAST_TOGETHER and np.median(moving[:moves]) > outlier_m):
        return ELSEWHERE, both
    return (TOGETHER if both >= LEAST_TOGETHER else _UNKNOWN), both


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
def _takes_turns(mine, theirs, seconds, lat, lon):  # type: ignore[no-untyped-def]
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
