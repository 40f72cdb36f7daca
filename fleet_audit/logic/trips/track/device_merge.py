"""One track per vehicle where several devices report from it at once: the primary measures, the others fill its gaps.

Which points belong to which device is in `tracks`; odometers are never compared beyond one device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.devices import fill_gaps, find_handovers
from fleet_audit.logic.trips.track.other_clocks import OtherClocks, on_one_clock, without_points
from fleet_audit.logic.trips.track.points import local_days_of
from fleet_audit.logic.trips.track.tracks import Tracks


@dataclass(frozen=True)
class _Pieces:
    """Stretches of tracks: of vehicle `group` the points `low:high` of track `owner`, from `start` to `end` (s)."""

    group: np.ndarray
    owner: np.ndarray
    low: np.ndarray
    high: np.ndarray
    start: np.ndarray
    end: np.ndarray


def merge_devices(tracks: Tracks, clocks: OtherClocks, parameters: ParameterSet) -> Tracks:
    """The tracks, of vehicles with several devices at once those of the primary of each day alone, its gaps filled.

    The primary of a vehicle-day covers the most seconds in steps up to `gap_note_s`; of equals the one assigned later,
    then the lower id. It hands over at the first midnight, or when it next stands. A filling point has no odometer:
    readings of two devices are never compared. A device that was elsewhere while both reported, or while
    one of them moved, fills nothing; one that was not seen to move with the primary fills little (`fill_gaps`).
    `clocks` (`points_of_other_clocks`): of a device with another clock only what no other device saw counts.
    """
    tracks = on_one_clock(tracks, clocks)
    group = _groups(tracks)
    is_shared = _report_at_once(tracks, group)
    if not is_shared.any():
        return tracks
    shared = _shared_pieces(tracks, group, is_shared, parameters)
    filling, filled, _ = _filling(tracks, group, shared, parameters)
    alone = np.flatnonzero(~is_shared)
    owner = np.append(shared.owner, alone)
    low, high = np.append(shared.low, tracks.offsets[alone]), np.append(shared.high, tracks.offsets[alone + 1])
    order = np.argsort(np.append(shared.group, group[alone]), kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    points = np.concatenate([_ranges(low, high), filling])
    piece = rank[np.concatenate([np.repeat(np.arange(len(low)), high - low), filled])]
    is_filler = np.repeat([False, True], [len(points) - len(filling), len(filling)])
    by_time = np.lexsort((points, tracks.seconds[points], piece))
    points, is_filler = points[by_time], is_filler[by_time] & tracks.is_located[points[by_time]]
    sizes = np.bincount(piece, minlength=len(order))
    merged = tracks.pick(points, owner[order][sizes > 0], np.append(0, np.cumsum(sizes[sizes > 0])))
    return replace(merged, odometer_km=np.where(is_filler, np.nan, merged.odometer_km))


def points_of_other_vehicles(tracks: Tracks, is_excluded: np.ndarray, parameters: ParameterSet) -> np.ndarray:
    """Per point: whether its device moves while a primary is silent and stands, or stands so while it moves.

    `merge_devices` fills no gap of that primary with it, so that a tracker registered to the wrong plate adds no km.
    `is_excluded` holds the points of other clocks.
    """
    own, found = without_points(tracks, is_excluded), np.zeros(len(is_excluded), dtype=bool)
    group = _groups(own)
    is_shared = _report_at_once(own, group)
    if is_shared.any():
        is_apart = _filling(own, group, _shared_pieces(own, group, is_shared, parameters), parameters)[2]
        found[~is_excluded] = np.repeat(is_apart, np.diff(own.offsets))
    return found


def primary_pairs(tracks: Tracks, is_excluded: np.ndarray, parameters: ParameterSet) -> list[tuple[int, int]]:
    """Of tracks of one local day: the primary of each vehicle with each other track of it that has points.

    A track measures nothing where `is_excluded` holds for all its points (`other_clocks`).
    """
    seen = np.flatnonzero(np.diff(tracks.offsets) > 0)
    is_measuring = np.add.reduceat(~is_excluded, tracks.offsets[seen]) > 0 if len(seen) else np.empty(0, dtype=bool)
    group, _, primary, _ = _primaries(tracks, _groups(tracks), seen[is_measuring], parameters)
    vehicles, first = np.unique(group, return_index=True)
    seen = seen[np.isin(_groups(tracks)[seen], vehicles)]
    of_track = primary[first][np.searchsorted(vehicles, _groups(tracks)[seen])]
    return [(int(one), int(other)) for one, other in zip(of_track, seen, strict=True) if one != other]


def _groups(tracks: Tracks) -> np.ndarray:
    """Number of each track's vehicle; the tracks of a vehicle follow each other."""
    plates = tracks.index["plate"].to_numpy(dtype=object)
    return np.cumsum(np.append(True, plates[1:] != plates[:-1])[: len(plates)]) - 1


def _ranges(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The numbers low … high - 1 of each pair, one pair after another."""
    sizes = high - low
    return np.arange(sizes.sum()) + np.repeat(low - np.append(0, np.cumsum(sizes)[:-1]), sizes)


def _report_at_once(tracks: Tracks, group: np.ndarray) -> np.ndarray:
    """Which tracks are of vehicles of which two devices report at the same time."""
    if not len(group):
        return np.zeros(0, dtype=bool)
    first, last = tracks.seconds[tracks.offsets[:-1]], tracks.seconds[tracks.offsets[1:] - 1]
    order = np.lexsort((last, first, group))
    is_overlap = (group[order][1:] == group[order][:-1]) & (last[order][:-1] >= first[order][1:])
    return np.isin(group, group[order][1:][is_overlap])


def _shared_pieces(tracks: Tracks, group: np.ndarray, is_shared: np.ndarray, parameters: ParameterSet) -> _Pieces:
    """The pieces of vehicles with several devices at once, without filling."""
    primaries = _primaries(tracks, group, np.flatnonzero(is_shared), parameters)
    return _Pieces(
        *find_handovers(
            primaries[0], primaries[2], primaries[3], tracks.seconds, tracks.latitude, tracks.longitude, tracks.offsets,
            np.flatnonzero(tracks.is_located), parameters.gap_note_s, parameters.gap_split_s, parameters.stop_min_s,
            parameters.trip_end_dwell_s, parameters.stop_radius_m,
        )
    )  # fmt: skip


def _filling(
    tracks: Tracks, group: np.ndarray, pieces: _Pieces, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points that fill the gaps of pieces, the piece of each, and per track whether it is not on its vehicle."""
    is_useful = tracks.is_located | ((tracks.trip_key >= 0) & ~tracks.is_lost)
    points, piece, is_apart = fill_gaps(
        np.searchsorted(group, pieces.group), np.searchsorted(group, pieces.group, side="right"), pieces.owner,
        pieces.low, pieces.high, pieces.start, pieces.end, tracks.seconds, tracks.latitude, tracks.longitude,
        tracks.odometer_km, tracks.offsets, np.flatnonzero(tracks.is_located), np.flatnonzero(is_useful),
        parameters.gap_note_s, parameters.outlier_m,
    )  # fmt: skip
    return points, piece, is_apart


def _primaries(
    tracks: Tracks, group: np.ndarray, chosen: np.ndarray, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each local day of a vehicle: its group, the day, the primary of its chosen tracks, its first instant (s)."""
    low, high = tracks.offsets[chosen], tracks.offsets[chosen + 1]
    points, track = _ranges(low, high), np.repeat(chosen, high - low)
    if not len(points):
        none = np.empty(0, dtype=np.int64)
        return none, none, none, np.empty(0)
    days = local_days_of(tracks, points).astype(np.int64)
    micros = np.round(tracks.seconds[points] * 1e6).astype(np.int64)  # sums of whole numbers: equal ones stay equal
    steps = np.diff(micros, prepend=micros[:1])
    is_first = np.append(True, track[1:] != track[:-1])
    steps[is_first | (steps > parameters.gap_note_s * 1e6)] = 0
    start = np.flatnonzero(is_first | np.append(True, days[1:] != days[:-1]))
    device = np.unique(tracks.index["device_id"].to_numpy(dtype=object), return_inverse=True)[1]
    owner, day = track[start], days[start]
    located = np.add.reduceat(np.where(tracks.is_located[points], steps, 0), start)
    covered = np.add.reduceat(steps, start)
    later_first = ~tracks.since[owner]  # the negative of an open beginning, the least number, is itself
    order = np.lexsort((owner, device[owner], later_first, -covered, -located, day, group[owner]))
    vehicle, day = group[owner][order], day[order]
    best = np.flatnonzero(np.append(True, (vehicle[1:] != vehicle[:-1]) | (day[1:] != day[:-1])))
    begin = np.minimum.reduceat(tracks.seconds[points[start]][order], best)
    return vehicle[best], day[best], owner[order][best], begin
