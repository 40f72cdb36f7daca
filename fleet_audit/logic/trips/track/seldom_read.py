"""The one place that judges odometers that are read seldom: their step, and since when a reading of them is stale.

Some devices read the odometer at ignition off only, others once in 5 km, and repeat the reading meanwhile; or it counts
in steps of 5 km or 5 miles. What is left of the readings proves what it says to everything that comes after.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.workers.threads import map_in_threads
from fleet_audit.logic.trips.kernels.reading_steps import find_counting_steps, find_lags
from fleet_audit.logic.trips.kernels.stale_readings import find_stale_readings
from fleet_audit.logic.trips.track.tracks import Tracks


def with_counting_steps(tracks: Tracks, parameters: ParameterSet) -> Tracks:
    """The tracks with the kilometres in which each one's odometer counts."""

    def of_part(offsets: np.ndarray) -> np.ndarray:
        points, limits = _read(tracks, offsets, parameters)
        steps_km: np.ndarray = find_counting_steps(*points, *limits)
        return steps_km

    return replace(tracks, counting_step_km=np.concatenate(map_in_threads(of_part, tracks.parts())))


def _lags(tracks: Tracks, parameters: ParameterSet) -> np.ndarray:
    points, limits = _read(tracks, tracks.offsets, parameters)
    more = (parameters.frozen_km, parameters.carried_max_kmh)
    lags_km: np.ndarray = find_lags(*points, tracks.ignition, *limits, *more)
    return lags_km


def _read(
    tracks: Tracks, offsets: np.ndarray, parameters: ParameterSet
) -> tuple[tuple[np.ndarray, ...], tuple[object, ...]]:
    points = (tracks.seconds, tracks.latitude, tracks.longitude, tracks.odometer_km)
    return points, (
        offsets,
        tracks.of_part(tracks.resolution_km, offsets),
        parameters.stop_radius_m,
        parameters.fine_step_s,
        parameters.compare_step_s,
        parameters.agree_pct,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
    )


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
        _lags(tracks, parameters),
        parameters.parked_radius_m,
        parameters.frozen_km,
        parameters.reset_below_km,
        parameters.agree_pct / 100,
        parameters.long_chord_uncertainty_pct / 100,
        parameters.fine_step_s,
        parameters.compare_step_s,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
        is_stale,
    )
    return is_stale
