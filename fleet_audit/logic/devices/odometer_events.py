"""Odometer events of a window of days: falls, resets, jumps, frozen over a path, counting while parked.

They are computed from the points of the window; the findings about them are in `rules`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.devices.standing_odometers import frozen_and_parked
from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.cycles import as_days, dates
from fleet_audit.logic.primitives.intervals import intervals, overlaps
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.track.points import Points, instants
from fleet_audit.logic.trips.track.tracks import Tracks
from fleet_audit.logic.trips.vehicle_days import VehicleDays

FALL, RESET, JUMP, FROZEN, PARKED = range(5)
KINDS = ("fall", "reset", "jump", "frozen", "parked")
ERRATIC_FALLS = 20  # of a window: an odometer that is turned back falls once or twice
_ROAD_FACTOR = 1.5  # kilometres of road for one of a straight line; a fix 3 km astray explains no jump of 500 km


def odometer_events(
    tracks: Tracks, points: Points, trips: pd.DataFrame, days: VehicleDays, parameters: ParameterSet
) -> pd.DataFrame:
    """Rows of `trips.odometer_events` of all days of a window; those of its first and last day may be incomplete.

    What they continue is not among their columns: see `exchanges`.

    An event belongs to the trip that it lies in, with that trip's day; else to the local day on which it ends. What
    lasts (frozen, parked) is cut at local midnight, so that no event depends on how far the window reaches.

    Args:
        tracks: all points of the window, for readings.
        points: those that segmentation uses, for the path.
        days: operational days of vehicles that change their zone.
        trips: `trips.trip_window` of the window's day.
        parameters: fall_km, frozen_km, parked_count_km, parked_radius_m, reset_below_km, impossible_kmh,
            odometer_slack_km, those of segmentation.
    """
    erratic = erratic_tracks(tracks, parameters)
    faults = _events(tracks, *_of_odometers(tracks, erratic, _faults(tracks, parameters)))
    lasting = _lasting(points, parameters)
    lasting = _events(points.tracks, *_of_odometers(points.tracks, erratic_tracks(points.tracks, parameters), lasting))
    events = pd.concat([faults, lasting], ignore_index=True)
    events["local_day"] = days.of(events["plate"], events["ended_at"], events["timezone"])
    return events.assign(operational_date=dates(_days(events, trips)))


def _events(
    tracks: Tracks, kind: np.ndarray, first: np.ndarray, last: np.ndarray, path_km: np.ndarray, is_lone: np.ndarray
) -> pd.DataFrame:
    owner = tracks.track_of(first)
    return pd.DataFrame(
        {
            "kind": np.array(KINDS, dtype=object)[kind],
            "plate": tracks.index["plate"].to_numpy(dtype=object)[owner],
            "device_id": tracks.index["device_id"].to_numpy(dtype=object)[owner],
            "started_at": instants(tracks.seconds[first]),
            "ended_at": instants(tracks.seconds[last]),
            "timezone": tracks.index["timezone"].to_numpy(dtype=object)[owner],
            "odometer_from_km": tracks.odometer_km[first],
            "odometer_to_km": tracks.odometer_km[last],
            "path_km": path_km,
            "is_lone": is_lone,
            **{
                f"{name}_{side}": getattr(tracks, name)[points]
                for side, points in (("from", first), ("to", last))
                for name in ("latitude", "longitude")
            },
        }
    )


def _days(events: pd.DataFrame, trips: pd.DataFrame) -> np.ndarray:
    """Operational day of each event: of the trip that holds it, else the local day on which it ends."""
    found = events["local_day"].to_numpy(dtype="datetime64[D]").copy()
    pairs = overlaps(intervals(events), intervals(trips))
    event, trip = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    start, end = (events[name].to_numpy() for name in ("started_at", "ended_at"))
    is_inside = (trips["started_at"].to_numpy()[trip] <= start[event]) & (
        end[event] <= trips["ended_at"].to_numpy()[trip]
    )
    found[event[is_inside]] = as_days(trips["operational_date"])[trip[is_inside]]
    return found


def erratic_tracks(tracks: Tracks, parameters: ParameterSet) -> np.ndarray:
    """Numbers of the tracks whose readings fall by more than fall_km `ERRATIC_FALLS` times or more in the window.

    What they send is not an odometer: a speed in its column accused a bus of an odometer turned back and on (O01, O02).
    """
    at = np.flatnonzero(~np.isnan(tracks.odometer_km))
    falls = np.flatnonzero(np.diff(tracks.odometer_km[at]) < -parameters.fall_km)
    before, owner = tracks.track_of(at[falls]), tracks.track_of(at[falls + 1])
    return np.flatnonzero(np.bincount(owner[before == owner], minlength=len(tracks.index)) >= ERRATIC_FALLS)


def _of_odometers(tracks: Tracks, erratic: np.ndarray, events: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The events (kind, first, …) of tracks that are not `erratic`."""
    kept = ~np.isin(tracks.track_of(events[1]), erratic)
    return tuple(values[kept] for values in events)


def _faults(tracks: Tracks, parameters: ParameterSet) -> tuple[np.ndarray, ...]:
    kind, first, last, is_lone = find_faults(
        tracks.seconds,
        tracks.odometer_km,
        tracks.offsets,
        tracks.counting_step_km,
        parameters.fall_km,
        parameters.reset_below_km,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
    )
    ends = (tracks.latitude[first], tracks.longitude[first], tracks.latitude[last], tracks.longitude[last])
    way_km = np.array([distance_m(*end) / 1000 for end in zip(*ends, strict=True)], dtype=float)
    # The positions leapt as impossibly and as far: rows sent under a later time, three of which 5 km apart came in 3 s.
    most_km = parameters.impossible_kmh * (tracks.seconds[last] - tracks.seconds[first]) / 3600
    is_seen = tracks.is_located[first] & tracks.is_located[last]
    slack_km = parameters.odometer_slack_km
    is_leap = is_seen & (way_km > most_km + slack_km)
    is_leap &= tracks.odometer_km[last] - tracks.odometer_km[first] <= _ROAD_FACTOR * way_km + slack_km
    kept = ~((kind == JUMP) & is_leap)
    return kind[kept], first[kept], last[kept], way_km[kept], is_lone[kept]


def _lasting(points: Points, parameters: ParameterSet) -> tuple[np.ndarray, ...]:
    frozen, parked = frozen_and_parked(points, parameters)
    kind = np.repeat([FROZEN, PARKED], [len(frozen[0]), len(parked[0])])
    first, last, path = (np.concatenate(parts) for parts in zip(frozen, parked, strict=True))
    return kind, first, last, path, np.zeros(len(kind), dtype=bool)


@njit(cache=True)
def find_faults(  # type: ignore[no-untyped-def]
    seconds, odometer, offsets, counting_step_km, fall_km, reset_below_km, impossible_kmh, slack_km
):
    """Falls, resets and jumps from one reading to the next: kind, the two points, whether the reading was a lone one.

    A lone reading is wrong: the next one continues from the one before it. The way back is not an event. An odometer
    that counts in steps shows a whole one at once, whenever the last metre of it is driven.
    """
    size = len(seconds)
    kind = np.empty(size, dtype=np.int64)
    first = np.empty(size, dtype=np.int64)
    last = np.empty(size, dtype=np.int64)
    lone = np.zeros(size, dtype=np.bool_)
    count = 0
    for track in range(len(offsets) - 1):
        before, least_km = -1, slack_km + counting_step_km[track]
        for i in range(offsets[track], offsets[track + 1]):
            if np.isnan(odometer[i]):
                continue
            if before >= 0:
                change = odometer[i] - odometer[before]
                most = impossible_kmh * (seconds[i] - seconds[before]) / 3600 + least_km
                if change < -fall_km or change > most:
                    following = i + 1
                    while following < offsets[track + 1] and np.isnan(odometer[following]):
                        following += 1
                    is_last = following == offsets[track + 1]
                    is_lone = False
                    if not is_last:
                        back = odometer[following] - odometer[before]
                        most = impossible_kmh * (seconds[following] - seconds[before]) / 3600 + least_km
                        is_lone = -fall_km <= back <= most
                    kind[count] = JUMP if change > 0 else FALL
                    counts_on = is_last or odometer[following] >= odometer[i]
                    if change < 0 and odometer[i] < reset_below_km and counts_on and not is_lone:
                        kind[count] = RESET
                    first[count], last[count], lone[count] = before, i, is_lone
                    count += 1
                    if is_lone:
                        continue
            before = i
    return kind[:count], first[:count], last[:count], lone[:count]
