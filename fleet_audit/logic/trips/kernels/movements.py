"""Movements between stops, and what the points of a stretch have in common.

Distances are in `steps`.
"""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.primitives.compiled import njit

# Odd factors of splitmix64 and of its siblings: two positions that differ in one last digit get unrelated numbers.
_TIME, _LATITUDE, _LONGITUDE = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93))
_MIX_A, _MIX_B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFT_A, _SHIFT_B = np.uint64(30), np.uint64(27)


@njit(cache=True, nogil=True)
def find_movements(is_split, offsets, first, last):  # type: ignore[no-untyped-def]
    """Movements between stops, cut where the track splits: start and end point, stop before and after (-1: none).

    A movement without a stop at one end starts or ends where nothing is known: in a split, or at the track's edge.
    """
    size = len(first) + len(offsets) + int(is_split.sum())
    start = np.empty(size, dtype=np.int64)
    end = np.empty(size, dtype=np.int64)
    before = np.empty(size, dtype=np.int64)
    after = np.empty(size, dtype=np.int64)
    count = stop = 0
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        a, stop_before = low, -1
        while a < high:
            has_next = stop < len(first) and first[stop] < high
            b = first[stop] if has_next else high - 1
            i = a + 1
            while i <= b:
                if is_split[i]:
                    if i - 1 > a:
                        start[count], end[count], before[count], after[count] = a, i - 1, stop_before, -1
                        count += 1
                    a, stop_before = i, -1
                i += 1
            if b > a:
                start[count], end[count], before[count], after[count] = a, b, stop_before, stop if has_next else -1
                count += 1
            if not has_next:
                break
            a, stop_before = last[stop], stop
            stop += 1
    return start[:count], end[:count], before[:count], after[:count]


@njit(cache=True, nogil=True)
def most_frequent(codes, start, end):  # type: ignore[no-untyped-def]
    """Most frequent code >= 0 of codes[start[k] : end[k] + 1], the earliest of equals; -1 where there is none."""
    result = np.full(len(start), -1, dtype=np.int64)
    names = np.empty(64, dtype=np.int64)
    counts = np.empty(64, dtype=np.int64)
    for k in range(len(start)):
        known = 0
        for i in range(start[k], end[k] + 1):
            if codes[i] < 0:
                continue
            at = 0
            while at < known and names[at] != codes[i]:
                at += 1
            if at == known:
                if known == 64:
                    continue
                names[at], counts[at] = codes[i], 0
                known += 1
            counts[at] += 1
        best = 0
        for at in range(known):
            if counts[at] > best:
                best, result[k] = counts[at], names[at]
    return result


@njit(cache=True, nogil=True)
def count_and_maximum(values, start, end):  # type: ignore[no-untyped-def]
    """Number and maximum (NaN: none) of the present values of values[start[k] : end[k] + 1]."""
    number = np.zeros(len(start), dtype=np.int64)
    highest = np.full(len(start), np.nan)
    for k in range(len(start)):
        for i in range(start[k], end[k] + 1):
            if not np.isnan(values[i]):
                number[k] += 1
                if not highest[k] >= values[i]:
                    highest[k] = values[i]
    return number, highest


@njit(cache=True, nogil=True)
def moving_time(seconds, is_standing, start, end):  # type: ignore[no-untyped-def]
    """Microseconds and number of the steps from each start to its end that are not standing.

    Summed in whole microseconds, so that a sum does not depend on which other vehicles were computed with it.
    """
    micros = np.zeros(len(start), dtype=np.int64)
    number = np.zeros(len(start), dtype=np.int64)
    for k in range(len(start)):
        for i in range(start[k] + 1, end[k] + 1):
            if not is_standing[i]:
                micros[k] += np.int64(np.rint((seconds[i] - seconds[i - 1]) * 1e6))
                number[k] += 1
    return micros, number


@njit(cache=True, nogil=True)
def digest_positions(seconds, latitude, longitude, metres, is_seen, standing_kmh, start, end):  # type: ignore[no-untyped-def]
    """First position in motion from each start to its end (-1: none), and a digest of all of them (0: none).

    A digest is the sum, modulo 2^64, of one number per position: of its coordinates to 1e-6 degrees and of the
    milliseconds since the point before. So it depends neither on the hour, nor on where a track is cut while the
    vehicle stands, nor on which stops part the way; digests of consecutive movements add up to that of both. Whether
    a position is in motion is decided by the metres and time of the step to it alone, where `is_seen`: by `is_standing`
    it depended on odometer readings, which count on in a copied day, and one at the limit differed by its last bit.
    """
    first = np.full(len(start), -1, dtype=np.int64)
    digest = np.zeros(len(start), dtype=np.uint64)
    for k in range(len(start)):
        for i in range(start[k] + 1, end[k] + 1):
            elapsed = seconds[i] - seconds[i - 1]
            if not (is_seen[i] and metres[i] * 3.6 >= standing_kmh * elapsed):
                continue
            if first[k] < 0:
                first[k] = i
            mixed = np.uint64(np.int64(np.rint(elapsed * 1e3))) * _TIME
            mixed += np.uint64(np.int64(np.rint(latitude[i] * 1e6))) * _LATITUDE
            mixed += np.uint64(np.int64(np.rint(longitude[i] * 1e6))) * _LONGITUDE
            mixed = (mixed ^ (mixed >> _SHIFT_A)) * _MIX_A
            digest[k] += (mixed ^ (mixed >> _SHIFT_B)) * _MIX_B
    return first, digest.view(np.int64)


@njit(cache=True, nogil=True)
def longest_unread_m(metres, start, end, first, last):  # type: ignore[no-untyped-def]
    """Metres from the start of each movement to its first reading or from its last one to its end: the longer way.

    0 where a movement has no reading (-1), or is not measured because none follows its first one: readings that lie
    outside of it would make this quadratic on a track whose odometer was silent over many movements.
    """
    result = np.zeros(len(start))
    for k in range(len(start)):
        if first[k] < 0 or last[k] <= first[k]:
            continue
        before = after = 0.0
        for i in range(start[k] + 1, min(first[k], end[k]) + 1):
            before += 0.0 if np.isnan(metres[i]) else metres[i]
        for i in range(max(last[k], start[k]) + 1, end[k] + 1):
            after += 0.0 if np.isnan(metres[i]) else metres[i]
        result[k] = max(before, after)
    return result


@njit(cache=True, nogil=True)
def span_points(seconds, offsets, from_s, to_s):  # type: ignore[no-untyped-def]
    """First point at or after from_s[k] and last one at or before to_s[k] of each track k; first > last: none."""
    first = np.empty(len(offsets) - 1, dtype=np.int64)
    last = np.empty(len(offsets) - 1, dtype=np.int64)
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        first[track] = low + np.searchsorted(seconds[low:high], from_s[track])
        last[track] = low + np.searchsorted(seconds[low:high], to_s[track], side="right") - 1
    return first, last
