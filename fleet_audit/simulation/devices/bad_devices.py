"""Faulty devices, for the whole period: wrong units, a stuck receiver, fields that they never send.

Here belongs what makes bad input; only fleets that enable it by name have any.
"""

from __future__ import annotations

import numpy as np

from fleet_audit.simulation.devices.motion import Track

_UNITS_A_KM = {"odometer_metres": 1000.0, "odometer_miles": 0.621371}


def spoil(track: Track, defects: list[str]) -> Track:
    """The track as such devices send it.

    Args:
        track: positions of the fleet's day.
        defects: of each owner, "" = none.
    """
    if not any(defects):
        return track
    keep = np.ones(len(track.owner), dtype=bool)
    for place, defect in enumerate(defects):
        rows = track.rows_of(place)
        if defect in _UNITS_A_KM:
            track.odometer_tenths[rows] = np.round(track.odometer_tenths[rows] * _UNITS_A_KM[defect])
        elif defect == "constant_place" and rows.stop > rows.start:
            for degrees in (track.latitude, track.longitude):
                degrees[rows] = np.round(degrees[rows.start], 2)
        elif defect == "one_a_day":
            keep[rows.start + 1 : rows.stop] = False
    return track.take(keep)
