"""Who is in the simulated fleet, who works on which day, and which device is in which vehicle.

Here belong decisions for the whole period, made before the first day is driven. Frauds and traps are in `labels`.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field, replace

from fleet_audit.simulation.catalogue import BAD_DEVICES
from fleet_audit.simulation.planning.world import CARRIERS, UNITS, Unit

CLASSES = (("onibus", 46), ("micro", 28), ("onibus", 46), ("van", 15), ("onibus", 44))
PATTERNS = (("A", "B", "C"), ("A", "B"), ("ADM",), ("A", "B"), ("A", "C"))
IDLE_LABELS = ("D06", "silent_day", "G05")
CLOSING_DAY = 16
RESERVE_EVERY = 16
HOLIDAYS = ((1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (12, 25))


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
    shuttle_runs: int = 0  # per day, between the mill and a harvest front
    defect: str = ""  # one of `catalogue.BAD_DEVICES`

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
    """The plan of the fleet. `labels` holds at most one fraud or trap per vehicle-day, `habits` one per vehicle.

    `late` holds those that upload late: no event changes by it, so that it goes with any label but silence. `partners`
    names the other vehicle of labels that need two.
    """

    vehicles: list[Vehicle]
    days: list[dt.date]
    planted: frozenset[str]
    operates: set[tuple[int, dt.date]] = field(default_factory=set)
    labels: dict[tuple[int, dt.date], str] = field(default_factory=dict)
    partners: dict[tuple[int, dt.date], int] = field(default_factory=dict)
    habits: dict[int, str] = field(default_factory=dict)
    late: set[tuple[int, dt.date]] = field(default_factory=set)
    substitutions: dict[tuple[int, dt.date], tuple[int, dt.date]] = field(default_factory=dict)
    devices: list[Device] = field(default_factory=list)
    ended_contract: str | None = None
    untariffed: tuple[str, str] | None = None  # contract, class
    billed_as_bus: int | None = None
    unreplaced: tuple[int, dt.date] | None = None  # reserve, day on which neither it nor its titular works

    def devices_on(self, day: dt.date) -> dict[int, Device]:
        """The device of each vehicle."""
        return {
            device.vehicle: device
            for device in self.devices
            if device.valid_from <= day and (device.valid_to is None or day <= device.valid_to)
        }


def make_roster(
    seed: int,
    vehicles: int,
    days: list[dt.date],
    planted: frozenset[str],
    *,
    on_one_route: bool = False,
    shuttle_runs: int = 0,
) -> Roster:
    """The fleet of a seed: the same vehicle is the same in a larger fleet. Labels and devices are not given yet."""
    fleet = [_vehicle(seed, index) for index in range(vehicles)]
    if on_one_route:
        fleet = [_on_route_of(fleet[0], vehicle) for vehicle in fleet]
    if shuttle_runs:
        fleet = [replace(vehicle, pattern=("A",), shuttle_runs=shuttle_runs) for vehicle in fleet]
    roster = Roster(fleet, days, planted)
    _break_devices(roster)
    _break_contracts(roster)
    if "reserve" in planted:
        roster.substitutions = _substitutions(seed, roster)
    replaced = set(roster.substitutions.values())
    for vehicle in roster.vehicles:
        for day in days:
            works = vehicle.weekdays == "1-7" or day.isoweekday() <= 5
            stays = vehicle.titular is not None or (vehicle.index, day) in replaced
            if (works and not stays) or (vehicle.index, day) in roster.substitutions:
                roster.operates.add((vehicle.index, day))
    return roster


def is_working_day(day: dt.date) -> bool:
    """Whether the calendar calls it `util`."""
    return day.isoweekday() <= 5 and (day.month, day.day) not in HOLIDAYS


def cycle_start(day: dt.date) -> dt.date:
    """First day of the measurement cycle that holds a day."""
    if day.day >= CLOSING_DAY:
        return day.replace(day=CLOSING_DAY)
    return (day.replace(day=1) - dt.timedelta(days=1)).replace(day=CLOSING_DAY)


def cycle_days(start: dt.date) -> list[dt.date]:
    """The days of the cycle that starts on a day."""
    following = cycle_start(start + dt.timedelta(days=31))
    return [start + dt.timedelta(days=number) for number in range((following - start).days)]


def _on_route_of(first: Vehicle, vehicle: Vehicle) -> Vehicle:
    """The vehicle as a bus by day of another one's carrier, with its garage, pick-up points and mill."""
    return replace(
        vehicle, unit=first.unit, carrier_code=first.carrier_code, contract_id=first.contract_id,
        vehicle_class=first.vehicle_class, seats=first.seats, default_area="IND", mode="positions", pattern=("A", "B"),
        garage_id=first.garage_id, workplace_id=f"USI-{first.unit.code}", stop_ids=first.stop_ids, starts_empty=False,
        is_via_mill=False, titular=None,
    )  # fmt: skip


def _vehicle(seed: int, index: int) -> Vehicle:
    is_reserve = index >= RESERVE_EVERY - 4 and index % RESERVE_EVERY == RESERVE_EVERY - 1
    # A reserve works as its titular does; 12 vehicles before stands one of the same unit and carrier.
    twin = index - 12 if is_reserve else index
    noise = random.Random(f"{seed}/vehicle/{twin}")
    unit, carrier = UNITS[twin % 4], (twin // 4) % 3
    pattern = PATTERNS[twin % 5]
    vehicle_class, seats = CLASSES[(twin // 2) % 5]
    area = "AGR" if (twin // 3) % 2 else "IND"
    front = 1 + noise.randrange(2 if "C" in pattern else 3)  # the third front moves, at midnight
    mode = "report" if index % 10 == 9 else "both" if index % 10 in (5, 8) else "positions"
    own = random.Random(f"{seed}/own/{index}")
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


def _break_devices(roster: Roster) -> None:
    """A vehicle per kind of faulty device, from the third vehicle on."""
    kinds = [kind.name for kind in BAD_DEVICES if kind.name in roster.planted]
    able = [vehicle for vehicle in roster.vehicles[2:] if vehicle.mode == "positions" and vehicle.titular is None]
    for kind, vehicle in zip(kinds, able, strict=False):
        roster.vehicles[vehicle.index] = replace(vehicle, defect=kind)


def _break_contracts(roster: Roster) -> None:
    """V01: the last vehicle with positions has an ended contract. K01: a class has no tariff. V02: a van is billed."""
    if "V01" in roster.planted:
        for vehicle in reversed(roster.vehicles):
            if vehicle.has_positions and vehicle.titular is None:
                roster.ended_contract = f"SP-{vehicle.unit.code}-{vehicle.carrier_code}"
                roster.vehicles[vehicle.index] = replace(vehicle, contract_id=roster.ended_contract)
                break
    if "K01" in roster.planted:
        for vehicle in roster.vehicles:
            if vehicle.vehicle_class == "van" and vehicle.contract_id != roster.ended_contract:
                roster.untariffed = (vehicle.contract_id, "van")
                break
    if "V02" in roster.planted:
        for vehicle in roster.vehicles:
            has_tariff = (vehicle.contract_id, vehicle.vehicle_class) != roster.untariffed
            has_tariff &= vehicle.contract_id != roster.ended_contract
            if vehicle.vehicle_class != "onibus" and has_tariff and vehicle.titular is None:
                roster.billed_as_bus = vehicle.index
                break


def _substitutions(seed: int, roster: Roster) -> dict[tuple[int, dt.date], tuple[int, dt.date]]:
    """(reserve, day) -> (titular, day), for about one day in ten."""
    found = {}
    for vehicle in roster.vehicles:
        if vehicle.titular is None:
            continue
        noise = random.Random(f"{seed}/reserve/{vehicle.index}")
        working = [day for day in roster.days if vehicle.weekdays == "1-7" or day.isoweekday() <= 5]
        for day in noise.sample(working, min(len(working), max(1, len(roster.days) // 10))):
            found[vehicle.index, day] = (vehicle.titular, day)
    return found


def install_devices(seed: int, roster: Roster) -> None:
    """One device each; a swap brings a new one or, where a device became free in that unit before, that one."""
    noise = random.Random(f"{seed}/devices")
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
