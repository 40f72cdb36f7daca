"""Stale odometer readings: some devices read the odometer at ignition off only, or every 5 km, and repeat it meanwhile.

An odometer that stands and never catches up has failed: `devices.odometer_events` names it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.workers.threads import map_in_threads
from fleet_audit.logic.trips.kernels.odometer import find_counting_steps
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.track.tracks import Tracks


def with_counting_steps(tracks: Tracks, parameters: ParameterSet) -> Tracks:
    """The tracks with the kilometres in which each one's odometer counts."""

    def of_part(offsets: np.ndarray) -> np.ndarray:
        steps_km: np.ndarray = find_counting_steps(
            tracks.seconds,
            tracks.latitude,
            tracks.longitude,
            tracks.odometer_km,
            offsets,
            tracks.of_part(tracks.resolution_km, offsets),
            parameters.stop_radius_m,
            parameters.fine_step_s,
            parameters.compare_step_s,
            parameters.agree_pct,
            parameters.impossible_kmh,
            parameters.odometer_slack_km,
        )
        return steps_km

    return replace(tracks, counting_step_km=np.concatenate(map_in_threads(of_part, tracks.parts())))


def stale_readings(tracks: Tracks, parameters: ParameterSet) -> np.ndarray:
    """Whether each reading repeats one from before a drive that the next other reading, or the path, counts."""
    is_stale = np.zeros(len(tracks.odometer_km), dtype=np.bool_)
    find_stale_readings(
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        tracks.odometer_km,
        tracks.offsets,
        tracks.resolution_km,
        tracks.counting_step_km,
        parameters.parked_radius_m,
        parameters.frozen_km,
        parameters.reset_below_km,
        parameters.agree_pct / 100,
        parameters.compare_step_s,
        is_stale,
    )
    return is_stale


@njit(cache=True, nogil=True)
def find_stale_readings(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, offsets, resolution, counting_step_km, radius_m, frozen_km, reset_below_km,
    agree_share, compare_step_s, is_stale,
):  # fmt: skip
    """Sets is_stale of readings that stand over more than `frozen_km` of path, and then count what was driven.

    The first reading of such a stretch, and its repetitions before the vehicle moves, were true. A device that has one
    such stretch is read rarely: of its other stretches any path counts that exceeds the doubt of the comparison.
    Of an odometer that counts in kilometres repetitions over no more than these are stale too where frequent fixes show
    the way.
    """
    for track in range(len(offsets) - 1):
        part = slice(offsets[track], offsets[track + 1])
        place = lat[part], lon[part], odometer[part]
        if counting_step_km[track] > 0:
            doubt = counting_step_km[track], agree_share
            _mark_followed(seconds[part], *place, *doubt, radius_m, compare_step_s, is_stale[part])
            continue
        limits = resolution[track], agree_share, reset_below_km
        longest_km = _mark_stale(*place, *limits, radius_m, frozen_km + resolution[track], 0.0, is_stale[part])
        if longest_km > 0:
            _mark_stale(*place, *limits, radius_m, 0.0, longest_km, is_stale[part])


@njit(cache=True, nogil=True)
def _mark_stale(  # type: ignore[no-untyped-def]
    lat, lon, odometer, resolution, agree_share, reset_below_km, radius_m, least_km, open_km, is_stale
):
    """The longest path of one track, above `least_km`, over which readings were stale; sets is_stale of them.

    Of a stretch that nothing can catch up with, because the window ends or the device restarts below `reset_below_km`,
    a path up to `open_km` is stale too. The path has pieces of more than `radius_m`, so that a parked receiver drives
    nothing.
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
            is_restarted = odometer[i] < min(odometer[start], reset_below_km) and driven_km <= open_km
            is_caught_up = abs(odometer[i] - odometer[start] - driven_km) <= doubt_km
            if (is_caught_up or is_restarted) and driven_km > max(least_km, doubt_km):
                longest_km = max(longest_km, driven_km)
                for k in range(moved, i):
                    is_stale[k] = not math.isnan(odometer[k])
        start, moved, driven_km, last_km = i, -1, 0.0, 0.0
    if moved >= 0 and agree_share * driven_km + resolution + last_km < driven_km <= open_km:
        for k in range(moved, len(odometer)):
            is_stale[k] = not math.isnan(odometer[k])
    return longest_km


@njit(cache=True, nogil=True)
def _mark_followed(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, step_km, agree_share, radius_m, compare_step_s, is_stale
):
    """Sets is_stale of repeated readings of an odometer that counts in kilometres, where frequent fixes show the way.

    The path then measures what was driven since the reading: at 30 s to 0.3 km, where the odometer is up to 5 km off.
    A longer way than the step, that no next reading has caught up with to one step, is of an odometer that failed.
    """
    start = moved = place = -1
    followed_km = way_km = last_km = 0.0
    for i in range(len(odometer) + 1):
        is_over = i == len(odometer)
        if not is_over and not (math.isnan(lat[i]) or math.isnan(lon[i])):
            place = i if place < 0 else place
            piece_km = distance_m(lat[place], lon[place], lat[i], lon[i]) / 1000
            if piece_km > radius_m / 1000:
                way_km, last_km = way_km + piece_km, piece_km
                followed_km += piece_km if seconds[i] - seconds[i - 1] <= compare_step_s else 0.0
                moved, place = (i if moved < 0 else moved), i
        if not is_over and (math.isnan(odometer[i]) or (start >= 0 and odometer[i] == odometer[start])):
            continue
        if moved >= 0 and start >= 0 and 2 * followed_km >= way_km:
            doubt_km = step_km * (1 + agree_share) + radius_m / 1000 + last_km
            is_caught_up = (
                not is_over and abs(odometer[i] - odometer[start] - way_km) <= doubt_km + agree_share * way_km
            )
            if way_km <= doubt_km or is_caught_up:
                for k in range(moved, i):
                    is_stale[k] = not math.isnan(odometer[k])
        start, moved, followed_km, way_km, last_km = i, -1, 0.0, 0.0, 0.0
