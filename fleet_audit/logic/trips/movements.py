"""Movements between stops, measured: the rows of `trips.legs` before distances are chosen.

Distances are chosen in `distance`; joining legs to trips is in `trips`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.columns import Columns
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.workers.threads import run_in_threads
from fleet_audit.logic.trips.kernels import movements as movement_kernels
from fleet_audit.logic.trips.rounded.paths import is_coarse_throughout, path_in_pieces, settle_rounded
from fleet_audit.logic.trips.steps import Steps, any_point_between, missed_km, sum_steps
from fleet_audit.logic.trips.track.points import instant_column
from fleet_audit.logic.trips.track.tracks import Tracks


def measure_movements(
    tracks: Tracks, steps: Steps, stops: Columns, start: np.ndarray, end: np.ndarray, before: np.ndarray,
    after: np.ndarray, parameters: ParameterSet,
) -> dict[str, Any]:  # fmt: skip
    """One row per movement from point start[k] to end[k], the columns of `Segmentation.leg_columns`.

    `before`, `after`: numbers of `stops` on both sides, -1 where nothing is known there.
    """
    first_reading, last_reading = _readings(tracks, stops, start, end, before, after)
    has_readings = (first_reading >= 0) & (last_reading > first_reading)
    of_fixes, (path_m, rounded) = steps, path_in_pieces(tracks, steps, start, end, parameters)
    steps = replace(steps, metres=path_m)
    is_unread, is_repaid, has_missed, last_reading = missed_km(
        tracks, steps, (start, end, first_reading, last_reading), parameters
    )
    is_unread[steps.faults] = True
    if is_repaid.any():
        steps, of_fixes = (replace(of, metres=np.where(is_repaid, 0.0, of.metres)) for of in (steps, of_fixes))
    sums, (number, highest), (_, fastest), driver, (moving_us, moving_steps), (moved, digest) = run_in_threads(
        lambda: sum_steps(tracks, steps, is_unread, start, end, parameters),
        lambda: movement_kernels.count_and_maximum(tracks.passengers, start, end),
        lambda: movement_kernels.count_and_maximum(tracks.speed_kmh, start, end),
        lambda: movement_kernels.most_frequent(tracks.driver, start, end),
        lambda: movement_kernels.moving_time(tracks.seconds, steps.is_standing, start, end),
        lambda: movement_kernels.digest_positions(
            tracks.seconds,
            tracks.latitude,
            tracks.longitude,
            of_fixes.metres,
            steps.has_fix & ~steps.is_bridged,
            parameters.standing_kmh,
            start,
            end,
        ),
    )
    sums["gaps"] = sums["gaps"].astype("int64")
    sums["km_open"] = np.zeros(len(start))
    track = tracks.track_of(start)
    km_odometer = np.full(len(start), np.nan)
    km_odometer[has_readings] = (tracks.odometer_km[last_reading] - tracks.odometer_km[first_reading])[has_readings]
    is_odometer_valid = (
        has_readings
        & ~(has_missed & ~(_is_compared(sums) & (tracks.counting_step_km[track] == 0)))
        & ~any_point_between(steps.faults, first_reading, last_reading)
        & (
            movement_kernels.longest_unread_m(steps.metres, start, end, first_reading, last_reading)
            <= parameters.stop_radius_m
        )
    )
    if len(rounded):
        raw_km = sum_steps(tracks, of_fixes, is_unread, start[rounded], end[rounded], parameters)["km_gps"]
        held_km = np.where(is_odometer_valid, km_odometer, np.nan)[rounded]
        is_coarse = is_coarse_throughout(steps, start[rounded], end[rounded], parameters)
        settle_rounded(sums, rounded, raw_km, held_km, steps.resolution_km[track[rounded]], is_coarse, parameters)
    return {
        "track": track,
        "start": start,
        "end": end,
        "stop_before": before,
        "stop_after": after,
        **{name: tracks.index[name].array[track] for name in tracks.index},
        "driver_id": _drivers(tracks, driver),
        "started_at": instant_column(tracks.seconds[start]),
        "ended_at": instant_column(tracks.seconds[end]),
        "origin_latitude": _of_stop(stops["latitude"], before),
        "origin_longitude": _of_stop(stops["longitude"], before),
        "destination_latitude": _of_stop(stops["latitude"], after),
        "destination_longitude": _of_stop(stops["longitude"], after),
        **sums,
        "km_odometer": km_odometer,
        "is_odometer_valid": is_odometer_valid,
        "odometer_start_km": np.append(tracks.odometer_km, np.nan)[first_reading],
        "odometer_end_km": np.append(tracks.odometer_km, np.nan)[last_reading],
        "is_ignition_off_before": _is_ignition_off(tracks, stops["first"], before),
        "is_ignition_off_after": _is_ignition_off(tracks, stops["last"], after),
        "odometer_resolution_km": steps.resolution_km[track],
        "max_speed_kmh": fastest,
        "passengers_readings": number,
        "passengers_max": highest,
        "moving_s": moving_us / 1e6,
        "moving_steps": moving_steps.astype("float64"),
        "first_moving_at": _instants_of(tracks, moved),
        "track_digest": digest,
        "is_start_in_gap": before < 0,
        "is_end_in_gap": after < 0,
    }


def _is_compared(sums: dict) -> np.ndarray:
    """Whether fine steps hold half of each movement's km and no chord over a long step: its path and odometer compare.

    Then O05 states what the odometer missed. Of a long step the path knows no more than the chord.
    """
    is_fine: np.ndarray = (sums["km_fine"] > 0) & (2 * sums["km_fine"] >= sums["km_gps"]) & (sums["km_long_chord"] == 0)
    return is_fine


def mean_step_s(trips: pd.DataFrame) -> pd.Series:
    """Mean seconds from one position to the next in motion, of each trip; NaN where none is known."""
    seconds, steps = (trips[name].astype("float64") for name in ("moving_s", "moving_steps"))
    return seconds / steps.where(steps > 0)


def is_path_of_chords(trips: pd.DataFrame, parameters: ParameterSet) -> pd.Series:
    """Whether each trip's km are a path of positions too rare to follow the road, which is longer by what they cut."""
    is_path = (trips["km_method"] == "gps").to_numpy(dtype=bool, na_value=False)
    return pd.Series(is_path & (mean_step_s(trips) > parameters.fine_step_s).to_numpy(dtype=bool), index=trips.index)


def _drivers(tracks: Tracks, driver: np.ndarray) -> Any:
    """The drivers' pseudonyms (missing: none), as texts at once: pandas would look at each object."""
    if not (driver >= 0).any():
        return np.full(len(driver), None, dtype=object)
    return pd.array(tracks.drivers, dtype="str").take(driver, allow_fill=True)


def _instants_of(tracks: Tracks, points: np.ndarray) -> pd.arrays.DatetimeArray:
    """Instants of points; missing where a point is -1."""
    own = np.where(points >= 0, np.arange(len(points)), -1)
    return instant_column(tracks.seconds[points]).take(own, allow_fill=True)


def _is_ignition_off(tracks: Tracks, points: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Whether the ignition is off at this point of each stop; without a stop, or where it is unknown, it is not."""
    return np.append(tracks.ignition[points] == 0, False)[stop]


def _of_stop(values: np.ndarray, stop: np.ndarray) -> np.ndarray:
    return np.where(stop >= 0, np.append(values, np.nan)[stop], np.nan)


def _readings(
    tracks: Tracks, stops: Columns, start: np.ndarray, end: np.ndarray, before: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Index of the readings that a leg is measured between: those of its stops, else the first and last inside."""
    first = np.append(stops["departure_reading"], -1)[before]
    last = np.append(stops["arrival_reading"], -1)[after]
    return (
        np.where(first >= 0, first, tracks.reading_from(start)),
        np.where(last >= 0, last, tracks.reading_until(end)),
    )
