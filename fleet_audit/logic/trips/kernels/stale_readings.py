"""Stale readings: repetitions of one from before a drive that the next other reading, or the path, counts.

By how much readings may be behind is in `kernels.reading_steps`. An odometer that stands and never catches up has
failed: `devices.odometer_events` names it.
"""

from __future__ import annotations

import math

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.trips.kernels.odometer import is_plausible
from fleet_audit.logic.trips.kernels.sphere import distance_m


@njit(cache=True, nogil=True)
def find_stale_readings(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, offsets, resolution, counting_step_km, lag_km, radius_m, frozen_km, reset_below_km,
    agree_share, chord_share, fine_step_s, compare_step_s, impossible_kmh, odometer_slack_km, is_stale,
):  # fmt: skip
    """Sets is_stale of readings that stand over more than `frozen_km` of path, and then count what was driven.

    The first reading of such a stretch, and its repetitions before the vehicle moves, were true. A device that has one
    such stretch is read rarely: of its other stretches any path counts that exceeds the doubt of the comparison.
    Of an odometer that counts in kilometres, or is read once in so many, repetitions over no more than these are stale
    too; of one that counts in steps where frequent fixes show the way.
    """
    for track in range(len(offsets) - 1):
        part = slice(offsets[track], offsets[track + 1])
        points = (seconds[part], lat[part], lon[part], odometer[part])
        shares = (agree_share, chord_share, fine_step_s, compare_step_s)
        behind_km = max(counting_step_km[track], lag_km[track])
        if behind_km > 0:
            of_step = (counting_step_km[track] == 0, resolution[track], impossible_kmh, odometer_slack_km)
            _mark_behind(points, shares, of_step, behind_km, radius_m, is_stale[part])
            continue
        limits = (resolution[track], reset_below_km, impossible_kmh, odometer_slack_km)
        longest_km = _mark_read_rarely(
            points, shares, limits, radius_m, frozen_km + resolution[track], 0.0, is_stale[part]
        )
        if longest_km > 0:
            _mark_read_rarely(points, shares, limits, radius_m, 0.0, longest_km, is_stale[part])


@njit(cache=True, nogil=True, inline="always")
def is_caught_up(counted_km, way_km, chords_km, doubt_km, agree_share, chord_share):  # type: ignore[no-untyped-def]
    """Whether a reading counts the way since the one before, of which rare fixes show chords, shorter than the road."""
    least_km = way_km * (1 - agree_share) - doubt_km
    return least_km <= counted_km <= most_counted_km(way_km, chords_km, agree_share, chord_share) + doubt_km


@njit(cache=True, nogil=True, inline="always")
def most_counted_km(way_km, chords_km, agree_share, chord_share):  # type: ignore[no-untyped-def]
    """What an odometer counts at most over a way, of which rare fixes show chords."""
    return way_km * (1 + agree_share) + chords_km * chord_share


@njit(cache=True, nogil=True)
def _mark_read_rarely(points, shares, limits, radius_m, least_km, open_km, is_stale):  # type: ignore[no-untyped-def]
    """The longest path of one track, above `least_km`, over which readings were stale; sets is_stale of them.

    Of a stretch that nothing can catch up with, because the window ends or the device restarts below `reset_below_km`,
    a path up to `open_km` is stale too. The path has pieces of more than `radius_m`, so that a parked receiver drives
    nothing.
    """
    seconds, lat, lon, odometer = points
    agree_share, chord_share, fine_step_s, _ = shares
    resolution, reset_below_km, impossible_kmh, odometer_slack_km = limits
    start = moved = place = -1
    driven_km = chords_km = last_km = 0.0
    longest_km = 0.0
    until = 0
    for i in range(len(odometer)):
        if not (math.isnan(lat[i]) or math.isnan(lon[i])):
            place = i if place < 0 else place
            piece_m = distance_m(lat[place], lon[place], lat[i], lon[i])
            if piece_m > radius_m:
                last_km = piece_m / 1000
                driven_km += last_km
                chords_km += last_km if seconds[i] - seconds[i - 1] > fine_step_s else 0.0
                place = i
                moved = i if moved < 0 else moved
        if i < until or math.isnan(odometer[i]) or (start >= 0 and odometer[i] == odometer[start]):
            continue
        if start >= 0 and moved >= 0:
            doubt_km = agree_share * driven_km + resolution + last_km
            is_restarted = odometer[i] < min(odometer[start], reset_below_km) and driven_km <= open_km
            counted_km = odometer[i] - odometer[start]
            is_read = is_caught_up(counted_km, driven_km, chords_km, resolution + last_km, agree_share, chord_share)
            if (is_read or is_restarted) and driven_km > max(least_km, doubt_km):
                longest_km = max(longest_km, driven_km)
                for k in range(moved, i):
                    is_stale[k] = not math.isnan(odometer[k])
            elif not is_read:
                until = _end_of_excursion(seconds, odometer, start, i, impossible_kmh, odometer_slack_km)
                if until > i:
                    # Of a device that is read with each fix a false value stays, and is an event of its own.
                    if least_km == 0:
                        is_stale[i:until] = True
                    continue
        start, moved, driven_km, chords_km, last_km = i, -1, 0.0, 0.0, 0.0
    if moved >= 0 and agree_share * driven_km + resolution + last_km < driven_km <= open_km:
        for k in range(moved, len(odometer)):
            is_stale[k] = not math.isnan(odometer[k])
    return longest_km


@njit(cache=True, nogil=True)
def _end_of_excursion(seconds, odometer, start, i, impossible_kmh, odometer_slack_km):  # type: ignore[no-untyped-def]
    """The first point after a run of one false value from i on; i: none.

    It contradicts the reading of `start`, which the next other one continues, and lies beside both: an odometer that is
    turned on goes on from where it was put.
    """
    elapsed = seconds[i] - seconds[start]
    if is_plausible(odometer[i] - odometer[start], elapsed, impossible_kmh, odometer_slack_km):
        return i
    following = i + 1
    while following < len(odometer) and (math.isnan(odometer[following]) or odometer[following] == odometer[i]):
        following += 1
    if following == len(odometer) or odometer[start] <= odometer[i] <= odometer[following]:
        return i
    counted, elapsed = odometer[following] - odometer[i], seconds[following] - seconds[i]
    if is_plausible(counted, elapsed, impossible_kmh, odometer_slack_km):
        return i
    counted, elapsed = odometer[following] - odometer[start], seconds[following] - seconds[start]
    return following if is_plausible(counted, elapsed, impossible_kmh, odometer_slack_km) else i


@njit(cache=True, nogil=True)
def _mark_behind(points, shares, limits, behind_km, radius_m, is_stale):  # type: ignore[no-untyped-def]
    """Sets is_stale of repeated readings of an odometer that may be `behind_km` behind the road.

    Of one that counts in steps only where frequent fixes show the way: the path then measures what was driven since the
    reading, at 30 s to 0.3 km, where the odometer is up to 5 km off. Of one that is read once in so many km
    (`is_first_old`) everywhere, and the track's first reading, which is as old as any, is none unless the next one
    counts the way from it. A longer way, that no next reading has caught up with to as many km, is of an odometer that
    failed. False readings in between, which the next one does not continue, end no stretch and are none.
    """
    seconds, lat, lon, odometer = points
    agree_share, chord_share, fine_step_s, compare_step_s = shares
    is_first_old, resolution, impossible_kmh, odometer_slack_km = limits
    start = moved = place = -1
    until = 0
    followed_km = way_km = chords_km = last_km = 0.0
    is_first = is_first_old
    for i in range(len(odometer) + 1):
        is_over = i == len(odometer)
        if not is_over and not (math.isnan(lat[i]) or math.isnan(lon[i])):
            place = i if place < 0 else place
            piece_km = distance_m(lat[place], lon[place], lat[i], lon[i]) / 1000
            if piece_km > radius_m / 1000:
                way_km, last_km = way_km + piece_km, piece_km
                followed_km += piece_km if seconds[i] - seconds[i - 1] <= compare_step_s else 0.0
                chords_km += piece_km if seconds[i] - seconds[i - 1] > fine_step_s else 0.0
                moved, place = (i if moved < 0 else moved), i
        if not is_over and (i < until or math.isnan(odometer[i]) or (start >= 0 and odometer[i] == odometer[start])):
            continue
        doubt_km = behind_km * (1 + agree_share) + radius_m / 1000 + last_km
        counted_km = math.nan if is_over or start < 0 else odometer[i] - odometer[start]
        is_read = is_caught_up(counted_km, way_km, chords_km, doubt_km, agree_share, chord_share)
        if not is_read and not is_over and start >= 0:
            until = _end_of_excursion(seconds, odometer, start, i, impossible_kmh, odometer_slack_km)
            if until > i:
                is_stale[i:until] = True
                continue
        if moved >= 0 and start >= 0 and (is_first_old or 2 * followed_km >= way_km):
            is_exact = is_caught_up(counted_km, way_km, chords_km, resolution + last_km, agree_share, chord_share)
            is_excess = counted_km > most_counted_km(way_km, chords_km, agree_share, chord_share) + doubt_km
            if is_read or (way_km <= doubt_km and not is_excess):
                for k in range(start if is_first and not is_exact else moved, i):
                    is_stale[k] = not math.isnan(odometer[k])
        is_first = is_first and start < 0
        start, moved, followed_km, way_km, chords_km, last_km = i, -1, 0.0, 0.0, 0.0, 0.0
