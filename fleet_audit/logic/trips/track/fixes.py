"""False fixes: the device knew no place and sent (0, 0), its last known place again, or another one for a while.

Points without a fix are placed by what their odometer counted; outliers among true fixes are in `points`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.sphere import is_null_island
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.kernels.odometer import is_plausible
from fleet_audit.logic.trips.kernels.point_filter import is_possible
from fleet_audit.logic.trips.kernels.sphere import EARTH_RADIUS_M, distance_m
from fleet_audit.logic.trips.track.rounded_fixes import lose_rounded
from fleet_audit.logic.trips.track.tracks import Tracks

_STALE_POINTS = 30  # search range for a device's last known place
_PLACED_DEGREES = 90
_NEAR_DEGREES = 0.004  # less than 630 m in both directions together: no step of it is impossible
_KM_DEGREES = 1000 / (EARTH_RADIUS_M * math.pi / 180)


def lost_fixes(tracks: Tracks, places: Places, parameters: ParameterSet) -> np.ndarray:
    """Whether the coordinates of each point are a false fix, or were lost before.

    `places` are those that the vehicles go to.
    """
    is_lost = tracks.is_lost | is_null_island(tracks.latitude, tracks.longitude)
    with np.errstate(invalid="ignore"):
        is_lost |= (np.abs(tracks.latitude) > 90) | (np.abs(tracks.longitude) > 180)
    is_lost |= _far_from_places(tracks, places, parameters)
    lose_rounded(tracks, parameters, is_lost)
    find_repeated_fixes(
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        tracks.odometer_km,
        tracks.offsets,
        tracks.resolution_km,
        parameters.stop_radius_m,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
        parameters.outlier_m,
        is_lost,
    )
    find_excursions(
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        tracks.offsets,
        parameters.impossible_kmh,
        parameters.outlier_m,
        int(parameters.release_points),
        parameters.gap_split_s,
        is_lost,
    )
    return is_lost


def _far_from_places(tracks: Tracks, places: Places, parameters: ParameterSet) -> np.ndarray:
    """Whether each point is one of `release_points` or more fixes in a row further than `farthest_fix_km` from places.

    Fewer are outliers, which the point filter rejects.
    """
    is_far = places.is_beyond(tracks.latitude, tracks.longitude, parameters.farthest_fix_km)
    if not is_far.any():
        return is_far
    points = np.flatnonzero(~np.isnan(tracks.latitude) & ~np.isnan(tracks.longitude))
    side = 2 * tracks.track_of(points) + is_far[points]
    row = np.cumsum(np.diff(side, prepend=side[:1]) != 0)
    is_far[points] &= np.bincount(row)[row] >= parameters.release_points
    return is_far


@njit(cache=True, nogil=True)
def find_excursions(seconds, lat, lon, offsets, impossible_kmh, outlier_m, release_points, longest_s, is_lost):  # type: ignore[no-untyped-def]
    """Sets is_lost of `release_points` or more fixes that an impossible step leads to and another one leads back from.

    A receiver that lost a sign, swapped its coordinates or reported its factory's for some minutes: the point filter
    would accept such fixes as a new place, twice, and cut the trip in three. The fix after them can be reached from
    the one before them, within `longest_s`, and at least as many fixes belong to the side that the vehicle comes back
    to. Fewer fixes are outliers of the point filter.
    """
    for track in range(len(offsets) - 1):
        high = offsets[track + 1]
        before, settled = -1, 0  # the last fix, and how many fixes up to it follow each other without such a step
        i = offsets[track]
        while i < high:
            if math.isnan(lat[i]) or math.isnan(lon[i]) or is_lost[i]:
                i += 1
                continue
            if before < 0 or _is_reachable(seconds, lat, lon, before, i, impossible_kmh, outlier_m):
                before, settled = i, settled + 1
                i += 1
                continue
            back, away = _return_of(seconds, lat, lon, before, i, high, is_lost, impossible_kmh, outlier_m, longest_s)
            if back >= 0 and away >= release_points:
                needed = away - settled
                if needed <= 0 or _settles(seconds, lat, lon, back, high, is_lost, impossible_kmh, outlier_m, needed):
                    is_lost[i:back] = True
                    i = back
                    continue
            before, settled = i, 1
            i += 1


@njit(cache=True, nogil=True)
def _is_reachable(seconds, lat, lon, first, last, impossible_kmh, outlier_m):  # type: ignore[no-untyped-def]
    if abs(lat[last] - lat[first]) < _NEAR_DEGREES and abs(lon[last] - lon[first]) < _NEAR_DEGREES:
        return True
    metres = distance_m(lat[first], lon[first], lat[last], lon[last])
    return is_possible(metres, seconds[last] - seconds[first], impossible_kmh, outlier_m)


@njit(cache=True, nogil=True)
def _return_of(seconds, lat, lon, before, first, high, is_lost, impossible_kmh, outlier_m, longest_s):  # type: ignore[no-untyped-def]
    """The fix to which an impossible step leads back from the fixes that begin at `first`, -1: none; their number."""
    previous, away = first, 1
    for k in range(first + 1, high):
        if seconds[k] - seconds[before] > longest_s:
            break
        if math.isnan(lat[k]) or math.isnan(lon[k]) or is_lost[k]:
            continue
        if not _is_reachable(seconds, lat, lon, previous, k, impossible_kmh, outlier_m):
            is_back = _is_reachable(seconds, lat, lon, before, k, impossible_kmh, outlier_m)
            return (k if is_back else -1), away
        previous, away = k, away + 1
    return -1, away


@njit(cache=True, nogil=True)
def _settles(seconds, lat, lon, first, high, is_lost, impossible_kmh, outlier_m, needed):  # type: ignore[no-untyped-def]
    """Whether at least so many fixes follow each other from `first` on without an impossible step."""
    previous, found = first, 1
    for k in range(first + 1, high):
        if found >= needed:
            break
        if math.isnan(lat[k]) or math.isnan(lon[k]) or is_lost[k]:
            continue
        if not _is_reachable(seconds, lat, lon, previous, k, impossible_kmh, outlier_m):
            break
        previous, found = k, found + 1
    return found >= needed


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
    failed. Without any fix the first candidate is where it says.
    `is_bridged`: the step to the point is measured by the odometer alone.
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
    anchor, anchor_km = first, start
    if before >= 0:
        anchor = before
    elif after < high:
        anchor, anchor_km = after, start + total
    anchor_lat, anchor_lon = lat[anchor], lon[anchor]
    if not abs(anchor_lat) <= _PLACED_DEGREES:  # out of range, or none
        anchor_lat, anchor_lon = 0.0, 0.0
    reading, placed = start, 0
    for k in range(first, after):
        if not is_placed[k]:
            continue
        metres[k] = (odometer[k] - reading) * 1000
        is_bridged[k] = True
        reading, placed = odometer[k], placed + 1
        lon[k] = anchor_lon
        if before >= 0 and odometer[k] == start:
            lat[k] = lat[before]
        elif ends_plausibly and odometer[k] == end:
            lat[k], lon[k] = lat[after], lon[after]
        else:
            lat[k] = anchor_lat + (odometer[k] - anchor_km) * _KM_DEGREES * (1 if anchor_lat < 0 else -1)
    if after < high and placed:
        if ends_plausibly:
            metres[after], is_bridged[after] = (end - reading) * 1000, True
        else:
            metres[after] = max(0.0, apart_m - (reading - start) * 1000)
