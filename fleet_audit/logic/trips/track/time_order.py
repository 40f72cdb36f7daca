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
        owner = np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))
        low, high, _ = self.cuts[self.first[0] :].T
        by_time = np.lexsort((low, owner))
        is_next = owner[by_time[1:]] == owner[by_time[:-1]]
        if not (is_next & (low[by_time[1:]] < high[by_time[:-1]])).any():
            return len(device)
        return int(np.diff(self.first)[device[device >= 0]].sum())


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
            _rows_of_tracks(codes, instants, spans, counts) for codes, instants in zip(device, micros, strict=True)
        ]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        times, free = np.empty(offsets[-1], dtype=np.int64), offsets[:-1].copy()
        for (source, owner), instants in zip(found, micros, strict=True):
            place_rows(source, owner, instants, free, times)  # a row's place takes that of its track's number
        order = np.empty(len(times), dtype=np.int32)
        is_ordered = sort_times(times, offsets, order)
        return cls(offsets, times, [source for source, _ in found], [place for _, place in found], order, is_ordered)

    def rows_at(self, at: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Of each part the rows that come at these few places of the order, and where each place has its row in them.

        The values of a column there are `np.concatenate([values[rows] for each part])[where]`.
        """
        placed = self.offsets[np.searchsorted(self.offsets, at, side="right") - 1] + self.order[at]
        is_asked = np.zeros(len(self.times), dtype=np.bool_)
        is_asked[placed] = True
        hits = [np.flatnonzero(is_asked[target]) for target in self.targets]
        came = np.argsort(np.concatenate([target[hit] for target, hit in zip(self.targets, hits, strict=True)]))
        rows = [source[hit] for source, hit in zip(self.sources, hits, strict=True)]
        return rows, came[np.searchsorted(np.sort(placed), placed)]

    def scratch(self) -> np.ndarray:
        """Memory in which `sorted_column` places one column after the other."""
        return np.empty(len(self.times), dtype=np.int64)

    def sorted_column(
        self, columns: Sequence[np.ndarray], scratch: np.ndarray, is_kept: np.ndarray | None = None
    ) -> np.ndarray:
        """A column, given in parts, in order of time within each track, without the rows (in that order) not kept."""
        dtype, size = columns[0].dtype, len(self.times)
        is_final = self.is_ordered and is_kept is None
        placed = np.empty(size, dtype) if is_final else scratch.view(dtype)[:size]
        for values, source, target in zip(columns, self.sources, self.targets, strict=True):
            scatter(values, source, target, placed)
        if is_final:
            return placed
        # Numpy's memory has large pages: numba's own took 20,919 page faults for eight columns of 3 million rows.
        result = np.empty(size, dtype)
        if is_kept is None:
            put_in_order(placed, self.order, self.offsets, result)
            return result
        return result[: put_in_order_kept(placed, self.order, self.offsets, is_kept, result)]

    def seconds(self, is_kept: np.ndarray | None) -> np.ndarray:
        """Times in seconds, of the rows that are kept."""
        if is_kept is None:
            return self.times / 1e6
        result = np.empty(len(self.times))
        return result[: kept_seconds(self.times, is_kept, result)]


def _rows_of_tracks(
    device: np.ndarray, micros: np.ndarray, spans: TrackSpans, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rows that belong to tracks, and their tracks."""
    most = spans.most_rows(device)
    source, owner = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    count = find_tracks(device, micros, spans.first, spans.cuts, counts, source, owner)
    return source[:count], owner[:count]


@njit(cache=True, nogil=True)
def find_tracks(device, micros, first, cuts, counts, source, owner):  # type: ignore[no-untyped-def]
    """Writes each row that belongs to a track and its track, in the order of rows; returns how many they are.

    Adds to `counts` how many each track has.
    """
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
    return count


@njit(cache=True, nogil=True)
def place_rows(source, owner, micros, free, times):  # type: ignore[no-untyped-def]
    """Writes over each row's track its place in the track's stretch, the next `free` one, and its time there."""
    for at in range(len(source)):
        place = free[owner[at]]
        free[owner[at]] += 1
        owner[at], times[place] = place, micros[source[at]]


@njit(cache=True, nogil=True)
def scatter(values, source, target, result):  # type: ignore[no-untyped-def]
    """result[target] = values[source]."""
    for at in range(len(source)):
        result[target[at]] = values[source[at]]


@njit(cache=True, nogil=True)
def put_in_order(placed, order, offsets, result):  # type: ignore[no-untyped-def]
    """Writes the values of each track in its order."""
    for track in range(len(offsets) - 1):
        low = offsets[track]
        for at in range(low, offsets[track + 1]):
            result[at] = placed[low + order[at]]


@njit(cache=True, nogil=True)
def put_in_order_kept(placed, order, offsets, is_kept, result):  # type: ignore[no-untyped-def]
    """Writes the values of each track in its order, those that are kept; returns how many they are."""
    count = 0
    for track in range(len(offsets) - 1):
        low = offsets[track]
        for at in range(low, offsets[track + 1]):
            result[count] = placed[low + order[at]]
            count += is_kept[at]
    return count


@njit(cache=True, nogil=True)
def kept_seconds(times, is_kept, result):  # type: ignore[no-untyped-def]
    """Writes the times (µs) that are kept as seconds; returns how many they are."""
    count = 0
    for at in range(len(times)):
        result[count] = times[at] / 1e6
        count += is_kept[at]
    return count


@njit(cache=True, nogil=True)
def sort_times(times, offsets, order):  # type: ignore[no-untyped-def]
    """Sorts each track's times in place, writes the places within it that they came from; whether nothing moved."""
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
    return is_ordered


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
