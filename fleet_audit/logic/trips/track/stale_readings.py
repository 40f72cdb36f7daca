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
        parameters.agree_pct / 100,
        is_stale,
    )
    return is_stale


@njit(cache=True, nogil=True)
def find_stale_readings(  # type: ignore[no-untyped-def]
    lat, lon, odometer, offsets, resolution, radius_m, frozen_km, agree_share, is_stale
):
    """Sets is_stale of readings that stand over more than `frozen_km` of path, and then count what was driven.

    The first reading of such a stretch, and its repetitions before the vehicle moves, were true. A device that has one
    such stretch is read rarely: of its other stretches any path counts that exceeds the doubt of the comparison.
    """
    for track in range(len(offsets) - 1):
        part = slice(offsets[track], offsets[track + 1])
        place = lat[part], lon[part], odometer[part]
        doubt = resolution[track], agree_share
        longest_km = _mark_stale(*place, *doubt, radius_m, frozen_km + resolution[track], 0.0, is_stale[part])
        if longest_km > 0:
            _mark_stale(*place, *doubt, radius_m, 0.0, longest_km, is_stale[part])


@njit(cache=True, nogil=True)
def _mark_stale(  # type: ignore[no-untyped-def]
    lat, lon, odometer, resolution, agree_share, radius_m, least_km, open_km, is_stale
):
    """The longest path of one track, above `least_km`, over which readings were stale; sets is_stale of them.

    Of the last stretch, which no other reading ends, a path up to `open_km` is stale too. The path has pieces of
    more than `radius_m`, so that a parked receiver drives nothing.
    """
    start = moved = place = -1
    driven_km = last_km = 0.0
    longest_km = 0.0
    for i in range(len(odometer)):
        if not (math.isnan(lat[i]) or math.isnan(lon[i])):
            place = i if place < 0 else place
            piece_m = distance_m(lat[place], lon[place], lat[i], lon[i])
            if piece_m > radius_m:
                last_km = piece_m / 1000
                driven_km += last_km
                place = i
                moved = i if moved < 0 else moved
        if math.isnan(odometer[i]) or (start >= 0 and odometer[i] == odometer[start]):
            continue
        if start >= 0 and moved >= 0:
            doubt_km = agree_share * driven_km + resolution + last_km
            is_caught_up = abs(odometer[i] - odometer[start] - driven_km) <= doubt_km
            if is_caught_up and driven_km > max(least_km, doubt_km):
                longest_km = max(longest_km, driven_km)
                for k in range(moved, i):
                    is_stale[k] = not math.isnan(odometer[k])
        start, moved, driven_km, last_km = i, -1, 0.0, 0.0
    if moved >= 0 and agree_share * driven_km + resolution + last_km < driven_km <= open_km:
        for k in range(moved, len(odometer)):
            is_stale[k] = not math.isnan(odometer[k])
    return longest_km
