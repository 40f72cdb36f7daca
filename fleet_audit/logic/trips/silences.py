"""What an odometer counted while its device was silent, between two spans over which positions show the vehicle.

What such kilometres prove is judged in `audit.rules`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.sphere import distance_m
from fleet_audit.logic.trips.segmentation import Segmentation
from fleet_audit.logic.trips.steps import Steps
from fleet_audit.logic.trips.track.points import instant_column


def unseen_starts(segmentation: Segmentation, parameters: ParameterSet) -> np.ndarray:
    """Points that are reached unseen, a track's first among them; from one to the next every step is seen.

    A step is seen when it is at most `gap_note_s` long and does not split: a parked device reports every 10 min, and
    one that was silent for a day did not observe that day, wherever it reports next.
    """
    seconds = segmentation.tracks.seconds
    elapsed = np.diff(seconds, prepend=seconds[:1])
    return np.flatnonzero(segmentation.steps.is_split | (elapsed > parameters.gap_note_s))


def unseen_steps(segmentation: Segmentation, parameters: ParameterSet) -> pd.DataFrame:
    """Every unseen step: plate, started_at, ended_at, counted_km, is_read.

    counted_km are those of `counted_over_silences` without the seen path between the readings and the step, so that of
    rare readings no step has what was seen beside it; where the vehicle was found where it was left they lack it
    already.
    is_read: two readings that do not contradict each other say so, so that 0 is what they counted, not only unknown.
    """
    tracks, steps = segmentation.tracks, segmentation.steps
    first = unseen_starts(segmentation, parameters)
    owner = tracks.track_of(first)
    is_inside = owner == np.append(-1, owner[:-1])[: len(owner)]
    last = np.append(first[1:], len(tracks.seconds))[: len(first)] - 1
    counted, stood, is_read = (facts[is_inside] for facts in _counted(segmentation, first, last, parameters))
    first, plate = first[is_inside], tracks.index["plate"].to_numpy()[owner[is_inside]]
    before = first - 1
    from_reading, to_reading = tracks.reading_until(before), tracks.reading_from(first)
    beside_km = _seen_km(steps, from_reading, before) + _seen_km(steps, first, to_reading)
    has_beside = (from_reading >= 0) & (to_reading >= 0) & ~stood
    return pd.DataFrame(
        {
            "plate": plate,
            "started_at": instant_column(tracks.seconds[before]),
            "ended_at": instant_column(tracks.seconds[first]),
            "counted_km": np.maximum(counted - np.where(has_beside, beside_km, 0.0), 0.0),
            "is_read": is_read,
        }
    )


def counted_over_silences(
    segmentation: Segmentation, first: np.ndarray, last: np.ndarray, parameters: ParameterSet
) -> np.ndarray:
    """km from the last reading of the span before to the first reading of each span, first … last (points), in order.

    NaN for the first span of a track, and where the readings contradict each other or count less than the straight way
    between the two spans: an odometer that stands while its device is silent proves nothing. Where readings are rare,
    the km of a stretch that was seen are in it, too, so that it is never too low.

    Of a vehicle that stood before the silence and was found where it was left, only what its readings count beyond the
    seen path between them: 0 where they are right within agree_pct, contradict each other or are missing.
    """
    return _counted(segmentation, first, last, parameters)[0]


def _counted(
    segmentation: Segmentation, first: np.ndarray, last: np.ndarray, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`counted_over_silences`, whether the vehicle was found where it was left, whether its readings can be right."""
    tracks, steps = segmentation.tracks, segmentation.steps
    owner = tracks.track_of(first)
    before = np.append(-1, last[:-1])[: len(last)]
    has_before = owner == np.append(-1, owner[:-1])[: len(owner)]
    from_reading = np.where(has_before, tracks.reading_until(np.maximum(before, 0)), -1)
    to_reading = np.where(has_before, tracks.reading_from(first), -1)
    counted = tracks.odometer_km[to_reading] - tracks.odometer_km[from_reading]
    elapsed = tracks.seconds[to_reading] - tracks.seconds[from_reading]
    way_km = _straight_km(tracks.latitude, tracks.longitude, steps.has_fix, before, first)
    slack_km = steps.resolution_km[owner] + 2 * parameters.stop_radius_m / 1000
    is_known = (from_reading >= 0) & (to_reading >= 0) & ~(counted < way_km - slack_km)
    is_known &= (counted >= 0) & (counted <= parameters.drivable_km(elapsed))
    found_km = counted - _seen_km(steps, from_reading, to_reading)
    is_explained = ~is_known | (found_km <= np.maximum(slack_km, parameters.agree_pct / 100 * counted))
    stood = has_before & _is_found_where_left(steps, before, first, way_km, parameters)
    km = np.where(stood, np.where(is_explained, 0.0, found_km), np.where(is_known, counted, np.nan))
    return km, stood, is_known


def _seen_km(steps: Steps, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Path from one point to another, chords of silences included, km."""
    path_m = np.nancumsum(steps.metres)
    seen_km: np.ndarray = (path_m[end] - path_m[start]) / 1000
    return seen_km


def _is_found_where_left(
    steps: Steps, before: np.ndarray, first: np.ndarray, way_km: np.ndarray, parameters: ParameterSet
) -> np.ndarray:
    """Whether the vehicle stood at `before`, and nothing from there to `first` shows that it moved."""
    has_moved = steps.is_split | steps.is_away | steps.is_carried | ~(steps.metres <= parameters.stop_radius_m)
    count = np.cumsum(has_moved | ~steps.has_fix)
    is_near = way_km <= parameters.stop_radius_m / 1000
    is_found: np.ndarray = is_near & steps.is_standing[before] & (count[first] == count[before])
    return is_found


def _straight_km(
    latitude: np.ndarray, longitude: np.ndarray, has_fix: np.ndarray, start: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """km between two points; NaN where one has no fix."""
    metres = distance_m(latitude[start], longitude[start], latitude[end], longitude[end])
    return np.where(has_fix[start] & has_fix[end], metres / 1000, np.nan)
