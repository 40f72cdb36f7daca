"""Positions in the order in which tracks need them, by track and then by time: linear in their number, in threads.

Which of two rows of one instant counts is in `tracks`, which device is in which vehicle when in `assignments`. The
compiled passes are in `kernels.order`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fleet_audit.logic.primitives.workers.threads import map_in_threads, thread_count
from fleet_audit.logic.trips.kernels import order as order_kernels

_WORTH_A_THREAD = 20_000  # points: fewer are done in the time in which another thread begins


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
    cache, where fetching each row from anywhere takes twice as long. `pieces` are the stretches of the parts' rows that
    threads work on (part, low, high); `sources` and `targets` are of one piece each, sources counted from its `low`.
    """

    offsets: np.ndarray
    times: np.ndarray
    pieces: list[tuple[int, int, int]]
    sources: list[np.ndarray]
    targets: list[np.ndarray]
    order: np.ndarray
    is_ordered: bool

    @classmethod
    def of(cls, device: Sequence[np.ndarray], micros: Sequence[np.ndarray], spans: TrackSpans) -> TrackOrder:
        """Of each part the device number (-1: unknown) and µs of its rows."""
        pieces = [piece for part, codes in enumerate(device) for piece in _pieces(part, len(codes))]
        codes, instants = _cut(device, pieces), _cut(micros, pieces)
        counts = np.zeros((len(pieces), len(spans.cuts)), dtype=np.int64)
        found = map_in_threads(
            lambda at: _rows_of_tracks(codes[at], instants[at], spans, counts[at]), range(len(pieces))
        )
        offsets = np.concatenate([[0], np.cumsum(counts.sum(axis=0))])
        free = offsets[:-1] + np.cumsum(counts, axis=0) - counts  # a track's rows of earlier pieces come before
        times, order = np.empty(offsets[-1], dtype=np.int64), np.empty(offsets[-1], dtype=np.int32)

        def place(at: int) -> None:
            order_kernels.place_rows(
                *found[at], instants[at], free[at], times
            )  # a row's place takes that of its track's number

        map_in_threads(place, range(len(pieces)))
        is_ordered = all(
            map_in_threads(lambda part: order_kernels.sort_times(times, part, order), parts_of_tracks(offsets))
        )
        sources, targets = ([one[of] for one in found] for of in (0, 1))
        return cls(offsets, times, pieces, sources, targets, order, is_ordered)

    def repeated(self) -> tuple[np.ndarray, np.ndarray]:
        """Places in the order whose instant is that of a neighbour in their track, and whether of the one before."""
        found = map_in_threads(lambda part: order_kernels.find_repeats(self.times, part), parts_of_tracks(self.offsets))
        return tuple(map(np.concatenate, zip(*found, strict=True)))  # type: ignore[return-value]

    def rows_at(self, at: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Of each part the rows that come at these few places of the order, and where each place has its row in them.

        The values of a column there are `np.concatenate([values[rows] for each part])[where]`.
        """
        placed = self.offsets[np.searchsorted(self.offsets, at, side="right") - 1] + self.order[at]
        is_asked = np.zeros(len(self.times), dtype=np.bool_)
        is_asked[placed] = True
        hits = map_in_threads(lambda target: order_kernels.find_flagged(is_asked, target), self.targets)
        came = np.argsort(np.concatenate([target[hit] for target, hit in zip(self.targets, hits, strict=True)]))
        rows: list[list[np.ndarray]] = [[] for _ in range(max(part for part, _, _ in self.pieces) + 1)]
        for (part, low, _), source, hit in zip(self.pieces, self.sources, hits, strict=True):
            rows[part].append(low + source[hit])
        return [np.concatenate(some) for some in rows], came[np.searchsorted(np.sort(placed), placed)]

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
        for values, source, target in zip(_cut(columns, self.pieces), self.sources, self.targets, strict=True):
            order_kernels.scatter(values, source, target, placed)
        if is_final:
            return placed
        # Numpy's memory has large pages: numba's own took 20,919 page faults for eight columns of 3 million rows.
        result = np.empty(size, dtype)
        if is_kept is None:
            order_kernels.put_in_order(placed, self.order, self.offsets, result)
            return result
        return result[: order_kernels.put_in_order_kept(placed, self.order, self.offsets, is_kept, result)]

    def seconds(self, is_kept: np.ndarray | None) -> np.ndarray:
        """Times in seconds, of the rows that are kept."""
        if is_kept is None:
            return self.times / 1e6
        result = np.empty(len(self.times))
        return result[: order_kernels.kept_seconds(self.times, is_kept, result)]


def without_rows(values: np.ndarray, dropped: np.ndarray) -> np.ndarray:
    """The values without those at these places, which are in order; the same array where there are none."""
    if len(dropped) == 0:
        return values
    kept = np.empty(len(values) - len(dropped), values.dtype)
    order_kernels.keep_values(values, dropped, kept)
    return kept


def parts_of_tracks(offsets: np.ndarray) -> list[np.ndarray]:
    """The offsets in as many runs of whole tracks as threads work, each with about as many points as the others."""
    count = thread_count()
    if count == 1 or offsets[-1] < _WORTH_A_THREAD:
        return [offsets]
    within = np.searchsorted(offsets, np.linspace(0, offsets[-1], count + 1)[1:-1])
    edges = [0, *within.tolist(), len(offsets) - 1]
    return [offsets[low : high + 1] for low, high in pairwise(edges) if high > low]


def _pieces(part: int, size: int) -> list[tuple[int, int, int]]:
    count = thread_count() if size >= _WORTH_A_THREAD else 1
    return [(part, size * at // count, size * (at + 1) // count) for at in range(count)]


def _cut(columns: Sequence[np.ndarray], pieces: Sequence[tuple[int, int, int]]) -> list[np.ndarray]:
    return [columns[part][low:high] for part, low, high in pieces]


def _rows_of_tracks(
    device: np.ndarray, micros: np.ndarray, spans: TrackSpans, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rows that belong to tracks, and their tracks."""
    most = spans.most_rows(device)
    source, owner = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    count = order_kernels.find_tracks(device, micros, spans.first, spans.cuts, counts, source, owner)
    return source[:count], owner[:count]
