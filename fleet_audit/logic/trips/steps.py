"""Facts of the step that leads to each point of the tracks, and their sums over a movement.

The compiled passes are in `kernels.steps`; which points count is decided in `track.points`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.workers.threads import map_in_threads, thread_count
from fleet_audit.logic.trips.kernels import missed_km as missed_km_kernel
from fleet_audit.logic.trips.kernels import steps as step_kernels
from fleet_audit.logic.trips.track.frozen_odometers import frozen_stretches
from fleet_audit.logic.trips.track.points import Points, mark_carried
from fleet_audit.logic.trips.track.tracks import Tracks


@dataclass(frozen=True)
class Steps:
    """Facts of the step that leads to each point.

    `is_away`: in a step beyond `gap_note_s` the odometer counted a leg or more, wherever the step ends. `is_bridged`,
    `has_fix`, `grid_m`: as in `Points`. `is_carried`: a ferry or a tow moved the vehicle.
    `splits`, `faults`: the points reached by a step that splits, and those whose own odometer reading is faulty, or
    stood while the vehicle moved.
    `resolution_km`: of the odometer of each track.
    """

    is_split: np.ndarray
    is_standing: np.ndarray
    is_away: np.ndarray
    is_bridged: np.ndarray
    is_carried: np.ndarray
    has_fix: np.ndarray
    grid_m: np.ndarray
    metres: np.ndarray
    splits: np.ndarray
    faults: np.ndarray
    resolution_km: np.ndarray


def classify_steps(points: Points, parameters: ParameterSet) -> Steps:
    """Facts of the step to each point; the arguments of each rule are parameters of docs/segmentation.md."""
    tracks, size = points.tracks, len(points.metres)
    is_standing, is_split, is_away, is_faulty, is_carried = (np.zeros(size, dtype=np.bool_) for _ in range(5))

    def classify(offsets: np.ndarray) -> None:
        resolution_km = tracks.of_part(tracks.resolution_km, offsets)
        step_kernels.classify_steps(
            tracks.seconds,
            points.metres,
            tracks.odometer_km,
            points.is_jump,
            offsets,
            resolution_km,
            parameters.standing_kmh,
            parameters.stop_radius_m,
            parameters.gap_note_s,
            parameters.gap_split_s,
            parameters.impossible_kmh,
            parameters.odometer_slack_km,
            parameters.leg_min_km,
            is_standing,
            is_split,
            is_away,
            is_faulty,
        )
        mark_carried(points, offsets, resolution_km, parameters, is_carried)
        for first, last, _ in zip(*frozen_stretches(points, is_carried, offsets, parameters), strict=True):
            # From the first movement on: the trip before it is measured by a reading of the same halt.
            is_faulty[first + 1 : last + 1] |= ~is_standing[first + 1 : last + 1]

    map_in_threads(classify, tracks.parts())
    return Steps(
        is_split=is_split,
        is_standing=is_standing,
        is_away=is_away,
        is_bridged=points.is_bridged,
        is_carried=is_carried,
        has_fix=points.has_fix,
        grid_m=points.grid_m,
        metres=points.metres,
        splits=np.flatnonzero(is_split),
        faults=np.flatnonzero(is_faulty),
        resolution_km=tracks.resolution_km,
    )


def missed_km(
    tracks: Tracks, steps: Steps, bounds: tuple[np.ndarray, ...], parameters: ParameterSet
) -> tuple[np.ndarray, ...]:
    """Which steps have a reading that missed a part of their way, or repay it; which movements hold one; last readings.

    bounds: start, end, first and last reading of each movement, as points; in order.
    """
    found: tuple[np.ndarray, ...] = missed_km_kernel.find_missed_km(
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        steps.metres,
        tracks.odometer_km,
        steps.is_bridged | steps.is_carried,
        *bounds,
        tracks.track_of(bounds[0]),
        tracks.offsets,
        steps.resolution_km,
        tracks.counting_step_km,
        parameters.fine_step_s,
        parameters.compare_step_s,
        parameters.stop_radius_m,
        parameters.outlier_m,
        parameters.agree_pct,
        parameters.long_chord_uncertainty_pct,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
    )
    return found


def sum_steps(
    tracks: Tracks, steps: Steps, is_unread: np.ndarray, start: np.ndarray, end: np.ndarray, parameters: ParameterSet
) -> dict:
    """The `kernels.steps.SUMS` over the steps from each start to its end; is_unread: as `missed_km` returns."""

    def sum_part(part: np.ndarray) -> np.ndarray:
        sums: np.ndarray = step_kernels.sum_steps(
            tracks.seconds,
            steps.metres,
            tracks.odometer_km,
            steps.is_bridged,
            steps.is_carried,
            is_unread,
            start[part],
            end[part],
            parameters.stop_radius_m,
            parameters.gap_note_s,
            parameters.compare_step_s,
            parameters.fine_step_s,
            parameters.chord_step_s,
            parameters.far_step_s,
            parameters.coverage_step_s,
            parameters.impossible_kmh,
            parameters.odometer_slack_km,
        )
        return sums

    parts = np.array_split(np.arange(len(start)), thread_count())
    sums = np.concatenate(map_in_threads(sum_part, parts), axis=1)
    return dict(zip(step_kernels.SUMS, sums, strict=True))


def any_point_between(points: np.ndarray, after: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Whether any of the sorted points lies after `after` and at or before `until`."""
    return np.searchsorted(points, until, side="right") > np.searchsorted(points, after, side="right")
