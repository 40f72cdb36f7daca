"""Fixes whose coordinates are rounded to a few decimals: the grid that they lie on.

A grid coarser than a stop proves no place: where the odometer counted the way, such fixes are none (`lose_rounded`),
and what remains of them is the cell in which the vehicle was (`lost_cells`). The places of stops with cells are in
`trips.rounded.documented_places`, what a finer grid leaves of a path in `trips.rounded.paths`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.sphere import is_null_island
from fleet_audit.logic.primitives.workers.threads import map_in_threads
from fleet_audit.logic.trips.kernels.coordinate_grid import DEGREE_M, LEAST_PLACES, find_counted_grids, mark_grid
from fleet_audit.logic.trips.kernels.false_cells import find_false_cells
from fleet_audit.logic.trips.track.tracks import Tracks

_DECIMALS = (4, 3, 2, 1)  # five decimals are 1 m, finer than any receiver
_COARSE_DECIMALS, _COARSE_PLACES = (1, 0), 2  # by chance one pair of 10,000 in two decimals lies on one decimal


@dataclass(frozen=True)
class RoundedCells:
    """Cells of rounded coordinates: the point that reported each one, its coordinates and the degrees of its grid.

    `is_false`: the odometer contradicts it.
    """

    point: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    degrees: np.ndarray
    is_false: np.ndarray

    @classmethod
    def none(cls) -> RoundedCells:
        """No cells."""
        no = np.empty(0)
        return cls(no.astype(np.int64), no, no, no, no.astype(np.bool_))

    def without(self, dropped: np.ndarray) -> RoundedCells:
        """The cells without those of the points of these numbers, which are in order; numbered without them."""
        before = np.searchsorted(dropped, self.point)
        is_kept = np.append(dropped, -1)[before] != self.point
        latitude, longitude, degrees = (each[is_kept] for each in (self.latitude, self.longitude, self.degrees))
        return RoundedCells((self.point - before)[is_kept], latitude, longitude, degrees, self.is_false[is_kept])


def lost_cells(tracks: Tracks, parameters: ParameterSet) -> RoundedCells:
    """The cells of coordinates that are no fix because they lie on a grid coarser than `stop_radius_m`.

    Of coordinates known to be rounded, two places in a row on a coarser grid suffice for that grid: of an export that
    changes from one decimal to two, fewer places than `LEAST_PLACES` may be on the first one.
    """
    is_cell = tracks.is_lost & ~is_null_island(tracks.latitude, tracks.longitude)
    if not is_cell.any():
        return RoundedCells.none()
    grid_m = coordinate_grid_m(tracks, is_cell | tracks.is_located)
    is_cell &= grid_m > parameters.stop_radius_m
    is_false = np.zeros(len(is_cell), dtype=np.bool_)

    def judge(offsets: np.ndarray) -> None:
        for decimals in _COARSE_DECIMALS:
            mark_grid(tracks.latitude, tracks.longitude, is_cell, offsets, decimals, _COARSE_PLACES, grid_m)
        find_false_cells(
            tracks.seconds,
            tracks.latitude,
            tracks.longitude,
            tracks.odometer_km,
            offsets,
            tracks.of_part(tracks.resolution_km, offsets),
            grid_m,
            is_cell,
            parameters.agree_pct,
            parameters.impossible_kmh,
            parameters.odometer_slack_km,
            parameters.stop_min_s,
            parameters.standing_kmh,
            is_false,
        )

    map_in_threads(judge, tracks.parts())
    point = np.flatnonzero(is_cell)
    degrees = grid_m[point] / DEGREE_M
    return RoundedCells(point, tracks.latitude[point], tracks.longitude[point], degrees, is_false[point])


def coordinate_grid_m(tracks: Tracks, is_fix: np.ndarray) -> np.ndarray:
    """Metres (float32) of the grid in north-south direction that each fix lies on with its neighbours; 0: none."""
    grid_m = np.zeros(len(tracks.seconds), dtype=np.float32)

    def mark(offsets: np.ndarray) -> None:
        for decimals in _DECIMALS:
            if not mark_grid(tracks.latitude, tracks.longitude, is_fix, offsets, decimals, LEAST_PLACES, grid_m):
                return

    map_in_threads(mark, tracks.parts())
    return grid_m


def lose_rounded(tracks: Tracks, parameters: ParameterSet, is_lost: np.ndarray) -> None:
    """Set `is_lost` of fixes on a grid coarser than `stop_radius_m`, on tracks whose odometer counted their way.

    With coordinates in two decimals the path of a diagonal road was 12 to 40 % too long, and stops were found where a
    vehicle crossed a cell. Where the odometer stood, the fixes alone show that the vehicle moved: they are kept.
    """
    is_fix = ~(np.isnan(tracks.latitude) | np.isnan(tracks.longitude) | is_lost)
    grid_m = coordinate_grid_m(tracks, is_fix)
    if grid_m.max(initial=0) <= parameters.stop_radius_m:
        return
    find_counted_grids(
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        tracks.odometer_km,
        tracks.offsets,
        tracks.resolution_km,
        grid_m,
        is_fix,
        parameters.stop_radius_m,
        parameters.agree_pct,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
        is_lost,
    )
