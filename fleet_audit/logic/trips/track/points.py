"""The points of tracks that segmentation uses: outliers rejected, lost fixes placed by the odometer.

False fixes and readings are found in `fixes` and `readings`; where a vehicle stops is in `trips.stops`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.wall_clock import local_days_of_seconds
from fleet_audit.logic.primitives.workers.threads import map_in_threads
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.kernels import odometer, point_filter
from fleet_audit.logic.trips.track.fixes import lost_fixes, place_by_odometer
from fleet_audit.logic.trips.track.late_rows import without_late_rows
from fleet_audit.logic.trips.track.readings import without_sentinels
from fleet_audit.logic.trips.track.rounded_fixes import RoundedCells, coordinate_grid_m, lost_cells
from fleet_audit.logic.trips.track.time_order import without_rows
from fleet_audit.logic.trips.track.tracks import Tracks


@dataclass(frozen=True)
class Points:
    """Points of tracks with their places, and of the step that leads to each one:

    `is_jump`: to a new place, nothing is known between; `metres`; `is_bridged`: measured by the odometer alone, for
    one end has no fix. `has_fix`: the place is one that the device saw, to a stop's radius. `grid_m`: of the
    coordinates that are rounded (`rounded_fixes`), else 0. `cells`: of coordinates that are no fix because they are
    rounded, where the odometer places the points. `rejected`: plate, device_id, timezone, recorded_at, latitude,
    longitude, reason_code.
    """

    tracks: Tracks
    is_jump: np.ndarray
    metres: np.ndarray
    is_bridged: np.ndarray
    has_fix: np.ndarray
    grid_m: np.ndarray
    cells: RoundedCells
    rejected: pd.DataFrame

    @classmethod
    def without_places(cls, tracks: Tracks) -> Points:
        """The points of tracks without any known place."""
        size = len(tracks.seconds)
        no = np.zeros(size, dtype=np.bool_)
        grid_m, rejected = np.zeros(size, dtype=np.float32), rejected_points(tracks, np.zeros(size, dtype=np.int8))
        return cls(tracks, no, np.full(size, np.nan), no, no, grid_m, RoundedCells.none(), rejected)

    @classmethod
    def with_places(
        cls, tracks: Tracks, is_jump: np.ndarray, metres: np.ndarray, is_bridged: np.ndarray, is_fix: np.ndarray,
        cells: RoundedCells, rejected: pd.DataFrame, parameters: ParameterSet,
    ) -> Points:  # fmt: skip
        """Points whose places are seen where `is_fix`."""
        grid_m = coordinate_grid_m(tracks, is_fix)
        has_fix = is_fix & (grid_m <= parameters.stop_radius_m)
        return cls(tracks, is_jump, metres, is_bridged, has_fix, grid_m, cells, rejected)


def clean_tracks(tracks: Tracks, places: Places, parameters: ParameterSet) -> Tracks:
    """The tracks without false readings, and with `is_lost` set where coordinates are a false fix."""
    tracks = without_late_rows(without_sentinels(tracks, parameters), parameters)
    return replace(tracks, is_lost=lost_fixes(tracks, places, parameters))


def filter_points(tracks: Tracks, parameters: ParameterSet) -> Points:
    """The accepted points of clean tracks, those without a fix that the odometer places, and the rejected points."""
    is_fix, is_lost = tracks.is_located, tracks.is_lost
    unlocated = np.flatnonzero(~is_fix)
    located = tracks.without(unlocated)
    reason, is_jump, metres = _filter_located(located, parameters)
    dropped = np.flatnonzero(reason)
    rejected = rejected_points(located, reason)
    if is_lost.any():
        lost = rejected_points(tracks, np.where(is_lost, point_filter.NO_FIX, point_filter.ACCEPTED).astype(np.int8))
        rejected = pd.concat([rejected, lost], ignore_index=True)
    is_jump, metres = without_rows(is_jump, dropped), without_rows(metres, dropped)
    is_counted = (is_lost[unlocated] | (tracks.trip_key[unlocated] < 0)) & ~np.isnan(tracks.odometer_km[unlocated])
    candidates = unlocated[is_counted]
    if len(candidates):
        candidates = candidates[tracks.sends_places[tracks.track_of(candidates)]]
    if not len(candidates):
        no = np.zeros(len(metres), dtype=np.bool_)
        cells = RoundedCells.none()
        return Points.with_places(located.without(dropped), is_jump, metres, no, ~no, cells, rejected, parameters)
    is_kept_fix, is_candidate = is_fix.copy(), np.zeros(len(is_fix), dtype=np.bool_)
    is_kept_fix[is_fix], is_candidate[candidates] = reason == point_filter.ACCEPTED, True
    return _placed(tracks, is_kept_fix, is_candidate, is_jump, metres, rejected, parameters)


def _placed(
    tracks: Tracks, is_fix: np.ndarray, is_candidate: np.ndarray, jump: np.ndarray, path: np.ndarray,
    rejected: pd.DataFrame, parameters: ParameterSet,
) -> Points:  # fmt: skip
    size = len(tracks.seconds)
    latitude, longitude = tracks.latitude.copy(), tracks.longitude.copy()
    metres, is_jump = np.zeros(size), np.zeros(size, dtype=np.bool_)
    metres[is_fix], is_jump[is_fix] = path, jump
    is_placed, is_bridged = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    place_by_odometer(
        tracks.seconds,
        latitude,
        longitude,
        tracks.odometer_km,
        tracks.offsets,
        tracks.resolution_km,
        is_fix,
        is_candidate,
        parameters.stop_radius_m,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
        metres,
        is_placed,
        is_bridged,
    )
    kept = is_fix | is_placed
    points = replace(tracks, latitude=latitude, longitude=longitude).take(kept)
    of_steps = (is_jump[kept], metres[kept], is_bridged[kept])
    cells = lost_cells(tracks, parameters).of_points(kept)
    return Points.with_places(points, *of_steps, is_fix[kept], cells, rejected, parameters)


def _filter_located(tracks: Tracks, parameters: ParameterSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reason code of each point, and of the step to it whether it is a jump and its metres."""
    size = len(tracks.seconds)
    reason, is_jump, metres = np.zeros(size, dtype=np.int8), np.zeros(size, dtype=np.bool_), np.zeros(size)

    def filter_part(offsets: np.ndarray) -> None:
        point_filter.filter_points(
            tracks.seconds,
            tracks.latitude,
            tracks.longitude,
            tracks.odometer_km,
            offsets,
            parameters.impossible_kmh,
            parameters.outlier_m,
            int(parameters.release_points),
            parameters.stop_radius_m,
            parameters.standing_kmh,
            parameters.coverage_step_s,
            reason,
            is_jump,
            metres,
        )

    map_in_threads(filter_part, tracks.parts())
    return reason, is_jump, metres


def carried_steps(points: Points, resolution_km: np.ndarray, parameters: ParameterSet) -> np.ndarray:
    """Whether a ferry or a tow moved the vehicle over the step to each point; the resolution is each track's."""
    is_carried = np.zeros(len(points.metres), dtype=np.bool_)
    mark_carried(points, points.tracks.offsets, resolution_km, parameters, is_carried)
    return is_carried


def mark_carried(
    points: Points, offsets: np.ndarray, resolution_km: np.ndarray, parameters: ParameterSet, is_carried: np.ndarray
) -> None:
    """Write into `is_carried`, which holds False, the `carried_steps` of the tracks of `offsets` alone."""
    tracks = points.tracks
    odometer.find_carried(
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        points.metres,
        tracks.odometer_km,
        tracks.ignition,
        points.is_jump,
        offsets,
        resolution_km,
        parameters.stop_radius_m,
        parameters.carried_min_km * 1000,
        parameters.carried_max_kmh,
        parameters.standing_kmh,
        is_carried,
    )


def rejected_points(tracks: Tracks, reason: np.ndarray) -> pd.DataFrame:
    """The points whose reason code is not 0, as rows of `trips.rejected_points` with their timezone."""
    bad = np.flatnonzero(reason)
    owner = tracks.track_of(bad)
    return pd.DataFrame(
        {
            **{name: tracks.index[name].array[owner].to_numpy() for name in ("plate", "device_id", "timezone")},
            "recorded_at": instants(tracks.seconds[bad]),
            "latitude": tracks.latitude[bad],
            "longitude": tracks.longitude[bad],
            "reason_code": np.array(point_filter.REASONS, dtype=object)[reason[bad]],
        }
    )


def instants(seconds: np.ndarray) -> pd.Series:
    """Seconds since 1970 as UTC instants."""
    return pd.Series(instant_column(seconds))


def instant_column(seconds: np.ndarray) -> pd.arrays.DatetimeArray:
    """The array of `instants`."""
    micros = np.round(np.asarray(seconds, dtype=float) * 1e6).astype("int64")
    column: pd.arrays.DatetimeArray = pd.DatetimeIndex(micros.view("datetime64[us]")).tz_localize("UTC").array
    return column


def local_days_of(tracks: Tracks, points: np.ndarray) -> np.ndarray:
    """Local calendar day (datetime64[D]) of points, in the zone of each one's vehicle."""
    codes, zones = tracks.zones
    if len(zones) == 1 and codes.min() == 0:
        return local_days_of_seconds(tracks.seconds[points], zones[0])
    days, of_point = np.full(len(points), np.datetime64("NaT"), dtype="datetime64[D]"), codes[tracks.track_of(points)]
    for code, zone in enumerate(zones):
        rows = np.flatnonzero(of_point == code)
        days[rows] = local_days_of_seconds(tracks.seconds[points[rows]], zone)
    return days
