"""Odometer readings that a device writes in another unit for a while: tenths, tens or metres of its kilometres.

A device that counts another unit all the time is named in `devices.device_health`; single false values are in
`readings`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.odometer import is_plausible
from fleet_audit.logic.trips.kernels.sphere import distance_m

_LEAST_KM = 1000.0  # below it a jump of a few km may look like another unit by chance
_CHUNK_KM = 5.0  # an odometer of whole kilometres is off by 20 % over it, far from the next power of ten
_LONGEST_STEP_S = 3600
_POWERS = 3  # 1,000 is the greatest factor: metres


@njit(cache=True, nogil=True)
def find_other_units(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, offsets, standing_kmh, impossible_kmh, slack_km, is_false
):
    """Sets is_false of the readings in another unit, on tracks whose unit changes.

    The unit changes where a reading contradicts the one before it and continues it when it is multiplied or divided by
    10 or 1,000. Which unit is kilometres follows from the path of the positions, and not from the order, so that it
    does not depend on where the window begins: a unit that counts as far as the path is right; one without 5 km of path
    is right when it is the one that the others point to. Where no unit has 5 km, the one of most readings is taken.
    """
    power = np.zeros(len(seconds), dtype=np.int64)
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        before, current, has_changed = -1, 0, False
        readings = np.zeros(2 * _POWERS + 1, dtype=np.int64)
        for i in range(low, high):
            if math.isnan(odometer[i]) or odometer[i] == 0:
                continue
            if before >= 0:
                elapsed = seconds[i] - seconds[before]
                change = _unit_change(odometer[i], odometer[before], elapsed, impossible_kmh, slack_km)
                if change != 0 and -_POWERS <= current + change <= _POWERS:
                    current += change
                    has_changed = True
            power[i] = current
            readings[current + _POWERS] += 1
            before = i
        if not has_changed:
            continue
        votes = _path_votes(seconds, lat, lon, odometer, power, low, high, standing_kmh, impossible_kmh)
        is_right = _right_units(votes, readings)
        for i in range(low, high):
            if not math.isnan(odometer[i]) and odometer[i] != 0 and not is_right[power[i] + _POWERS]:
                is_false[i] = True


@njit(cache=True, nogil=True, inline="always")
def _unit_change(value, before, elapsed, impossible_kmh, slack_km):  # type: ignore[no-untyped-def]
    """Power of ten by which the unit of a reading differs from that of the one before it; 0 where none explains it."""
    if before < _LEAST_KM or is_plausible(value - before, elapsed, impossible_kmh, slack_km):
        return 0
    most = impossible_kmh * elapsed / 3600 + slack_km
    for change in (1, 3):  # compared in the greater unit; a dial of whole units may read 1 less or 1 more
        if -1 <= value / 10.0**change - before <= most + 1:
            return change
        if -1 <= value - before / 10.0**change <= most / 10.0**change + 1:
            return -change
    return 0


@njit(cache=True, nogil=True)
def _path_votes(seconds, lat, lon, odometer, power, low, high, standing_kmh, impossible_kmh):  # type: ignore[no-untyped-def]
    """Of each unit (rows) the pieces of 5 km over which it counts 10^k times the path (columns, k = -3 … 3)."""
    votes = np.zeros((2 * _POWERS + 1, 2 * _POWERS + 1), dtype=np.int64)
    before = -1
    path = counted = 0.0
    for i in range(low, high):
        if math.isnan(odometer[i]) or odometer[i] == 0:
            continue
        if before >= 0 and power[i] != power[before]:
            path = counted = 0.0
        elif before >= 0 and seconds[i] - seconds[before] <= _LONGEST_STEP_S:
            step = distance_m(lat[before], lon[before], lat[i], lon[i]) / 1000
            change = odometer[i] - odometer[before]
            hours = (seconds[i] - seconds[before]) / 3600
            # false fixes stand still, or leap; where one of them is NaN neither comparison holds
            if standing_kmh * hours <= step <= impossible_kmh * hours and change >= 0:
                path += step
                counted += change
        before = i
        if path >= _CHUNK_KM:
            if counted > 0:
                ratio = round(math.log10(counted / path))
                if -_POWERS <= ratio <= _POWERS:
                    votes[power[i] + _POWERS, int(ratio) + _POWERS] += 1
            path = counted = 0.0
    return votes


@njit(cache=True, nogil=True)
def _right_units(votes, readings):  # type: ignore[no-untyped-def]
    """Which units count kilometres."""
    is_right = np.zeros(len(votes), dtype=np.bool_)
    best, most = int(np.argmax(readings)), 0
    for unit in range(len(votes)):
        if votes[unit].sum() > most:
            most = votes[unit].sum()
            best = unit - (int(np.argmax(votes[unit])) - _POWERS)
    for unit in range(len(votes)):
        if votes[unit].sum():
            is_right[unit] = int(np.argmax(votes[unit])) == _POWERS
        else:
            is_right[unit] = unit == best
    return is_right
