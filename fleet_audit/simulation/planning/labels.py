"""Which vehicle and day holds which fraud or trap, and which vehicle has which habit.

Here belong choices, made before the first day is driven. What the names mean is in `catalogue`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random

from fleet_audit.simulation.catalogue import DAY_FRAUDS, DAY_TRAPS, HABIT_FRAUDS, Kind
from fleet_audit.simulation.planning.roster import IDLE_LABELS, Roster, Vehicle, cycle_start, is_working_day

DEVICES_A_LATE_UPLOAD = 40  # one device in so many stores and forwards on any day, and at least one
VEHICLE_DAYS_A_LABEL = 300  # one label of each kind for so many vehicle-days, and at least one
VEHICLES_PER_HABIT = 40  # one vehicle of each habit for so many vehicles; none in a smaller fleet
CAR_DAYS = 9  # a tracker is carried in a car at the end of the last cycle that ends, when the past is longest
CLOCK_OFF_DAYS = 5  # in a row: nobody sets a clock right within a day
MOST_LABELLED = 0.5  # of the vehicle-days: the others show what is usual
_NEVER_LATE = (*IDLE_LABELS, "clock_off", "out_of_order")
_FIRST_FRAUDS = 9  # before the traps, so that a fleet of a few vehicles and days has the common frauds
_BY_DAY_ONLY = ("T03", "T02", "O01", "O02", "O03", "O04", "O05", "G01", "G02", "O08", "G05", "D02", "T01", "D09",
                "device_swap", "odometer_spike", *IDLE_LABELS)  # fmt: skip
_SEEN_BY_POSITIONS_ONLY = ("O04", "O08", "G02", "G05", "T02", "clock_off")
_ONE_LONG_WAY_HOME = ("G06", "G07", "T03", "level_crossing", "S03", "S05")
_NO_TITULAR = ("O07", "S05")  # V03 needs one without a habit
_NOT_OFFICE = ("D05", "G02", "dead_zone_long", "T03", "T02", "S03")  # these need hours of rest, or a common morning


def label(
    seed: int, roster: Roster, vehicles_per_habit: int = VEHICLES_PER_HABIT, label_days: list[dt.date] | None = None
) -> None:
    """Gives habits to vehicles, then labels to vehicle-days of `label_days`, then late uploads to what is heard."""
    _give_habits(seed, roster, vehicles_per_habit)
    _label_days(seed, roster, label_days or roster.days)
    if "V03" in roster.planted:
        _keep_titular_in(roster, label_days or roster.days)
    roster.operates -= {place for place, kind in roster.labels.items() if kind in IDLE_LABELS}
    if "late_upload" in roster.planted:
        _delay(seed, roster)


def car_days(days: list[dt.date]) -> list[dt.date]:
    """The days on which a tracker with the habit O07 is in a car."""
    closes = [day for day in days if cycle_start(day + dt.timedelta(days=1)) != cycle_start(day)]
    until = days.index(closes[-1]) if closes else len(days) - 1
    return days[max(0, until + 1 - CAR_DAYS) : until + 1]


def _give_habits(seed: int, roster: Roster, vehicles_per_habit: int) -> None:
    noise = random.Random(f"{seed}/habits")
    free = [vehicle for vehicle in roster.vehicles if _is_usual(vehicle, roster) and vehicle.mode == "positions"
            and "C" not in vehicle.pattern]  # fmt: skip
    noise.shuffle(free)
    titulars = {vehicle.titular for vehicle in roster.vehicles}
    for _ in range(len(roster.vehicles) // vehicles_per_habit):
        for kind in HABIT_FRAUDS:
            chosen = next(
                (vehicle for vehicle in free if _has_room(kind.name, vehicle)
                 and not (kind.name in _NO_TITULAR and vehicle.index in titulars)),
                None,
            )  # fmt: skip
            if kind.name in roster.planted and chosen is not None:
                roster.habits[chosen.index] = kind.name
                free.remove(chosen)
    for index, habit in roster.habits.items():
        if habit == "V04":
            working = [day for day in roster.days if day.isoweekday() <= 5]
            roster.operates -= {(index, day) for day in working[::3]}


def _label_days(seed: int, roster: Roster, label_days: list[dt.date]) -> None:
    noise = random.Random(f"{seed}/labels")
    places = sorted(place for place in roster.operates if place[1] in label_days)
    noise.shuffle(places)
    free = dict.fromkeys(places)
    most = max(1, int(len(places) * MOST_LABELLED))
    for kind in _kinds(roster) * max(1, len(places) // VEHICLE_DAYS_A_LABEL):
        chosen = next((place for place in free if _suits(kind.name, place, roster, free)), None)
        if chosen is None or len(roster.labels) >= most:
            continue
        roster.labels[chosen] = kind.name
        del free[chosen]
        others = _taken_with(kind.name, chosen, roster, free)
        for place in others:
            del free[place]
        if kind.name == "clock_off":
            roster.labels |= dict.fromkeys(others, kind.name)
        if kind.name in ("O08", "T02"):
            roster.partners[chosen] = others[0][0]


def _keep_titular_in(roster: Roster, label_days: list[dt.date]) -> None:
    """V03: the last working day before a close on which a titular and its reserve have nothing else, both stay in."""
    closes = [day for day in roster.days if cycle_start(day + dt.timedelta(days=1)) != cycle_start(day)]
    taken = {*roster.labels, *roster.substitutions, *roster.substitutions.values()}
    taken |= {(other, day) for (_, day), other in roster.partners.items()}
    taken |= {(index, day - dt.timedelta(days=1)) for (index, day), kind in roster.labels.items() if kind == "G05"}
    for reserve in roster.vehicles:
        if reserve.titular is None or not reserve.has_positions or not closes:
            continue
        titular = roster.vehicles[reserve.titular]
        days = [day for day in label_days if day <= closes[-1] and is_working_day(day)]
        days = [day for day in days if not {(titular.index, day), (reserve.index, day)} & taken]
        if days and _is_usual(titular, roster) and titular.index not in roster.habits:
            roster.unreplaced = (reserve.index, days[-1])
            roster.operates -= {(titular.index, days[-1])}
            return


def _kinds(roster: Roster) -> list[Kind]:
    last_days = [day for day in roster.days[:-1] if cycle_start(day + dt.timedelta(days=1)) != cycle_start(day)]
    at_close = [Kind("D09", "contract", "D09", "")] if last_days else []
    kinds = [*at_close, *DAY_FRAUDS[:_FIRST_FRAUDS], *DAY_TRAPS, *DAY_FRAUDS[_FIRST_FRAUDS:]]
    return [kind for kind in kinds if kind.name in roster.planted]


def _delay(seed: int, roster: Roster) -> None:
    """Chooses on every day who uploads late, so that even a fleet of one shows it."""
    for day in roster.days:
        heard = [vehicle.index for vehicle in roster.vehicles
                 if vehicle.has_positions and roster.labels.get((vehicle.index, day)) not in _NEVER_LATE]  # fmt: skip
        noise = random.Random(f"{seed}/late/{day}")
        count = min(len(heard), -(-len(heard) // DEVICES_A_LATE_UPLOAD))
        roster.late |= {(index, day) for index in noise.sample(heard, count)}


def _is_usual(vehicle: Vehicle, roster: Roster) -> bool:
    has_price = vehicle.contract_id != roster.ended_contract
    has_price &= (vehicle.contract_id, vehicle.vehicle_class) != roster.untariffed
    return vehicle.has_positions and has_price and vehicle.titular is None and not vehicle.defect


def _has_room(kind: str, vehicle: Vehicle) -> bool:
    if kind in _ONE_LONG_WAY_HOME and (vehicle.starts_empty or vehicle.is_via_mill):
        return False
    if kind == "T04" and vehicle.weekdays != "1-7":
        return False
    if kind == "T02" and not vehicle.names_driver:
        return False
    return not (kind in _NOT_OFFICE and vehicle.pattern == ("ADM",))


def _suits(kind: str, place: tuple[int, dt.date], roster: Roster, free: dict[tuple[int, dt.date], None]) -> bool:
    vehicle, day = roster.vehicles[place[0]], place[1]
    if not _is_usual(vehicle, roster) or vehicle.index in roster.habits or not _has_room(kind, vehicle):
        return False
    if kind in _BY_DAY_ONLY and "C" in vehicle.pattern:
        return False
    if kind in _SEEN_BY_POSITIONS_ONLY and vehicle.mode != "positions":
        return False
    if kind in IDLE_LABELS and roster.labels.get((place[0], day + dt.timedelta(days=1))) == "clock_off":
        return False  # a clock three hours behind dates the next morning's positions on the day that shows none
    if kind == "clock_off" and roster.labels.get((place[0], day - dt.timedelta(days=1))) in IDLE_LABELS:
        return False
    if kind == "clock_off":  # at three hours to midnight it must stand, or it would be in two places at once
        return vehicle.pattern == ("A", "B") and len(_taken_with(kind, place, roster, free)) > 1
    if kind == "device_swap":
        return day != roster.days[0] and not _days_of("device_swap", vehicle, roster)
    if kind == "O01" and any(reset < day for reset in _days_of("odometer_reset", vehicle, roster)):
        return False  # turned back from 74 km to 3 km it shows what RULES call a reset: below 10 km, counting on
    if kind == "D09":
        return day != roster.days[-1] and cycle_start(day + dt.timedelta(days=1)) != cycle_start(day)
    return kind not in ("O08", "T02", "G05") or bool(_taken_with(kind, place, roster, free))


def _taken_with(kind: str, place: tuple[int, dt.date], roster: Roster,
                free: dict[tuple[int, dt.date], None]) -> list[tuple[int, dt.date]]:  # fmt: skip
    """Vehicle-days that a label needs beside its own, and that therefore get no other."""
    (index, day), vehicle = place, roster.vehicles[place[0]]
    if kind == "G05":
        before = (index, day - dt.timedelta(days=1))
        return [before] if before in free else []
    if kind == "D09":  # its run is written on the day after, too, and would stand for a trip whose own run is labelled
        after = (index, day + dt.timedelta(days=1))
        return [after] if after in free else []
    if kind == "clock_off":
        following = ((index, day + dt.timedelta(days=later)) for later in range(1, CLOCK_OFF_DAYS))
        return list(itertools.takewhile(free.__contains__, following))
    if kind in ("O08", "T02"):
        for other, its_day in free:
            partner = roster.vehicles[other]
            is_near = partner.unit == vehicle.unit and partner.carrier_code == vehicle.carrier_code
            if its_day == day and is_near and other != index and _is_partner(kind, partner, roster):
                return [(other, day)]
    return []


def _is_partner(kind: str, partner: Vehicle, roster: Roster) -> bool:
    if partner.mode != "positions" or not _is_usual(partner, roster) or partner.index in roster.habits:
        return False
    if kind == "T02":
        return _has_room(kind, partner)
    return "C" not in partner.pattern and not _days_of("device_swap", partner, roster)


def _days_of(kind: str, vehicle: Vehicle, roster: Roster) -> list[dt.date]:
    return [day for (index, day), known in roster.labels.items() if known == kind and index == vehicle.index]
