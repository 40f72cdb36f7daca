"""Positions that a device sends from its buffer under the time of sending: an earlier stretch of its way, run again.

They are true places and readings of another time. Positions of an impossible date are refused where they are read.
"""

from __future__ import annotations

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
        reading = low + np.flatnonzero(~np.isnan(odometer[low:high]))
        km = odometer[reading]
        if not (km[1:] < km[:-1]).any():
            continue
        nexts, lowest_km, highest_km, least_km = _readings_below(km)
        placed, way_km = _ways(lat, lon, reading, km)
        before = 0
        while before + 1 < len(km):
            first, following = before + 1, nexts[before]
            span_km = highest_km[before] - lowest_km[before]
            is_late_run = lowest_km[before] < km[before] - fall_km
            if is_late_run:
                lasts_s = seconds[reading[following - 1]] - seconds[reading[first]]
                is_late_run = span_km > impossible_kmh * lasts_s / 3600 + fall_km
            if is_late_run and following < len(km):
                is_late_run = is_plausible(
                    km[following] - km[before],
                    seconds[reading[following]] - seconds[reading[before]],
                    impossible_kmh,
                    slack_km,
                )
            if is_late_run and _is_other_time(
                km, placed, way_km, first, following, least_km[before], lowest_km[before], highest_km[before], fall_km
            ):
                is_late[reading[first] : reading[following - 1] + 1] = True
                before = following
            else:
                before = first


@njit(cache=True, nogil=True)
def _readings_below(km):  # type: ignore[no-untyped-def]
    """Of each reading the next that is not below it, and the extremes of those between; and the least up to it.

    The next one is the number of readings where there is none. Each reading is looked at twice at most: 16,000 of an
    odometer that falls row by row took 3.67 s where each looked for its own next one.
    """
    nexts = np.empty(len(km), dtype=np.int64)
    lowest_km, highest_km, least_km = np.full(len(km), np.inf), np.full(len(km), -np.inf), np.empty(len(km))
    for k in range(len(km) - 1, -1, -1):
        following = k + 1
        while following < len(km) and km[following] < km[k]:
            lowest_km[k] = min(lowest_km[k], km[following], lowest_km[following])
            highest_km[k] = max(highest_km[k], km[following])
            following = nexts[following]
        nexts[k] = following
    for k in range(len(km)):
        least_km[k] = km[k] if k == 0 else min(km[k], least_km[k - 1])
    return nexts, lowest_km, highest_km, least_km


@njit(cache=True, nogil=True)
def _ways(lat, lon, reading, km):  # type: ignore[no-untyped-def]
    """The readings that have a place, and the way along these places up to each, at most twice as far as counted."""
    placed = np.flatnonzero(~(np.isnan(lat[reading]) | np.isnan(lon[reading])))
    way_km = np.zeros(len(placed))
    for k in range(1, len(placed)):
        one, other = placed[k - 1], placed[k]
        left, right = reading[one], reading[other]
        apart_km = distance_m(lat[left], lon[left], lat[right], lon[right]) / 1000
        way_km[k] = way_km[k - 1] + min(apart_km, 2 * abs(km[other] - km[one]))
    return placed, way_km


@njit(cache=True, nogil=True)
def _is_other_time(  # type: ignore[no-untyped-def]
    km, placed, way_km, first, following, least_km, lowest_km, highest_km, fall_km
):
    """Whether the places of readings move along with them, at least half as far, for a road bends.

    Of readings without any place: whether the device has sent some of them before, none of it below `least_km`. Rows
    that come once are all that is known of their trip.
    """
    start, end = np.searchsorted(placed, first), np.searchsorted(placed, following) - 1
    if start <= end:
        return 2 * (way_km[end] - way_km[start]) + fall_km >= highest_km - lowest_km
    if highest_km <= least_km:
        return False
    sent_km = km[:first]
    return ((sent_km > lowest_km) & (sent_km < highest_km)).any()
