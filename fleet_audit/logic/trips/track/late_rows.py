"""Positions that a device sends from its buffer under the time of sending: an earlier stretch of its way, run again.

They are true places and readings of another time. Positions of an impossible date are refused where they are read.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.odometer import is_plausible
from fleet_audit.logic.trips.track.tracks import Tracks


def without_late_rows(tracks: Tracks, parameters: ParameterSet) -> Tracks:
    """The tracks with the place and the reading of such points lost; their points keep time and ignition.

    A trip of 19.5 km that was sent again in 80 s beside a parked bus was a second trip, paid, and O01 accused the bus.
    """
    is_late = np.zeros(len(tracks.seconds), dtype=np.bool_)
    find_late_rows(
        tracks.seconds,
        tracks.odometer_km,
        tracks.offsets,
        parameters.fall_km,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
        is_late,
    )
    if not is_late.any():
        return tracks
    return replace(tracks, odometer_km=np.where(is_late, np.nan, tracks.odometer_km), is_lost=tracks.is_lost | is_late)


@njit(cache=True, nogil=True)
def find_late_rows(seconds, odometer, offsets, fall_km, impossible_kmh, slack_km, is_late):  # type: ignore[no-untyped-def]
    """Sets is_late of readings that fall by more than `fall_km` and climb back too fast.

    No vehicle counts in their time what they count among themselves, and the readings go on after them as before them.
    An odometer that was turned back does not return, or returns in one step.
    """
    for track in range(len(offsets) - 1):
        high = offsets[track + 1]
        before, i = -1, offsets[track]
        while i < high:
            if math.isnan(odometer[i]):
                i += 1
                continue
            if before < 0 or odometer[i] >= odometer[before] - fall_km:
                before = i
                i += 1
                continue
            last, following = i, i + 1
            while following < high:
                if not math.isnan(odometer[following]):
                    if odometer[following] >= odometer[before] or odometer[following] < odometer[last]:
                        break
                    last = following
                following += 1
            is_too_fast = odometer[last] - odometer[i] > impossible_kmh * (seconds[last] - seconds[i]) / 3600 + fall_km
            if (
                is_too_fast
                and following < high
                and is_plausible(
                    odometer[following] - odometer[before],
                    seconds[following] - seconds[before],
                    impossible_kmh,
                    slack_km,
                )
            ):
                is_late[i:following] = True
                i = following
                continue
            before = i
            i += 1
