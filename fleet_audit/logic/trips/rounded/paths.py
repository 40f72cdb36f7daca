"""Paths over coordinates that are rounded to a few decimals: what they leave open, and what they contradict."""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.coordinate_grid import scale_to_pieces
from fleet_audit.logic.trips.steps import Steps, any_point_between
from fleet_audit.logic.trips.track.tracks import Tracks

_COARSE_TIMES = 1.5  # the share of a piece's doubt in that of a chord of 300 s, where a cell is 1.1 km


def path_in_pieces(
    tracks: Tracks, steps: Steps, start: np.ndarray, end: np.ndarray, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray]:
    """Metres of each step, in pieces of four grids where from cell to cell the path is longer by `gps_uncertainty_pct`.

    Returns:
        Metres; the movements so measured, and those whose grid is coarser than a stop.

    With positions every 10 s and coordinates in three decimals a diagonal road of 40 km was 50.6 km from cell to cell.
    """
    if not steps.grid_m.any():
        return steps.metres, np.empty(0, dtype=np.int64)
    metres, is_rounded = scale_to_pieces(
        steps.metres,
        tracks.latitude,
        tracks.longitude,
        steps.grid_m,
        steps.is_bridged,
        start,
        end,
        parameters.gps_uncertainty_pct,
    )
    is_coarse = is_coarse_throughout(steps, start, end, parameters)
    return metres, np.flatnonzero(is_rounded | is_coarse)


def is_coarse_throughout(steps: Steps, start: np.ndarray, end: np.ndarray, parameters: ParameterSet) -> np.ndarray:
    """Whether all fixes of each movement lie on a grid coarser than a stop."""
    finer = np.flatnonzero(steps.grid_m <= parameters.stop_radius_m)
    return ~any_point_between(finer, start, end)


def settle_rounded(
    sums: dict, rounded: np.ndarray, raw_km: np.ndarray, odometer_km: np.ndarray, resolution_km: np.ndarray,
    is_coarse: np.ndarray, parameters: ParameterSet,
) -> None:  # fmt: skip
    """Sets the sums of the movements `rounded`, whose path in pieces is a lower and whose raw path an upper limit.

    An odometer (NaN: it does not hold) between both, within the tolerance of O05, cannot be compared: it measures
    alone (`km_open`), as over a step without a fix. Otherwise the path in pieces counts, and all of it is a chord,
    whose doubt reaches up to the raw path: a winding road of 26 km in two decimals was 20 km in pieces, stated to 2 km.
    Where an odometer stands, the fixes back and forth between two cells are rejected as drift, and the raw path of that
    road was not longer either: four cells of two decimals are 4.4 km, as long as a chord of 450 s at 36 km/h.

    Args:
        raw_km: path of each of these movements from fix to fix; odometer_km, resolution_km: likewise.
        is_coarse: as `is_coarse_throughout` returns.
    """
    path_km = sums["km_gps"][rounded]
    tolerance_km = np.maximum(parameters.agree_pct / 100 * odometer_km, parameters.agree_km) + resolution_km
    is_open = (path_km - tolerance_km <= odometer_km) & (odometer_km <= np.maximum(path_km, raw_km) + tolerance_km)
    for name in ("km_gps", "km_bridged"):
        sums[name][rounded[is_open]] = odometer_km[is_open]
    for name in ("km_fine", "km_chord", "km_long_chord", "km_far_chord"):
        sums[name][rounded[is_open]] = 0.0
    sums["km_open"][rounded[is_open]] = odometer_km[is_open]
    closed = rounded[~is_open]
    sums["km_chord"][closed] = np.maximum(sums["km_chord"], sums["km_gps"] - sums["km_bridged"])[closed]
    share, long_share = parameters.chord_uncertainty_pct / 100, parameters.long_chord_uncertainty_pct / 100
    open_km = np.maximum(raw_km - path_km, np.where(is_coarse, _COARSE_TIMES * long_share * path_km, 0.0))
    chord_km, long_chord_km = sums["km_chord"][closed], sums["km_long_chord"][closed]
    beyond_km = open_km[~is_open] - share * (chord_km - long_chord_km) - long_share * long_chord_km
    sums["km_far_chord"][closed] = np.maximum(sums["km_far_chord"][closed], beyond_km / long_share)
