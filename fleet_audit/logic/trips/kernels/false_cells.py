"""Cells of rounded coordinates that the odometer contradicts: of a receiver that is stuck, or that jumps.

Which coordinates are rounded is in `coordinate_grid`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.coordinate_grid import DEGREE_M
from fleet_audit.logic.trips.kernels.odometer import is_missed, is_plausible


@njit(cache=True, nogil=True)
def find_false_cells(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, offsets, resolution, grid_m, is_cell, agree_pct, impossible_kmh, slack_km, stop_s,
    standing_kmh, is_false,
):  # fmt: skip
    """Sets is_false of the cells (points of `is_cell`) that cannot all be true by what the odometer counted.

    Cells that repeat each other are false from where the odometer counted more since the vehicle last stood than a way
    across two units of the last digit: five moves of 0.75 km within a front's cell are no way out of it, but three of
    2.4 km are, though the vehicle stands between them. So it is counted back from their end, too, where the next cell
    can follow them: the way home of a bus that drove two rounds of 1.6 km on a front was held. Of two that follow each
    other further apart than was counted between them, one is false, and nothing shows which: both are, and so are their
    repetitions for which the same holds. A cell between two equal ones that it is too far from is false alone. A
    reading that nothing can have counted begins anew.
    """
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        point = low + np.flatnonzero(is_cell[low:high] & ~np.isnan(odometer[low:high]))
        if len(point) == 0:
            continue
        km, begins = _counted(seconds, odometer, point, impossible_kmh, slack_km)
        first, last = _equal_cells(lat, lon, point, begins)
        is_lone = _lone_runs(lat, lon, grid_m, point, km, begins, first, last, resolution[track], agree_pct)
        stand_s = max(stop_s, 3600 * resolution[track] / standing_kmh)
        is_far = np.zeros((2, len(point)), dtype=np.bool_)  # from the last anchor before it, and the next one after it
        before = start = -1  # the run before, and the cell that the run repeats since the vehicle last stood
        for run in range(len(first)):
            if is_lone[run]:
                is_false[point[first[run] : last[run] + 1]] = True
                continue
            is_anew = before < 0 or begins[first[run]]
            if is_anew or not _is_equal(lat, lon, point[first[before]], point[first[run]]):
                start = first[run]
            start = _lose_repeated(
                seconds, lat, grid_m, point, km, start, first[run], last[run], resolution[track], stand_s, is_far[0]
            )
            if not is_anew:
                apart_km = _apart_km(lat, lon, grid_m, point[first[before]], point[first[run]])
                for k in range(first[before], last[run] + 1):
                    counted_km = km[first[run]] - km[k] if k <= last[before] else km[k] - km[last[before]]
                    if is_missed(apart_km, counted_km, resolution[track], agree_pct):
                        is_false[point[k]] = True
            before = run
        _lose_repeated_before(
            seconds, lat, lon, grid_m, point, km, begins, first, last, is_lone, resolution[track], agree_pct, stand_s,
            is_far[1],
        )  # fmt: skip
        is_false[point[is_far[0] & is_far[1]]] = True


@njit(cache=True, nogil=True)
def _lone_runs(lat, lon, grid_m, point, km, begins, first, last, doubt_km, agree_pct):  # type: ignore[no-untyped-def]
    """Whether the cells before and after each run are one cell that is too far from it both ways."""
    is_lone = np.zeros(len(first), dtype=np.bool_)
    for run in range(1, len(first) - 1):
        before, after = first[run - 1], first[run + 1]
        if (
            is_lone[run - 1]
            or begins[first[run]]
            or begins[after]
            or not _is_equal(lat, lon, point[before], point[after])
        ):
            continue
        apart_km = _apart_km(lat, lon, grid_m, point[before], point[first[run]])
        counted_km = max(km[first[run]] - km[last[run - 1]], km[after] - km[last[run]])
        is_lone[run] = is_missed(apart_km, counted_km, doubt_km, agree_pct)
    return is_lone


@njit(cache=True, nogil=True)
def _counted(seconds, odometer, point, impossible_kmh, slack_km):  # type: ignore[no-untyped-def]
    """What the odometer counted up to each point, and whether a reading begins anew there."""
    km, begins = np.zeros(len(point)), np.zeros(len(point), dtype=np.bool_)
    for k in range(1, len(point)):
        counted = odometer[point[k]] - odometer[point[k - 1]]
        begins[k] = not is_plausible(counted, seconds[point[k]] - seconds[point[k - 1]], impossible_kmh, slack_km)
        km[k] = km[k - 1] + (0.0 if begins[k] else counted)
    return km, begins


@njit(cache=True, nogil=True)
def _equal_cells(lat, lon, point, begins):  # type: ignore[no-untyped-def]
    """The first and the last of each run of equal cells."""
    is_first = np.ones(len(point), dtype=np.bool_)
    for k in range(1, len(point)):
        is_first[k] = begins[k] or not _is_equal(lat, lon, point[k - 1], point[k])
    first = np.flatnonzero(is_first)
    return first, np.append(first[1:], len(point)) - 1


@njit(cache=True, nogil=True)
def _is_equal(lat, lon, left, right):  # type: ignore[no-untyped-def]
    return lat[left] == lat[right] and lon[left] == lon[right]


@njit(cache=True, nogil=True)
def _lose_repeated(  # type: ignore[no-untyped-def]
    seconds, lat, grid_m, point, km, anchor, first, last, doubt_km, stand_s, is_far
):
    """The point from which on the next cells repeat it: the last one at which the vehicle stood and the cell is true.

    `first` is the end of the run at which the cell is true; points too far from the anchor are marked in `is_far`.
    After a way longer than one cell a stand does not show that it is: by several of these, each shorter than two, a
    vehicle leaves it. An odometer that counts whole km can stand for less than `stand_s` while the vehicle drives.
    """
    cell_km = grid_m[point[first]] * math.sqrt(1 + math.cos(math.radians(lat[point[first]])) ** 2) / 1000
    since, step = first, 1 if first <= last else -1
    for k in range(first, last + step, step):
        counted_km = step * (km[k] - km[anchor])
        if step * (km[k] - km[since]) > 0:
            since = k
        if counted_km > 2 * cell_km + doubt_km:
            is_far[k] = True
        elif counted_km <= cell_km + doubt_km and abs(seconds[point[k]] - seconds[point[since]]) >= stand_s:
            anchor = k
    return anchor


@njit(cache=True, nogil=True)
def _lose_repeated_before(  # type: ignore[no-untyped-def]
    seconds, lat, lon, grid_m, point, km, begins, first, last, is_lone, doubt_km, agree_pct, stand_s, is_far
):
    """Marks in `is_far` the cells that are too far from the last one of their run, which the next run can follow.

    All of a run that none can follow: a receiver that is stuck to the end proves nothing of it.
    """
    after, end = -1, -1  # the run after, and the cell that the run repeats until the vehicle next stands
    for run in np.flatnonzero(~is_lone)[::-1]:
        if after < 0 or begins[first[after]]:
            end = -1
        elif not _is_equal(lat, lon, point[first[after]], point[first[run]]):
            apart_km = _apart_km(lat, lon, grid_m, point[first[run]], point[first[after]])
            counted_km = km[first[after]] - km[last[run]]
            end = -1 if is_missed(apart_km, counted_km, doubt_km, agree_pct) else last[run]
        if end < 0:
            is_far[first[run] : last[run] + 1] = True
        else:
            end = _lose_repeated(seconds, lat, grid_m, point, km, end, last[run], first[run], doubt_km, stand_s, is_far)
        after = run


@njit(cache=True, nogil=True)
def _apart_km(lat, lon, grid_m, left, right):  # type: ignore[no-untyped-def]
    """The least distance of two cells, for one export rounds or cuts off all of its coordinates alike."""
    unit_m = max(grid_m[left], grid_m[right])
    width = math.cos(math.radians(lat[right]))
    north_m = max(abs(lat[left] - lat[right]) * DEGREE_M - unit_m, 0.0)
    east_m = max(abs(lon[left] - lon[right]) * DEGREE_M - unit_m, 0.0) * width
    return math.sqrt(north_m**2 + east_m**2) / 1000
