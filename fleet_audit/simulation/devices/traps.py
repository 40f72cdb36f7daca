"""What honest devices do wrong: dead zones, lone outliers, resets, late uploads, silence, rows sent twice.

Here belong defects of positions, each recorded in the truth. Frauds on positions are in `tampering`.
"""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass

import numpy as np

from fleet_audit.simulation.devices.motion import Track
from fleet_audit.simulation.planning.roster import IDLE_LABELS
from fleet_audit.simulation.planning.trips import Trip

DEAD_ZONE_S = (720, 2_400)
LONG_DEAD_ZONE_S = (3_900, 4_800)
QUIET_AFTER_S = 7_200  # a long dead zone ends while the bus is parked
HELD_BACK_S = 4 * 3_600
DUPLICATE_SHARE = 0.001
SPIKE_TENTHS = 43_000
CLOCK_OFF_S = 3 * 3_600
WANDER_M = 85.0
METRES_A_DEGREE = 111_195.0
JUMP_DEGREES = 38.7  # 4,300 km to the north


@dataclass(frozen=True)
class Trap:
    """A row of `truth/traps.csv`."""

    kind: str
    plate: str
    operational_date: dt.date
    started_s: int
    ended_s: int
    reference: str = ""


def apply_trap(
    kind: str, track: Track, rows: slice, trips: list[Trip], day_s: tuple[int, int], noise: np.random.Generator
) -> tuple[np.ndarray, tuple[int, int] | None]:
    """Changes or drops positions of one vehicle-day.

    Args:
        kind: which of `catalogue.DAY_TRAPS`, or a label of an idle day.
        track: positions of the fleet's day, changed in place.
        rows: those of this vehicle.
        trips: its trips of the day.
        day_s: local midnights that bound it.
        noise: where and how long.

    Returns:
        Mask over `rows` of the positions that remain, and when the trap held; None when it did not fit the day.
    """
    instant = track.instant_s[rows]
    keep = np.ones(len(instant), dtype=bool)
    if kind in IDLE_LABELS:
        keep = (instant < day_s[0]) | (instant >= day_s[1])
        return keep, day_s
    if kind in ("dead_zone", "dead_zone_long"):
        held = _dead_zone(trips, noise) if kind == "dead_zone" else _long_dead_zone(trips, noise)
        if held is not None:
            keep = (instant < held[0]) | (instant > held[1])
        return keep, held
    if kind == "parked_drift":
        return keep, _wander(track, rows, trips, noise)
    if kind == "parked_outlier":
        chosen = _before_the_first_trip(track, rows, trips)[1:-1]
        at = int(noise.choice(chosen))
        track.latitude[at] += noise.choice([-1, 1]) * noise.uniform(0.003, 0.008)
        return keep, (int(track.instant_s[at]), int(track.instant_s[at]))
    if kind == "odometer_spike":
        at = rows.start + int(noise.integers(5, len(instant) - 5))
        track.odometer_tenths[at] += SPIKE_TENTHS
        return keep, (int(track.instant_s[at]), int(track.instant_s[at]))
    if kind == "clock_off":
        track.instant_s[rows] -= CLOCK_OFF_S
        return keep, day_s
    if kind in ("outlier", "far_jump"):
        return keep, _outlier(track, rows, noise, is_far=kind == "far_jump")
    if kind == "odometer_reset":
        noon = (day_s[0] + day_s[1]) // 2
        return keep, (noon, noon)
    return keep, day_s


def hold_back(track: Track, rows: slice, day_s: tuple[int, int], noise: np.random.Generator) -> tuple[int, int]:
    """Four hours of a vehicle's day come on the next one, at most 24 h after the event; gives those hours."""
    start = day_s[1] - int(noise.integers(8, 13)) * 3600
    instant, held = track.instant_s[rows], (start, start + HELD_BACK_S)
    sent = day_s[1] + int(noise.integers(1, 12)) * 3600
    is_late = (instant >= held[0]) & (instant < held[1])
    track.uploaded_s[rows] = np.where(is_late, sent + (instant - start) // 60, track.uploaded_s[rows])
    return held


def send_backwards(track: Track, rows: slice, day_s: tuple[int, int], noise: np.random.Generator) -> tuple[int, int]:
    """Four hours of a vehicle's day come 16 to 24 h after the event, the last event first; gives those hours."""
    start = day_s[1] - int(noise.integers(8, 13)) * 3600
    instant, held = track.instant_s[rows], (start, start + HELD_BACK_S)
    is_late = (instant >= held[0]) & (instant < held[1])
    track.uploaded_s[rows] = np.where(is_late, 2 * start + 86_400 - instant, track.uploaded_s[rows])
    return held


def send_twice(track: Track, noise: np.random.Generator) -> tuple[Track, np.ndarray]:
    """Some rows again beside themselves; the mask marks those whose copy is poorer (no odometer, no driver)."""
    count = int(len(track.instant_s) * DUPLICATE_SHARE)
    again = noise.choice(len(track.instant_s), size=count, replace=False)
    order = np.sort(np.concatenate([np.arange(len(track.instant_s)), again]))
    is_copy = np.concatenate([[False], order[1:] == order[:-1]])
    return track.take(order), is_copy & (noise.random(len(order)) < 0.2)


def _dead_zone(trips: list[Trip], noise: np.random.Generator) -> tuple[int, int] | None:
    """Inside one trip, both of its ends seen."""
    long_enough = [
        trip for trip in trips if trip.purpose == "service" and trip.arrives_s - trip.departs_s >= DEAD_ZONE_S[0] + 480
    ]
    if not long_enough:
        return None
    trip = long_enough[int(noise.integers(len(long_enough)))]
    room = trip.arrives_s - trip.departs_s - 480
    length = min(int(noise.integers(*DEAD_ZONE_S)), room)
    start = trip.departs_s + 240 + int(noise.integers(0, room - length + 1))
    return start, start + length


def _long_dead_zone(trips: list[Trip], noise: np.random.Generator) -> tuple[int, int] | None:
    """From the middle of a trip into the long wait after it: where it went is not seen."""
    for trip, following in itertools.pairwise(trips):
        if trip.purpose == "service" and following.on_s - trip.arrives_s >= QUIET_AFTER_S:
            start = (trip.departs_s + trip.arrives_s) // 2
            return start, start + int(noise.integers(*LONG_DEAD_ZONE_S))
    return None


def _before_the_first_trip(track: Track, rows: slice, trips: list[Trip]) -> np.ndarray:
    end = int(np.searchsorted(track.instant_s[rows], trips[0].on_s))
    return rows.start + np.arange(end)


def _wander(track: Track, rows: slice, trips: list[Trip], noise: np.random.Generator) -> tuple[int, int]:
    """A random walk of some 20 m a report, kept within 85 m north and east, while the bus is parked at night."""
    chosen = _before_the_first_trip(track, rows, trips)
    for degrees in (track.latitude, track.longitude):
        walk_m = np.clip(np.cumsum(noise.normal(0, 20, len(chosen))), -WANDER_M, WANDER_M)
        degrees[chosen] = np.round(degrees[chosen] + walk_m / METRES_A_DEGREE, 6)
    return int(track.instant_s[chosen[0]]), int(track.instant_s[chosen[-1]])


def _outlier(track: Track, rows: slice, noise: np.random.Generator, *, is_far: bool) -> tuple[int, int] | None:
    size = rows.stop - rows.start
    if size < 20:
        return None
    chosen = rows.start + int(noise.integers(5, size - 5))
    track.latitude[chosen] += JUMP_DEGREES if is_far else noise.choice([-1, 1]) * noise.uniform(0.04, 0.25)
    return int(track.instant_s[chosen]), int(track.instant_s[chosen])
