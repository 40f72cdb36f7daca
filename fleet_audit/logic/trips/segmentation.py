"""Stops and legs of one device in one vehicle, from its positions: the order of the steps that find them.

Each step is in `steps`, `stops` and `movements`; joining legs to trips is in `trips`. The rules are in
docs/segmentation.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.columns import frame_of
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.kernels import movements as movement_kernels
from fleet_audit.logic.trips.movements import measure_movements
from fleet_audit.logic.trips.rounded.cells import stop_cells
from fleet_audit.logic.trips.steps import Steps, classify_steps
from fleet_audit.logic.trips.stops import find_stops
from fleet_audit.logic.trips.track.points import Points, filter_points
from fleet_audit.logic.trips.track.tracks import Tracks

_OF_PATH = (
    "km_gps",
    "km_bridged",
    "km_chord",
    "km_long_chord",
    "km_far_chord",
    "km_fine",
    "km_open",
    "moving_s",
    "moving_steps",
)


@dataclass(frozen=True)
class Segmentation:
    """Stops, legs and rejected points of the tracks.

    stop_columns: track, first, last (point indices), standing_s, latitude, longitude (medians), arrival_reading,
    departure_reading (points whose odometer the legs before and after are measured by, -1: none).
    leg_columns: of each movement the measured columns of `trips.legs` plus track, start, end, stop_before, stop_after.
    cells: of stops whose coordinates are rounded, where they can lie (`rounded.cells.stop_cells`).
    rejected: plate, device_id, recorded_at, latitude, longitude, reason_code.
    """

    tracks: Tracks
    steps: Steps
    stop_columns: dict[str, np.ndarray]
    leg_columns: dict[str, Any]
    cells: pd.DataFrame
    rejected: pd.DataFrame

    @cached_property
    def stops(self) -> pd.DataFrame:
        """One row per stop."""
        return frame_of(self.stop_columns)

    @cached_property
    def legs(self) -> pd.DataFrame:
        """One row per movement."""
        return frame_of(self.leg_columns)


def segment(tracks: Tracks, places: Places, parameters: ParameterSet) -> Segmentation:
    """Stops and legs of all tracks; `places` decide whether a short stop lies in a known one."""
    found = filter_points(tracks, parameters)
    points, steps = found.tracks, classify_steps(found, parameters)
    stops = find_stops(points, steps, places, parameters)
    start, end, before, after = movement_kernels.find_movements(
        steps.is_split, points.offsets, stops["first"], stops["last"]
    )
    legs = measure_movements(points, steps, stops, start, end, before, after, parameters)
    return Segmentation(points, steps, stops, legs, stop_cells(found, steps, stops, parameters), found.rejected)


def segment_by_trip_key(tracks: Tracks, parameters: ParameterSet) -> Segmentation:
    """Movements of points without coordinates: one trip key of a telemetry file is one leg by its odometer.

    Each key, from its first to its last reading, is a track of its own; a silence beyond `gap_split_s` parts it. There
    are no places and no path, and how long it moved is not known: taken as positions, the two events of a leg were
    40 min apart, so that a clock looked 12 h behind. Points without a key (loose events) belong to no movement.
    """
    points = np.flatnonzero(~tracks.is_located & ~tracks.is_lost & (tracks.trip_key >= 0))
    owner = tracks.track_of(points)
    order = np.lexsort((tracks.seconds[points], tracks.trip_key[points], owner))
    points, owner = points[order], owner[order]
    is_other = (np.diff(owner, prepend=-1) != 0) | (np.diff(tracks.trip_key[points], prepend=-1) != 0)
    is_other |= np.diff(tracks.seconds[points], prepend=np.nan) > parameters.gap_split_s
    first = np.flatnonzero(is_other)
    keyed = tracks.pick(points, owner[first], np.append(first, len(points)))
    seen = Points.without_places(keyed)
    steps = classify_steps(seen, parameters)
    stops = find_stops(keyed, steps, None, parameters)
    start, end = keyed.offsets[:-1], keyed.offsets[1:] - 1
    start, end = start[end > start], end[end > start]
    nothing = np.full(len(start), -1)
    legs = measure_movements(keyed, steps, stops, start, end, nothing, nothing, parameters)
    legs |= {name: np.full(len(start), np.nan) for name in _OF_PATH}
    legs |= {name: np.zeros(len(start), dtype=np.bool_) for name in ("is_start_in_gap", "is_end_in_gap")}
    legs["trip_key"] = pd.array(keyed.trip_keys, dtype="str").take(keyed.trip_key[start])
    return Segmentation(keyed, steps, stops, legs, stop_cells(seen, steps, stops, parameters), seen.rejected)


def tracks_without_places(tracks: Tracks, parameters: ParameterSet) -> Segmentation:
    """The tracks without any coordinates, for their readings alone: no stops, no legs."""
    blind = tracks.take(np.repeat(~tracks.sends_places, np.diff(tracks.offsets)))
    seen = Points.without_places(blind)
    steps = classify_steps(seen, parameters)
    stops = find_stops(blind, steps, None, parameters)
    return Segmentation(blind, steps, stops, {}, stop_cells(seen, steps, stops, parameters), seen.rejected)
