"""Which points are accepted: impossible speeds, lone outliers and drift of a parked receiver are rejected.

False fixes are found before, in `track.fixes`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.sphere import arc_m, cos_degrees, distance_m, is_within, measure_steps

ACCEPTED, IMPOSSIBLE_SPEED, LONE_OUTLIER, PARKED_DRIFT, NO_FIX = 0, 1, 2, 3, 4
REASONS = ("", "impossible_speed", "lone_outlier", "parked_drift", "no_fix")


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
    cosines = np.empty(np.max(np.diff(offsets)) if len(offsets) > 1 else 0)
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        if low == high:
            continue
        for i in range(low, high):
            cosines[i - low] = cos_degrees(lat[i])
        measure_steps(lat[low:high], lon[low:high], cosines, metres[low:high])
        last, cos_last = low, cosines[0]
        read = read_last = odometer[low]  # readings are carried forward to points without one
        is_parked = False
        pending = 0
        for i in range(low + 1, high):
            from_before = step_m = metres[i]
            if not math.isnan(odometer[i]):
                read = odometer[i]
            if last < i - 1:
                step_m = arc_m(lat[last], lon[last], cos_last, lat[i], lon[i], cosines[i - low])
            elapsed = seconds[i] - seconds[last]
            if not is_possible(step_m, elapsed, impossible_kmh, outlier_m):
                reason[i] = IMPOSSIBLE_SPEED
                agrees = is_possible(from_before, seconds[i] - seconds[i - 1], impossible_kmh, outlier_m)
                pending = pending + 1 if pending and agrees else 1
                metres[i] = from_before if pending > 1 else step_m
                if pending >= release_points:
                    first = i - pending + 1
                    reason[first : i + 1] = ACCEPTED
                    is_jump[first] = True
                    last, cos_last, read_last, pending, is_parked = i, cosines[i - low], read, 0, False
                continue
            pending, metres[i] = 0, step_m
            if step_m > outlier_m and elapsed > sleep_s:
                elsewhere = _fixes_elsewhere(
                    seconds, lat, lon, last, i, min(i + release_points, high - 1), impossible_kmh, outlier_m
                )
                if elsewhere:
                    reason[i] = LONE_OUTLIER
                    continue
            if step_m > radius_m and i + 1 < high:
                counted = (read if math.isnan(odometer[i + 1]) else odometer[i + 1]) - read_last
                # nor does a missing odometer prove a trip
                if not counted * 1000 >= step_m and is_within(
                    lat[last], lon[last], cos_last, lat[i + 1], lon[i + 1], radius_m
                ):
                    if step_m > outlier_m:
                        reason[i] = LONE_OUTLIER
                        continue
                    if is_parked:
                        reason[i] = PARKED_DRIFT
                        continue
            is_parked = elapsed > 0 and step_m * 3.6 < standing_kmh * elapsed
            last, cos_last, read_last = i, cosines[i - low], read


@njit(cache=True, nogil=True)
def mark_located(lat, lon, is_lost, low, high, is_located):  # type: ignore[no-untyped-def]
    """Writes of the points low … high - 1 whether they have coordinates that are a fix."""
    for at in range(low, high):
        is_located[at] = not (math.isnan(lat[at]) or math.isnan(lon[at]) or is_lost[at])
