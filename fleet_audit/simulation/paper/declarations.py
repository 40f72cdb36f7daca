"""What carriers declare: honest whole-km readings with the habits of real bulletins, and the labelled frauds.

Here belongs the content of bulletins and of `truth/frauds.csv`. Their bytes are written in `fleet`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import random
from dataclasses import dataclass, replace

from fleet_audit.simulation.devices.motion import odometer_tenths
from fleet_audit.simulation.planning.roster import Roster, Vehicle
from fleet_audit.simulation.planning.trips import Trip
from fleet_audit.simulation.planning.world import Place, World

HEADER = (
    "NUMERO ATA", "PLACA", "EQUIPAMENTO", "DATA", "CÓDIGO", "LOCAL SAÍDA", "HORÁRIO SAÍDA", "TURNO", "KM SAÍDA",
    "QTDE PESSOAS", "CÓDIGO2", "LOCAL CHEGADA", "HORÁRIO CHEGADA", "KM CHEGADA", "KM ROTA", "TAXA LOTAÇÃO", "EMPRESA",
)  # fmt: skip
WRITES_SHIFT_DAY = ("TRANSUL", "VIAMATA")  # these write the shift's day as DATA, the third carrier the trip's
PLACE_CHARACTERS = 18
PADDING = 0.07
PADDING_SHARE = 0.92  # of the tolerance of a run, max(1 km, 10 %), that one who pads every run keeps under
PHANTOM_ROOM_S = 6_000  # idle time that holds a phantom run of about an hour, far from any trip


@dataclass(frozen=True)
class Run:
    """One line of a bulletin; times in epoch seconds."""

    vehicle: Vehicle
    declared_date: dt.date
    start_s: int
    end_s: int
    origin: str
    destination: str
    shift_code: str
    start_km: int
    end_km: int
    route_km: int
    passengers: int
    fraud: str = ""

    @property
    def is_dated_by_shift(self) -> bool:
        """Whether DATA is the day before that on which it starts."""
        return _local_date(self.vehicle, self.start_s) > self.declared_date

    def cells(self, number: int) -> list[str]:
        """Cells in the order of `HEADER`."""
        zone = self.vehicle.unit.zone
        times = [dt.datetime.fromtimestamp(second, tz=zone).strftime("%H:%M") for second in (self.start_s, self.end_s)]
        return [
            str(number), self.vehicle.plate, self.vehicle.fleet_number, self.declared_date.strftime("%d/%m/%Y"), "",
            self.origin, times[0], self.shift_code, str(self.start_km), str(self.passengers), "", self.destination,
            times[1], str(self.end_km), str(self.route_km), "0", self.vehicle.carrier_code,
        ]  # fmt: skip


@dataclass(frozen=True)
class Fraud:
    """A row of `truth/frauds.csv` before the bulletin's number is known: `run` or, where none was declared, `trip`."""

    rule_id: str
    vehicle: Vehicle
    operational_date: dt.date
    run: Run | None = None
    trip: Trip | None = None


class Declarations:
    """The bulletins of a fleet, day by day.

    `written_km` is what a carrier has added to a vehicle's readings so far: one who inflates a run keeps later
    readings consistent, so that its chain of readings does not break.
    """

    def __init__(self, world: World, seed: int, roster: Roster) -> None:
        self._world = world
        self._seed = seed
        self._roster = roster
        self._written_km: dict[int, int] = {}
        self._usual_km: dict[tuple[int, Place, Place], int] = {}
        self._last: dict[int, list[Run]] = {}

    def declare(self, vehicle: Vehicle, day: dt.date, trips: list[Trip], driven_m: float,
                label: str) -> tuple[list[Run], list[Fraud]]:  # fmt: skip
        """Runs of a vehicle-day in order of time; `driven_m` is its counter when the day began."""
        noise = random.Random(f"{self._seed}/declare/{vehicle.index}/{day}")
        if label == "G05":
            return self._whole_day_again(vehicle), []
        if label == "D06":
            invented = self._invented_day(vehicle, day, driven_m, noise)
            return invented, [Fraud("D06", vehicle, day, run) for run in invented]
        declared = [trip for trip in trips if trip.is_declared]
        targets = _targets(label, declared)
        phantom_s = _idle_middle(trips) if label == "D05" else None
        runs: list[Run] = []
        frauds: list[Fraud] = []
        for trip in declared:
            if phantom_s is not None and trip.departs_s > phantom_s:
                phantom = self._phantom(trip, phantom_s, noise)
                runs.append(phantom)
                frauds.append(Fraud("D05", vehicle, day, phantom))
                phantom_s = None
            if not any(trip is target for target in targets):
                runs.append(self._honest(trip, noise))
                continue
            made = self._trick(label, trip, noise)
            runs += made
            rule_id = "D01" if label == "D02" else label
            frauds.append(Fraud(rule_id, vehicle, trip.operational_date, made[-1] if made else None, trip))
        if label == "D02":
            frauds.append(Fraud(label, vehicle, day))
        self._last[vehicle.index] = runs
        return runs, frauds

    def a_day_later(self, run: Run) -> Run:
        """The very run as one of the day after."""
        later = dt.timedelta(days=1)
        seconds = int(later.total_seconds())
        return replace(run, declared_date=run.declared_date + later, start_s=run.start_s + seconds,
                       end_s=run.end_s + seconds)  # fmt: skip

    def _whole_day_again(self, vehicle: Vehicle) -> list[Run]:
        """G05: the runs of the day before, by readings that count on."""
        runs = self._last[vehicle.index]
        driven_km = runs[-1].end_km - runs[0].start_km
        self._written_km[vehicle.index] = self._written_km.get(vehicle.index, 0) + driven_km
        return [
            replace(self.a_day_later(run), start_km=run.start_km + driven_km, end_km=run.end_km + driven_km)
            for run in runs
        ]

    def _honest(self, trip: Trip, noise: random.Random) -> Run:
        """Readings rounded half-up from what the odometer shows: with 0.1 km steps never more than 0.9 km off."""
        vehicle, written = trip.vehicle, self._written_km.get(trip.vehicle.index, 0)
        readings = [
            (odometer_tenths(vehicle, metres) + 5) // 10 + written
            for metres in (trip.movements[0].driven_from_m, trip.movements[-1].driven_to_m)
        ]
        night = vehicle.carrier_code in WRITES_SHIFT_DAY
        sloppy_s = noise.choice((0, 0, 0, 0, 60, -60, 120))
        if _local_date(vehicle, trip.departs_s + sloppy_s) != trip.operational_date:
            sloppy_s = 0  # an imprecise minute does not make another day
        writes_shift_day = night and "shift_day_date" in self._roster.planted
        run = Run(
            vehicle=vehicle,
            declared_date=trip.shift_day if writes_shift_day else trip.operational_date,
            start_s=trip.departs_s + sloppy_s,
            end_s=trip.arrives_s + sloppy_s,
            origin=_place_text(trip.places[0], noise),
            destination=_place_text(trip.places[-1], noise),
            shift_code=trip.shift_code or vehicle.pattern[0],
            start_km=readings[0],
            end_km=readings[1],
            route_km=readings[1] - readings[0],
            passengers=max(1, *trip.passengers),
        )
        return self._by_habit(self._roster.habits.get(vehicle.index, ""), run, trip)

    def _by_habit(self, habit: str, run: Run, trip: Trip) -> Run:
        """What a vehicle with a habit writes instead; what it adds is carried on to its later readings."""
        first, last = trip.movements[0].driven_from_m, trip.movements[-1].driven_to_m
        driven_km = (odometer_tenths(run.vehicle, last) - odometer_tenths(run.vehicle, first)) / 10
        if habit == "S01":
            moved = -(run.start_km % 5) if run.start_km % 5 < 3 else 5 - run.start_km % 5
            return replace(run, start_km=run.start_km + moved, end_km=run.end_km + moved)
        if habit == "D03":
            wanted = round(driven_km * (1 + PADDING))
            while wanted > driven_km + PADDING_SHARE * max(1.0, driven_km / 10):
                wanted -= 1
        elif habit == "K05":
            wanted = math.ceil(driven_km)
        elif habit == "S03":
            key = (run.vehicle.index, trip.places[0], trip.places[-1])
            wanted = self._usual_km.setdefault(key, round(run.vehicle.calibration * trip.usual_m / 1000))
        else:
            return run
        index, extra = run.vehicle.index, wanted - run.route_km
        self._written_km[index] = self._written_km.get(index, 0) + extra
        return replace(run, end_km=run.end_km + extra, route_km=wanted)

    def _trick(self, label: str, trip: Trip, noise: random.Random) -> list[Run]:
        """The runs declared for a trip under a fraud; the last one is what the label refers to."""
        index = trip.vehicle.index
        if label == "D10":
            self._written_km[index] = self._written_km.get(index, 0) + noise.randrange(12, 31)
        run = self._honest(trip, noise)
        if label == "D07":
            return []
        if label == "D08":
            return [run, replace(run, fraud=label)]
        if label == "V06":
            return [replace(run, passengers=0, fraud=label)]
        if label == "V05":
            return [replace(run, passengers=trip.vehicle.seats + 6, fraud=label)]
        if label == "G08":
            return [replace(run, destination=self._elsewhere(trip).upper()[:PLACE_CHARACTERS], fraud=label)]
        if label == "T01":
            start_s = (run.start_s + run.end_s) // 2
            return [run, replace(run, start_s=start_s, end_s=start_s + run.end_s - run.start_s, fraud=label,
                                 origin=run.destination, destination=run.origin)]  # fmt: skip
        if label == "D02":
            extra = max(3, round(run.route_km * 0.2))
            self._written_km[index] = self._written_km.get(index, 0) + extra
            return [replace(run, end_km=run.end_km + extra, route_km=run.route_km + extra, fraud="D01")]
        if label == "D11":  # 1 km is within the tolerance of any run: only the arithmetic is wrong
            return [replace(run, route_km=run.route_km + 1, fraud=label)]
        if label in ("D01", "D04"):
            extra = max(4, round(run.route_km * noise.uniform(0.25, 0.45))) * (1 if label == "D01" else -1)
            extra = max(extra, 1 - run.route_km)
            self._written_km[index] = self._written_km.get(index, 0) + extra
            return [replace(run, end_km=run.end_km + extra, route_km=run.route_km + extra, fraud=label)]
        return [replace(run, fraud=label)]

    def _elsewhere(self, trip: Trip) -> str:
        """Name of a workplace of the unit to which the vehicle does not go: a trip by way of the mill goes on to it."""
        day, vehicle = trip.operational_date, trip.vehicle
        fronts = (self._world.place(f"FRE-{vehicle.unit.code}-{number}", day) for number in (1, 2))
        return next(place.name for place in fronts if place not in trip.places and place.poi_id != vehicle.workplace_id)

    def _phantom(self, before: Trip, middle_s: int, noise: random.Random) -> Run:
        """A run that nobody drove, placed before a trip while the bus stands still."""
        km = noise.randrange(18, 36)
        honest = self._honest(before, noise)
        index = before.vehicle.index
        self._written_km[index] = self._written_km.get(index, 0) + km
        half_s = noise.randrange(1300, 1800)
        return replace(
            honest,
            start_s=middle_s - half_s,
            end_s=middle_s + half_s,
            declared_date=before.operational_date,
            end_km=honest.start_km + km,
            route_km=km,
            fraud="D05",
        )

    def _invented_day(self, vehicle: Vehicle, day: dt.date, driven_m: float, noise: random.Random) -> list[Run]:
        """There and back on a day on which the bus did not leave and its device was silent."""
        shift = vehicle.unit.shift(vehicle.pattern[0])
        midnight = int(dt.datetime.combine(day, dt.time(), vehicle.unit.zone).timestamp())
        arrival_s = midnight + shift.start_min * 60 - noise.randrange(500, 1400)
        ends = [self._world.place(vehicle.garage_id, day), self._world.place(vehicle.workplace_id, day)]
        km = round(self._world.road(ends[0], ends[1]).length_m / 1000)
        reading = (odometer_tenths(vehicle, driven_m) + 5) // 10 + self._written_km.get(vehicle.index, 0)
        runs = []
        for number, (origin, destination) in enumerate((ends, ends[::-1])):
            start_s = arrival_s - 3300 if number == 0 else arrival_s + 2400
            start_km = reading + number * km
            runs.append(Run(
                vehicle, day, start_s, start_s + 3300, _place_text(origin, noise), _place_text(destination, noise),
                shift.code, start_km, start_km + km, km, max(2, vehicle.seats // 2), "D06"))  # fmt: skip
        self._written_km[vehicle.index] = self._written_km.get(vehicle.index, 0) + 2 * km
        return runs


_TRICKS = ("D01", "D02", "D04", "D07", "D08", "D09", "D10", "D11", "V05", "V06", "G08", "T01")


def _targets(label: str, declared: list[Trip]) -> list[Trip]:
    """The trips whose declaration a fraud changes: all, the second or the longest, or one to a workplace."""
    if label not in _TRICKS or not declared:
        return []
    if label == "D02":
        return declared
    if label == "D10" and len(declared) > 1:
        return [declared[1]]
    if label == "D09":
        declared = [trip for trip in declared if trip.shift_day == trip.operational_date]
    if label == "G08":
        return [next(trip for trip in declared if trip.places[-1].kind in ("frente", "usina"))]
    return [max(declared, key=lambda trip: trip.length_m)]


def _local_date(vehicle: Vehicle, second: int) -> dt.date:
    return dt.datetime.fromtimestamp(second, tz=vehicle.unit.zone).date()


def _idle_middle(trips: list[Trip]) -> int | None:
    """Middle of the longest idle time between two trips; None when it is too short."""
    gaps = [(later.on_s - earlier.off_s, earlier, later) for earlier, later in itertools.pairwise(trips)]
    idle_s, earlier, later = max(gaps, key=lambda gap: gap[0], default=(0, None, None))
    if idle_s < PHANTOM_ROOM_S or earlier is None or later is None:
        return None
    return (earlier.off_s + later.on_s) // 2


def _place_text(place: Place, noise: random.Random) -> str:
    """As drivers write it: upper case, cut, now and then with a stray dot, seldom empty."""
    draw = noise.random()
    if draw < 0.02:
        return ""
    text = place.name.upper()[:PLACE_CHARACTERS].strip()
    return text + " ." if draw < 0.05 else text.replace(" ", ". ", 1) if draw < 0.08 else text
