"""The step that leads to each point: whether it stands, splits or is away, and sums over many steps.

Which points there are is decided in `point_filter`.
"""

from __future__ import annotations

import math

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.odometer import is_plausible

SUMS = (
    "km_gps",
    "km_bridged",
    "km_chord",
    "km_long_chord",
    "km_far_chord",
    "km_fine",
    "km_carried",
    "covered_s",
    "gaps",
    "hidden_s",
)
_FAR_TIMES = 2.0  # a chord of 900 s may be off by three times the share of one of 300 s


@njit(cache=True, nogil=True)
def classify_steps(  # type: ignore[no-untyped-def]
    seconds, metres, odometer, is_jump, offsets, resolution, standing_kmh, radius_m, gap_note_s, gap_split_s,
    impossible_kmh, odometer_slack_km, leg_min_km, is_standing, is_split, is_away, is_faulty,
):  # fmt: skip
    """Sets of the step to each point is_standing, is_split, is_away; and is_faulty of the point's own reading.

    Written into the last four arguments, which hold False, for the tracks of `offsets` alone.

    A step splits when nothing is known of it: a jump, the start of a track, or more than `gap_split_s` without a
    report and the ends apart, or the vehicle away in between. It was away in a step beyond `gap_note_s` in which its
    odometer counted a leg. A parked device that stays silent and is found where it was left has no gap.

    A reading is faulty when it falls below, or jumps beyond, the one before it in the track.
    """
    for track in range(len(offsets) - 1):
        reading, read_at = np.nan, 0.0
        for i in range(offsets[track], offsets[track + 1]):
            if i == offsets[track]:
                is_split[i] = True
            else:
                elapsed = seconds[i] - seconds[i - 1]
                if elapsed > gap_note_s:
                    counted = odometer[i] - odometer[i - 1]
                    is_away[i] = (
                        is_plausible(counted, elapsed, impossible_kmh, odometer_slack_km)
                        and counted - resolution[track] >= leg_min_km
                    )
                is_apart = not metres[i] <= radius_m
                is_split[i] = is_jump[i] or (elapsed > gap_split_s and (is_apart or is_away[i]))
                is_standing[i] = not (is_split[i] or is_away[i]) and metres[i] * 3.6 < standing_kmh * elapsed
            if not math.isnan(odometer[i]):
                change = odometer[i] - reading
                most = impossible_kmh * (seconds[i] - read_at) / 3600 + odometer_slack_km
                is_faulty[i] = change < -1e-6 or change > most
                reading, read_at = odometer[i], seconds[i]


@njit(cache=True, nogil=True)
def sum_steps(  # type: ignore[no-untyped-def]
    seconds, metres, odometer, is_bridged, is_carried, is_unread, start, end, radius_m, gap_note_s, compare_step_s,
    fine_step_s, chord_step_s, far_step_s, coverage_step_s, impossible_kmh, odometer_slack_km,
):  # fmt: skip
    """Sums over the steps from start[k] to end[k], none of which splits: one row for each of `SUMS`.

    A step beyond `compare_step_s`, or one that leads to or from a point without a fix (`is_bridged`), adds the
    odometer's difference to the path, or without one its chord. A chord longer than `chord_step_s` without a reading
    is in `km_chord`: it cuts corners; beyond `compare_step_s` also in `km_long_chord`: it cuts more; beyond
    `far_step_s` also in `km_far_chord`, as many times as the step is longer, at most _FAR_TIMES. The reading of a step
    of `is_unread` missed a part of the way and is none. A step over which the vehicle was carried adds nothing.
    """
    sums = np.zeros((len(SUMS), len(start)))
    for k in range(len(start)):
        gps = bridged = chord = long_chord = far_chord = fine = carried = covered = gaps = hidden = 0.0
        for i in range(start[k] + 1, end[k] + 1):
            elapsed = seconds[i] - seconds[i - 1]
            is_apart = not metres[i] <= radius_m
            counted = odometer[i] - odometer[i - 1]
            is_read = not is_unread[i] and is_plausible(counted, elapsed, impossible_kmh, odometer_slack_km)
            step_km = 0.0 if is_carried[i] else metres[i] / 1000
            carried += metres[i] / 1000 - step_km
            if elapsed > compare_step_s or is_bridged[i]:
                step_km = counted if is_read else step_km
                bridged += step_km
            elif elapsed <= fine_step_s:
                fine += step_km
            gps += step_km
            if elapsed > chord_step_s and not is_read:
                chord += step_km
                if elapsed > compare_step_s:
                    long_chord += step_km
                    far_chord += step_km * min(max(elapsed / far_step_s - 1, 0.0), _FAR_TIMES)
            if not is_bridged[i] and (elapsed <= coverage_step_s or (elapsed <= gap_note_s and not is_apart)):
                covered += elapsed
            if elapsed > gap_note_s and is_apart and not is_bridged[i]:
                gaps += 1
                hidden += elapsed
        for row, value in enumerate((gps, bridged, chord, long_chord, far_chord, fine, carried, covered, gaps, hidden)):
            sums[row, k] = value
    return sums
