"""Frauds on devices and odometers: changes to the positions of one vehicle-day.

Here belong frauds that positions show. Defects of honest devices are in `traps`, frauds on paper in `declarations`.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from fleet_audit.simulation.devices.motion import Track
from fleet_audit.simulation.planning.trips import Trip

TURNED_BACK_TENTHS = (300, 800)
JUMPED_TENTHS = (600, 2_000)
EXTRA_COUNT = 0.15
NOTICED_M = 600.0  # the 0.5 km that odometer and GPS may differ by, and the 0.1 km of a reading
RACING_KMH = (155, 190)
RACING_POINTS = 4
PARKED_NOISE_DEGREES = 4.5e-5
SPLITTING_S = 3_900  # longer than the 60 min after which a gap ends a trip
TAMPERED = ("O01", "O02", "O03", "O04", "O05", "G01", "G02")


class Tampering(NamedTuple):
    """Result of a tampering: remaining rows, its period, the odometer error afterwards, the trips that it names."""

    keep: np.ndarray
    held_s: tuple[int, int]
    offset_tenths: int
    trips: list[Trip]


def tamper(
    rule_id: str, track: Track, rows: slice, trips: list[Trip], day_s: tuple[int, int], noise: np.random.Generator
) -> Tampering:
    """Changes the positions of one vehicle-day in place.

    Args:
        rule_id: one of `TAMPERED`.
        track: positions of the fleet's day.
        rows: those of this vehicle.
        trips: its trips of the day, at least one of service.
        day_s: local midnights that bound it.
        noise: where and how much.
    """
    instant, odometer = track.instant_s[rows], track.odometer_tenths[rows]
    keep = np.ones(len(instant), dtype=bool)
    service = [trip for trip in trips if trip.purpose == "service"]
    if rule_id == "G02":
        return _off_during(trips, instant)
    longest = max(service, key=lambda trip: trip.length_m)
    driven = (longest.on_s, longest.off_s)
    if rule_id in ("O01", "O02"):
        bounds, sign = (TURNED_BACK_TENTHS, -1) if rule_id == "O01" else (JUMPED_TENTHS, 1)
        at_s, change = trips[0].on_s - 1, sign * int(noise.integers(*bounds))
        odometer[instant > at_s] += change
        return Tampering(keep, (at_s, at_s), change, [])
    if rule_id == "O03":
        first, last = np.searchsorted(instant, driven)
        lost = int(odometer[last] - odometer[first])
        odometer[first:last] = odometer[first]
        odometer[last:] -= lost
        return Tampering(keep, driven, -lost, [])
    if rule_id == "O04":
        away = (instant >= trips[0].on_s) & (instant <= trips[-1].off_s)
        where = int(np.flatnonzero(away)[0])
        for degrees in (track.latitude[rows], track.longitude[rows]):
            jitter = noise.standard_normal(int(away.sum())) * PARKED_NOISE_DEGREES
            degrees[away] = np.round(degrees[where] + jitter, 6)
        track.speed_kmh[rows][away] = 0.0
        return Tampering(keep, (trips[0].on_s, trips[-1].off_s), 0, [])
    if rule_id == "O05":
        extra = np.floor(EXTRA_COUNT * (odometer - odometer[0])).astype(np.int64)
        odometer += extra
        return Tampering(keep, day_s, int(extra[-1]), _miscounted(trips, instant, odometer))
    if rule_id == "G01":
        fast = np.flatnonzero((instant > driven[0]) & (instant < driven[1]) & (track.speed_kmh[rows] > 50))
        chosen = fast[len(fast) // 2 :][:RACING_POINTS]
        track.speed_kmh[rows][chosen] = noise.integers(*RACING_KMH, len(chosen))
        return Tampering(keep, driven, 0, [longest])
    raise ValueError(f"{rule_id} is not a tampering")


def _miscounted(trips: list[Trip], instant: np.ndarray, odometer: np.ndarray) -> list[Trip]:
    """Trips of which the readings, as they are sent, count more than NOTICED_M beyond the road.

    15 % of a road of 4.2 km is 634 m, of which readings cut to 0.1 km show 569: within what the two may differ by.
    """
    ends = np.array([(trip.on_s, trip.off_s) for trip in trips])
    first, last = (np.searchsorted(instant, at_s, side="right").clip(1) - 1 for at_s in ends.T)
    beyond_m = 100 * (odometer[last] - odometer[first]) - np.array([trip.length_m for trip in trips])
    return [trip for trip, is_more in zip(trips, beyond_m > NOTICED_M, strict=True) if is_more]


def _off_during(trips: list[Trip], instant: np.ndarray) -> Tampering:
    """G02: off during the first trip after which the bus rests long: the next one starts where none has ended."""
    for trip, following in itertools.pairwise(trips):
        held = (trip.on_s - 120, max(trip.off_s, trip.on_s + SPLITTING_S) + 300)
        if trip.purpose == "service" and following.on_s - 600 > held[1]:
            return Tampering((instant < held[0]) | (instant > held[1]), held, 0, [following])
    raise ValueError("A day without a rest has no room for a device that is off")
