"""What odometer readings show: whether a difference is plausible, their resolution, and steps by ferry or tow.

Contradictory readings are named in `devices.odometer_events`; odometers that are read seldom in `reading_steps`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.sphere import EARTH_RADIUS_M, cos_degrees, distance_m, is_within


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
