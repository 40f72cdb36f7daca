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
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.track.tracks import Tracks


def without_late_rows(tracks: Tracks, parameters: ParameterSet) -> Tracks:
    """The tracks with the place and the reading of such points lost; their points keep time and ignition.

    A trip of 19.5 km that was sent again in 80 s beside a parked bus was a second trip, paid, and O01 accused the bus.
    A point without coordinates has no place to lose: it loses the key by which its events would be a trip.
    """
    is_late = np.zeros(len(tracks.seconds), dtype=np.bool_)
    find_late_rows(
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        tracks.odometer_km,
        tracks.offsets,
        parameters.fall_km,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
        is_late,
    )
    if not is_late.any():
        return tracks
    is_placed = tracks.is_located | tracks.is_lost
    return replace(
        tracks,
        odometer_km=np.where(is_late, np.nan, tracks.odometer_km),
        is_lost=tracks.is_lost | (is_late & is_placed),
        trip_key=np.where(is_late & ~is_placed, np.int32(-1), tracks.trip_key),
    )


@njit(cache=True, nogil=True)
def find_late_rows(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, offsets, fall_km, impossible_kmh, slack_km, is_late
):
    """Sets is_late of readings below the one before them, by more than `fall_km`, that no vehicle counts in their time.

    Their places move along, and the readings go on after them as before them, or no reading follows. A buffer that
    sends its newest rows first makes them fall again, or fall row by row. An odometer that was turned back and put on
    again stays in place while it climbs, in however many steps. Points after the last of these readings may be of their
    own time: of an odometer that was dead from then on they were the three trips of the day that followed.
    """
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        before, i = -1, low
        while i < high:
            if math.isnan(odometer[i]):
                i += 1
                continue
            if before < 0 or odometer[i] >= odometer[before]:
                before = i
                i += 1
                continue
            last, following, lowest_km, highest_km = _readings_below(odometer, before, i, high)
            span_km = highest_km - lowest_km
            is_late_run = lowest_km < odometer[before] - fall_km
            is_late_run &= span_km > impossible_kmh * (seconds[last] - seconds[i]) / 3600 + fall_km
            if is_late_run and following < high:
                is_late_run = is_plausible(
                    odometer[following] - odometer[before],
                    seconds[following] - seconds[before],
                    impossible_kmh,
                    slack_km,
                )
            if is_late_run and _is_other_time(lat, lon, odometer, low, i, last, lowest_km, highest_km, fall_km):
                is_late[i : last + 1] = True
                i = following
                continue
            before = i
            i += 1


@njit(cache=True, nogil=True)
def _readings_below(odometer, before, first, high):  # type: ignore[no-untyped-def]
    """Of the readings from `first` on that are below the one before them: the last, the one that follows, the extremes.

    The following one is `high` where there is none.
    """
    last, following = first, first + 1
    lowest_km = highest_km = odometer[first]
    while following < high and not odometer[following] >= odometer[before]:
        if not math.isnan(odometer[following]):
            last = following
            lowest_km, highest_km = min(lowest_km, odometer[last]), max(highest_km, odometer[last])
        following += 1
    return last, following, lowest_km, highest_km


@njit(cache=True, nogil=True)
def _is_other_time(lat, lon, odometer, low, first, last, lowest_km, highest_km, fall_km):  # type: ignore[no-untyped-def]
    """Whether the places of readings move along with them, at least half as far, for a road bends.

    Of readings without any place: whether the device has sent some of them before. Rows that come once are all that
    is known of their trip.
    """
    place, way_km = -1, 0.0
    for k in range(first, last + 1):
        if math.isnan(lat[k]) or math.isnan(lon[k]) or math.isnan(odometer[k]):
            continue
        if place >= 0:
            way_km += min(
                distance_m(lat[place], lon[place], lat[k], lon[k]) / 1000, 2 * abs(odometer[k] - odometer[place])
            )
        place = k
    if place >= 0:
        return 2 * way_km + fall_km >= highest_km - lowest_km
    sent = odometer[low:first]
    return ((sent > lowest_km) & (sent < highest_km)).any()
