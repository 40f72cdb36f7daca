"""Positions that came twice, the second time under a clock that is whole hours off: an export in local time, say.

Buffers that are sent under the time of sending are in `late_rows`; several devices of one vehicle in `other_clocks`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fleet_audit.logic.trips.track.tracks import Tracks

FEWEST_POINTS = 20  # that show the same offset; by chance a place to the metre and a reading do not even meet once
_STEP_S = 1800  # zones of the earth differ by half hours
_MOST_STEPS = 28  # 14 h


def without_copied_points(tracks: Tracks) -> Tracks:
    """The tracks with the place and the reading of the earlier copies lost; their points keep time and ignition.

    A file in local time under the mark of UTC, beside the API or the right file, made two fleets of one: 605 km were
    paid for 296, and the odometer seemed to fall all day (O01). Local time in Brazil is behind UTC, so the earlier copy
    is the wrong one of such a pair; of any other pair the clock shows against the declared runs.
    """
    is_copy = copied_points(tracks)
    if not is_copy.any():
        return tracks
    return replace(
        tracks,
        odometer_km=np.where(is_copy, np.nan, tracks.odometer_km),
        is_lost=tracks.is_lost | is_copy,
    )


def copied_points(tracks: Tracks) -> np.ndarray:
    """Which points are the earlier of two with one place and reading, whole half hours apart, and others in between.

    A parked vehicle repeats itself, too: nothing else lies in between then. At least `FEWEST_POINTS` of a track agree.
    """
    is_copy = np.zeros(len(tracks.seconds), dtype=bool)
    at = _of_falling_odometers(tracks)
    if len(at) == 0:
        return is_copy
    owner, odometer = tracks.track_of(at), tracks.odometer_km[at]
    changes = np.cumsum(np.append(0, odometer[1:] != odometer[:-1]))
    facts = (odometer, tracks.longitude[at], tracks.latitude[at], owner)
    order = np.lexsort((tracks.seconds[at], *facts))
    is_next = np.logical_and.reduce([fact[order][1:] == fact[order][:-1] for fact in facts])
    is_pair = is_next & ~np.append(False, is_next[:-1]) & ~np.append(is_next[1:], False)
    early, late = order[:-1][is_pair], order[1:][is_pair]
    apart_s = tracks.seconds[at[late]] - tracks.seconds[at[early]]
    steps = np.round(apart_s / _STEP_S).astype(np.int64)
    is_apart = (np.abs(apart_s - steps * _STEP_S) < 1) & (steps > 0) & (steps <= _MOST_STEPS)
    is_apart &= changes[late] > changes[early]
    early, steps = early[is_apart], steps[is_apart]
    _, offset, count = np.unique(owner[early] * (_MOST_STEPS + 1) + steps, return_inverse=True, return_counts=True)
    is_copy[at[early[count[offset] >= FEWEST_POINTS]]] = True
    return is_copy


def _of_falling_odometers(tracks: Tracks) -> np.ndarray:
    """Points with a place and a reading, of tracks whose readings fall at least `FEWEST_POINTS` times."""
    at = np.flatnonzero(tracks.is_located & (tracks.odometer_km > 0))
    owner = tracks.track_of(at)
    is_fall = (np.diff(tracks.odometer_km[at]) < 0) & (owner[1:] == owner[:-1])
    falls = np.bincount(owner[1:][is_fall], minlength=len(tracks.index))
    return at[falls[owner] >= FEWEST_POINTS]
