"""The compiled passes of `device_merge`: when a device hands over to another, and which points fill a primary's gaps.

All take the points of all tracks in one set of arrays, `offsets[k]:offsets[k + 1]` being track k in time order; which
device is the primary of a day is decided in `device_merge`.
"""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.device_company import (
    ELSEWHERE,
    LEAST_TOGETHER,
    SAME_TIME_S,
    TOGETHER,
    UNKNOWN,
    company_of,
    first_from,
    hands_over_in_motion,
    has_moved,
    is_replacement,
    moves_without,
    points_between,
    points_within,
    takes_turns,
    way_km,
)
from fleet_audit.logic.trips.kernels.sphere import distance_m

_DEGREE_M = 111_000  # of latitude, a little too short


@njit(cache=True, nogil=True)
def find_handovers(  # type: ignore[no-untyped-def]
    group, primary, begin, seconds, lat, lon, offsets, located, gap_note_s, gap_split_s, stop_min_s, trip_end_dwell_s,
    stop_radius_m,
):  # fmt: skip
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
            next_fixes = points_between(located, offsets[primary[day]], offsets[primary[day] + 1])
            start[count] = _left_on_the_way(
                fixes, next_fixes, begin[day], seconds, lat, lon, gap_note_s, gap_split_s, stop_radius_m
            )
            if np.isnan(start[count]):
                start[count] = _next_rest(
                    fixes, begin[day], seconds, lat, lon, gap_note_s, gap_split_s, stop_min_s, trip_end_dwell_s,
                    stop_radius_m,
                )  # fmt: skip
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


@njit(cache=True, nogil=True)
def _left_on_the_way(  # type: ignore[no-untyped-def]
    points, next_points, begin, seconds, lat, lon, gap_note_s, gap_split_s, stop_radius_m
):
    """When the points fall silent on the way, less than `gap_note_s` before `begin` and for `gap_split_s`; NaN: not so.

    Until `begin` that is too short for a gap that the next device fills: up to 8 km before midnight were lost.
    """
    after, next_after = first_from(points, seconds, begin), first_from(next_points, seconds, begin)
    if after == 0 or next_after == len(next_points):
        return np.nan
    last, found = points[after - 1], next_points[next_after]
    is_silent = after == len(points) or seconds[points[after]] - seconds[last] > gap_split_s
    is_left = has_moved(points, after - 1, seconds, lat, lon) and begin - seconds[last] <= gap_note_s and is_silent
    if not is_left or distance_m(lat[last], lon[last], lat[found], lon[found]) <= stop_radius_m:
        return np.nan
    return seconds[last] + 1e-6  # its last fix is still of the first device


@njit(cache=True, nogil=True)
def _next_rest(  # type: ignore[no-untyped-def]
    points, begin, seconds, lat, lon, gap_note_s, gap_split_s, stop_min_s, trip_end_dwell_s, stop_radius_m
):
    """First instant from `begin` on at which a trip ends whoever measures, or from which the points fall silent.

    It ends in a rest of `trip_end_dwell_s`: there the one device ends its last trip, in a first stop, and the other one
    begins its first. Handed over on arrival, a drive over midnight ended nowhere. Handed over at any stop, the drive
    after it was a trip of the next day, or part of one of the day before, as each window chose its primaries, and a run
    at 05:30 knows little of the next day: 25 of 40 km were lost, or paid twice.
    It is `begin`, too, where they are silent then and found where they were left after such a rest, or silent for so
    long that a trip ends: one that died on the road, and was back two days later, measured the day between them
    without an odometer.
    """
    size, rest_s, until = len(points), trip_end_dwell_s + stop_min_s, 0
    for at in range(size):
        here = points[at]
        if seconds[here] < begin - gap_note_s:
            continue
        last = points[max(at - 1, 0)]
        silent_s = seconds[here] - seconds[last]
        is_silent = seconds[here] > begin and (at == 0 or silent_s > gap_note_s)
        if is_silent and (
            silent_s > gap_split_s
            or (silent_s > rest_s and distance_m(lat[last], lon[last], lat[here], lon[here]) <= stop_radius_m)
        ):
            return begin
        until, is_resting = max(until, at), True
        while until < size and seconds[points[until]] < seconds[here] + rest_s:
            until += 1
        if seconds[points[min(until, size - 1)]] < begin:
            continue
        after_s = np.inf if at + 1 == size else seconds[points[at + 1]] - seconds[here]
        for other in points[at : until + 1]:
            if not is_resting:
                break
            is_resting = distance_m(lat[here], lon[here], lat[other], lon[other]) <= stop_radius_m
        if after_s > gap_split_s and seconds[here] >= begin:
            return seconds[here]
        if is_resting and until < size:
            return max(begin, _stop_end(points, at, seconds, lat, lon, stop_min_s, stop_radius_m))
    return begin


@njit(cache=True, nogil=True)
def _stop_end(points, at, seconds, lat, lon, stop_min_s, stop_radius_m):  # type: ignore[no-untyped-def]
    """The first instant at which points that stand, also at the fix `at`, have stood for a stop."""
    here, first, last = points[at], at, at
    while first > 0 and seconds[here] - seconds[points[first]] < stop_min_s:
        before = points[first - 1]
        if distance_m(lat[before], lon[before], lat[here], lon[here]) > stop_radius_m:
            break
        first -= 1
    while seconds[points[last]] < seconds[points[first]] + stop_min_s:
        last += 1
    return seconds[points[last]] + 1e-6  # the stop's last fix is still of the first device


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

    Then, per track, whether it is not on the vehicle of its primary: one of them moves where the other one stands.

    Piece k holds the points `low[k]:high[k]` of track `owner[k]` from `start[k]` to `end[k]`, the tracks of its vehicle
    are `first[k]:last[k]`. The track with most of the `useful` points of a gap fills it, of equals the first.

    A device that was never seen to move along with the primary fills no gap with a way that the primary shows at
    another time and its odometer did not count, and the time after (or before) the primary only if it took over from it
    (or was replaced by it), or first moved after (or last before) the primary reported and shows no such way: two
    clocks an hour apart, of devices that sleep while parked, made 80 km of 40, and 120 km without odometers. An
    odometer that stood proves nothing alone: a tracker counts none itself while it is off. One that counts the other
    trips does (`moves_without`): a tracker of another bus, registered to the plate, was paid 80 km per night.
    """
    is_apart = np.zeros(len(offsets) - 1, np.bool_)
    points, piece_of = np.empty(len(useful), np.int64), np.empty(len(useful), np.int64)
    count = 0
    for piece in range(len(owner)):
        mine = points_between(located, offsets[owner[piece]], offsets[owner[piece] + 1])
        company = np.full(last[piece] - first[piece], ELSEWHERE)
        replaces, alternates = np.zeros((2, last[piece] - first[piece]), np.bool_)
        for track in range(first[piece], last[piece]):
            theirs, number = points_between(located, offsets[track], offsets[track + 1]), track - first[piece]
            if track == owner[piece]:
                continue
            company[number] = company_of(mine, theirs, 0.0, seconds, lat, lon, outlier_m)[0]
            if company[number] == UNKNOWN and hands_over_in_motion(
                mine, theirs, seconds, lat, lon, gap_note_s, outlier_m
            ):
                company[number] = TOGETHER
            replaces[number] = is_replacement(mine, theirs, seconds, lat, lon, outlier_m)
            alternates[number] = takes_turns(mine, theirs, seconds, lat, lon)
            for one, other in ((mine, theirs), (theirs, mine)):
                if company[number] == UNKNOWN and moves_without(
                    one, other, seconds, lat, lon, odometer, gap_note_s, outlier_m
                ):
                    company[number], is_apart[track] = ELSEWHERE, True
        at, stop = np.searchsorted(located, low[piece]), np.searchsorted(located, high[piece])
        before = start[piece]
        while at <= stop:
            after = seconds[located[at]] if at < stop else end[piece]
            if after - before > gap_note_s:
                most = useful[:0]
                is_between = before > start[piece] and at < stop
                may_fill = company == TOGETHER
                may_fill |= (company == UNKNOWN) & (replaces | alternates | is_between)
                counted_km = odometer[located[at]] - odometer[located[at - 1]] if is_between else np.nan
                for track in first[piece] + np.flatnonzero(may_fill):
                    inside = points_within(
                        points_between(useful, offsets[track], offsets[track + 1]), seconds, before, after
                    )
                    if len(inside) <= len(most):
                        continue
                    is_taken_over = replaces[track - first[piece]] and not is_between
                    if company[track - first[piece]] == UNKNOWN and not is_taken_over:
                        theirs = points_between(located, offsets[track], offsets[track + 1])
                        way = points_within(theirs, seconds, before, after)
                        if _is_of_another_time(mine, theirs, way, counted_km, seconds, lat, lon, outlier_m):
                            continue
                    most = inside
                points[count : count + len(most)], piece_of[count : count + len(most)] = most, piece
                count += len(most)
            before = after
            at += 1
    return points[:count], piece_of[:count], is_apart


@njit(cache=True, nogil=True)
def _is_of_another_time(mine, theirs, way, counted_km, seconds, lat, lon, outlier_m):  # type: ignore[no-untyped-def]
    """Whether a device shows in a gap of the primary a way that the primary shows itself, by one difference of clocks.

    The primary's odometer counted less than half of it over the gap, or no readings show what it counted. Under the
    same difference the device is with the primary wherever both report.
    """
    moving = np.array([at for at in range(len(way)) if has_moved(way, at, seconds, lat, lon)], dtype=np.int64)
    if len(moving) < LEAST_TOGETHER:
        return False
    if 2 * counted_km >= way_km(way, seconds, lat, lon):
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
            company, both, _ = company_of(mine, way, clock_s, seconds, lat, lon, outlier_m)
            is_shown = abs(clock_s) > SAME_TIME_S and company == TOGETHER and 2 * both >= len(moving)
            if is_shown and company_of(mine, theirs, clock_s, seconds, lat, lon, outlier_m)[0] == TOGETHER:
                return True
            nearest, nearest_m = -1, np.inf
    return False
