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
from fleet_audit.logic.trips.track.repeated_rows import without_repeated_rows
from fleet_audit.logic.trips.track.rounded_fixes import RoundedCells, coordinate_grid_m, lost_cells
from fleet_audit.logic.trips.track.time_order import parts_of_tracks, without_rows
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
        nothing = np.empty(0, dtype=np.int64)
        grid_m, rejected = np.zeros(size, dtype=np.float32), rejected_points(tracks, nothing, nothing)
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
    tracks = without_sentinels(without_repeated_rows(tracks, parameters), parameters)
    tracks = without_late_rows(tracks, parameters)
    return replace(tracks, is_lost=lost_fixes(tracks, places, parameters))


def filter_points(tracks: Tracks, parameters: ParameterSet) -> Points:
    """The accepted points of clean tracks, those without a fix that the odometer places, and the rejected points."""
    is_lost, unlocated = tracks.is_lost, np.flatnonzero(~tracks.is_located)
    reason, is_jump, metres = _filter_located(tracks, unlocated, parameters)
    bad = np.flatnonzero(reason)
    outliers = bad + np.searchsorted(unlocated - np.arange(len(unlocated)), bad, side="right")  # among all points
    rejected = rejected_points(tracks, outliers, reason[bad])
    if is_lost.any():
        lost = np.flatnonzero(is_lost)
        no_fix = rejected_points(tracks, lost, np.full(len(lost), point_filter.NO_FIX))
        rejected = pd.concat([rejected, no_fix], ignore_index=True)
    is_counted = (is_lost[unlocated] | (tracks.trip_key[unlocated] < 0)) & ~np.isnan(tracks.odometer_km[unlocated])
    candidates = unlocated[is_counted]
    if len(candidates):
        candidates = candidates[tracks.sends_places[tracks.track_of(candidates)]]
    if len(candidates):
        return _placed(tracks, outliers, candidates, is_jump, metres, rejected, parameters)
    points = tracks.without(np.sort(np.concatenate([unlocated, outliers])))
    is_jump, metres = without_rows(is_jump, bad), without_rows(metres, bad)
    no = np.zeros(len(metres), dtype=np.bool_)
    return Points.with_places(points, is_jump, metres, no, ~no, RoundedCells.none(), rejected, parameters)


def _placed(
    tracks: Tracks, outliers: np.ndarray, candidates: np.ndarray, jump: np.ndarray, path: np.ndarray,
    rejected: pd.DataFrame, parameters: ParameterSet,
) -> Points:  # fmt: skip
    """The points with the candidates that the odometer places; jump and path are of the located points alone."""
    size, is_fix = len(tracks.seconds), tracks.is_located.copy()
    latitude, longitude = tracks.latitude.copy(), tracks.longitude.copy()
    metres = np.zeros(size)
    is_jump, is_candidate, is_placed, is_bridged = (np.zeros(size, dtype=np.bool_) for _ in range(4))
    metres[is_fix], is_jump[is_fix] = path, jump
    is_fix[outliers], is_candidate[candidates] = False, True
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
    dropped = np.flatnonzero(~(is_fix | is_placed))
    points = replace(tracks, latitude=latitude, longitude=longitude).without(dropped)
    is_jump, is_bridged, is_fix = (without_rows(of, dropped) for of in (is_jump, is_bridged, is_fix))
    cells, metres = lost_cells(tracks, parameters).without(dropped), without_rows(metres, dropped)
    return Points.with_places(points, is_jump, metres, is_bridged, is_fix, cells, rejected, parameters)


def _filter_located(
    tracks: Tracks, unlocated: np.ndarray, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each located point its reason code, and of the step to it whether it is a jump and its metres."""
    offsets = tracks.offsets - np.searchsorted(unlocated, tracks.offsets)
    columns = map_in_threads(
        lambda values: without_rows(values, unlocated),
        (tracks.seconds, tracks.latitude, tracks.longitude, tracks.odometer_km),
    )
    size = len(columns[0])
    reason, is_jump, metres = np.zeros(size, dtype=np.int8), np.zeros(size, dtype=np.bool_), np.zeros(size)

    def filter_part(part: np.ndarray) -> None:
        point_filter.filter_points(
            *columns,
            part,
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

    map_in_threads(filter_part, parts_of_tracks(offsets))
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


def rejected_points(tracks: Tracks, points: np.ndarray, reason: np.ndarray) -> pd.DataFrame:
    """These points, with a reason code each, as rows of `trips.rejected_points` with their timezone."""
    owner = tracks.track_of(points)
    return pd.DataFrame(
        {
            **{name: tracks.index[name].array[owner].to_numpy() for name in ("plate", "device_id", "timezone")},
            "recorded_at": instants(tracks.seconds[points]),
            "latitude": tracks.latitude[points],
            "longitude": tracks.longitude[points],
            "reason_code": np.array(point_filter.REASONS, dtype=object)[reason],
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
