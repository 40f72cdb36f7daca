"""Where a vehicle stops: candidates of stops, and the middle of the points of each.

Whether a brief stop lies in a known place is decided in `segmentation`.
"""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.sphere import cos_degrees, is_within


@njit(cache=True, nogil=True)
def find_stops(  # type: ignore[no-untyped-def]
    seconds, lat, lon, is_standing, is_broken, offsets, tracks, radius_m, stop_min_s, stop_min_place_s, is_refused,
    ahead,
):  # fmt: skip
    """First point, last standing point and standing seconds of each stop candidate of the tracks with these numbers.

    A candidate stays within `radius_m` of its first standing point, through no step that `is_broken`, and stands
    `stop_min_place_s` there; a first point that `is_refused` (its candidate turned out to lie in no known place) needs
    `stop_min_s`.

    Then first and last point of the brief candidates that would begin at one of the `ahead` points after a brief one's
    first, were that one refused: whether they lie in a place can be asked at the same time.
    """
    size = len(seconds)
    first = np.empty(size, dtype=np.int64)
    last = np.empty(size, dtype=np.int64)
    standing = np.empty(size)
    later_first = np.empty(size if ahead else 0, dtype=np.int64)
    later_last = np.empty(size if ahead else 0, dtype=np.int64)
    longest = 0
    for track in tracks:
        longest = max(longest, offsets[track + 1] - offsets[track])
    stood_until = np.empty(longest)  # of one track, so that it stays in the cache
    count = later = 0
    for track in tracks:
        low, end = offsets[track], offsets[track + 1]
        stood = 0.0
        for j in range(low, end):
            stood += seconds[j] - seconds[j - 1] if j > low and is_standing[j] else 0.0
            stood_until[j - low] = stood
        i = asked = low
        while i + 1 < end:
            if not is_standing[i + 1]:
                i += 1
                continue
            least = stop_min_s if is_refused[i] else stop_min_place_s
            left, last_standing, stood = _stay(
                seconds, lat, lon, is_standing, is_broken, stood_until, low, end, i, radius_m, least
            )
            if stood >= least:
                first[count], last[count], standing[count] = i, last_standing, stood
                count += 1
                for k in range(max(i + 1, asked), min(i + ahead + 1, end - 1)):
                    asked = k + 1
                    if not is_refused[k]:
                        _, brief_last, brief = _stay(
                            seconds, lat, lon, is_standing, is_broken, stood_until, low, end, k, radius_m,
                            stop_min_place_s,
                        )  # fmt: skip
                        if stop_min_place_s <= brief < stop_min_s:
                            later_first[later], later_last[later] = k, brief_last
                            later += 1
                i = last_standing
            elif left >= 0 and stood < stop_min_place_s and (left == end or is_broken[left]):
                i = left  # no later point of this stretch stands longer
            else:
                i += 1
    return (
        first[:count].copy(), last[:count].copy(), standing[:count].copy(),
        later_first[:later].copy(), later_last[:later].copy(),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _stay(  # type: ignore[no-untyped-def]
    seconds, lat, lon, is_standing, is_broken, stood_until, low, end, i, radius_m, least_s
):
    """The point at which a stay that begins at i ends, its last standing point, and its standing seconds.

    -1, i and 0 where the stay certainly stands for less than `least_s`.
    """
    if not is_standing[i + 1]:
        return -1, i, 0.0
    cos_i = cos_degrees(lat[i])
    # The point up to which it must have stayed: mostly this alone shows that it did not.
    reach = low + np.searchsorted(stood_until[: end - low], stood_until[i - low] + least_s - 0.001)
    if reach >= end or not is_within(lat[i], lon[i], cos_i, lat[reach], lon[reach], radius_m):
        return -1, i, 0.0
    stood, last_standing, j = 0.0, i, i + 1
    while j < end and not is_broken[j] and is_within(lat[i], lon[i], cos_i, lat[j], lon[j], radius_m):
        if is_standing[j]:
            stood += seconds[j] - seconds[j - 1]
            last_standing = j
        j += 1
    return j, last_standing, stood


@njit(cache=True, nogil=True)
def mark(flags, first, last):  # type: ignore[no-untyped-def]
    """Sets flags[first[k] : last[k] + 1] for each k."""
    for k in range(len(first)):
        flags[first[k] : last[k] + 1] = True


@njit(cache=True, nogil=True)
def medians(values, first, last):  # type: ignore[no-untyped-def]
    """Median of values[first[k] : last[k] + 1] for each k, none of them missing."""
    result = np.empty(len(first))
    spare = np.empty((last - first).max() + 1 if len(first) else 0)
    for k in range(len(first)):
        size = last[k] - first[k] + 1
        for at in range(size):  # by a slice numba takes twice as long for the 17 points of a usual stop
            spare[at] = values[first[k] + at]
        middle = size // 2
        _select(spare, size, middle)
        result[k] = spare[middle] if size % 2 else (spare[:middle].max() + spare[middle]) / 2
    return result


@njit(cache=True, nogil=True)
def _select(values, size, at):  # type: ignore[no-untyped-def]
    """Brings to `at` the value that would be there in order, the smaller ones before it (quickselect)."""
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) // 2
        pivot = max(min(values[low], values[middle]), min(max(values[low], values[middle]), values[high]))
        above = _partition(values, low, high, pivot, False)
        if at < above:
            high = above - 1
            continue
        low = _partition(values, above, high, pivot, True)  # values that equal the pivot are done with
        if at < low:
            return


@njit(cache=True, nogil=True)
def _partition(values, low, high, pivot, with_equal):  # type: ignore[no-untyped-def]
    """Moves the values below the pivot, or also those equal to it, to the front; returns the end of these.

    Without a branch, whose direction no processor can foresee: medians take half of the time of Hoare's partition.
    """
    end = low
    for at in range(low, high + 1):
        value = values[at]
        values[at] = values[end]
        values[end] = value
        end += value < pivot or (with_equal and not value > pivot)  # all of NaN are moved, so that it ends
    return end
