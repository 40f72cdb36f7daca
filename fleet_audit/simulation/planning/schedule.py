"""A vehicle's day: which trips it makes, when, along which roads, with whom on board; the truth that is audited.

Here belong trips and their movements. Positions along them are in `motion`, what is declared of them in `declarations`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import random
from typing import NamedTuple

from fleet_audit.simulation.planning.roster import Vehicle
from fleet_audit.simulation.planning.trips import Movement, Piece, Ride, Trip, duration_of
from fleet_audit.simulation.planning.world import Place, World

ACCELERATION = 0.7  # m/s2
YARD_KMH = 12.0
LIGHTS_APART_M = 400  # two red lights within the 150 m of a stop would be one
EMPTY_WAIT_S = (1_380, 2_100)  # above the 20 min that end a trip
HALT_S = {
    "G07": (660, 1_080),
    "level_crossing": (115, 140),
}  # below the 20 min that end a trip and the 3 min that make a stop
DETOUR_BOW = 1.0  # of the chord: about twice the way. 0.7 stayed below 125 % of a route learnt from a bus with stops
USUAL_BOWS = (0.0, 0.2, 0.28)  # ways of one who takes a different one each time: up to 15 % longer
LONGER_BOW = 0.34  # the way of one who always takes a longer one than the others: about a fifth longer
ENDED_BY = {"A": "C", "B": "A", "C": "B"}  # the shift that ends when this one starts


class Pace(NamedTuple):
    """How a vehicle drives: top speeds, seconds at a pick-up point and at a red light."""

    top_kmh: tuple[float, float]
    pick_up_s: tuple[int, int]
    light_s: tuple[int, int]


BUS = Pace((58.0, 79.0), (60, 240), (20, 85))  # a light is shorter than the 120 s that make a stop inside a place
CAR = Pace((88.0, 108.0), (5, 25), (5, 45))  # it follows the bus's ways, and nobody boards


class DayPlanner:
    """Plans the trips of one vehicle and day; `driven_m` counts on from day to day."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._seed = seed

    def plan(self, vehicle: Vehicle, day: dt.date, driven_m: float, label: str, habit: str) -> list[Trip]:
        """All trips of the day in order of time, the night shift's after midnight included."""
        noise = random.Random(f"{self._seed}/day/{vehicle.index}/{day}")
        midnight = int(dt.datetime.combine(day, dt.time(), vehicle.unit.zone).timestamp())
        day_plan = _Day(self._world, vehicle, day, midnight, noise, CAR if habit == "O07" else BUS)
        for code in vehicle.pattern:
            if code == "ADM":
                day_plan.office_round()
            elif vehicle.shuttle_runs:
                day_plan.shuttle_round(code)
            else:
                day_plan.shift_round(code)
        if label == "T03":
            day_plan.unplanned_round()
        elif not label:
            day_plan.midday()
        if label in ("G06", *HALT_S):
            day_plan.disturb_last_ride_home(label)
        if habit == "S03":
            day_plan.vary_ways()
        if habit == "S05":
            day_plan.take_longer_way()
        trips = sorted(day_plan.trips, key=lambda trip: trip.departs_s)
        for trip in trips:
            driven_m = day_plan.drive(trip, driven_m)
        return trips


class _Day:
    def __init__(
        self, world: World, vehicle: Vehicle, day: dt.date, midnight_s: int, noise: random.Random, pace: Pace
    ) -> None:
        self._pace = pace
        self.trips: list[Trip] = []
        self._world, self._vehicle, self._day, self._midnight_s, self._noise = world, vehicle, day, midnight_s, noise
        self._garage = world.place(vehicle.garage_id, day)
        self._workplace = world.place(vehicle.workplace_id, day)
        self._stops = [world.place(poi_id, day) for poi_id in vehicle.stop_ids]

    def shift_round(self, code: str) -> None:
        """Brings one shift and takes home the one before."""
        start_s = self._midnight_s + self._vehicle.unit.shift(code).start_min * 60
        is_first, is_last = code == self._vehicle.pattern[0], code == self._vehicle.pattern[-1]
        self._bring(start_s - self._between(480, 1500), code, starts_empty=self._vehicle.starts_empty and is_first)
        ends_empty = self._vehicle.starts_empty and is_last
        # The last ones at night leave before midnight where the shift starts at 23:40: a trip over midnight each night.
        wait_s = self._between(480, 1140 if code == "C" else 1500)
        self._take(start_s + wait_s, ENDED_BY[code], ends_empty=ends_empty)

    def office_round(self) -> None:
        """Brings the office in the morning and takes it home; a bus with a counter goes back empty in between."""
        shift = self._vehicle.unit.shift("ADM")
        start_s, end_s = (self._midnight_s + minute * 60 for minute in (shift.start_min, shift.end_min))
        arrival_s = start_s - self._between(300, 1200)
        self._bring(arrival_s, "ADM", starts_empty=self._vehicle.starts_empty)
        departure_s = end_s + self._between(300, 1200)
        if self._vehicle.has_counter:
            self._add([self._workplace, self._garage], "deadhead", "", start_s=arrival_s + self._between(600, 1100))
            self._add([self._garage, self._workplace], "deadhead", "", end_s=departure_s - self._between(900, 1500))
        self._take(departure_s, "ADM", ends_empty=self._vehicle.starts_empty)

    def shuttle_round(self, code: str) -> None:
        """Brings a shift to the mill, drives between mill and first front while it works, and takes it home."""
        shift = self._vehicle.unit.shift(code)
        start_s, end_s = (self._midnight_s + minute * 60 for minute in (shift.start_min, shift.end_min))
        arrival_s = start_s - self._between(480, 1500)
        self._bring(arrival_s, code, starts_empty=False)
        ways = itertools.cycle(itertools.permutations((self._workplace, self._front()), 2))
        for way in itertools.islice(ways, self._vehicle.shuttle_runs):
            departure_s = arrival_s + self._between(480, 900)
            trip = self._add(list(way), "service", "", start_s=departure_s, passengers=[self._aboard()])
            arrival_s = trip.arrives_s
        self._take(end_s + self._between(480, 1500), code, ends_empty=False)

    def midday(self) -> None:
        """Between the rounds: now and then the workshop, or a few hundred metres about the yard."""
        if self._vehicle.pattern == ("ADM",) or self._vehicle.shuttle_runs:
            return
        start_s = self._midnight_s + self._vehicle.unit.shift("A").start_min * 60 + self._between(10_200, 12_000)
        draw = self._noise.random()
        if draw < 0.03:
            workshop = self._world.place(f"OFI-{self._vehicle.unit.code}-1", self._day)
            there = self._add([self._garage, workshop], "maintenance", "", start_s=start_s)
            self._add([workshop, self._garage], "maintenance", "", start_s=there.arrives_s + self._between(2400, 4800))
        elif draw < 0.18:
            self._add([self._garage, self._garage], "yard", "", start_s=start_s)

    def unplanned_round(self) -> None:
        """Service to the workplace and back when no shift starts or ends."""
        arrival_s = self._midnight_s + self._vehicle.unit.shift("A").start_min * 60 + self._between(13_500, 14_400)
        known = len(self.trips)
        self._bring(arrival_s, "", starts_empty=False)
        self._take(arrival_s + self._between(900, 1500), "", ends_empty=False)
        for trip in self.trips[known:]:
            trip.label = "T03"

    def disturb_last_ride_home(self, label: str) -> None:
        """The last ride from the workplace takes a detour (G06) or stands on the open road."""
        trip = max((trip for trip in self.trips if trip.places[0] is self._workplace and trip.purpose == "service"),
                   key=lambda trip: trip.departs_s)  # fmt: skip
        halt_s = self._between(*HALT_S[label]) if label in HALT_S else 0
        bow = DETOUR_BOW if label == "G06" else 0.0
        trip.label = label
        self._replace_longest(trip, bow, halt_s)

    def vary_ways(self) -> None:
        """Each service trip takes one of three ways."""
        for trip in self.trips:
            if trip.purpose == "service":
                pairs = itertools.pairwise(trip.places)
                number = self._longest(trip)
                trip.usual_m = sum(
                    sum(self._length_m(*pair, bow) for bow in USUAL_BOWS) / len(USUAL_BOWS) if place == number
                    else self._length_m(*pair, 0.0)
                    for place, pair in enumerate(pairs)
                )  # fmt: skip
                self._replace_longest(trip, self._noise.choice(USUAL_BOWS), 0)

    def take_longer_way(self) -> None:
        """Every service trip goes round the usual way."""
        for trip in self.trips:
            if trip.purpose == "service":
                self._replace_longest(trip, LONGER_BOW, 0)

    def _longest(self, trip: Trip) -> int:
        lengths = [self._length_m(*pair, 0.0) for pair in itertools.pairwise(trip.places)]
        return lengths.index(max(lengths))

    def _replace_longest(self, trip: Trip, bow: float, halt_s: int) -> None:
        number = self._longest(trip)
        pair = trip.places[number : number + 2]
        ride = self._ride(pair[0], pair[1], trip.purpose, bow=bow, halt_s=halt_s)
        trip.rides[number] = ride._replace(dwell_s=trip.rides[number].dwell_s)

    def _length_m(self, origin: Place, destination: Place, bow: float) -> float:
        return self._world.road(origin, destination, bow).length_m

    def drive(self, trip: Trip, driven_m: float) -> float:
        """Puts the trip's rides on the clock and on the vehicle's counter; gives the counter at its end."""
        clock = trip.departs_s
        trip.on_s = clock - self._between(60, 150)
        legs = zip(itertools.pairwise(trip.places), trip.rides, trip.passengers, strict=True)
        for (origin, destination), ride, passengers in legs:
            started_m, now = driven_m, float(clock)
            for wait_s, duration_s, from_m, length_m, speed in ride.pieces:
                now += wait_s
                trip.pieces.append(Piece(now, duration_s, ride.base_m + from_m, length_m, speed, driven_m, passengers))
                now += duration_s
                driven_m += length_m
            arrived = clock + ride.duration_s
            trip.movements.append(Movement(clock, arrived, origin, destination, started_m, driven_m, ride.top_kmh))
            clock = arrived + ride.dwell_s
        trip.off_s = trip.arrives_s + self._between(30, 90)
        return driven_m

    def _bring(self, arrival_s: int, shift_code: str, *, starts_empty: bool) -> None:
        aboard = self._aboard()
        if self._vehicle.is_via_mill:
            mill = self._world.place(f"USI-{self._vehicle.unit.code}", self._day)
            last = self._add([mill, self._workplace], "service", shift_code, end_s=arrival_s, passengers=[aboard])
            arrival_s = last.departs_s - self._between(240, 540)
            target = mill
        else:
            target = self._workplace
        places = [*self._stops, target] if starts_empty else [self._garage, *self._stops, target]
        boarded = [round(aboard * (number + 1) / len(self._stops)) for number in range(len(self._stops))]
        passengers = boarded if starts_empty else [0, *boarded]
        trip = self._add(places, "service", shift_code, end_s=arrival_s, passengers=passengers)
        if starts_empty:
            end_s = trip.departs_s - self._between(*EMPTY_WAIT_S)
            self._add([self._garage, self._stops[0]], "deadhead", "", end_s=end_s)

    def _take(self, departure_s: int, shift_code: str, *, ends_empty: bool) -> None:
        aboard, count = self._aboard(), len(self._stops)
        left = [round(aboard * (count - number) / count) for number in range(count)]
        places = [self._workplace, *reversed(self._stops)]
        if not ends_empty:
            places, left = [*places, self._garage], [*left, 0]
        trip = self._add(places, "service", shift_code, start_s=departure_s, passengers=left)
        if ends_empty:
            start_s = trip.arrives_s + self._between(*EMPTY_WAIT_S)
            self._add([self._stops[0], self._garage], "deadhead", "", start_s=start_s)

    def _front(self) -> Place:
        return self._world.place(f"FRE-{self._vehicle.unit.code}-1", self._day)

    def _aboard(self) -> int:
        return max(2, int(self._vehicle.seats * self._noise.uniform(0.4, 0.9)))

    def _between(self, low: int, high: int) -> int:
        return int(self._noise.uniform(low, high))

    def _add(self, places: list[Place], purpose: str, shift_code: str, *, start_s: int | None = None,
             end_s: int | None = None, passengers: list[int] | None = None) -> Trip:  # fmt: skip
        """A trip whose departure or arrival is given; the other follows from the rides."""
        block = "N" if self._is_night(start_s or end_s or 0) else "D"
        driver_id = f"M{self._vehicle.index:05d}-{block}" if self._vehicle.names_driver else None
        rides = [self._ride(*pair, purpose) for pair in itertools.pairwise(places)]
        rides[-1] = rides[-1]._replace(dwell_s=0)
        departs_s = start_s if start_s is not None else (end_s or 0) - duration_of(rides)
        is_last_night = shift_code == "C" and start_s is not None
        trip = Trip(
            vehicle=self._vehicle,
            shift_day=self._day - dt.timedelta(days=1) if is_last_night else self._day,
            purpose=purpose,
            shift_code=shift_code,
            places=places,
            passengers=passengers or [0] * len(rides),
            driver_id=driver_id,
            is_declared=purpose == "service",
            departs_s=departs_s,
            rides=rides,
        )
        self.trips.append(trip)
        return trip

    def _is_night(self, clock_s: int) -> bool:
        return not 4 * 3600 <= clock_s - self._midnight_s < 19 * 3600

    def _ride(self, origin: Place, destination: Place, purpose: str, *, bow: float = 0.0, halt_s: int = 0) -> Ride:
        road = self._world.road(origin, destination, bow)
        length_m = road.length_m
        lights = 0 if length_m < 3000 else self._noise.randrange(3)
        cuts = [0.0]
        for share in sorted(self._noise.uniform(0.05, 0.95) for _ in range(lights)):
            if (share - cuts[-1]) * length_m >= LIGHTS_APART_M:
                cuts.append(share)
        halt_at = 0.5 if halt_s else None
        if halt_at is not None:
            cuts = sorted([*(cut for cut in cuts if abs(cut - halt_at) * length_m >= LIGHTS_APART_M), halt_at])
        cuts.append(1.0)
        pieces, total_s, top = [], 0.0, 0.0
        for number, (low, high) in enumerate(itertools.pairwise(cuts)):
            part_m = (high - low) * length_m
            kmh = YARD_KMH if purpose == "yard" else self._noise.uniform(*self._pace.top_kmh)
            speed = min(kmh / 3.6, math.sqrt(part_m * ACCELERATION))
            wait_s = float(halt_s if low == halt_at else self._between(*self._pace.light_s)) if number else 0.0
            duration_s = part_m / speed + speed / ACCELERATION
            pieces.append((wait_s, duration_s, low * length_m, part_m, speed))
            total_s += wait_s + duration_s
            top = max(top, speed * 3.6)
        return Ride(road.base_m, pieces, math.ceil(total_s), round(top), self._between(*self._pace.pick_up_s))
