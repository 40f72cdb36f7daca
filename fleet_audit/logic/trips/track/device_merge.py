"""One track per vehicle where several devices report from it at once: the primary measures, the others fill its gaps.

Which points belong to which device is in `tracks`; odometers are never compared beyond one device.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.sphere import distance_m
from fleet_audit.logic.trips.track.points import local_days_of
from fleet_audit.logic.trips.track.tracks import Tracks

_SAME_TIME_S = 60  # two devices are compared where they report so close to each other


@dataclass(frozen=True)
class _Piece:
    """Points of one stretch of a vehicle's track: those of its primary `owner`, and the others' that fill its gaps."""

    owner: int
    points: np.ndarray
    is_filler: np.ndarray


def merge_devices(tracks: Tracks, parameters: ParameterSet) -> Tracks:
    """The tracks, of vehicles with several devices at once those of the primary of each day alone, its gaps filled.

    The primary of a vehicle-day covers the most seconds in steps up to `gap_note_s`; of equals the one assigned later,
    then the lower id. It hands over at the first midnight, or when it next stands. A filling point has no odometer:
    readings of two devices are never compared. A device that was elsewhere while both reported fills nothing.
    """
    groups = _groups(tracks)
    if all(_are_apart(tracks, group) for group in groups):
        return tracks
    pieces = [piece for group in groups for piece in _pieces(tracks, group, parameters)]
    points = np.concatenate([piece.points for piece in pieces])
    is_filler = np.concatenate([piece.is_filler for piece in pieces]) & tracks.is_located[points]
    offsets = np.cumsum([0, *(len(piece.points) for piece in pieces)])
    merged = tracks.pick(points, np.array([piece.owner for piece in pieces]), offsets)
    return replace(merged, odometer_km=np.where(is_filler, np.nan, merged.odometer_km))


def primary_pairs(tracks: Tracks, parameters: ParameterSet) -> list[tuple[int, int]]:
    """Of tracks of one local day: the primary of each vehicle with each other track of it that has points."""
    pairs = []
    for group in _groups(tracks):
        seen = [track for track in group if tracks.offsets[track + 1] > tracks.offsets[track]]
        if len(seen) > 1:
            primary = _primaries(tracks, seen, parameters)[0][0]
            pairs += [(primary, track) for track in seen if track != primary]
    return pairs


def _groups(tracks: Tracks) -> list[range]:
    """The tracks of each vehicle."""
    plates = tracks.index["plate"].to_numpy(dtype=object)
    changes = np.flatnonzero(np.append(True, plates[1:] != plates[:-1])) if len(plates) else np.empty(0, dtype=int)
    return [range(low, high) for low, high in itertools.pairwise([*changes.tolist(), len(plates)])]


def _are_apart(tracks: Tracks, group: range) -> bool:
    """Whether no two tracks of a vehicle report at the same time."""
    if len(group) == 1:
        return True
    spans = sorted((tracks.seconds[tracks.offsets[k]], tracks.seconds[tracks.offsets[k + 1] - 1]) for k in group)
    return all(earlier[1] < later[0] for earlier, later in itertools.pairwise(spans))


def _points(tracks: Tracks, track: int) -> np.ndarray:
    return np.arange(tracks.offsets[track], tracks.offsets[track + 1])


def _pieces(tracks: Tracks, group: range, parameters: ParameterSet) -> list[_Piece]:
    if _are_apart(tracks, group):
        return [_Piece(k, _points(tracks, k), np.zeros(tracks.offsets[k + 1] - tracks.offsets[k], bool)) for k in group]
    handovers = _handovers(tracks, _primaries(tracks, group, parameters), parameters)
    pieces = []
    for (owner, start), (_, end) in itertools.pairwise([*handovers, (-1, np.inf)]):
        own = _between(tracks, _points(tracks, owner), start, end)
        filling = _filling(tracks, own, start, end, [k for k in group if k != owner], owner, parameters)
        points = np.concatenate([own, filling])
        order = np.lexsort((points, tracks.seconds[points]))
        is_filler = np.repeat([False, True], [len(own), len(filling)])
        if len(points):
            pieces.append(_Piece(owner, points[order], is_filler[order]))
    return pieces


def _between(tracks: Tracks, points: np.ndarray, start: float, end: float) -> np.ndarray:
    seconds = tracks.seconds[points]
    return points[(seconds >= start) & (seconds < end)]


def _primaries(tracks: Tracks, group: Sequence[int], parameters: ParameterSet) -> list[tuple[int, float]]:
    """Primary track of each local day with its first instant (s), in order."""
    candidates: dict[np.datetime64, list[tuple]] = {}
    begins: dict[np.datetime64, float] = {}
    for track in group:
        points = _points(tracks, track)
        days = local_days_of(tracks, points)
        seconds = tracks.seconds[points]
        steps = np.diff(seconds, prepend=seconds[:1])
        steps = np.where(steps <= parameters.gap_note_s, steps, 0.0)
        located = tracks.is_located[points]
        for day in np.unique(days):
            is_day = days == day
            covered = (steps[is_day & located].sum(), steps[is_day].sum())
            device = tracks.index["device_id"].iloc[track]
            candidates.setdefault(day, []).append((-covered[0], -covered[1], -int(tracks.since[track]), device, track))
            begins[day] = min(begins.get(day, np.inf), float(seconds[is_day][0]))
    return [(min(candidates[day])[-1], begins[day]) for day in sorted(candidates)]


def _handovers(tracks: Tracks, primaries: list[tuple[int, float]], parameters: ParameterSet) -> list[tuple[int, float]]:
    """Primary track and the instant from which it measures; the first one does from the beginning."""
    found = [(primaries[0][0], -np.inf)]
    for track, begin in primaries[1:]:
        owner = found[-1][0]
        if track != owner:
            found.append((track, _next_rest(tracks, owner, begin, parameters)))
    return found


def _next_rest(tracks: Tracks, track: int, begin: float, parameters: ParameterSet) -> float:
    """First instant from `begin` on from which a track stands for a stop, or falls silent."""
    points = _points(tracks, track)
    points = points[tracks.is_located[points] & (tracks.seconds[points] >= begin - parameters.gap_note_s)]
    seconds, latitude, longitude = tracks.seconds[points], tracks.latitude[points], tracks.longitude[points]
    for at in range(len(points)):
        until = np.searchsorted(seconds, seconds[at] + parameters.stop_min_s)
        is_last = until >= len(points) or seconds[min(at + 1, len(points) - 1)] - seconds[at] > parameters.gap_note_s
        way = distance_m(latitude[at], longitude[at], latitude[at : until + 1], longitude[at : until + 1])
        if seconds[min(until, len(points) - 1)] >= begin and (is_last or (way <= parameters.stop_radius_m).all()):
            return max(begin, float(seconds[at]))
    return begin


def _filling(
    tracks: Tracks, own: np.ndarray, start: float, end: float, others: list[int], owner: int, parameters: ParameterSet
) -> np.ndarray:
    """Points of the other tracks inside the gaps of the primary: of each gap those of the track with most of them."""
    seen = tracks.seconds[own[tracks.is_located[own]]]
    edges = np.concatenate([[start], seen, [end]])
    gaps = np.flatnonzero(np.diff(edges) > parameters.gap_note_s)
    others = [track for track in others if not _is_elsewhere(tracks, track, owner, parameters)]
    chosen = []
    for gap in gaps:
        inside = []
        for track in others:
            points = _points(tracks, track)
            seconds = tracks.seconds[points]
            is_inside = (seconds > edges[gap]) & (seconds < edges[gap + 1])
            is_inside &= tracks.is_located[points] | ((tracks.trip_key[points] >= 0) & ~tracks.is_lost[points])
            inside.append(points[is_inside])
        if inside:
            chosen.append(max(inside, key=len))
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)


def _is_elsewhere(tracks: Tracks, track: int, owner: int, parameters: ParameterSet) -> bool:
    """Whether a device is mostly more than `outlier_m` away from the primary when both report."""
    mine, theirs = (points[tracks.is_located[points]] for points in (_points(tracks, owner), _points(tracks, track)))
    if len(mine) == 0 or len(theirs) == 0:
        return False
    at = np.clip(np.searchsorted(tracks.seconds[mine], tracks.seconds[theirs]), 1, max(len(mine) - 1, 1))
    before, after = mine[at - 1], mine[np.minimum(at, len(mine) - 1)]
    is_before = tracks.seconds[theirs] - tracks.seconds[before] < np.abs(tracks.seconds[after] - tracks.seconds[theirs])
    nearest = np.where(is_before, before, after)
    is_close = np.abs(tracks.seconds[nearest] - tracks.seconds[theirs]) <= _SAME_TIME_S
    if not is_close.any():
        return False
    nearest, theirs = nearest[is_close], theirs[is_close]
    apart = distance_m(
        tracks.latitude[nearest], tracks.longitude[nearest], tracks.latitude[theirs], tracks.longitude[theirs]
    )
    return bool(np.median(apart) > parameters.outlier_m)
