"""A true trip of the simulated fleet: its rides, its movements on the clock, and who was on board.

Which trips a vehicle makes is planned in `schedule`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import NamedTuple

from fleet_audit.simulation.planning.roster import Vehicle
from fleet_audit.simulation.planning.world import Place


class Piece(NamedTuple):
    """A ride between two standstills: accelerates to `speed_mps`, cruises, brakes."""

    start_s: float
    duration_s: float
    at_m: float
    length_m: float
    speed_mps: float
    driven_m: float
    passengers: int


class Movement(NamedTuple):
    """From a stop at a place to the next one; `driven_*` on the vehicle's own counter of true metres."""

    start_s: int
    end_s: int
    origin: Place
    destination: Place
    driven_from_m: float
    driven_to_m: float
    top_kmh: int


class Ride(NamedTuple):
    """One movement with its pauses, before the clock is known, and the dwell after it; `base_m` of its road."""

    base_m: float
    pieces: list[tuple[float, float, float, float, float]]  # wait, duration, from m on the road, length, speed
    duration_s: int
    top_kmh: int
    dwell_s: int


@dataclass
class Trip:
    """A true trip. `shift_day` is the day of the shift that it serves, which a night trip may not share.

    `label` is the fraud or trap of the day where this very trip carries it.
    """

    vehicle: Vehicle
    shift_day: dt.date
    purpose: str
    shift_code: str
    places: list[Place]
    passengers: list[int]
    driver_id: str | None
    is_declared: bool
    departs_s: int
    rides: list[Ride]
    on_s: int = 0
    off_s: int = 0
    label: str = ""
    usual_m: float = 0.0  # mean of the ways of one who varies them
    movements: list[Movement] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)

    @property
    def arrives_s(self) -> int:
        """Arrival, epoch seconds."""
        return self.departs_s + duration_of(self.rides)

    @property
    def length_m(self) -> float:
        """True metres."""
        return self.movements[-1].driven_to_m - self.movements[0].driven_from_m

    @property
    def operational_date(self) -> dt.date:
        """Local day of the departure."""
        return dt.datetime.fromtimestamp(self.departs_s, tz=self.vehicle.unit.zone).date()

    @property
    def area(self) -> str:
        """AGR or IND, by the rules: the destination's, else the origin's, else the vehicle's own."""
        for place in (self.places[-1], self.places[0]):
            if place.kind in ("frente", "usina"):
                return "AGR" if place.kind == "frente" else "IND"
        return self.vehicle.default_area


def duration_of(rides: list[Ride]) -> int:
    """Seconds of the rides with the dwells between them."""
    return sum(ride.duration_s + ride.dwell_s for ride in rides)
