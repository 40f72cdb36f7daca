"""Paths over coordinates that are rounded to a few decimals: what they leave open, and what they contradict."""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.coordinate_grid import scale_to_pieces
from fleet_audit.logic.trips.steps import Steps
from fleet_audit.logic.trips.track.tracks import Tracks


def path_in_pieces(
    tracks: Tracks, steps: Steps, start: np.ndarray, end: np.ndarray, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray]:
    """Metres of each step, and the movements whose path is measured in pieces of four grids: from cell to cell it is
    longer by more than `gps_uncertainty_pct`.

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
    return metres, np.flatnonzero(is_rounded)


def settle_rounded(
    sums: dict, rounded: np.ndarray, raw_km: np.ndarray, odometer_km: np.ndarray, resolution_km: np.ndarray,
    parameters: ParameterSet,
) -> None:  # fmt: skip
    """Sets the sums of the movements `rounded`, whose path in pieces is a lower and whose raw path an upper limit.

    An odometer (NaN: it does not hold) between both, within the tolerance of O05, cannot be compared: it measures
    alone (`km_open`), as over a step without a fix. Otherwise the path in pieces counts, and all of it is a chord,
    whose doubt reaches up to the raw path: a winding road of 26 km in two decimals was 20 km in pieces, stated to 2 km.

    Args:
        raw_km: path of each of these movements from fix to fix; odometer_km, resolution_km: likewise.
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
    beyond_km = (raw_km - path_km)[~is_open] - share * sums["km_chord"][closed]
    sums["km_far_chord"][closed] = np.maximum(sums["km_far_chord"][closed], beyond_km / long_share)
