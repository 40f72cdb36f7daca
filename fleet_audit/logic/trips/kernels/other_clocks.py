"""The compiled search of `other_clocks`: whether a device shows the movements of another one at another time.

A place at each instant is between two fixes of a device, so that the fixes of both may come at any time.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.device_company import (
    ELSEWHERE,
    LEAST_TOGETHER,
    SAME_TIME_S,
    TOGETHER,
    UNKNOWN,
    company_of,
    count_moving,
    first_from,
    hands_over_in_motion,
    has_moved,
    is_replacement,
    points_between,
    way_km,
)
from fleet_audit.logic.trips.kernels.sphere import distance_m

_MOST_CLOCK_S = 14 * 3600  # no zone is further from UTC; a timetable repeats itself after 24 h
_PIVOTS = 8  # fixes of a day whose passing by the other device is tried; a movement may have been missed by it
_ALIKE_S = 10  # clocks that differ by less are tried once: a bus drives 170 m meanwhile
_BESIDE_M = 300  # at one instant two devices of a bus are so close, and a tenth of the step between two fixes
_LEAST_WAY_M = 2_000  # shorter ways, such as those round a yard, are alike at many times
_MOST_APART = 0.25  # of the fixes that the other device shows
_PART = 0.4  # share of its way on a day that a device shows of another which ended before: with less it replaced it
_WHOLE = 0.8  # share of its movement that a device shows which shows all of it


@njit(cache=True, nogil=True)
def find_other_clocks(  # type: ignore[no-untyped-def]
    track, low, high, rank, first, last, device, since_s, until_s, located, offsets, seconds, lat, lon, odometer,
    gap_note_s, compare_step_s, outlier_m, odometer_slack_km, mean_speed_kmh,
):  # fmt: skip
    """Of each day of a device (`low:high` of `located`): what its clock differs by (s), and from which track; NaN, -1.

    Only tracks of a lower `rank` in its vehicle (`first:last` of each track) are asked: theirs is the vehicle's clock,
    and only while both devices are assigned to it (`since_s`, `until_s`). What a device shows along with the other one
    it does not show a second time: a morning's trips are those of the evening before, 12 h later, and of a day on which
    the first of two trackers was off, all day or but for a trip of the night, 40 km were lost. Devices that hand over
    on the way have one clock: of two that sleep while the other one reports, 682 of 8,520 km were lost. Devices that
    move along in one place and apart in others may be one of a timetable of every 2 h and a clock that is 2 h off: the
    trips that it showed in silences of the first one were paid a second time, 37 to 80 km.
    """
    clock, by = np.full(len(track), np.nan), np.full(len(track), -1)
    is_right = np.zeros(len(track), np.bool_)
    for day in range(len(track)):
        own = track[day]
        for other in range(first[own], last[own]):
            if rank[other] >= rank[own] or device[other] == device[own]:
                continue
            begin, end = max(since_s[own], since_s[other]), min(until_s[own], until_s[other])
            theirs = _within(located[low[day] : high[day]], seconds, begin, end)
            mine = _within(points_between(located, offsets[other], offsets[other + 1]), seconds, begin, end)
            if not len(mine) or not len(theirs):
                continue
            whole = _within(points_between(located, offsets[own], offsets[own + 1]), seconds, begin, end)
            company = company_of(mine, theirs, 0.0, seconds, lat, lon, outlier_m)[0]
            is_mixed = company_of(mine, whole, 0.0, seconds, lat, lon, outlier_m)[2] >= LEAST_TOGETHER
            if (company == TOGETHER and not is_mixed) or (
                company == UNKNOWN and hands_over_in_motion(mine, whole, seconds, lat, lon, gap_note_s, outlier_m)
            ):
                is_right[day] = True
                continue
            found_s = _clock_s(mine, theirs, whole, seconds, lat, lon, odometer, gap_note_s, compare_step_s,
                               outlier_m, odometer_slack_km, mean_speed_kmh)  # fmt: skip
            if math.isnan(found_s):
                continue
            if company == TOGETHER and not _fits_better(
                mine, theirs, found_s, seconds, lat, lon, gap_note_s, compare_step_s, outlier_m
            ):
                is_right[day] = True
                continue
            moving = np.array([at for at in range(len(theirs)) if has_moved(theirs, at, seconds, lat, lon)], np.int64)
            begin, end = seconds[theirs[moving[0]]] + found_s, seconds[theirs[moving[-1]]] + found_s
            then = _within(mine, seconds, begin, end)
            is_shown_before = company_of(then, whole, 0.0, seconds, lat, lon, outlier_m)[0] == TOGETHER
            if is_shown_before and not (
                is_mixed
                and _fits_better(mine, whole, found_s, seconds, lat, lon, gap_note_s, compare_step_s, outlier_m)
            ):
                is_right[day] = True
                continue
            clock[day], by[day] = found_s, other
            break
    _agree_within_tracks(clock, by, track, low, high, located, offsets, seconds, lat, lon, gap_note_s, compare_step_s,
                         outlier_m)  # fmt: skip
    found = clock.copy()
    for day in range(len(track)):  # a movement over midnight leaves a day with a few fixes of it
        for beside in (day - 1, day + 1):
            is_next = 0 <= beside < len(track) and track[beside] == track[day] and not math.isnan(found[beside])
            if is_right[day] or not math.isnan(clock[day]) or not is_next:
                continue
            theirs = located[low[day] : high[day]]
            mine = points_between(located, offsets[by[beside]], offsets[by[beside] + 1])
            shown, apart, _ = _along(theirs, mine, found[beside], seconds, lat, lon, gap_note_s, compare_step_s,
                                    outlier_m)  # fmt: skip
            if (shown or not count_moving(theirs, seconds, lat, lon)) and apart <= _MOST_APART * shown:
                clock[day], by[day] = found[beside], by[beside]
    return clock, by


@njit(cache=True, nogil=True)
def _agree_within_tracks(  # type: ignore[no-untyped-def]
    clock, by, track, low, high, located, offsets, seconds, lat, lon, gap_note_s, compare_step_s, outlier_m
):
    """Give each day the clock of most of its track where it fits; take away one that shows a movement a second time.

    A bus drives one road twice a day: after the first device died, each trip of the second one was also the one before,
    11 h later, and was paid to nobody.
    """
    own_clock, own_by = clock.copy(), by.copy()
    for day in range(len(track)):
        if own_by[day] < 0:
            continue
        whole = points_between(located, offsets[track[day]], offsets[track[day] + 1])
        mine = points_between(located, offsets[own_by[day]], offsets[own_by[day] + 1])
        common_s = own_clock[day]
        shown, apart, _ = _along(whole, mine, common_s, seconds, lat, lon, gap_note_s, compare_step_s, outlier_m)
        best = shown - apart
        for other in range(len(track)):
            if track[other] == track[day] and own_by[other] == own_by[day]:
                shown, apart, _ = _along(whole, mine, own_clock[other], seconds, lat, lon, gap_note_s, compare_step_s,
                                         outlier_m)  # fmt: skip
                is_less = abs(own_clock[other]) < abs(common_s)  # of equal ones: most clocks are 1 to 3 h off
                if shown - apart > best or (shown - apart == best and is_less):
                    best, common_s = shown - apart, own_clock[other]
        if abs(common_s - own_clock[day]) <= SAME_TIME_S:
            continue
        theirs = located[low[day] : high[day]]
        shown, apart, _ = _along(theirs, mine, common_s, seconds, lat, lon, gap_note_s, compare_step_s, outlier_m)
        if shown >= LEAST_TOGETHER and apart <= _MOST_APART * shown:
            clock[day] = common_s
            continue
        begin, end = seconds[theirs[0]] + own_clock[day], seconds[theirs[-1]] + own_clock[day]
        shown, apart, _ = _along(_within(mine, seconds, begin, end), whole, -common_s, seconds, lat, lon, gap_note_s,
                                 compare_step_s, outlier_m)  # fmt: skip
        if shown >= LEAST_TOGETHER and apart <= _MOST_APART * shown:
            clock[day], by[day] = np.nan, -1


@njit(cache=True, nogil=True)
def find_unseen(points, clock_s, track, first, last, device, reports, offsets, seconds, lat, lon, gap_split_s):  # type: ignore[no-untyped-def]
    """Which points of a device with another clock move while no other device of its vehicle reports, by either clock.

    By its own clock the other devices are silent for `gap_split_s` before and after it: no step joins it to theirs.
    """
    is_unseen = np.ones(len(points), np.bool_)
    for number in range(len(points)):
        own, now = track[number], seconds[points[number]]
        for other in range(first[own], last[own]):
            theirs = points_between(reports, offsets[other], offsets[other + 1])
            if device[other] == device[own] or not len(theirs):
                continue
            beside = first_from(theirs, seconds, now - gap_split_s) < first_from(theirs, seconds, now + gap_split_s)
            at = first_from(theirs, seconds, now + clock_s[number])
            is_silent = not 0 < at < len(theirs) or seconds[theirs[at]] - seconds[theirs[at - 1]] > gap_split_s
            is_unseen[number] &= is_silent and not beside
    begin = 0
    for end in range(1, len(points) + 1):
        is_end = end == len(points) or is_unseen[end] != is_unseen[begin] or track[end] != track[begin]
        if is_end:
            is_unseen[begin:end] &= 1000 * way_km(points[begin:end], seconds, lat, lon) >= _LEAST_WAY_M
            begin = end
    return is_unseen


@njit(cache=True, nogil=True)
def _within(points, seconds, begin, end):  # type: ignore[no-untyped-def]
    """The points from an instant on that are earlier than another one."""
    return points[first_from(points, seconds, begin) : first_from(points, seconds, end)]


@njit(cache=True, nogil=True)
def _clock_s(  # type: ignore[no-untyped-def]
    mine, theirs, whole, seconds, lat, lon, odometer,
    gap_note_s, compare_step_s, outlier_m, odometer_slack_km, mean_speed_kmh,
):  # fmt: skip
    """The difference of clocks at which one device shows with `mine` what another shows with `theirs`; NaN: none.

    `whole` are all fixes of the other one: a device that replaced the first shows the same road later. The fixes of the
    device that reports less often are looked for on the way of the other: a chord of 10 min shows no instant.
    """
    low = first_from(mine, seconds, seconds[theirs[0]] - _MOST_CLOCK_S)
    near = mine[low : first_from(mine, seconds, seconds[theirs[-1]] + _MOST_CLOCK_S)]
    is_rarer = count_moving(near, seconds, lat, lon) < count_moving(theirs, seconds, lat, lon)
    fixes, path = (near, theirs) if is_rarer else (theirs, near)
    moving = np.array([at for at in range(len(fixes)) if has_moved(fixes, at, seconds, lat, lon)], dtype=np.int64)
    best, best_s, best_m, is_all = 0, np.nan, 0.0, False
    to_show, tried = count_moving(theirs, seconds, lat, lon), np.zeros(2 * _MOST_CLOCK_S // _ALIKE_S + 2, np.bool_)
    for number in range(min(_PIVOTS, len(moving))):
        if is_all:  # each clock that fits was tried where it passes the first fix
            break
        pivot = fixes[moving[(2 * number + 1) * len(moving) // (2 * min(_PIVOTS, len(moving)))]]
        nearest_s, nearest_m = np.nan, np.inf
        for at in range(len(path)):
            metres, clock_s = np.inf, np.nan
            if at + 1 < len(path):
                metres, clock_s = _passing(path[at], path[at + 1], pivot, seconds, lat, lon, gap_note_s, outlier_m)
            if metres < np.inf:
                if metres < nearest_m:
                    nearest_m, nearest_s = metres, -clock_s if is_rarer else clock_s
                continue
            is_clock = nearest_m < np.inf and SAME_TIME_S < abs(nearest_s) <= _MOST_CLOCK_S
            alike = round((nearest_s + _MOST_CLOCK_S) / _ALIKE_S) if is_clock else 0
            if is_clock and not tried[alike]:
                tried[alike] = True
                shown, apart, way_m, of_theirs = _agreement(
                    near, theirs, nearest_s, seconds, lat, lon, gap_note_s, compare_step_s, outlier_m
                )
                is_same = shown >= LEAST_TOGETHER and apart <= _MOST_APART * shown and way_m >= _LEAST_WAY_M
                if is_same and shown - apart > best:
                    best, best_s, best_m = shown - apart, nearest_s, way_m
                    is_all = not apart and of_theirs >= to_show
            nearest_s, nearest_m = np.nan, np.inf
    if not best or _continues(mine, whole, seconds, odometer, odometer_slack_km, mean_speed_kmh):
        return np.nan
    is_apart_in_time = seconds[whole[0]] > seconds[mine[-1]] or seconds[mine[0]] > seconds[whole[-1]]
    if is_apart_in_time and best_m < _PART * _way_m(theirs, seconds, lat, lon):
        return np.nan
    is_whole = best_m >= _WHOLE * _way_m(mine, seconds, lat, lon)
    if not is_whole and _hands_over(mine, whole, seconds, lat, lon, gap_note_s, outlier_m):
        return np.nan
    return best_s


@njit(cache=True, nogil=True)
def _fits_better(mine, theirs, clock_s, seconds, lat, lon, gap_note_s, compare_step_s, outlier_m):  # type: ignore[no-untyped-def]
    """Whether a device moves along with another one more by another clock than by its own."""
    own = _agreement(mine, theirs, 0.0, seconds, lat, lon, gap_note_s, compare_step_s, outlier_m)
    other = _agreement(mine, theirs, clock_s, seconds, lat, lon, gap_note_s, compare_step_s, outlier_m)
    return other[0] - other[1] > own[0] - own[1]


@njit(cache=True, nogil=True)
def _agreement(mine, theirs, clock_s, seconds, lat, lon, gap_note_s, compare_step_s, outlier_m):  # type: ignore[no-untyped-def]
    """How many fixes of both devices move along with the other one and how many are apart from it, the longer way.

    Last, how many of those that move along are of the second device.
    Where steps up to `compare_step_s` show nothing, those up to `gap_note_s` do.
    """
    for most_s in (compare_step_s, gap_note_s):
        there = _along(theirs, mine, clock_s, seconds, lat, lon, most_s, compare_step_s, outlier_m)
        back = _along(mine, theirs, -clock_s, seconds, lat, lon, most_s, compare_step_s, outlier_m)
        if there[0] + back[0] + there[1] + back[1] >= LEAST_TOGETHER:
            break
    return there[0] + back[0], there[1] + back[1], max(there[2], back[2]), there[0]


@njit(cache=True, nogil=True)
def _hands_over(mine, theirs, seconds, lat, lon, gap_note_s, outlier_m):  # type: ignore[no-untyped-def]
    """Whether one device goes on at once where the other fell silent for good, and neither moves without the other."""
    silent_s = max(seconds[theirs[0]], seconds[mine[0]]) - min(seconds[theirs[-1]], seconds[mine[-1]])
    is_apart = company_of(mine, theirs, 0.0, seconds, lat, lon, outlier_m)[0] == ELSEWHERE
    return silent_s <= gap_note_s and not is_apart and is_replacement(mine, theirs, seconds, lat, lon, outlier_m)


@njit(cache=True, nogil=True)
def _way_m(points, seconds, lat, lon):  # type: ignore[no-untyped-def]
    """Metres from each fix of a device that moves to the next one."""
    way_m, before = 0.0, -1
    for at in range(len(points)):
        if has_moved(points, at, seconds, lat, lon):
            if before >= 0:
                way_m += distance_m(lat[before], lon[before], lat[points[at]], lon[points[at]])
            before = points[at]
    return way_m


@njit(cache=True, nogil=True)
def _passing(start, end, pivot, seconds, lat, lon, gap_note_s, outlier_m):  # type: ignore[no-untyped-def]
    """How close a step passes by a fix (m; inf: not beside it), and how much later than the fix was reported (s)."""
    step_s = seconds[end] - seconds[start]
    scale = math.cos(math.radians(lat[pivot]))
    north, east = lat[end] - lat[start], (lon[end] - lon[start]) * scale
    up, right = lat[pivot] - lat[start], (lon[pivot] - lon[start]) * scale
    if step_s > gap_note_s or north * north + east * east == 0:
        return np.inf, np.nan
    share = min(max((up * north + right * east) / (north * north + east * east), 0.0), 1.0)
    here = (lat[start] + share * north, lon[start] + share * (lon[end] - lon[start]))
    metres = distance_m(here[0], here[1], lat[pivot], lon[pivot])
    if metres > _beside_m(start, end, lat, lon, outlier_m):
        return np.inf, np.nan
    return metres, seconds[start] + share * step_s - seconds[pivot]


@njit(cache=True, nogil=True, inline="always")
def _beside_m(start, end, lat, lon, outlier_m):  # type: ignore[no-untyped-def]
    return min(_BESIDE_M + 0.1 * distance_m(lat[start], lon[start], lat[end], lon[end]), outlier_m)


@njit(cache=True, nogil=True)
def _along(fixes, path, clock_s, seconds, lat, lon, most_s, compare_step_s, outlier_m):  # type: ignore[no-untyped-def]
    """How many fixes move along with a path `clock_s` later, how many are apart from it while one moves, and the way.

    Steps of the path beyond `most_s` show nothing. A step of a parked device that reports rarely proves no rest: it may
    sleep over a trip.
    """
    shown, apart, way_m, before = 0, 0, 0.0, -1
    at = 0
    for number in range(len(fixes)):
        fix, now = fixes[number], seconds[fixes[number]] + clock_s
        while at + 2 < len(path) and seconds[path[at + 1]] < now:
            at += 1
        if at + 1 >= len(path) or not seconds[path[at]] <= now <= seconds[path[at + 1]]:
            continue
        start, end = path[at], path[at + 1]
        if seconds[end] - seconds[start] > most_s:
            continue
        do_move = has_moved(fixes, number, seconds, lat, lon)
        path_moves = has_moved(path, at, seconds, lat, lon) or has_moved(path, at + 1, seconds, lat, lon)
        if not (do_move or path_moves):
            continue
        share = (now - seconds[start]) / (seconds[end] - seconds[start])
        here = (lat[start] + share * (lat[end] - lat[start]), lon[start] + share * (lon[end] - lon[start]))
        if distance_m(here[0], here[1], lat[fix], lon[fix]) > _beside_m(start, end, lat, lon, outlier_m):
            apart += path_moves or seconds[end] - seconds[start] <= compare_step_s
        elif do_move and path_moves:
            if before >= 0:
                way_m += distance_m(lat[before], lon[before], lat[fix], lon[fix])
            shown, before = shown + 1, fix
    return shown, apart, way_m


@njit(cache=True, nogil=True)
def _continues(mine, theirs, seconds, odometer, odometer_slack_km, mean_speed_kmh):  # type: ignore[no-untyped-def]
    """Whether the odometer of the device that began later goes on where that of the other one ended."""
    early, late = (mine, theirs) if seconds[mine[0]] <= seconds[theirs[0]] else (theirs, mine)
    left = late[:0]
    for at in range(len(early) - 1, -1, -1):
        if not math.isnan(odometer[early[at]]):
            left = early[at : at + 1]
            break
    for point in late:
        if len(left) and not math.isnan(odometer[point]):
            counted_km, passed_s = odometer[point] - odometer[left[0]], max(seconds[point] - seconds[left[0]], 0.0)
            return -odometer_slack_km <= counted_km <= odometer_slack_km + mean_speed_kmh * passed_s / 3600
    return False
