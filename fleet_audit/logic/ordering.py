"""Positions in the order in which tracks need them, by device and then by time: compiled, linear in their number.

Which of two rows of one instant counts, and where a device's rows become a vehicle's track, is in `tracks`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_DIGIT_BITS = 8  # 256 counters stay in the fastest cache beside a device's day; a window of 4 days takes 5 digits


@njit(cache=True, nogil=True)
def by_device_and_time(device, micros, devices):  # type: ignore[no-untyped-def]
    """Row numbers by device code and time (equal ones as they came), where each device begins, and the times in order.

    A counting sort by device; then those devices whose times are not in order yet, as days read one after the other
    are, are sorted by time, each in the cache.
    """
    starts = np.zeros(devices + 1, dtype=np.int64)
    for code in device:
        starts[code + 1] += 1
    starts = np.cumsum(starts)
    place = starts[:-1].copy()
    rows = np.empty(len(device), dtype=np.int64)
    times = np.empty(len(device), dtype=np.int64)
    for row in range(len(device)):
        at = place[device[row]]
        rows[at], times[at] = row, micros[row]
        place[device[row]] += 1
    most = np.max(np.diff(starts)) if devices else 0
    spare_rows, spare_times = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
    for code in range(devices):
        low, high = starts[code], starts[code + 1]
        if high - low > 1 and np.any(times[low + 1 : high] < times[low : high - 1]):
            _radix_sort(times[low:high], rows[low:high], spare_times, spare_rows)
    return rows, starts, times


@njit(cache=True, nogil=True)
def _radix_sort(times, rows, spare_times, spare_rows):  # type: ignore[no-untyped-def]
    """Sorts times and the rows beside them in place, stably, digit by digit from the lowest."""
    size, lowest = len(times), times.min()
    span = times.max() - lowest
    counts = np.empty((1 << _DIGIT_BITS) + 1, dtype=np.int64)
    mask, shift = (1 << _DIGIT_BITS) - 1, 0
    while span >> shift > 0:
        counts[:] = 0
        for at in range(size):
            counts[((times[at] - lowest) >> shift & mask) + 1] += 1
        for digit in range(mask):
            counts[digit + 1] += counts[digit]
        for at in range(size):
            digit = (times[at] - lowest) >> shift & mask
            spare_times[counts[digit]], spare_rows[counts[digit]] = times[at], rows[at]
            counts[digit] += 1
        times[:], rows[:] = spare_times[:size], spare_rows[:size]
        shift += _DIGIT_BITS
