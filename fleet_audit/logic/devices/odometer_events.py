"""Odometer events of a window of days: falls, resets, jumps, frozen over a path, counting while parked.

They are computed from the points of the window; the findings about them are in `rules`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.cycles import as_days, dates
from fleet_audit.logic.primitives.intervals import intervals, overlaps
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.coordinate_grid import PIECE_GRIDS
from fleet_audit.logic.trips.kernels.odometer import is_plausible, resolutions
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.track.points import Points, carried_steps, instants, local_days_of
from fleet_audit.logic.trips.track.tracks import Tracks
from fleet_audit.logic.trips.vehicle_days import VehicleDays

FALL, RESET, JUMP, FROZEN, PARKED = range(5)
KINDS = ("fall", "reset", "jump", "frozen", "parked")
_CATCH_UP_SHARE = 0.05  # an odometer counts up to 5 % more than the path of the positions (RULES section 2)


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
    faults = _events(tracks, *_faults(tracks, parameters))
    lasting = _events(points.tracks, *_lasting(points, parameters))
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


def _faults(tracks: Tracks, parameters: ParameterSet) -> tuple[np.ndarray, ...]:
    kind, first, last, is_lone = find_faults(
        tracks.seconds,
        tracks.odometer_km,
        tracks.offsets,
        parameters.fall_km,
        parameters.reset_below_km,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
    )
    ends = (tracks.latitude[first], tracks.longitude[first], tracks.latitude[last], tracks.longitude[last])
    way_km = np.array([distance_m(*end) / 1000 for end in zip(*ends, strict=True)], dtype=float)
    # The positions leapt as impossibly: rows sent under a later time, three of which 5 km apart came in 3 s.
    most_km = parameters.impossible_kmh * (tracks.seconds[last] - tracks.seconds[first]) / 3600
    is_seen = tracks.is_located[first] & tracks.is_located[last]
    kept = ~((kind == JUMP) & is_seen & (way_km > most_km + parameters.odometer_slack_km))
    return kind[kept], first[kept], last[kept], way_km[kept], is_lone[kept]


def _lasting(points: Points, parameters: ParameterSet) -> tuple[np.ndarray, ...]:
    """Frozen and parked: what is measured by the odometer alone, or over which the vehicle was carried, is excluded."""
    tracks = points.tracks
    day = local_days_of(tracks, np.arange(len(tracks.seconds))).astype(np.int64)
    resolution_km = resolutions(tracks.odometer_km, tracks.offsets)
    is_cut = points.is_jump | points.is_bridged | carried_steps(points, resolution_km, parameters)
    arguments = (
        tracks.seconds,
        tracks.latitude,
        tracks.longitude,
        tracks.odometer_km,
        day,
        is_cut,
        tracks.offsets,
        resolution_km,
        parameters.parked_radius_m,
    )
    frozen = find_frozen(
        *arguments,
        parameters.frozen_km,
        parameters.compare_step_s,
        parameters.gap_split_s,
        parameters.fine_step_s,
        parameters.agree_pct,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
    )
    parked = find_parked(
        *arguments,
        parameters.parked_count_km,
        parameters.gap_note_s,
        parameters.stop_min_s,
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
    )
    kind = np.repeat([FROZEN, PARKED], [len(frozen[0]), len(parked[0])])
    first, last, path = (np.concatenate(parts) for parts in zip(frozen, parked, strict=True))
    return kind, first, last, path, np.zeros(len(kind), dtype=bool)


@njit(cache=True)
def find_faults(seconds, odometer, offsets, fall_km, reset_below_km, impossible_kmh, slack_km):  # type: ignore[no-untyped-def]
    """Falls, resets and jumps from one reading to the next: kind, the two points, whether the reading was a lone one.

    A lone reading is wrong: the next one continues from the one before it. The way back is not an event.
    """
    size = len(seconds)
    kind = np.empty(size, dtype=np.int64)
    first = np.empty(size, dtype=np.int64)
    last = np.empty(size, dtype=np.int64)
    lone = np.zeros(size, dtype=np.bool_)
    count = 0
    for track in range(len(offsets) - 1):
        before = -1
        for i in range(offsets[track], offsets[track + 1]):
            if np.isnan(odometer[i]):
                continue
            if before >= 0:
                change = odometer[i] - odometer[before]
                most = impossible_kmh * (seconds[i] - seconds[before]) / 3600 + slack_km
                if change < -fall_km or change > most:
                    following = i + 1
                    while following < offsets[track + 1] and np.isnan(odometer[following]):
                        following += 1
                    is_last = following == offsets[track + 1]
                    is_lone = False
                    if not is_last:
                        back = odometer[following] - odometer[before]
                        most = impossible_kmh * (seconds[following] - seconds[before]) / 3600 + slack_km
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


@njit(cache=True)
def find_frozen(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, day, is_cut, offsets, resolution, radius_m, frozen_km, compare_step_s, gap_split_s,
    fine_step_s, agree_pct, impossible_kmh, slack_km,
):  # fmt: skip
    """Equal readings of one local day over which the path is longer than `frozen_km` and the resolution: points, km.

    The path is counted in pieces that leave `radius_m` within `compare_step_s`: shorter ones are standing. Eight hours
    of a parked receiver's jitter (35 m, every minute) are 11 km step by step, and nothing in such pieces. A longer step
    up to `gap_split_s` counts its chord where its ends are as far apart, and only beside another such step: then the
    device reported on the way, and its odometer stood. Over a single one the tracker may have had no power.

    An odometer that is read less often than the place has not failed: where steps of `fine_step_s` or more hold half of
    the path, and the next differing reading has caught up with it (less `agree_pct`, the resolution and `radius_m`).
    """
    size = len(seconds)
    first = np.empty(size, dtype=np.int64)
    last = np.empty(size, dtype=np.int64)
    path = np.empty(size)
    count = 0
    for track in range(len(offsets) - 1):
        start, end, anchor, chords = -1, -1, -1, 0
        piece = metres = chords_m = coarse_m = committed = 0.0
        for i in range(offsets[track], offsets[track + 1] + 1):
            is_over = i == offsets[track + 1]
            is_new = not is_over and start >= 0 and (day[i] != day[start] or is_cut[i])
            is_other = not is_over and not np.isnan(odometer[i]) and start >= 0 and odometer[i] != odometer[start]
            if is_over or is_new or is_other:
                is_frozen = start >= 0 and committed / 1000 > frozen_km + resolution[track]
                if is_frozen and 2 * coarse_m >= committed:
                    after = _next_difference(odometer, end, offsets[track + 1])
                    counted = odometer[after] - odometer[end]
                    most_missed_km = radius_m / 1000 + resolution[track] + agree_pct / 100 * committed / 1000
                    is_frozen = not (
                        is_plausible(counted, seconds[after] - seconds[start], impossible_kmh, slack_km)
                        and counted >= committed / 1000 - most_missed_km
                    )
                if is_frozen:
                    first[count], last[count], path[count] = start, end, committed / 1000
                    count += 1
                start = -1
            if is_over:
                break
            if start < 0:
                if not np.isnan(odometer[i]):
                    start, end, anchor, chords = i, i, i, 0
                    piece = metres = chords_m = coarse_m = committed = 0.0
                continue
            step_m = distance_m(lat[i - 1], lon[i - 1], lat[i], lon[i])
            piece += step_m
            if compare_step_s < seconds[i] - seconds[i - 1] <= gap_split_s and step_m > radius_m:
                chords_m += step_m
                chords += 1
            if seconds[i] - seconds[i - 1] >= fine_step_s and step_m > radius_m:
                coarse_m += step_m
            is_soon = seconds[i] - seconds[anchor] <= compare_step_s
            is_away = distance_m(lat[anchor], lon[anchor], lat[i], lon[i]) > radius_m
            if is_soon and is_away:
                metres += piece
            if is_away or not is_soon:
                anchor, piece = i, 0.0
            if not np.isnan(odometer[i]):
                end, committed = i, metres + (chords_m if chords > 1 else 0.0)
    return first[:count], last[:count], path[:count]


@njit(cache=True)
def _next_difference(odometer, point, track_end):  # type: ignore[no-untyped-def]
    """The first point after `point` whose reading differs from its own; `point` itself where none follows."""
    for i in range(point + 1, track_end):
        if not np.isnan(odometer[i]) and odometer[i] != odometer[point]:
            return i
    return point


@njit(cache=True)
def find_parked(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, day, is_cut, offsets, resolution, radius_m, parked_km, gap_note_s, unseen_s,
    impossible_kmh, slack_km,
):  # fmt: skip
    """Points within `radius_m` of the first of them over which the odometer counts more than `parked_km`: points, km.

    A silence beyond `gap_note_s` ends it: a vehicle may drive and come back unseen. So it may in a single step beyond
    `unseen_s`, which without a point in between makes none: on six simulated fleets with a position every 300 s four
    vehicles counted 2.3 to 2.6 km in such a step, and none was without its tracker. Jumps and falls do not count, nor
    does an odometer that catches up with what the tracker drove while its reading stood (frozen, O03). The path of such
    a tracker is the way between its first and its last point.
    """
    size = len(seconds)
    first = np.empty(size, dtype=np.int64)
    last = np.empty(size, dtype=np.int64)
    path = np.empty(size)
    count = 0
    for track in range(len(offsets) - 1):
        anchor, reading, start, end = -1, -1, -1, -1
        counted = driven_km = 0.0
        place, standing = offsets[track], np.nan
        for i in range(offsets[track], offsets[track + 1] + 1):
            is_over = i == offsets[track + 1]
            is_new = is_over or anchor < 0
            if not is_new:
                is_new = day[i] != day[anchor] or is_cut[i] or seconds[i] - seconds[i - 1] > gap_note_s
                is_new = is_new or distance_m(lat[anchor], lon[anchor], lat[i], lon[i]) > radius_m
            if is_new:
                is_seen = end - start > 1 or (end >= 0 and seconds[end] - seconds[start] <= unseen_s)
                if anchor >= 0 and is_seen and counted > parked_km + resolution[track]:
                    first[count], last[count] = start, end
                    path[count] = distance_m(lat[start], lon[start], lat[end], lon[end]) / 1000
                    count += 1
                if is_over:
                    break
                anchor, reading, start, end, counted = i, -1, -1, -1, 0.0
            moved = distance_m(lat[place], lon[place], lat[i], lon[i])
            if moved > radius_m:
                driven_km += moved / 1000
                place = i
            if np.isnan(odometer[i]):
                continue
            most_missed_km = driven_km * (1 + _CATCH_UP_SHARE) + resolution[track]
            is_catching_up = driven_km > 0 and odometer[i] - standing <= most_missed_km
            if odometer[i] != standing:
                standing, driven_km = odometer[i], 0.0
            if reading >= 0:
                change = odometer[i] - odometer[reading]
                most = impossible_kmh * (seconds[i] - seconds[reading]) / 3600 + slack_km
                if 0 < change <= most and not is_catching_up:
                    counted += change
                    start = reading if start < 0 else start
                    end = i
                if -resolution[track] - 1e-6 <= change < 0:  # a flicker, whose way back does not count either
                    continue
            reading = i
    return first[:count], last[:count], path[:count]


@njit(cache=True)
def chunk_ratios(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, is_unmeasured, grid_m, offsets, chunk_km, standing_kmh, compare_step_s
):
    """Odometer / path over each `chunk_km` of moving steps: track and ratio of each.

    Falls are excluded, jumps of the odometer are not: an odometer in metres jumps at every step. `is_unmeasured`: the
    step to the point has no path of its own. With every third fix at (0, 0) and the points between on their meridian a
    sound odometer seemed to count miles. Of coordinates on a grid the path is that of pieces of `PIECE_GRIDS`.
    """
    size = len(seconds)
    owner = np.empty(size, dtype=np.int64)
    ratio = np.empty(size)
    count = 0
    for track in range(len(offsets) - 1):
        path = counted = 0.0
        anchor = offsets[track]
        for i in range(offsets[track] + 1, offsets[track + 1]):
            if seconds[i] - seconds[i - 1] > compare_step_s or not odometer[i] >= odometer[i - 1] or is_unmeasured[i]:
                anchor = i
                continue
            piece = distance_m(lat[anchor], lon[anchor], lat[i], lon[i])
            if piece < PIECE_GRIDS * grid_m[i]:
                continue
            first, anchor = anchor, i
            if piece * 3.6 < standing_kmh * (seconds[i] - seconds[first]):
                continue
            path += piece / 1000
            counted += odometer[i] - odometer[first]
            if path >= chunk_km:
                owner[count], ratio[count] = track, counted / path
                count += 1
                path = counted = 0.0
    return owner[:count], ratio[:count]
