"""Stops of a vehicle: where it stood long enough, or briefly in a known place, and by which readings it is left.

Movements between stops are in `movements`. See docs/segmentation.md for the rules.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.workers.threads import map_in_threads, thread_count
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.kernels import stops as stop_kernels
from fleet_audit.logic.trips.steps import Steps
from fleet_audit.logic.trips.track.points import local_days_of
from fleet_audit.logic.trips.track.tracks import Tracks

_SEARCHES_WITHOUT_AHEAD = 2  # most tracks need no more


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


def find_stops(tracks: Tracks, steps: Steps, places: Places | None, parameters: ParameterSet) -> dict[str, np.ndarray]:
    """One row per stop, the columns of `Segmentation.stop_columns`; without `places` only long stops are found."""
    first, last, standing = _points_of_stops(tracks, steps, places, parameters)
    arrival, departure = _stop_readings(tracks, steps, first, last, parameters)
    latitude, longitude = _median_places(tracks, steps, first, last)
    return {
        "track": tracks.track_of(first),
        "first": first,
        "last": last,
        "standing_s": standing,
        "latitude": latitude,
        "longitude": longitude,
        "arrival_reading": arrival,
        "departure_reading": departure,
    }


def _points_of_stops(
    tracks: Tracks, steps: Steps, places: Places | None, parameters: ParameterSet
) -> tuple[np.ndarray, ...]:
    """First and last point and standing seconds of stops.

    A track is searched again until each of its candidates that stood too briefly for nowhere lies in a known place.
    Where no place is near, one refusal is that of all points of the candidate: what begins at one of them stays within
    two radii of the first. Near a place each point of a crawl may begin a candidate of its own: from the third search
    on, those that would follow are examined together, twice as many each time, so that n points need about log2(n)
    searches. Each answer depends on the first point alone, so the order of the questions does not matter. 4,500
    positions around a place were searched 1,292 times before.
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
            ahead,
        )
        return found

    found = []
    again, searches = np.arange(len(tracks.index)), 0
    while len(again):
        ahead = 2**searches if searches >= _SEARCHES_WITHOUT_AHEAD else 0
        searches += 1
        first, last, standing, later_first, later_last = map(
            np.concatenate, zip(*map_in_threads(candidates, np.array_split(again, thread_count())), strict=True)
        )
        brief = np.flatnonzero((standing < parameters.stop_min_s) & ~is_refused[first])
        asked_first, asked_last = np.append(first[brief], later_first), np.append(last[brief], later_last)
        nowhere = _is_nowhere(tracks, steps, places, asked_first, asked_last)
        is_refused[asked_first[nowhere]] = True
        if places is not None:
            at = asked_first[nowhere]
            remote = places.is_remote(tracks.latitude[at], tracks.longitude[at], 2 * parameters.stop_radius_m)
            stop_kernels.mark(is_refused, at[remote], asked_last[nowhere][remote])
        again = np.unique(tracks.track_of(first[brief[nowhere[: len(brief)]]]))
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
