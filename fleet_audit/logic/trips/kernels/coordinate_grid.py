"""Coordinates that are rounded to a few decimals: which fixes lie on a grid, and the length of a path over them.

What follows from it is decided in `track.rounded_fixes` and in `trips.rounded.paths`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.odometer import is_missed, is_plausible
from fleet_audit.logic.trips.kernels.sphere import EARTH_RADIUS_M, distance_m

DEGREE_M = EARTH_RADIUS_M * math.pi / 180
PIECE_GRIDS = 4  # the error of both ends makes a piece of four grids 0.5 % too long, and one of one grid up to 27 %
LEAST_PLACES = 4  # by chance one of 100 places in five decimals lies on the grid of four
_SAME_DEGREES = 3e-6  # what a coordinate is off that was stored in four bytes


@njit(cache=True, nogil=True)
def mark_grid(lat, lon, is_fix, offsets, decimals, least_places, grid_m):  # type: ignore[no-untyped-def]
    """Sets grid_m of fixes that follow each other in so many decimals, at `least_places` places; whether any do.

    A vehicle that is parked on the grid is one place, however often it reports.
    """
    has_any = False
    scale = 10.0**decimals
    for track in range(len(offsets) - 1):
        first, before, places = -1, -1, 0
        for i in range(offsets[track], offsets[track + 1] + 1):
            is_over = i == offsets[track + 1]
            if not is_over and not is_fix[i]:
                continue
            if not is_over and is_on_grid(lat[i], scale) and is_on_grid(lon[i], scale):
                if first < 0:
                    first, places = i, 1
                elif lat[i] != lat[before] or lon[i] != lon[before]:
                    places += 1
                before = i
                continue
            if places >= least_places:
                grid_m[first : before + 1] = DEGREE_M / scale
                has_any = True
            first, places = -1, 0
    return has_any


@njit(cache=True, nogil=True, inline="always")
def is_on_grid(degrees, scale):  # type: ignore[no-untyped-def]
    """Whether a coordinate is a whole number of units, `scale` to the degree."""
    units = degrees * scale
    return abs(units - np.rint(units)) <= _SAME_DEGREES * scale


@njit(cache=True, nogil=True)
def find_counted_grids(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, offsets, resolution, grid_m, is_fix, coarse_m, agree_pct, impossible_kmh, slack_km,
    is_lost,
):  # fmt: skip
    """Sets is_lost of the fixes on grids coarser than `coarse_m` of tracks whose odometer counted the way between them.

    The way is that of pieces of `PIECE_GRIDS`. Where the odometer reads the same although the vehicle moved away, fixes
    are kept: of a shuttle of 3 km no piece is seen, and what one frozen trip of six misses the others' detours cover.
    """
    for track in range(len(offsets) - 1):
        anchor = reading = -1
        path_km = counted_km = widest_m = 0.0
        for i in range(offsets[track], offsets[track + 1]):
            if not (is_fix[i] and grid_m[i] > coarse_m):
                continue
            anchor = i if anchor < 0 else anchor
            widest_m = max(widest_m, grid_m[i])
            piece_m = distance_m(lat[anchor], lon[anchor], lat[i], lon[i])
            if piece_m >= PIECE_GRIDS * grid_m[i]:
                path_km += piece_m / 1000
                anchor = i
            if math.isnan(odometer[i]):
                continue
            if reading >= 0:
                counted = odometer[i] - odometer[reading]
                is_counted = is_plausible(counted, seconds[i] - seconds[reading], impossible_kmh, slack_km)
                counted_km += counted if is_counted else 0.0
            reading = i
        doubt_km = math.sqrt(2) * widest_m / 1000 + resolution[track]
        if reading < 0 or is_missed(path_km, counted_km, doubt_km, agree_pct):
            continue
        _lose_counted(
            lat,
            lon,
            odometer,
            grid_m,
            is_fix,
            offsets[track],
            offsets[track + 1],
            coarse_m,
            doubt_km,
            agree_pct,
            is_lost,
        )


@njit(cache=True, nogil=True)
def _lose_counted(  # type: ignore[no-untyped-def]
    lat, lon, odometer, grid_m, is_fix, low, high, coarse_m, doubt_km, agree_pct, is_lost
):
    """Sets is_lost of the coarse fixes of each stretch of equal readings that does not lead away from its first fix."""
    start, anchor = low, -1
    standing_km, farthest_km = math.nan, 0.0
    for i in range(low, high + 1):
        if i == high or abs(odometer[i] - standing_km) > 0:
            if not is_missed(farthest_km, 0.0, doubt_km, agree_pct):
                is_lost[start:i] |= is_fix[start:i] & (grid_m[start:i] > coarse_m)
            start, anchor, farthest_km = i, -1, 0.0
        if i == high:
            break
        standing_km = standing_km if math.isnan(odometer[i]) else odometer[i]
        if is_fix[i] and grid_m[i] > coarse_m:
            anchor = i if anchor < 0 else anchor
            farthest_km = max(farthest_km, distance_m(lat[anchor], lon[anchor], lat[i], lon[i]) / 1000)


@njit(cache=True, nogil=True)
def scale_to_pieces(metres, lat, lon, grid_m, is_unseen, start, end, least_pct):  # type: ignore[no-untyped-def]
    """The metres of all steps, and whether each movement from start[k] to end[k] is measured in pieces.

    It is where its coordinates lie on a grid and pieces of `PIECE_GRIDS` are shorter than its steps by more than
    `least_pct` of them: then the steps of each piece are as long together as the piece. A piece ends where the grid
    changes, too: 60 coarse fixes of 190 shorten no step of the others.
    """
    scaled = metres.copy()
    is_rounded = np.zeros(len(start), dtype=np.bool_)
    for k in range(len(start)):
        low, high = start[k], end[k] + 1
        if grid_m[low:high].max() == 0:
            continue
        anchor = low
        for i in range(low + 1, high):
            if is_unseen[i]:
                _scale(scaled, lat, lon, anchor, i - 1)
                anchor = i
            elif (
                i == end[k]
                or grid_m[i] != grid_m[anchor]
                or distance_m(lat[anchor], lon[anchor], lat[i], lon[i]) >= PIECE_GRIDS * grid_m[anchor]
            ):
                _scale(scaled, lat, lon, anchor, i)
                anchor = i
        pieces_m, steps_m = np.nansum(scaled[low + 1 : high]), np.nansum(metres[low + 1 : high])
        is_rounded[k] = pieces_m * (1 + least_pct / 100) < steps_m
        if not is_rounded[k]:
            scaled[low:high] = metres[low:high]
    return scaled, is_rounded


@njit(cache=True, nogil=True)
def _scale(metres, lat, lon, first, last):  # type: ignore[no-untyped-def]
    """Shortens the steps from first to last so that they are as long as the way between both."""
    path_m = metres[first + 1 : last + 1].sum()
    if path_m > 0 and last > first + 1:
        metres[first + 1 : last + 1] *= min(1.0, distance_m(lat[first], lon[first], lat[last], lon[last]) / path_m)
