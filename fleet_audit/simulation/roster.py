"""Who is in the simulated fleet, who works on which day, and which day holds which fraud or trap.

Here belong decisions for the whole period, made before the first day is driven. The driving is in `schedule`.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field

from fleet_audit.simulation.world import CARRIERS, UNITS, Unit

CLASSES = (("onibus", 46), ("micro", 28), ("onibus", 46), ("van", 15), ("onibus", 44))
PATTERNS = (("A", "B", "C"), ("A", "B"), ("ADM",), ("A", "B"), ("A", "C"))
FRAUDS = ("D01", "D04", "D05", "D06", "D07", "D08", "D10", "D11", "V06")
TRAPS = (
    "dead_zone", "dead_zone_long", "outlier", "far_jump", "device_swap", "odometer_reset", "silent_day",
)  # fmt: skip
IDLE_LABELS = ("D06", "silent_day")
DEVICES_A_LATE_UPLOAD = 40  # one device in so many stores and forwards on any day, and at least one
VEHICLE_DAYS_A_LABEL = 200  # one label of each kind for so many vehicle-days, and at least one
RESERVE_EVERY = 16


@dataclass(frozen=True)
class Vehicle:
    """A vehicle and its habits. `mode`: seen by `positions`, by the visit `report`, or by `both`."""

    index: int
    plate: str
    fleet_number: str
    device_id: str
    unit: Unit
    carrier_code: str
    contract_id: str
    vehicle_class: str
    seats: int
    default_area: str
    mode: str
    pattern: tuple[str, ...]
    garage_id: str
    workplace_id: str
    stop_ids: tuple[str, ...]
    has_counter: bool
    starts_empty: bool
    is_via_mill: bool
    calibration: float
    odometer_km: float
    names_driver: bool
    titular: int | None = None

    @property
    def has_positions(self) -> bool:
        """Whether the API knows it."""
        return self.mode != "report"

    @property
    def weekdays(self) -> str:
        """ISO weekdays on which it works."""
        return "1-5" if self.pattern == ("ADM",) else "1-7"


@dataclass
class Device:
    """A dated row of `devices`; `offset_tenths` is its odometer minus the vehicle's, in 0.1 km."""

    device_id: str
    vehicle: int
    valid_from: dt.date
    valid_to: dt.date | None
    offset_tenths: int


@dataclass
class Roster:
    """Everything decided beforehand. `labels` holds at most one fraud or trap a vehicle-day.

    `late` holds those that upload late: no event changes by it, so that it goes with any label but silence.
    """

    vehicles: list[Vehicle]
    days: list[dt.date]
    operates: set[tuple[int, dt.date]] = field(default_factory=set)
    labels: dict[tuple[int, dt.date], str] = field(default_factory=dict)
    late: set[tuple[int, dt.date]] = field(default_factory=set)
    devices: list[Device] = field(default_factory=list)
    ended_contract: str | None = None
    untariffed: tuple[str, str] | None = None  # contract, class


def make_roster(seed: int, vehicles: int, days: list[dt.date], *, frauds: bool) -> Roster:
    """The fleet of a seed: the same vehicle is the same in a larger fleet, its labels are not."""
    roster = Roster([_vehicle(seed, index) for index in range(vehicles)], days)
    if frauds:
        _break_contracts(roster)
    substitutions = _substitutions(seed, roster)
    for vehicle in roster.vehicles:
        for day in days:
            works = vehicle.weekdays == "1-7" or day.isoweekday() <= 5
            replaced = (vehicle.index, day) in substitutions.values()
            if (works and vehicle.titular is None and not replaced) or (vehicle.index, day) in substitutions:
                roster.operates.add((vehicle.index, day))
    _label(seed, roster, (*FRAUDS, *TRAPS) if frauds else TRAPS)
    roster.operates -= {place for place, label in roster.labels.items() if label in IDLE_LABELS}
    _delay(seed, roster)
    _install_devices(seed, roster)
    return roster


def _vehicle(seed: int, index: int) -> Vehicle:
    is_reserve = index >= RESERVE_EVERY - 4 and index % RESERVE_EVERY == RESERVE_EVERY - 1
    # A reserve works as its titular does; 12 vehicles before stands one of the same unit and carrier.
    twin = index - 12 if is_reserve else index
    noise = random.Random(f"{seed}/vehicle/{twin}")  # noqa: S311
    unit, carrier = UNITS[twin % 4], (twin // 4) % 3
    pattern = PATTERNS[twin % 5]
    vehicle_class, seats = CLASSES[(twin // 2) % 5]
    area = "AGR" if (twin // 3) % 2 else "IND"
    front = 1 + noise.randrange(2 if "C" in pattern else 3)  # the third front moves, at midnight
    mode = "report" if index % 10 == 9 else "both" if index % 10 in (5, 8) else "positions"
    own = random.Random(f"{seed}/own/{index}")  # noqa: S311
    stops = sorted(noise.sample(range(1, 9), noise.choice((2, 3))))
    letter = str(index // 1000) if index % 9 == 0 else chr(65 + index // 1000)
    return Vehicle(
        index=index,
        plate=f"{('TRS', 'VDM', 'CNR')[carrier]}{index // 100 % 10}{letter}{index % 100:02d}",
        fleet_number=str(10_000 + index),
        device_id=str(4_000 + index),
        unit=unit,
        carrier_code=CARRIERS[carrier][0],
        contract_id=f"CT-{unit.code}-{CARRIERS[carrier][0]}",
        vehicle_class=vehicle_class,
        seats=seats,
        default_area=area,
        mode=mode,
        pattern=pattern,
        garage_id=f"GAR-{unit.code}-{carrier + 1}",
        workplace_id=f"FRE-{unit.code}-{front}" if area == "AGR" else f"USI-{unit.code}",
        stop_ids=tuple(f"PON-{unit.code}-{number}" for number in stops),
        has_counter=mode != "report" and index % 3 != 2,
        starts_empty=twin % 4 == 1 and "C" not in pattern,
        is_via_mill=area == "AGR" and twin % 6 == 3 and pattern != ("ADM",),
        calibration=1 + own.uniform(-0.01, 0.01),
        odometer_km=round(own.uniform(20_000, 400_000), 1),
        names_driver=own.random() > 0.08,
        titular=twin if is_reserve else None,
    )


def _break_contracts(roster: Roster) -> None:
    """V01: the last vehicle with positions works under a contract that has ended; K01: a class has no tariff."""
    for vehicle in reversed(roster.vehicles):
        if vehicle.has_positions and vehicle.titular is None:
            roster.ended_contract = f"SP-{vehicle.unit.code}-{vehicle.carrier_code}"
            roster.vehicles[vehicle.index] = _with_contract(vehicle, roster.ended_contract)
            break
    for vehicle in roster.vehicles:
        if vehicle.vehicle_class == "van" and vehicle.contract_id != roster.ended_contract:
            roster.untariffed = (vehicle.contract_id, "van")
            break


def _with_contract(vehicle: Vehicle, contract_id: str) -> Vehicle:
    return Vehicle(**{**vehicle.__dict__, "contract_id": contract_id})


def _substitutions(seed: int, roster: Roster) -> dict[tuple[int, dt.date], tuple[int, dt.date]]:
    """(reserve, day) -> (titular, day), for about one day in ten."""
    found = {}
    for vehicle in roster.vehicles:
        if vehicle.titular is None:
            continue
        noise = random.Random(f"{seed}/reserve/{vehicle.index}")  # noqa: S311
        working = [day for day in roster.days if vehicle.weekdays == "1-7" or day.isoweekday() <= 5]
        for day in noise.sample(working, min(len(working), max(1, len(roster.days) // 10))):
            found[vehicle.index, day] = (vehicle.titular, day)
    return found


def _label(seed: int, roster: Roster, kinds: tuple[str, ...]) -> None:
    noise = random.Random(f"{seed}/labels")  # noqa: S311
    places = sorted(roster.operates)
    noise.shuffle(places)
    free = dict.fromkeys(places)
    swapped: set[int] = set()
    for _ in range(max(1, len(places) // VEHICLE_DAYS_A_LABEL)):
        for kind in kinds:
            chosen = next((place for place in free if _suits(kind, place, roster, swapped)), None)
            if chosen is None:
                continue
            roster.labels[chosen] = kind
            del free[chosen]
            if kind == "device_swap":
                swapped.add(chosen[0])


def _delay(seed: int, roster: Roster) -> None:
    """Chooses on every day who uploads late, so that even a fleet of one shows it."""
    for day in roster.days:
        heard = [vehicle.index for vehicle in roster.vehicles
                 if vehicle.has_positions and roster.labels.get((vehicle.index, day)) not in IDLE_LABELS]  # fmt: skip
        noise = random.Random(f"{seed}/late/{day}")  # noqa: S311
        count = min(len(heard), -(-len(heard) // DEVICES_A_LATE_UPLOAD))
        roster.late |= {(index, day) for index in noise.sample(heard, count)}


def _suits(kind: str, place: tuple[int, dt.date], roster: Roster, swapped: set[int]) -> bool:
    vehicle, day = roster.vehicles[place[0]], place[1]
    if not vehicle.has_positions or vehicle.titular is not None or vehicle.contract_id == roster.ended_contract:
        return False
    if kind == "device_swap":
        return day != roster.days[0] and "C" not in vehicle.pattern and vehicle.index not in swapped
    if kind in IDLE_LABELS:
        return "C" not in vehicle.pattern
    if kind in ("D05", "dead_zone_long"):  # both need hours of rest between two trips
        return vehicle.pattern != ("ADM",)
    return True


def _install_devices(seed: int, roster: Roster) -> None:
    """One device each; a swap brings a new one or, where a device became free in that unit before, that one."""
    noise = random.Random(f"{seed}/devices")  # noqa: S311
    current = {}
    for vehicle in roster.vehicles:
        since = roster.days[0] - dt.timedelta(days=150)
        current[vehicle.index] = Device(vehicle.device_id, vehicle.index, since, None, 0)
        roster.devices.append(current[vehicle.index])
    freed: dict[str, list[str]] = {}
    swaps = sorted((day, index) for (index, day), label in roster.labels.items() if label == "device_swap")
    for number, (day, index) in enumerate(swaps):
        vehicle, old = roster.vehicles[index], current[index]
        pool = freed.setdefault(vehicle.unit.code, [])
        device_id = pool.pop() if pool else str(90_000 + number)
        old.valid_to = day - dt.timedelta(days=1)
        offset = noise.randrange(50_000, 900_000) - int(vehicle.odometer_km * 10)
        current[index] = Device(device_id, index, day, None, offset)
        roster.devices.append(current[index])
        pool.append(old.device_id)
