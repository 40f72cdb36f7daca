"""Stops, legs and observed spans of one device in one vehicle, from its positions.

Joining legs to trips, and the other source (visit reports), are in `trips`. See docs/segmentation.md for the rules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.threads import map_in_threads
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.kernels import movements as movement_kernels
from fleet_audit.logic.trips.kernels import odometer as odometer_kernels
from fleet_audit.logic.trips.kernels import steps as step_kernels
from fleet_audit.logic.trips.kernels import stops as stop_kernels
from fleet_audit.logic.trips.track.points import Points, carried_steps, filter_points, instants, local_days_of
from fleet_audit.logic.trips.track.tracks import Tracks


@dataclass(frozen=True)
class Steps:
    """Facts of the step that leads to each point.

    `is_away`: in a step beyond `gap_note_s` the odometer counted a leg or more, wherever the step ends. `is_bridged`,
    `has_fix`: as in `Points`. `is_carried`: a ferry or a tow moved the vehicle.
    `splits`, `faults`: the points reached by a step that splits, and those whose own odometer reading is faulty.
    `resolution_km`: of the odometer of each track.
    """

    is_split: np.ndarray
    is_standing: np.ndarray
    is_away: np.ndarray
    is_bridged: np.ndarray
    is_carried: np.ndarray
    has_fix: np.ndarray
    metres: np.ndarray
    splits: np.ndarray
    faults: np.ndarray
    resolution_km: np.ndarray


@dataclass(frozen=True)
class Segmentation:
    """Stops, legs and rejected points of the tracks.

    stops: track, first, last (point indices), standing_s, latitude, longitude (medians), arrival_reading,
    departure_reading (points whose odometer the legs before and after are measured by, -1: none).
    legs: one row per movement, the measured columns of `trips.legs` plus track, start, end, stop_before, stop_after.
    rejected: plate, device_id, recorded_at, latitude, longitude, reason_code.
    """

    tracks: Tracks
    steps: Steps
    stops: pd.DataFrame
    legs: pd.DataFrame
    rejected: pd.DataFrame


def segment(tracks: Tracks, places: Places, parameters: ParameterSet) -> Segmentation:
    """Stops and legs of all tracks; `places` decide whether a short stop lies in a known one."""
    found = filter_points(tracks, parameters)
    points, steps = found.tracks, _classify_steps(found, parameters)
    stops = _stops(points, steps, places, parameters)
    start, end, before, after = movement_kernels.find_movements(
        steps.is_split, points.offsets, stops["first"].to_numpy(), stops["last"].to_numpy()
    )
    legs = _legs(points, steps, stops, start, end, before, after, parameters)
    return Segmentation(points, steps, stops, legs, found.rejected)


def segment_by_trip_key(tracks: Tracks, parameters: ParameterSet) -> Segmentation:
    """Movements of points without coordinates: one trip key of a telemetry file is one leg by its odometer.

    Each key, from its first to its last reading, is a track of its own; a silence beyond `gap_split_s` parts it. There
    are no places and no path. Points without a key (loose events) belong to no movement.
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
    steps = _classify_steps(seen, parameters)
    stops = _stops(keyed, steps, None, parameters)
    start, end = keyed.offsets[:-1], keyed.offsets[1:] - 1
    start, end = start[end > start], end[end > start]
    nothing = np.full(len(start), -1)
    legs = _legs(keyed, steps, stops, start, end, nothing, nothing, parameters).assign(
        **dict.fromkeys(("km_gps", "km_bridged", "km_chord", "km_long_chord", "km_fine"), np.nan),
        is_start_in_gap=False,
        is_end_in_gap=False,
        trip_key=keyed.trip_keys[keyed.trip_key[start]],
    )
    return Segmentation(keyed, steps, stops, legs, seen.rejected)


def tracks_without_places(tracks: Tracks, parameters: ParameterSet) -> Segmentation:
    """The tracks without any place, for their readings alone: no stops, no legs."""
    located = np.concatenate([[0], np.cumsum(tracks.is_located)])[tracks.offsets]
    blind = tracks.take(np.repeat(np.diff(located) == 0, np.diff(tracks.offsets)))
    seen = Points.without_places(blind)
    steps = _classify_steps(seen, parameters)
    return Segmentation(blind, steps, _stops(blind, steps, None, parameters), pd.DataFrame(), seen.rejected)


def _classify_steps(points: Points, parameters: ParameterSet) -> Steps:
    tracks, metres = points.tracks, points.metres
    resolution = odometer_kernels.resolutions(tracks.odometer_km, tracks.offsets)
    is_standing, is_split, is_away, is_faulty = step_kernels.classify_steps(
        tracks.seconds,
        metres,
        tracks.odometer_km,
        points.is_jump,
        tracks.offsets,
        resolution,
        parameters.standing_kmh,
        parameters.stop_radius_m,
        parameters.gap_note_s,
        parameters.gap_split_s,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
        parameters.leg_min_km,
    )
    splits, faults = np.flatnonzero(is_split), np.flatnonzero(is_faulty)
    return Steps(
        is_split=is_split,
        is_standing=is_standing,
        is_away=is_away,
        is_bridged=points.is_bridged,
        is_carried=carried_steps(points, parameters),
        has_fix=points.has_fix,
        metres=metres,
        splits=splits,
        faults=faults,
        resolution_km=resolution,
    )


def sum_steps(tracks: Tracks, steps: Steps, start: np.ndarray, end: np.ndarray, parameters: ParameterSet) -> dict:
    """The `step_kernels.SUMS` over the steps from each start to its end."""
    sums = step_kernels.sum_steps(
        tracks.seconds,
        steps.metres,
        tracks.odometer_km,
        steps.is_bridged,
        steps.is_carried,
        start,
        end,
        parameters.stop_radius_m,
        parameters.gap_note_s,
        parameters.compare_step_s,
        parameters.fine_step_s,
        parameters.chord_step_s,
        parameters.coverage_step_s,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
    )
    return dict(zip(step_kernels.SUMS, sums, strict=True))


def any_point_between(points: np.ndarray, after: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Whether any of the sorted points lies behind `after` and at or before `until`."""
    return np.searchsorted(points, until, side="right") > np.searchsorted(points, after, side="right")


def _median_places(tracks: Tracks, steps: Steps, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median latitude and longitude of the fixes of each stretch first … last; NaN where it has none."""
    coordinates = (tracks.latitude, tracks.longitude)
    latitude, longitude = map_in_threads(lambda values: stop_kernels.medians(values, first, last), coordinates)
    if not steps.has_fix.all():
        fixes = np.append(0, np.cumsum(steps.has_fix))
        lost = np.flatnonzero(fixes[last + 1] - fixes[first] < last + 1 - first)
        for k in lost:  # few: stops of which some points have no fix
            at = first[k] + np.flatnonzero(steps.has_fix[first[k] : last[k] + 1])
            latitude[k], longitude[k] = (np.median(values[at]) if len(at) else np.nan for values in coordinates)
    return latitude, longitude


def _stops(tracks: Tracks, steps: Steps, places: Places | None, parameters: ParameterSet) -> pd.DataFrame:
    first, last, standing = _find_stops(tracks, steps, places, parameters)
    arrival, departure = _stop_readings(tracks, steps, first, last, parameters)
    latitude, longitude = _median_places(tracks, steps, first, last)
    return pd.DataFrame(
        {
            "track": tracks.track_of(first),
            "first": first,
            "last": last,
            "standing_s": standing,
            "latitude": latitude,
            "longitude": longitude,
            "arrival_reading": arrival,
            "departure_reading": departure,
        }
    )


def _find_stops(
    tracks: Tracks, steps: Steps, places: Places | None, parameters: ParameterSet
) -> tuple[np.ndarray, ...]:
    """First and last point and standing seconds of stops.

    A track is gone through again until each of its candidates that stood too briefly for nowhere lies in a known place.
    Where no place is near, one refusal is that of all points of the candidate: what begins at one of them stays within
    two radii of the first. Else a bus that crawls all day at 12 points a second is gone through 1,500 times.
    """
    is_refused = np.zeros(len(tracks.seconds), dtype=np.bool_)
    is_broken = steps.is_split | steps.is_away

    def candidates(numbers: np.ndarray) -> tuple[np.ndarray, ...]:
        found: tuple[np.ndarray, ...] = stop_kernels.find_stops(
            tracks.seconds,
            tracks.latitude,
            tracks.longitude,
            steps.is_standing,
            is_broken,
            tracks.offsets,
            numbers,
            parameters.stop_radius_m,
            parameters.stop_min_s,
            parameters.stop_min_place_s,
            is_refused,
        )
        return found

    found = []
    again = np.arange(len(tracks.index))
    while len(again):
        first, last, standing = map(
            np.concatenate, zip(*map_in_threads(candidates, np.array_split(again, 2)), strict=True)
        )
        brief = np.flatnonzero((standing < parameters.stop_min_s) & ~is_refused[first])
        nowhere = brief[_is_nowhere(tracks, steps, places, first[brief], last[brief])]
        is_refused[first[nowhere]] = True
        if places is not None:
            at = first[nowhere]
            remote = places.is_remote(tracks.latitude[at], tracks.longitude[at], 2 * parameters.stop_radius_m)
            stop_kernels.mark(is_refused, at[remote], last[nowhere][remote])
        again = np.unique(tracks.track_of(first[nowhere]))
        is_final = ~np.isin(tracks.track_of(first), again)
        found.append((first[is_final], last[is_final], standing[is_final]))
    first, last, standing = (
        (np.concatenate(parts) for parts in zip(*found, strict=True))
        if found
        else (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
    )
    order = np.argsort(first)
    return first[order], last[order], standing[order]


def _is_nowhere(tracks: Tracks, steps: Steps, places: Places | None, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    if places is None:
        return np.ones(len(first), dtype=bool)
    latitude, longitude = _median_places(tracks, steps, first, last)
    return pd.isna(places.locate(latitude, longitude, local_days_of(tracks, first)))


def _stop_readings(
    tracks: Tracks, steps: Steps, first: np.ndarray, last: np.ndarray, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray]:
    """Points whose readings end the leg before each stop and begin the leg after it, -1 where it has none.

    The nearest reading of the stop, looked for from within its first and its last standing step: these steps begin
    while the vehicle still rolls and end when it has set off (at 30 s a step, 5 m at each end of a leg: -0.07 % of the
    fleet's km, which the carrier would never be paid). A step in which the odometer counts more than the stop's radius
    is not taken.
    """
    inner = np.minimum(first + 1, last), np.maximum(last - 1, np.minimum(first + 1, last))
    rolled = parameters.stop_radius_m / 1000 + steps.resolution_km[tracks.track_of(first)]
    points = []
    for edge, within in zip((first, last), inner, strict=True):
        counted = np.abs(tracks.odometer_km[within] - tracks.odometer_km[edge])
        points.append(np.where(counted > rolled, edge, within))
    arrival = tracks.reading_from(points[0])
    arrival = np.where((arrival >= 0) & (arrival <= last), arrival, -1)
    departure = tracks.reading_until(points[1])
    departure = np.maximum(np.where(departure >= first, departure, -1), arrival)
    return np.where(arrival >= 0, arrival, departure), departure


def _legs(
    tracks: Tracks, steps: Steps, stops: pd.DataFrame, start: np.ndarray, end: np.ndarray, before: np.ndarray,
    after: np.ndarray, parameters: ParameterSet,
) -> pd.DataFrame:  # fmt: skip
    first_reading, last_reading = _readings(tracks, stops, start, end, before, after)
    has_readings = (first_reading >= 0) & (last_reading > first_reading)
    sums = sum_steps(tracks, steps, start, end, parameters)
    sums["gaps"] = sums["gaps"].astype("int64")
    number, highest = movement_kernels.count_and_maximum(tracks.passengers, start, end)
    driver = movement_kernels.most_frequent(tracks.driver, start, end)
    track = tracks.track_of(start)
    return pd.DataFrame(
        {
            "track": track,
            "start": start,
            "end": end,
            "stop_before": before,
            "stop_after": after,
            **{name: tracks.index[name].array[track] for name in tracks.index},
            "driver_id": np.where(driver >= 0, np.append(tracks.drivers, np.array([None]))[driver], None),
            "started_at": instants(tracks.seconds[start]),
            "ended_at": instants(tracks.seconds[end]),
            "origin_latitude": _of_stop(stops["latitude"], before),
            "origin_longitude": _of_stop(stops["longitude"], before),
            "destination_latitude": _of_stop(stops["latitude"], after),
            "destination_longitude": _of_stop(stops["longitude"], after),
            **sums,
            "km_odometer": np.where(
                has_readings, tracks.odometer_km[last_reading] - tracks.odometer_km[first_reading], np.nan
            )
            if len(start)
            else np.empty(0),
            "is_odometer_valid": has_readings
            & ~any_point_between(steps.faults, first_reading, last_reading)
            & ~_is_read_in_part(steps, start, end, first_reading, last_reading, parameters),
            "odometer_resolution_km": steps.resolution_km[track],
            "max_speed_kmh": movement_kernels.count_and_maximum(tracks.speed_kmh, start, end)[1],
            "passengers_readings": number,
            "passengers_max": highest,
            "is_start_in_gap": before < 0,
            "is_end_in_gap": after < 0,
        }
    )


def _is_read_in_part(
    steps: Steps, start: np.ndarray, end: np.ndarray, first: np.ndarray, last: np.ndarray, parameters: ParameterSet
) -> np.ndarray:
    """Whether the path goes on beyond a stop's radius before the first or after the last reading of a leg."""
    path_m = np.cumsum(np.nan_to_num(steps.metres))
    if len(path_m) == 0:
        return np.zeros(len(start), dtype=bool)
    before, after = path_m[first] - path_m[start], path_m[end] - path_m[last]
    return np.maximum(before, after) > parameters.stop_radius_m


def _of_stop(values: pd.Series, stop: np.ndarray) -> np.ndarray:
    return np.where(stop >= 0, np.append(values.to_numpy(), np.nan)[stop], np.nan)


def _readings(
    tracks: Tracks, stops: pd.DataFrame, start: np.ndarray, end: np.ndarray, before: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Index of the readings that a leg is measured between: those of its stops, else the first and last inside."""
    first = np.append(stops["departure_reading"].to_numpy(), -1)[before]
    last = np.append(stops["arrival_reading"].to_numpy(), -1)[after]
    return (
        np.where(first >= 0, first, tracks.reading_from(start)),
        np.where(last >= 0, last, tracks.reading_until(end)),
    )
