"""Odometer / path of each device over a window, in pieces: the unit that its odometer counts in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.coordinate_grid import PIECE_GRIDS
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.track.points import Points

_CHUNK_KM = 5.0  # an odometer of whole kilometres is off by 20 % over it, far from the next unit
_MIN_CHUNKS = 3


def window_ratios(points: Points, parameters: ParameterSet) -> pd.DataFrame:
    """Median odometer / path of each track over the window, in pieces of 5 km; no row for a shorter path."""
    accepted = points.tracks
    track, ratio = chunk_ratios(
        accepted.seconds,
        accepted.latitude,
        accepted.longitude,
        accepted.odometer_km,
        points.is_bridged | points.is_jump,
        points.grid_m,
        accepted.offsets,
        _CHUNK_KM,
        parameters.standing_kmh,
        parameters.compare_step_s,
    )
    groups = pd.DataFrame({"track": track, "ratio": ratio}).groupby("track")["ratio"]
    found = groups.agg(odometer_ratio="median", chunks="size")
    return found[found["chunks"] >= _MIN_CHUNKS].assign(ratio_km=lambda rows: rows["chunks"] * _CHUNK_KM)


@njit(cache=True)
def chunk_ratios(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, is_unmeasured, grid_m, offsets, chunk_km, standing_kmh, compare_step_s
):
    """Odometer / path over each `chunk_km` of moving steps: track and ratio of each.

    Falls are excluded, jumps of the odometer are not: an odometer in metres jumps at every step. `is_unmeasured`: the
    step to the point has no path of its own. With every third fix at (0, 0) and the points between on their meridian a
    sound odometer seemed to count miles. Of coordinates on a grid the path is that of pieces of `PIECE_GRIDS`.
    """
    size = len(seconds)
    owner = np.empty(size, dtype=np.int64)
    ratio = np.empty(size)
    count = 0
    for track in range(len(offsets) - 1):
        path = counted = 0.0
        anchor = offsets[track]
        for i in range(offsets[track] + 1, offsets[track + 1]):
            if seconds[i] - seconds[i - 1] > compare_step_s or not odometer[i] >= odometer[i - 1] or is_unmeasured[i]:
                anchor = i
                continue
            piece = distance_m(lat[anchor], lon[anchor], lat[i], lon[i])
            if piece < PIECE_GRIDS * grid_m[i]:
                continue
            first, anchor = anchor, i
            if piece * 3.6 < standing_kmh * (seconds[i] - seconds[first]):
                continue
            path += piece / 1000
            counted += odometer[i] - odometer[first]
            if path >= chunk_km:
                owner[count], ratio[count] = track, counted / path
                count += 1
                path = counted = 0.0
    return owner[:count], ratio[:count]
