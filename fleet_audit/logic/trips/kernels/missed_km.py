"""Steps whose odometer counted less than their chords: no usable reading, because no bus drives less than the chord.

What a step without a reading adds to a distance is in `kernels.steps`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.odometer import is_plausible


@njit(cache=True, nogil=True, inline="always")
def _is_missed(chord_km, counted_km, slack_km, agree_pct):  # type: ignore[no-untyped-def]
    """Whether the chords prove that the odometer counted too little."""
    return chord_km * (1 - agree_pct / 100) - slack_km > counted_km + 1e-6


@njit(cache=True, nogil=True)
def find_missed_km(  # type: ignore[no-untyped-def]
    seconds, metres, odometer, is_unseen, start, end, first_reading, last_reading, track, resolution, fine_step_s,
    compare_step_s, radius_m, agree_pct, impossible_kmh, odometer_slack_km,
):  # fmt: skip
    """is_unread of the step to each point, and has_missed of each movement from start[k] to end[k].

    Only steps beyond `fine_step_s` with their ends beyond `radius_m` apart prove anything; not those of `is_unseen`,
    over which the vehicle was carried or the odometer gives the place. Their chords must exceed what the odometer
    counted from reading to reading by `radius_m` (the fixes' error), the odometer's resolution and `agree_pct`.

    Equal readings and the first one that differs are judged together: an odometer that stands and then counts what it
    missed holds over both. Where it stood over a halt before it caught up, neither movement is measured by it, so that
    nothing counts twice. Each movement is also judged as a whole: an odometer that misses a little at each step.
    In a movement that missed km no step up to `compare_step_s` has a usable reading: its path counts.
    """
    is_unread = np.zeros(len(seconds), dtype=np.bool_)
    has_missed = np.zeros(len(start), dtype=np.bool_)
    owed_km, owed_from, owed_track = 0.0, math.nan, -1
    for k in range(len(start)):
        low, high = first_reading[k], last_reading[k]
        if low < 0 or high <= low:
            continue
        slack_km = radius_m / 1000 + resolution[track[k]]
        if track[k] != owed_track or odometer[low] != owed_from:
            owed_km = 0.0
        anchor = previous = low
        stood_km = step_km = chords_km = counted_km = 0.0
        for i in range(low + 1, high + 1):
            if seconds[i] - seconds[i - 1] > fine_step_s and metres[i] > radius_m and not is_unseen[i]:
                step_km += metres[i] / 1000
            if math.isnan(odometer[i]):
                continue
            counted = odometer[i] - odometer[previous]
            both_km = stood_km + step_km
            chords_km += step_km
            counted_km += max(counted, 0.0)
            if counted == 0:
                stood_km, step_km, previous = both_km, 0.0, i
                continue
            is_sound = is_plausible(counted, seconds[i] - seconds[previous], impossible_kmh, odometer_slack_km)
            if not is_sound or _is_missed(both_km, counted, slack_km, agree_pct):
                has_stood = _is_missed(stood_km, 0.0, slack_km, agree_pct)
                is_step_missed = is_sound and _is_missed(step_km, counted, slack_km, agree_pct)
                if has_stood or (is_sound and not is_step_missed):
                    is_unread[anchor + 1 : previous + 1] = True
                    has_missed[k] = True
                if is_step_missed or (is_sound and not has_stood):
                    is_unread[previous + 1 : i + 1] = True
                    has_missed[k] = True
            elif owed_km > 0 and not _is_missed(owed_km + both_km, counted, slack_km, agree_pct):
                is_unread[anchor + 1 : i + 1] = True
                has_missed[k] = True
            owed_km = stood_km = step_km = 0.0
            anchor = previous = i
        if _is_missed(stood_km, 0.0, slack_km, agree_pct):
            is_unread[anchor + 1 : previous + 1] = True
            has_missed[k] = True
            owed_km += stood_km
        owed_from, owed_track = odometer[previous], track[k]
        if not has_missed[k] and _is_missed(chords_km, counted_km, slack_km, agree_pct):
            has_missed[k] = True
            _mark_short_steps(odometer, metres, is_unseen, low, high, is_unread)
        if has_missed[k]:
            for i in range(start[k] + 1, end[k] + 1):
                is_unread[i] = is_unread[i] or seconds[i] - seconds[i - 1] <= compare_step_s
    return is_unread, has_missed


@njit(cache=True, nogil=True)
def _mark_short_steps(odometer, metres, is_unseen, low, high, is_unread):  # type: ignore[no-untyped-def]
    """Sets is_unread of the steps from reading to reading whose chords are longer than what the odometer counted."""
    previous, step_km = low, 0.0
    for i in range(low + 1, high + 1):
        step_km += 0.0 if is_unseen[i] or math.isnan(metres[i]) else metres[i] / 1000
        if math.isnan(odometer[i]):
            continue
        if step_km > odometer[i] - odometer[previous]:
            is_unread[previous + 1 : i + 1] = True
        previous, step_km = i, 0.0
