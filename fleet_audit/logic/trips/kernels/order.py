"""The compiled passes of `track.time_order`: rows to the stretches of their tracks, and each track sorted by time.

Which rows belong to which track is decided in `track.assignments`.
"""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.primitives.compiled import njit

_DIGIT_BITS = 10  # 1024 counters stay in the fastest cache beside a device's day; four days in seconds take 2 digits
_SECOND = np.uint64(1_000_000)  # µs


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
        low, high = offsets[track], offsets[track + 1]
        values, places, ordered = placed[low:high], order[low:high], result[low:high]
        for at in range(len(places)):
            ordered[at] = values[np.uint32(places[at])]  # a number with a sign may count from the end: 7.6 ms, not 5.4


@njit(cache=True, nogil=True)
def put_in_order_kept(placed, order, offsets, is_kept, result):  # type: ignore[no-untyped-def]
    """Writes the values of each track in its order, those that are kept; returns how many they are."""
    count = np.uint64(0)
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        values, places, kept = placed[low:high], order[low:high], is_kept[low:high]
        for at in range(len(places)):
            result[count] = values[np.uint32(places[at])]
            count += np.uint64(kept[at])
    return count


@njit(cache=True, nogil=True)
def keep_values(values, dropped, result):  # type: ignore[no-untyped-def]
    """Writes the values without those at `dropped`, in order: by a mask numpy takes four times as long."""
    begin = 0
    for k in range(len(dropped)):
        result[begin - k : dropped[k] - k] = values[begin : dropped[k]]
        begin = dropped[k] + 1
    result[begin - len(dropped) :] = values[begin:]


@njit(cache=True, nogil=True)
def find_flagged(flags, places):  # type: ignore[no-untyped-def]
    """Which of the places have a flag, few of them."""
    count = 0
    for at in range(len(places)):
        count += flags[places[at]]
    found = np.empty(count, dtype=np.int64)
    count = 0
    for at in range(len(places)):
        if flags[places[at]]:
            found[count] = at
            count += 1
    return found


@njit(cache=True, nogil=True)
def find_repeats(times, offsets):  # type: ignore[no-untyped-def]
    """Places whose time is that of a neighbour in their track, and whether it is that of the one before."""
    count = 0
    for track in range(len(offsets) - 1):
        for at in range(offsets[track] + 1, offsets[track + 1]):
            count += times[at] == times[at - 1]
    places, is_next = np.empty(2 * count, dtype=np.int64), np.zeros(2 * count, dtype=np.bool_)
    count = 0
    for track in range(len(offsets) - 1):
        for at in range(offsets[track] + 1, offsets[track + 1]):
            if times[at] != times[at - 1]:
                continue
            if count == 0 or places[count - 1] != at - 1:
                places[count] = at - 1
                count += 1
            places[count], is_next[count] = at, True
            count += 1
    return places[:count], is_next[:count]


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
