"""Positions in the order in which tracks need them, by track and then by time: compiled, linear in their number.

Which of two rows of one instant counts is in `tracks`, which device is in which vehicle when in `assignments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fleet_audit.logic.primitives.compiled import njit

_DIGIT_BITS = 10  # 1024 counters stay in the fastest cache beside a device's day; four days in seconds take 2 digits
_SECOND = np.uint64(1_000_000)  # µs


@dataclass(frozen=True)
class TrackSpans:
    """Assignment of device rows to tracks, with times.

    `cuts[first[d] : first[d + 1]]` are the tracks of device d: its first µs, the first µs no longer in it, its number.
    """

    first: np.ndarray
    cuts: np.ndarray

    @classmethod
    def of(cls, device: np.ndarray, low: np.ndarray, high: np.ndarray, devices: int) -> TrackSpans:
        """Track k has the rows of `device[k]`, one of so many (-1: of none that reported), with low ≤ µs < high."""
        order = np.argsort(device, kind="stable")
        first = np.searchsorted(device[order], np.arange(devices + 1))
        return cls(first, np.column_stack([low[order], high[order], order]))

    def most_rows(self, device: np.ndarray) -> int:
        """At most so many rows belong to tracks, counted once per track: two vehicles may have a device at once."""
        tracks = np.diff(self.first)
        return len(device) if (tracks <= 1).all() else int(tracks[device[device >= 0]].sum())


@dataclass(frozen=True)
class TrackOrder:
    """Where rows, in parts, go: to their track's stretch of `offsets` as they come, then by time within it.

    Rows are first written to some thousand tracks side by side and then put in order within each: both stay in the
    cache, where fetching each row from anywhere takes twice as long.
    """

    offsets: np.ndarray
    times: np.ndarray
    sources: list[np.ndarray]
    targets: list[np.ndarray]
    order: np.ndarray
    is_ordered: bool

    @classmethod
    def of(cls, device: Sequence[np.ndarray], micros: Sequence[np.ndarray], spans: TrackSpans) -> TrackOrder:
        """Of each part the device number (-1: unknown) and µs of its rows."""
        counts = np.zeros(len(spans.cuts), dtype=np.int64)
        found = [
            find_tracks(codes, instants, spans.first, spans.cuts, counts, spans.most_rows(codes))
            for codes, instants in zip(device, micros, strict=True)
        ]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        times, free = np.empty(offsets[-1], dtype=np.int64), offsets[:-1].copy()
        targets = [
            place_rows(source, owner, instants, free, times)
            for (source, owner), instants in zip(found, micros, strict=True)
        ]
        order, is_ordered = sort_times(times, offsets)
        return cls(offsets, times, [source for source, _ in found], targets, order, is_ordered)

    def placed_column(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """A column, given in parts, with its values in the stretches of their tracks."""
        placed = np.empty(len(self.times), dtype=columns[0].dtype)
        for values, source, target in zip(columns, self.sources, self.targets, strict=True):
            scatter(values, source, target, placed)
        return placed

    def placed_rows(self, at: np.ndarray) -> np.ndarray:
        """Where placed columns have the values that come at these places of the order."""
        low = self.offsets[np.searchsorted(self.offsets, at, side="right") - 1]
        return low + self.order[at]

    def sorted_column(self, placed: np.ndarray, is_kept: np.ndarray | None = None) -> np.ndarray:
        """A placed column in order of time within each track, without the rows (in that order) that are not kept."""
        if is_kept is None:
            return placed if self.is_ordered else put_in_order(placed, self.order, self.offsets)
        return put_in_order_kept(placed, self.order, self.offsets, is_kept)


@njit(cache=True, nogil=True)
def find_tracks(device, micros, first, cuts, counts, size):  # type: ignore[no-untyped-def]
    """Each row that belongs to a track, and its track, in the order of rows; adds to `counts` how many each has."""
    source, owner = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    count = 0
    for row in range(len(device)):
        code = device[row]
        if code < 0:
            continue
        for at in range(first[code], first[code + 1]):
            if cuts[at, 0] <= micros[row] < cuts[at, 1]:
                source[count], owner[count] = row, cuts[at, 2]
                counts[cuts[at, 2]] += 1
                count += 1
    return source[:count], owner[:count]


@njit(cache=True, nogil=True)
def place_rows(source, owner, micros, free, times):  # type: ignore[no-untyped-def]
    """The place of each row in its track's stretch: the next `free` one, which moves on. Writes its time there."""
    target = np.empty(len(source), dtype=np.int32)
    for at in range(len(source)):
        place = free[owner[at]]
        free[owner[at]] += 1
        target[at], times[place] = place, micros[source[at]]
    return target


@njit(cache=True, nogil=True)
def scatter(values, source, target, result):  # type: ignore[no-untyped-def]
    """result[target] = values[source]."""
    for at in range(len(source)):
        result[target[at]] = values[source[at]]


@njit(cache=True, nogil=True)
def put_in_order(placed, order, offsets):  # type: ignore[no-untyped-def]
    """The values of each track in its order."""
    result = np.empty_like(placed)
    for track in range(len(offsets) - 1):
        low = offsets[track]
        for at in range(low, offsets[track + 1]):
            result[at] = placed[low + order[at]]
    return result


@njit(cache=True, nogil=True)
def put_in_order_kept(placed, order, offsets, is_kept):  # type: ignore[no-untyped-def]
    """The values of each track in its order, those that are kept."""
    result = np.empty_like(placed)
    count = 0
    for track in range(len(offsets) - 1):
        low = offsets[track]
        for at in range(low, offsets[track + 1]):
            result[count] = placed[low + order[at]]
            count += is_kept[at]
    return result[:count]


@njit(cache=True, nogil=True)
def sort_times(times, offsets):  # type: ignore[no-untyped-def]
    """Sorts each track's times in place; the places within it that they came from, and whether nothing moved."""
    order = np.empty(len(times), dtype=np.int32)
    is_ordered = True
    most = np.max(np.diff(offsets)) if len(offsets) > 1 else 0
    keys, spare = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        is_sorted = True
        for at in range(low, high):
            order[at] = at - low
            is_sorted &= at == low or times[at - 1] <= times[at]
        if not is_sorted:
            is_ordered = False
            _sort_track(times[low:high], order[low:high], keys, spare)
    return order, is_ordered


@njit(cache=True, nogil=True)
def _sort_track(times, order, keys, spare):  # type: ignore[no-untyped-def]
    """Sorts times stably and returns the former place of each: radix sort of time and place in one number."""
    size, lowest = len(times), times.min()
    is_whole = True
    for at in range(size):
        elapsed = np.uint64(times[at] - lowest)  # dividing signed numbers takes three times as long
        keys[at] = elapsed // _SECOND
        is_whole &= np.uint64(keys[at]) * _SECOND == elapsed
    if not is_whole:
        keys[:size] = times - lowest
    place_bits = 0
    while size >> place_bits > 0:
        place_bits += 1
    highest = keys[:size].max()
    if highest < 0 or highest >> (62 - place_bits) > 0:
        order[:] = np.argsort(times, kind="mergesort")
        times[:] = times[order]
        return
    for at in range(size):
        keys[at] = keys[at] << place_bits | at
    counts = np.empty((1 << _DIGIT_BITS) + 1, dtype=np.int64)
    mask, shift = (1 << _DIGIT_BITS) - 1, place_bits
    while highest >> (shift - place_bits) > 0:
        counts[:] = 0
        for at in range(size):
            counts[(keys[at] >> shift & mask) + 1] += 1
        for digit in range(mask):
            counts[digit + 1] += counts[digit]
        for at in range(size):
            digit = keys[at] >> shift & mask
            spare[counts[digit]] = keys[at]
            counts[digit] += 1
        keys, spare = spare, keys
        shift += _DIGIT_BITS
    for at in range(size):
        key = keys[at] >> place_bits
        times[at] = lowest + (key * 1_000_000 if is_whole else key)
        order[at] = keys[at] & ((1 << place_bits) - 1)


@njit(cache=True, nogil=True)
def any_beyond(values, most):  # type: ignore[no-untyped-def]
    """Whether any value is as far from zero as `most`: without a temporary array, in a fifth of the time."""
    found = False
    for value in values:
        found |= abs(value) >= most
    return found
