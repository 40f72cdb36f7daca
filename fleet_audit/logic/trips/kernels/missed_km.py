"""Steps whose odometer counted less than their chords: no usable reading, because no bus drives less than the chord.

What a step without a reading adds to a distance is in `kernels.steps`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.odometer import is_missed, is_plausible
from fleet_audit.logic.trips.kernels.sphere import distance_m


@njit(cache=True, nogil=True, inline="always")
def _is_caught_up(owed_km, counted_km, slack_km, agree_pct, most_detour_pct):  # type: ignore[no-untyped-def]
    """Whether chords prove that the odometer stood, and it then counted what they owe and at most the detour more."""
    is_owed = is_missed(owed_km, 0.0, slack_km, agree_pct) and not is_missed(owed_km, counted_km, slack_km, agree_pct)
    return is_owed and counted_km <= owed_km * (1 + most_detour_pct / 100) + slack_km


@njit(cache=True, nogil=True)
def find_missed_km(  # type: ignore[no-untyped-def]
    seconds, lat, lon, metres, odometer, is_unseen, start, end, first_reading, last_reading, track, offsets, resolution,
    counting_step_km, fine_step_s, compare_step_s, radius_m, outlier_m, agree_pct, most_detour_pct, impossible_kmh,
    odometer_slack_km,
):  # fmt: skip
    """is_unread and is_repaid of the step to each point; has_missed and the last reading of each movement.

    Movements lead from point start[k] to end[k].

    Only steps beyond `fine_step_s` with their ends beyond `radius_m` apart prove anything; not those of `is_unseen`,
    over which the vehicle was carried or the odometer gives the place. Their chords must exceed what the odometer
    counted from reading to reading by `radius_m` (the fixes' error), the odometer's resolution and `agree_pct`.

    A single fix, which may be astray or old, proves nothing (`_is_proven`): the odometer holds, and the chords are only
    held against it as the doubt of what it counted. Where frequent positions measure the movement, they are not.

    Equal readings and the first one that differs are judged together: an odometer that stands and then counts what it
    missed holds over both. Where it stands at the end of a movement and catches up before the vehicle moves on, by what
    the chords owe and at most `most_detour_pct` more, that reading is the movement's last one; a step without a fix in
    which it caught up is_repaid, because nobody drove in it. Where it stood over a halt and caught up on the way,
    neither movement is measured by it, so that nothing counts twice.

    Of an odometer that counts in kilometres no step has a usable reading: one that crosses its next 5 km in a step of 3
    counts 5, and the chords of the steps beside it would count twice. The chords are the path, held against all that it
    counted over the movement. They measure one that is shorter than its step, over which it counted nothing, or of
    which steps up to `compare_step_s` hold half.

    Each movement is also judged as a whole: an odometer that misses a little at each step. In a movement that missed km
    no step beyond `fine_step_s` and up to `compare_step_s` has a usable reading: its path counts.
    """
    points = (seconds, lat, lon, metres, odometer, is_unseen)
    is_unread = np.zeros(len(seconds), dtype=np.bool_)
    is_repaid = np.zeros(len(seconds), dtype=np.bool_)
    until = last_reading.copy()
    has_missed = np.zeros(len(start), dtype=np.bool_)
    owed_km, owed_from, owed_track = 0.0, math.nan, -1
    for k in range(len(start)):
        low, high, of = first_reading[k], last_reading[k], track[k]
        if low < 0 or high <= low:
            continue
        slack_km = radius_m / 1000 + resolution[of]
        if counting_step_km[of] > 0:
            chords_km = _mark_chords(metres, is_unseen, start[k], end[k], is_unread)
            counted_km = odometer[high] - odometer[low]
            has_missed[k] = (
                chords_km < counting_step_km[of]
                or counted_km <= 0
                or is_missed(chords_km, counted_km, slack_km, agree_pct)
                or _is_mostly_seen(points, start[k], end[k], compare_step_s)
            )
            continue
        limits = (slack_km, agree_pct, outlier_m / 1000, impossible_kmh, odometer_slack_km)
        if of != owed_track or odometer[low] != owed_from:
            owed_km = 0.0
        is_mostly_seen = _is_mostly_seen(points, low, high, compare_step_s)
        has_missed[k], until[k], owed_km = _judge_movement(
            points, low, high, offsets[of + 1], owed_km, is_mostly_seen, fine_step_s, radius_m, most_detour_pct, limits,
            is_unread, is_repaid,
        )  # fmt: skip
        owed_from, owed_track = odometer[high], of
        if has_missed[k]:
            for i in range(start[k] + 1, end[k] + 1):
                is_unread[i] = is_unread[i] or fine_step_s < seconds[i] - seconds[i - 1] <= compare_step_s
    return is_unread, is_repaid, has_missed, until


@njit(cache=True, nogil=True)
def _judge_movement(  # type: ignore[no-untyped-def]
    points, low, high, track_end, owed_km, is_mostly_seen, fine_step_s, radius_m, most_detour_pct, limits, is_unread,
    is_repaid,
):  # fmt: skip
    """Whether a movement between two readings missed km, its last reading, and what its odometer then still owes.

    `owed_km`: what it owes from the movement before. Sets is_unread and is_repaid of the steps to its points.
    """
    seconds, _, _, metres, odometer, is_unseen = points
    slack_km, agree_pct, _, impossible_kmh, odometer_slack_km = limits
    anchor = previous = low  # the reading at which the odometer began to stand, and the last one
    stood_km = still_km = chords_km = counted_km = 0.0  # chords while it stands, and with those of short steps
    has_missed = False
    while previous < high:
        at, step_km, moved_km = _next_reading(seconds, metres, odometer, is_unseen, previous, fine_step_s, radius_m)
        counted = odometer[at] - odometer[previous]
        chords_km += step_km
        counted_km += max(counted, 0.0)
        if counted == 0:
            stood_km, still_km, previous = stood_km + step_km, still_km + moved_km, at
            continue
        both_km = stood_km + step_km
        is_sound = is_plausible(counted, seconds[at] - seconds[previous], impossible_kmh, odometer_slack_km)
        is_unproven = False
        if not is_sound or is_missed(both_km, counted, slack_km, agree_pct):
            stretch = (low, anchor, previous, at, high)
            is_unproven, is_stand_unread, is_step_unread = _unread_steps(
                points, stretch, is_sound, stood_km, step_km, limits
            )
        else:  # of what the movement before owes, a part is counted here
            is_step_unread = owed_km > 0 and not is_missed(owed_km + both_km, counted, slack_km, agree_pct)
            is_stand_unread = is_step_unread
        if is_unproven:
            is_unread[anchor + 1 : at + 1] = not is_mostly_seen
        else:
            if is_stand_unread:
                is_unread[anchor + 1 : previous + 1] = True
            if is_step_unread:
                is_unread[previous + 1 : at + 1] = True
            has_missed = has_missed or is_stand_unread or is_step_unread
            owed_km += still_km
            if is_sound and moved_km == 0 and _is_caught_up(owed_km, counted, slack_km, agree_pct, most_detour_pct):
                is_unread[anchor + 1 : at + 1] = True
                is_repaid[previous + 1 : at + 1] = is_unseen[previous + 1 : at + 1]
        owed_km = stood_km = still_km = 0.0
        anchor = previous = at
    until = high
    if is_missed(still_km, 0.0, slack_km, agree_pct):
        owed_km += still_km
        catch_up = _next_count(metres, odometer, is_unseen, high, track_end, radius_m)
        counted = odometer[catch_up] - odometer[high] if catch_up >= 0 else 0.0
        if _is_caught_up(owed_km, counted, slack_km, agree_pct, most_detour_pct):
            until = catch_up
            chords_km -= stood_km
            is_unread[anchor + 1 : high + 1] = True
            stood_km = 0.0
    if _has_stood(points, (low, anchor, high, high), stood_km, limits):
        is_unread[anchor + 1 : high + 1] = True
        has_missed = True
    if not has_missed and _is_missed_in_all(points, low, high, chords_km, counted_km, limits):
        has_missed = True
        _mark_short_steps(odometer, metres, is_unseen, low, high, is_unread)
    return has_missed, until, owed_km


@njit(cache=True, nogil=True, inline="always")
def _next_reading(seconds, metres, odometer, is_unseen, point, fine_step_s, radius_m):  # type: ignore[no-untyped-def]
    """The next point with a reading, and the km of chords to it: of the steps that prove anything, and of all."""
    step_km = moved_km = 0.0
    while True:
        point += 1
        if metres[point] > radius_m and not is_unseen[point]:
            moved_km += metres[point] / 1000
            step_km += metres[point] / 1000 if seconds[point] - seconds[point - 1] > fine_step_s else 0.0
        if not math.isnan(odometer[point]):
            return point, step_km, moved_km


@njit(cache=True, nogil=True)
def _unread_steps(points, stretch, is_sound, stood_km, step_km, limits):  # type: ignore[no-untyped-def]
    """Of an odometer that stood from anchor to previous and then counts less than the chords, or what no bus drives.

    Whether the chords prove nothing; which steps remain without a usable reading: where it stood, and the last one.
    """
    slack_km, agree_pct, _, _, _ = limits
    low, anchor, previous, at, high = stretch
    has_stood = _has_stood(points, (low, anchor, previous, high), stood_km, limits)
    if not is_sound:
        return False, has_stood, False
    if not has_stood and not _is_proven(points, anchor, at, low, high, stood_km + step_km, limits):
        return True, False, False
    _, _, _, _, odometer, _ = points
    is_step_missed = is_missed(step_km, odometer[at] - odometer[previous], slack_km, agree_pct)
    return False, has_stood or not is_step_missed, is_step_missed or not has_stood


@njit(cache=True, nogil=True, inline="always")
def _has_stood(points, stretch, stood_km, limits):  # type: ignore[no-untyped-def]
    """Whether it is proven that the odometer stood from anchor to previous while the vehicle drove."""
    low, anchor, previous, high = stretch
    return is_missed(stood_km, 0.0, limits[0], limits[1]) and _is_proven(
        points, anchor, previous, low, high, stood_km, limits
    )


@njit(cache=True, nogil=True)
def _is_missed_in_all(points, low, high, chords_km, counted_km, limits):  # type: ignore[no-untyped-def]
    """Whether a movement's chords exceed what its odometer counted, even if one of its fixes is false."""
    slack_km, agree_pct, astray_km, _, _ = limits
    if not is_missed(chords_km, counted_km, slack_km, agree_pct):
        return False
    excess_km = min(_largest_excess_km(points, low, high), astray_km)
    return is_missed(chords_km - excess_km, counted_km, slack_km, agree_pct)


@njit(cache=True, nogil=True)
def _is_proven(points, first, last, low, high, way_km, limits):  # type: ignore[no-untyped-def]
    """Whether the points first to last missed a part of their way of `way_km`, even if one of their fixes is false.

    One that is astray lengthens the steps on both of its sides, together by no more than an outlier is away; one that
    is old by half a step the step after it. The first and the last fix are judged together with the step beyond them,
    unless that has no plausible reading, no fix, or is outside of the movement.
    """
    seconds, lat, lon, metres, odometer, is_unseen = points
    slack_km, agree_pct, astray_km, impossible_kmh, odometer_slack_km = limits
    counted_km = odometer[last] - odometer[first]
    excess_km = min(_largest_excess_km(points, first, last), astray_km)
    if not is_missed(way_km - excess_km, counted_km, slack_km, agree_pct):
        return False
    for outer, end in ((first - 1, first), (last + 1, last)):
        step = max(outer, end)
        if outer < low or outer > high or is_unseen[end] or is_unseen[end + 1]:
            continue
        counted = odometer[step] - odometer[step - 1]
        if not is_plausible(counted, seconds[step] - seconds[step - 1], impossible_kmh, odometer_slack_km):
            continue
        both_km = way_km + metres[step] / 1000 - min(_detour_km(lat, lon, metres, end), astray_km)
        if not is_missed(both_km, counted_km + counted, slack_km, agree_pct):
            return False
    return True


@njit(cache=True, nogil=True, inline="always")
def _detour_km(lat, lon, metres, point):  # type: ignore[no-untyped-def]
    """What the two steps by way of a point are longer than the way from the point before it to the one after it."""
    direct_m = distance_m(lat[point - 1], lon[point - 1], lat[point + 1], lon[point + 1])
    return (metres[point] + metres[point + 1]) / 1000 - direct_m / 1000


@njit(cache=True, nogil=True)
def _is_mostly_seen(points, low, high, compare_step_s):  # type: ignore[no-untyped-def]
    """Whether steps up to `compare_step_s` hold half of the way: the path then measures it beside the odometer."""
    seconds, _, _, metres, _, _ = points
    seen_m = all_m = 0.0
    for i in range(low + 1, high + 1):
        step_m = 0.0 if math.isnan(metres[i]) else metres[i]
        all_m += step_m
        seen_m += step_m if seconds[i] - seconds[i - 1] <= compare_step_s else 0.0
    return 2 * seen_m >= all_m


@njit(cache=True, nogil=True)
def _largest_excess_km(points, first, last):  # type: ignore[no-untyped-def]
    """How much of the way from first to last one fix may have added: its detour, beyond what the odometer counted."""
    _, lat, lon, metres, odometer, is_unseen = points
    largest_km = 0.0
    for i in range(first + 1, last):
        if is_unseen[i] or is_unseen[i + 1]:
            continue
        excess_km = _detour_km(lat, lon, metres, i)
        counted_km = odometer[i + 1] - odometer[i - 1]
        if counted_km >= 0:
            excess_km = min(excess_km, (metres[i] + metres[i + 1]) / 1000 - counted_km)
        largest_km = max(largest_km, excess_km)
    return largest_km


@njit(cache=True, nogil=True)
def _next_count(metres, odometer, is_unseen, point, track_end, radius_m):  # type: ignore[no-untyped-def]
    """The first point after `point` whose reading differs, before the vehicle is seen to move; -1: none."""
    for i in range(point + 1, track_end):
        if metres[i] > radius_m and not is_unseen[i]:
            return -1
        if not math.isnan(odometer[i]) and odometer[i] != odometer[point]:
            return i
    return -1


@njit(cache=True, nogil=True)
def _mark_short_steps(odometer, metres, is_unseen, low, high, is_unread):  # type: ignore[no-untyped-def]
    """Sets is_unread of the steps from reading to reading whose chords are longer than what the odometer counted."""
    previous, step_km = low, 0.0
    for i in range(low + 1, high + 1):
        step_km += 0.0 if is_unseen[i] or math.isnan(metres[i]) else metres[i] / 1000
        if math.isnan(odometer[i]):
            continue
        if step_km > odometer[i] - odometer[previous]:
            is_unread[previous + 1 : i + 1] = True
        previous, step_km = i, 0.0


@njit(cache=True, nogil=True)
def _mark_chords(metres, is_unseen, start, end, is_unread):  # type: ignore[no-untyped-def]
    """Sets is_unread of the seen steps from start to end; their chords in km."""
    chords_km = 0.0
    for i in range(start + 1, end + 1):
        if not is_unseen[i] and not math.isnan(metres[i]):
            is_unread[i] = True
            chords_km += metres[i] / 1000
    return chords_km
