"""False fixes: the device knew no place and sent (0, 0) or its last known place again.

Points without a fix are placed by what their odometer counted; outliers among true fixes are in `points`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.odometer import is_plausible
from fleet_audit.logic.trips.kernels.point_filter import is_possible
from fleet_audit.logic.trips.kernels.sphere import EARTH_RADIUS_M, distance_m
from fleet_audit.logic.trips.track.tracks import Tracks

_NULL_ISLAND_DEGREES = 0.001  # 111 m around (0, 0): no land is near
_STALE_POINTS = 30  # search range for a device's last known place
_KM_DEGREES = 1000 / (EARTH_RADIUS_M * math.pi / 180)


def lost_fixes(tracks: Tracks, resolution_km: np.ndarray, parameters: ParameterSet) -> np.ndarray:
    """Whether the coordinates of each point are a false fix."""
    with np.errstate(invalid="ignore"):
        is_lost = (np.abs(tracks.latitude) < _NULL_ISLAND_DEGREES) & (np.abs(tracks.longitude) < _NULL_ISLAND_DEGREES)
        is_lost |= (np.abs(tracks.latitude) > 90) | (np.abs(tracks.longitude) > 180)
    find_repeated_fixes(
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        tracks.odometer_km,
        tracks.offsets,
        resolution_km,
        parameters.stop_radius_m,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
        parameters.outlier_m,
        is_lost,
    )
    return is_lost


@njit(cache=True, nogil=True)
def find_repeated_fixes(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, offsets, resolution, radius_m, impossible_kmh, slack_km, outlier_m, is_lost
):
    """Sets is_lost of points that repeat the coordinates before them to the last digit while the vehicle moved.

    The odometer counts plausibly more than `radius_m` and its resolution over them; or, where no point has a reading,
    the three fixes that follow agree and could only be reached had the vehicle left some of the repetitions earlier.
    """
    for track in range(len(offsets) - 1):
        high = offsets[track + 1]
        i = offsets[track]
        before = -1
        while i < high:
            if math.isnan(lat[i]) or math.isnan(lon[i]) or is_lost[i]:
                i += 1
                continue
            last, following = i, i + 1
            while following < high:
                if not (math.isnan(lat[following]) or math.isnan(lon[following]) or is_lost[following]):
                    if lat[following] != lat[i] or lon[following] != lon[i]:
                        break
                    last = following
                following += 1
            if last > i:
                if _counts_on(seconds, odometer, i, last, resolution[track], radius_m, impossible_kmh, slack_km):
                    _lose_counted(lat, odometer, i, last, is_lost)
                elif not _has_reading(odometer, i, last):
                    _lose_late(seconds, lat, lon, i, last, following, high, impossible_kmh, outlier_m, is_lost)
            elif before >= 0 and following < high:
                is_lost[i] = _is_stale(lat, lon, before, i, following, max(offsets[track], i - _STALE_POINTS), radius_m)
            if not is_lost[i]:
                before = last
            i = following
    return is_lost


@njit(cache=True, nogil=True)
def _is_stale(lat, lon, before, point, following, oldest, radius_m):  # type: ignore[no-untyped-def]
    """Whether a fix repeats an earlier one to the last digit, off the way between its neighbours."""
    detour_m = distance_m(lat[before], lon[before], lat[point], lon[point])
    if detour_m <= radius_m:
        return False
    detour_m += distance_m(lat[point], lon[point], lat[following], lon[following])
    if detour_m - distance_m(lat[before], lon[before], lat[following], lon[following]) <= radius_m:
        return False
    is_same = (lat[oldest:before] == lat[point]) & (lon[oldest:before] == lon[point])
    return is_same.any()


@njit(cache=True, nogil=True)
def _has_reading(odometer, first, last):  # type: ignore[no-untyped-def]
    return not np.isnan(odometer[first : last + 1]).all()


@njit(cache=True, nogil=True)
def _counts_on(seconds, odometer, first, last, resolution, radius_m, impossible_kmh, slack_km):  # type: ignore[no-untyped-def]
    """Whether the readings of the points never contradict each other and count more than the radius in all."""
    start = before = -1
    for k in range(first, last + 1):
        if math.isnan(odometer[k]):
            continue
        if before < 0:
            start = k
        elif not is_plausible(odometer[k] - odometer[before], seconds[k] - seconds[before], impossible_kmh, slack_km):
            return False
        before = k
    return start >= 0 and (odometer[before] - odometer[start] - resolution) * 1000 > radius_m


@njit(cache=True, nogil=True)
def _lose_counted(lat, odometer, first, last, is_lost):  # type: ignore[no-untyped-def]
    """The points from the first on whose reading is greater than that of the first."""
    start = math.nan
    has_moved = False
    for k in range(first, last + 1):
        if not math.isnan(odometer[k]):
            if math.isnan(start):
                start = odometer[k]
            has_moved = odometer[k] > start
        if has_moved and not math.isnan(lat[k]):
            is_lost[k] = True


@njit(cache=True, nogil=True)
def _lose_late(seconds, lat, lon, first, last, following, high, impossible_kmh, outlier_m, is_lost):  # type: ignore[no-untyped-def]
    """The latest repetitions, as many as the way to the next fix took at the highest speed."""
    if (
        following + 2 >= high
        or np.isnan(lat[following : following + 3]).any()
        or is_lost[following : following + 3].any()
    ):
        return
    for k in range(following, following + 2):  # two fixes that agree may be the first ones after a sleep
        step_m = distance_m(lat[k], lon[k], lat[k + 1], lon[k + 1])
        if not is_possible(step_m, seconds[k + 1] - seconds[k], impossible_kmh, outlier_m):
            return
    way_m = distance_m(lat[last], lon[last], lat[following], lon[following])
    beyond_m = distance_m(lat[last], lon[last], lat[following + 2], lon[following + 2])
    is_far = not is_possible(way_m, seconds[following] - seconds[last], impossible_kmh, outlier_m)
    is_far = is_far and beyond_m > outlier_m
    if not (is_far and is_possible(way_m, seconds[following] - seconds[first], impossible_kmh, outlier_m)):
        return
    k = last
    while k > first and not is_possible(way_m, seconds[following] - seconds[k], impossible_kmh, outlier_m):
        is_lost[k] = True
        k -= 1


@njit(cache=True, nogil=True)
def place_by_odometer(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, offsets, resolution, is_fix, is_candidate, radius_m, impossible_kmh, slack_km, metres,
    is_placed, is_bridged,
):  # fmt: skip
    """Places the candidates between fixes by what their odometer counted, and sets the metres of their steps to it.

    A candidate whose reading is that of the fix before (after) it is where that fix is; the others lie on a meridian
    from it, as far off as the odometer counted: their distances are true, their places are not and name no place. A
    stretch over which the odometer counts less than its ends lie apart is not placed: it was carried, or the odometer
    failed. `is_bridged`: the step to the point is measured by the odometer alone.
    """
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        before, i = -1, low
        while i < high:
            if is_fix[i]:
                before = i
            if not is_candidate[i]:
                i += 1
                continue
            after = i
            while after < high and not is_fix[after]:
                after += 1
            _place_stretch(
                seconds, lat, lon, odometer, resolution[track], before, i, after, high, is_candidate, radius_m,
                impossible_kmh, slack_km, metres, is_placed, is_bridged,
            )  # fmt: skip
            i = after


@njit(cache=True, nogil=True)
def _place_stretch(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, resolution, before, first, after, high, is_candidate, radius_m, impossible_kmh,
    slack_km, metres, is_placed, is_bridged,
):  # fmt: skip
    if before < 0 and after == high:
        return
    start = odometer[before] if before >= 0 and not math.isnan(odometer[before]) else odometer[first]
    reading, read_at = start, seconds[first]
    if before >= 0 and not math.isnan(odometer[before]):
        read_at = seconds[before]
    for k in range(first, after):
        if is_candidate[k] and is_plausible(odometer[k] - reading, seconds[k] - read_at, impossible_kmh, slack_km):
            is_placed[k] = True
            reading, read_at = odometer[k], seconds[k]
    end = math.nan if after == high else odometer[after]
    ends_plausibly = is_plausible(end - reading, seconds[min(after, high - 1)] - read_at, impossible_kmh, slack_km)
    total = (end if ends_plausibly else reading) - start
    apart_m = 0.0
    if before >= 0 and after < high:
        apart_m = distance_m(lat[before], lon[before], lat[after], lon[after])
    if apart_m > (total + resolution) * 1000 + radius_m:
        for k in range(first, after):
            is_placed[k] = False
        return
    anchor, anchor_km = (before, start) if before >= 0 else (after, start + total)
    reading, placed = start, 0
    for k in range(first, after):
        if not is_placed[k]:
            continue
        metres[k] = (odometer[k] - reading) * 1000
        is_bridged[k] = True
        reading, placed = odometer[k], placed + 1
        lon[k] = lon[anchor]
        if before >= 0 and odometer[k] == start:
            lat[k] = lat[before]
        elif ends_plausibly and odometer[k] == end:
            lat[k], lon[k] = lat[after], lon[after]
        else:
            lat[k] = lat[anchor] + (odometer[k] - anchor_km) * _KM_DEGREES * (1 if lat[anchor] < 0 else -1)
    if after < high and placed:
        if ends_plausibly:
            metres[after], is_bridged[after] = (end - reading) * 1000, True
        else:
            metres[after] = max(0.0, apart_m - (reading - start) * 1000)
