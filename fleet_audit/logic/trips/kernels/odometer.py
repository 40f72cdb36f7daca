"""What odometer readings show: whether a difference is plausible, their resolution, and steps by ferry or tow.

Contradictory readings are named in `devices.odometer_events`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.sphere import EARTH_RADIUS_M, cos_degrees, distance_m, is_within

_STEP_ODDS = 1e6
_LONGEST_STEP_KM = 10.0
_BEHIND_SHARE = 0.25


@njit(cache=True, nogil=True, inline="always")
def is_plausible(counted, elapsed, impossible_kmh, odometer_slack_km):  # type: ignore[no-untyped-def]
    """Whether an odometer can count `km` in `seconds`; False where either is missing."""
    return 0 <= counted <= impossible_kmh * elapsed / 3600 + odometer_slack_km


@njit(cache=True, nogil=True, inline="always")
def is_missed(way_km, counted_km, doubt_km, agree_pct):  # type: ignore[no-untyped-def]
    """Whether a way proves that the odometer counted too little, because no vehicle drives less than a chord."""
    return way_km * (1 - agree_pct / 100) - doubt_km > counted_km + 1e-6


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
            south = north = lat[first]
            west = east = lon[first]
            if ignition[first] == 0 and not math.isnan(odometer[first]):
                while (
                    last + 1 < high
                    and ignition[last + 1] == 0
                    and odometer[last + 1] == odometer[first]
                    and not is_split[last + 1]
                ):
                    last += 1
                    south, north = min(south, lat[last]), max(north, lat[last])
                    west, east = min(west, lon[last]), max(east, lon[last])
            least_m = max(carried_min_m, 2000 * resolution[track])
            # A parked bus, as nearly always: no two of its points are so far apart.
            is_narrow = math.radians(north - south + east - west) * EARTH_RADIUS_M < 0.999 * least_m
            if last > first and not is_narrow:
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
                if apart_m >= least_m and moved_m * 3.6 <= carried_max_kmh * moved_s:
                    is_carried[leave + 1 : arrive + 1] = True
            first = last + 1


@njit(cache=True, nogil=True)
def counted_at_rest(  # type: ignore[no-untyped-def]
    seconds, odometer, readings, is_inside, resolution, impossible_kmh, odometer_slack_km
):
    """Kilometres that each step from reading to reading inside a dwell counts; 0 outside of dwells.

    NaN where the two readings are not of one odometer that holds. A reading that flickers below the highest one by no
    more than the odometer's resolution counts nothing, nor does its way back: one of 0.1 km hid that a bus stood.
    """
    result = np.zeros(len(is_inside))
    highest = math.nan
    for k in range(len(is_inside)):
        if not is_inside[k]:
            highest = math.nan
            continue
        first, last = readings[k], readings[k + 1]
        if math.isnan(highest):
            highest = odometer[first]
        counted = odometer[last] - highest
        if -resolution[k] - 1e-6 <= counted <= 0:
            continue
        is_sound = is_plausible(counted, seconds[last] - seconds[first], impossible_kmh, odometer_slack_km)
        result[k] = counted if is_sound else math.nan
        highest = odometer[last]
    return result


@njit(most_interpreted=200, cache=True, nogil=True)  # a day's visit reports of a small fleet
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
def find_counting_steps(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, offsets, resolution, radius_m, fine_step_s, compare_step_s, agree_pct,
    impossible_kmh, odometer_slack_km,
):  # fmt: skip
    """Kilometres in which each track's odometer counts where these are more than 1 km, else 0.

    All its differences are multiples of one step, which happens to fine readings once in _STEP_ODDS times; and its
    vehicle is often further from its reading than the odometer counted. Of a device that reports every 5 km, or of an
    even speed, all differences are equal too, but the odometer counts them when they are driven.

    Equal legs have equal differences as well, of any odometer that is read at halts: only readings that change on the
    way prove anything, and one that changes while the vehicle stands proves that the odometer has no such step.
    """
    result = np.zeros(len(offsets) - 1)
    for track in range(len(offsets) - 1):
        part = slice(offsets[track], offsets[track + 1])
        limits = impossible_kmh, odometer_slack_km
        divisor, changes = _common_divisor(seconds[part], odometer[part], resolution[track], limits)
        step_km = divisor * resolution[track]
        if not 1 < step_km <= _LONGEST_STEP_KM or changes * math.log(divisor) <= math.log(_STEP_ODDS):
            continue
        changes = _changes_on_the_way(
            seconds[part], lat[part], lon[part], odometer[part], resolution[track], radius_m, fine_step_s,
            compare_step_s, agree_pct, limits,
        )  # fmt: skip
        if changes * math.log(divisor) > math.log(_STEP_ODDS):
            result[track] = step_km
    return result


@njit(cache=True, nogil=True)
def _common_divisor(seconds, odometer, resolution, limits):  # type: ignore[no-untyped-def]
    """The greatest divisor of a track's plausible differences, in units of its resolution, and their number."""
    impossible_kmh, odometer_slack_km = limits
    divisor = changes = 0
    before = -1
    for i in range(len(odometer)):
        if math.isnan(odometer[i]):
            continue
        counted = odometer[i] - odometer[before] if before >= 0 else 0.0
        if counted > 0 and is_plausible(counted, seconds[i] - seconds[before], impossible_kmh, odometer_slack_km):
            rest = round(counted / resolution)
            while rest:
                divisor, rest = rest, divisor % rest
            changes += 1
            if divisor == 1:
                break
        before = i if before < 0 or counted != 0 else before
    return divisor, changes


@njit(cache=True, nogil=True)
def _changes_on_the_way(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, resolution, radius_m, fine_step_s, compare_step_s, agree_pct, limits
):  # fmt: skip
    """How often a track's reading changes away from halts; 0 where one changes at a halt, or too few were behind.

    A halt: points within `radius_m` of the first one for more than `fine_step_s`. A reading is behind where the way is
    longer than what it counts. Where steps exceed `compare_step_s` only the way to the next change shows that: the
    vehicle may halt, and be read, at each of such points. At 300 s about half of the readings are behind; a single one
    of an even speed is, where one fix is old.
    """
    impossible_kmh, odometer_slack_km = limits
    changes = pending = differences = behind = 0
    is_behind = False
    before = repeated = place = -1
    way_km = 0.0
    for i in range(len(odometer)):
        is_located = not (math.isnan(lat[i]) or math.isnan(lon[i]))
        has_stood = False
        if is_located:
            place = i if place < 0 else place
            piece_m = distance_m(lat[place], lon[place], lat[i], lon[i])
            if piece_m > radius_m:
                changes += pending
                way_km, place, pending = way_km + piece_m / 1000, i, 0
            has_stood = seconds[i] - seconds[place] > fine_step_s
            pending = 0 if has_stood else pending
        if math.isnan(odometer[i]):
            continue
        counted = odometer[i] - odometer[before] if before >= 0 else math.nan
        if before >= 0 and is_plausible(counted, seconds[i] - seconds[before], impossible_kmh, odometer_slack_km):
            is_short = is_missed(way_km, counted, radius_m / 1000 + resolution, agree_pct)
            is_seen = seconds[i] - seconds[i - 1] <= compare_step_s
            is_behind = is_behind or (is_short and (counted > 0 or is_seen))
            if counted == 0:
                repeated = i
                continue
            if has_stood and is_seen and repeated >= place:
                return 0
            differences += 1
            behind += is_behind
            pending += is_located and not has_stood
        before = repeated = i
        way_km, is_behind = 0.0, False
    return changes + pending if behind > _BEHIND_SHARE * differences else 0


@njit(cache=True, nogil=True)
def readings_until(odometer, offsets, track, points):  # type: ignore[no-untyped-def]
    """The last point with a reading at or before each point, which lies in `track[k]`; -1: none.

    Looked for back to the point asked before, whose answer is known: points in order are answered in linear time, also
    of a track without any reading.
    """
    result = np.empty(len(points), dtype=np.int64)
    found = asked = -1
    for k in range(len(points)):
        i = points[k]
        if k == 0 or track[k] != track[k - 1] or i < asked:
            found, asked = -1, offsets[track[k]] - 1
        while i > asked and math.isnan(odometer[i]):
            i -= 1
        if i > asked:
            found = i
        result[k], asked = found, points[k]
    return result


@njit(cache=True, nogil=True)
def readings_from(odometer, offsets, track, points):  # type: ignore[no-untyped-def]
    """The first point with a reading at or after each point, which lies in `track[k]`; -1: none."""
    result = np.empty(len(points), dtype=np.int64)
    found = asked = -1
    for k in range(len(points) - 1, -1, -1):
        i = points[k]
        if k == len(points) - 1 or track[k] != track[k + 1] or i > asked:
            found, asked = -1, offsets[track[k] + 1]
        while i < asked and math.isnan(odometer[i]):
            i += 1
        if i < asked:
            found = i
        result[k], asked = found, points[k]
    return result
