"""Odometers that are read seldom: the kilometres by which a reading may be behind the road.

They count in steps of 5 km or more, or are read once in so many km. Since when a reading is stale is in
`kernels.stale_readings`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.odometer import is_missed, is_plausible
from fleet_audit.logic.trips.kernels.sphere import distance_m

_STEP_ODDS = 1e6
_LONGEST_STEP_KM = 10.0
_BEHIND_SHARE = 0.25
_LEAST_CHANGES = 3  # two differences may be those of two fine readings after silences
_GREATEST_STEP_KM = 100.0
_RARE_STEP_KM = 50.0  # too few differences of one fit into a window


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
    way prove anything, and where as many change while the vehicle stands the odometer has no such step.
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
def find_lags(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, ignition, offsets, resolution, radius_m, fine_step_s, compare_step_s, agree_pct,
    impossible_kmh, odometer_slack_km, least_km, carried_kmh,
):  # fmt: skip
    """Kilometres by which a reading of each track may be behind the road, where no step is proven; else 0.

    Of a device that is read every so many km, or counts in miles, no difference is below `least_km`, and its readings
    change on the way, where they are behind: its second greatest difference (the greatest may be a hand), at most
    twice the least one. Of an odometer that stood over a path, and of whose steps a window shows too few differences,
    the least one if that is of a rare step, else one of 10 km. Where a reading repeats over more, the odometer failed.
    """
    result = np.zeros(len(offsets) - 1)
    for track in range(len(offsets) - 1):
        part = slice(offsets[track], offsets[track + 1])
        limits = impossible_kmh, odometer_slack_km
        changes, smallest_km, second_km = _differences(seconds[part], odometer[part], least_km, limits)
        if smallest_km < least_km:
            continue
        if changes >= _LEAST_CHANGES:
            on_the_way = _changes_on_the_way(
                seconds[part], lat[part], lon[part], odometer[part], resolution[track], radius_m, fine_step_s,
                compare_step_s, agree_pct, limits,
            )  # fmt: skip
            if on_the_way >= _LEAST_CHANGES:
                result[track] = min(second_km, 2 * smallest_km)
                continue
        if changes < _LEAST_CHANGES or smallest_km >= _RARE_STEP_KM:
            is_rare = changes > 0 and smallest_km >= _RARE_STEP_KM
            step_km = min(smallest_km, _GREATEST_STEP_KM if is_rare else _LONGEST_STEP_KM)
            doubt_km = radius_m / 1000 + resolution[track]
            stood_km = _longest_stood_km(
                seconds[part], lat[part], lon[part], odometer[part], ignition[part], radius_m, carried_kmh
            )
            if is_missed(stood_km, 0.0, doubt_km, agree_pct) and not is_missed(stood_km, step_km, doubt_km, agree_pct):
                result[track] = step_km
    return result


@njit(cache=True, nogil=True)
def _longest_stood_km(seconds, lat, lon, odometer, ignition, radius_m, carried_kmh):  # type: ignore[no-untyped-def]
    """The longest path over which one reading repeats.

    Without a single fix beside a parked vehicle, and without that on which a ferry or a tow carried it.
    """
    place, value = -1, math.nan
    way_km = longest_km = 0.0
    for i in range(len(odometer)):
        if not (math.isnan(lat[i]) or math.isnan(lon[i])):
            place = i if place < 0 else place
            piece_m = distance_m(lat[place], lon[place], lat[i], lon[i])
            is_astray = 0 < i < len(odometer) - 1 and (
                distance_m(lat[i - 1], lon[i - 1], lat[i + 1], lon[i + 1]) <= radius_m
            )
            if piece_m > radius_m and not is_astray:
                is_carried = ignition[i] == 0 and piece_m * 3.6 <= carried_kmh * (seconds[i] - seconds[i - 1])
                way_km += 0.0 if is_carried else piece_m / 1000
                place = i
        if math.isnan(odometer[i]):
            continue
        if odometer[i] == value:
            longest_km = max(longest_km, way_km)
        else:
            value, way_km = odometer[i], 0.0
    return longest_km


@njit(cache=True, nogil=True)
def _differences(seconds, odometer, least_km, limits):  # type: ignore[no-untyped-def]
    """Number, least and second greatest of a track's plausible differences; it stops at one below `least_km`."""
    impossible_kmh, odometer_slack_km = limits
    changes, smallest_km, second_km, greatest_km = 0, math.inf, 0.0, 0.0
    before = -1
    for i in range(len(odometer)):
        if math.isnan(odometer[i]):
            continue
        counted = odometer[i] - odometer[before] if before >= 0 else 0.0
        if counted > 0 and is_plausible(counted, seconds[i] - seconds[before], impossible_kmh, odometer_slack_km):
            changes, smallest_km = changes + 1, min(smallest_km, counted)
            second_km, greatest_km = max(second_km, min(greatest_km, counted)), max(greatest_km, counted)
            if smallest_km < least_km:
                break
        before = i if before < 0 or counted != 0 else before
    return changes, smallest_km, second_km


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
    """How often a track's reading changes away from halts; 0 where as many change at halts, or too few were behind.

    A halt: points within `radius_m` of the first one for more than `fine_step_s`. The first 150 m of a slow departure
    are such points: one change there refuted 11 of 24 true odometers in steps of 5 km, of 16 trips each. An odometer
    that is read at halts changes there nearly always.

    A reading is behind where the way is longer than what it counts. Where steps exceed `compare_step_s` only the way to
    the next change shows that: the vehicle may halt, and be read, at each of such points. At 300 s about half of the
    readings are behind; a single one of an even speed is, where one fix is old.
    """
    impossible_kmh, odometer_slack_km = limits
    changes = pending = differences = behind = halted = 0
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
            halted += has_stood and repeated >= place
            differences += 1
            behind += is_behind
            pending += is_located and not has_stood
        before = repeated = i
        way_km, is_behind = 0.0, False
    changes += pending
    return changes if behind > _BEHIND_SHARE * differences and halted < changes else 0
