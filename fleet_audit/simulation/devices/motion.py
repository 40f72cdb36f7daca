"""Trips to positions: what the devices of the whole fleet report in a day, as arrays.

Here belong sampling, kinematics and noise of a healthy device. What goes wrong with devices is in `traps`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fleet_audit.simulation.planning.roster import Vehicle
from fleet_audit.simulation.planning.schedule import ACCELERATION
from fleet_audit.simulation.planning.trips import Trip
from fleet_audit.simulation.planning.world import EARTH_M, World

MOVING_STEP_S = 30
PARKED_STEP_S = 600
DAY_S = 86_400
GPS_NOISE_M = 5.0
_DEVICE_SPAN_S = 10_000_000.0  # keeps devices apart on one sorted axis


@dataclass
class VehicleState:
    """Where a vehicle stands between two trips, and its counters."""

    vehicle: Vehicle
    at_m: float
    sampled_s: int
    driven_m: float = 0.0
    offset_tenths: int = 0


@dataclass
class Track:
    """Positions of a day, sorted by device and time; `owner` is the place in that order. Degrees."""

    owner: np.ndarray
    instant_s: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    speed_kmh: np.ndarray
    odometer_tenths: np.ndarray
    ignition: np.ndarray
    driver: np.ndarray  # index into `drivers`; -1 = none
    passengers: np.ndarray  # -1 = not counted
    uploaded_s: np.ndarray
    drivers: list[str]

    def rows_of(self, place: int) -> slice:
        """Where the positions of one owner are."""
        first, end = np.searchsorted(self.owner, [place, place + 1])
        return slice(int(first), int(end))

    def replaced(self, place: int, other: Track) -> Track:
        """The rows of one owner exchanged for those of another track, whose drivers are names of its own."""
        known = self.rows_of(place)
        codes = [self.drivers.index(name) if name in self.drivers else None for name in other.drivers]
        for number, name in enumerate(other.drivers):
            if codes[number] is None:
                codes[number] = len(self.drivers)
                self.drivers.append(name)
        theirs = dict(other.__dict__)
        theirs["driver"] = np.array([*codes, -1])[other.driver]
        theirs["owner"] = np.full(len(other.owner), place)
        arrays = {name: np.concatenate([values[: known.start], theirs[name], values[known.stop :]])
                  for name, values in self.__dict__.items() if name != "drivers"}  # fmt: skip
        return Track(**arrays, drivers=self.drivers)

    def a_day_later(self) -> Track:
        """The same once more 24 h later, by an odometer that counted on."""
        again = self.take(np.ones(len(self.owner), dtype=bool))
        again.instant_s += DAY_S
        again.uploaded_s += DAY_S
        again.odometer_tenths += self.counted_tenths
        return again

    @property
    def counted_tenths(self) -> int:
        """What the odometer of a single owner counts from the first row to the last."""
        return int(self.odometer_tenths[-1] - self.odometer_tenths[0])

    def take(self, rows: np.ndarray) -> Track:
        """The rows of an index or mask."""
        arrays = {name: values[rows] for name, values in self.__dict__.items() if name != "drivers"}
        return Track(**arrays, drivers=self.drivers)


def odometer_tenths(vehicle: Vehicle, driven_m: float) -> int:
    """The vehicle's odometer in whole 0.1 km, as its dashboard and its device read it."""
    return math.floor((vehicle.odometer_km + vehicle.calibration * driven_m / 1000) * 10 + 1e-6)


class _Spans:
    """Stretches of even sampling, in order of device and time: parked, or the engine running through one trip."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int, int, int, float, float, int, int]] = []
        self.pieces: list[tuple[float, float, float, float, float, float, int]] = []
        self.drivers: dict[str, int] = {}

    def park(self, place: int, state: VehicleState, until_s: int) -> None:
        """Reports every 10 min after the last one, until (and without) an instant."""
        first = state.sampled_s + PARKED_STEP_S
        count = max(0, -(-(until_s - first) // PARKED_STEP_S))
        if count:
            self.rows.append((place, first, count, PARKED_STEP_S, 1 << 60, state.at_m, state.driven_m, -1, -1))
            state.sampled_s = first + (count - 1) * PARKED_STEP_S

    def drive(self, place: int, state: VehicleState, trip: Trip) -> None:
        """Reports every 30 s while the engine runs, and when it is switched off."""
        count = -(-(trip.off_s - trip.on_s) // MOVING_STEP_S) + 1
        driver = -1 if trip.driver_id is None else self.drivers.setdefault(trip.driver_id, len(self.drivers))
        first_piece = len(self.pieces)
        self.rows.append((place, trip.on_s, count, MOVING_STEP_S, trip.off_s, 0.0, 0.0, first_piece, driver))
        counted = state.vehicle.has_counter
        for piece in trip.pieces:
            self.pieces.append((
                place * _DEVICE_SPAN_S + piece.start_s, piece.duration_s, piece.at_m, piece.length_m, piece.speed_mps,
                piece.driven_m, piece.passengers if counted else -1))  # fmt: skip
        last = trip.pieces[-1]
        state.at_m, state.driven_m = last.at_m + last.length_m, last.driven_m + last.length_m
        state.sampled_s = trip.off_s


def day_track(
    world: World, states: list[VehicleState], trips: list[list[Trip]], until_s: list[int], noise: np.random.Generator
) -> Track:
    """Positions from where each state was left to the end of the day or of its last trip; moves the states on.

    Args:
        world: the roads.
        states: vehicles in order of device.
        trips: of each of them, in order of time.
        until_s: local midnight that ends each one's day.
        noise: GPS errors are drawn from it.
    """
    spans = _Spans()
    for place, (state, driven, end_s) in enumerate(zip(states, trips, until_s, strict=True)):
        for trip in driven:
            spans.park(place, state, trip.on_s)
            spans.drive(place, state, trip)
        spans.park(place, state, end_s)
    return _sample(world, spans, states, noise)


def _sample(world: World, spans: _Spans, states: list[VehicleState], noise: np.random.Generator) -> Track:
    place, first, count, step, last, at_m, driven_m, piece, driver = (
        np.array(column) for column in zip(*spans.rows, strict=True))  # fmt: skip
    span = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(span)) - np.repeat(np.cumsum(count) - count, count)
    instant = np.minimum(first[span] + number * step[span], last[span])
    is_running = piece[span] >= 0
    at, driven, speed, passengers = at_m[span], driven_m[span], np.zeros(len(span)), np.full(len(span), -1)
    if spans.pieces:
        running = np.flatnonzero(is_running)
        key = place[span[running]] * _DEVICE_SPAN_S + instant[running]
        at[running], driven[running], speed[running], passengers[running] = _kinematics(
            np.array(spans.pieces), key, piece[span[running]])  # fmt: skip
    latitude, longitude = world.locate(at)
    degrees = 180 / math.pi / EARTH_M * GPS_NOISE_M
    latitude = latitude + noise.standard_normal(len(span)) * degrees
    longitude = longitude + noise.standard_normal(len(span)) * degrees / np.cos(np.radians(latitude))
    owner = place[span]
    start_km = np.array([state.vehicle.odometer_km for state in states])
    calibration = np.array([state.vehicle.calibration for state in states])
    offset = np.array([state.offset_tenths for state in states])
    tenths = np.floor((start_km[owner] + calibration[owner] * driven / 1000) * 10 + 1e-6).astype(np.int64)
    is_off = is_running & (instant == last[span])
    return Track(
        owner=owner,
        instant_s=instant,
        latitude=np.round(latitude, 6),
        longitude=np.round(longitude, 6),
        speed_kmh=np.round(speed * 3.6),
        odometer_tenths=tenths + offset[owner],
        ignition=is_running & ~is_off,
        driver=np.where(is_running, driver[span], -1),
        passengers=passengers,
        uploaded_s=instant + noise.integers(2, 45, len(span)),
        drivers=list(spans.drivers),
    )


def _kinematics(
    pieces: np.ndarray, key: np.ndarray, first_piece: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Point on the roads' axis, counter, speed (m/s) and passengers at instants in or after a piece of their trip."""
    found = np.maximum(np.searchsorted(pieces[:, 0], key, side="right") - 1, first_piece)
    start, duration, at, length, top, driven, passengers = pieces[found].T
    time = np.clip(key - start, 0.0, duration)
    ramp = top / ACCELERATION
    rest = duration - time
    metres = np.where(
        time < ramp,
        ACCELERATION / 2 * time**2,
        np.where(rest > ramp, top * (time - ramp / 2), length - ACCELERATION / 2 * rest**2),
    )
    speed = np.minimum(top, ACCELERATION * np.minimum(time, rest))
    return at + metres, driven + metres, speed, passengers.astype(np.int64)
