"""Stale odometer readings: some devices read the odometer at ignition off only, or every 5 km, and repeat it meanwhile.

An odometer that stands and never catches up has failed: `devices.odometer_events` names it.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.odometer import resolutions
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.track.tracks import Tracks

_CATCH_UP_SHARE = 0.05  # odometer and path differ by so much at most (RULES section 2)


def stale_readings(tracks: Tracks, odometer_km: np.ndarray, parameters: ParameterSet) -> np.ndarray:
    """Whether each reading repeats one from before a drive that the next other reading counts."""
    is_stale = np.zeros(len(odometer_km), dtype=np.bool_)
    find_stale_readings(
        tracks.latitude,
        tracks.longitude,
        odometer_km,
        tracks.offsets,
        resolutions(odometer_km, tracks.offsets),
        parameters.parked_radius_m,
        parameters.frozen_km,
        is_stale,
    )
    return is_stale


@njit(cache=True, nogil=True)
def find_stale_readings(lat, lon, odometer, offsets, resolution, radius_m, frozen_km, is_stale):  # type: ignore[no-untyped-def]
    """Sets is_stale of readings that stand over more than `frozen_km` of path, and then count what was driven.

    The path has pieces of more than `radius_m`, so that a parked receiver drives nothing. The first reading of such a
    stretch, and its repetitions before the vehicle moves, were true.
    """
    for track in range(len(offsets) - 1):
        start = moved = place = -1
        driven_km = last_km = 0.0
        for i in range(offsets[track], offsets[track + 1]):
            if not (math.isnan(lat[i]) or math.isnan(lon[i])):
                if place < 0:
                    place = i
                piece_m = distance_m(lat[place], lon[place], lat[i], lon[i])
                if piece_m > radius_m:
                    last_km = piece_m / 1000
                    driven_km += last_km
                    place = i
                    if moved < 0:
                        moved = i
            if math.isnan(odometer[i]):
                continue
            if start >= 0 and odometer[i] == odometer[start]:
                continue
            if start >= 0 and moved >= 0 and driven_km > frozen_km + resolution[track]:
                doubt_km = _CATCH_UP_SHARE * driven_km + resolution[track] + last_km
                if abs(odometer[i] - odometer[start] - driven_km) <= doubt_km:
                    for k in range(moved, i):
                        is_stale[k] = not math.isnan(odometer[k])
            start, moved, driven_km, last_km = i, -1, 0.0, 0.0
