"""Labels that are known only once the fleet has driven: trips with a trap or a fraud, habits, what all share.

Here belong rows of `truth/frauds.csv` and `truth/traps.csv` that neither a bulletin nor a device's day makes.
"""

from __future__ import annotations

import datetime as dt

from fleet_audit.simulation.catalogue import DAY_FRAUDS
from fleet_audit.simulation.devices.traps import Trap
from fleet_audit.simulation.paper.tables import Rows, amended_contract
from fleet_audit.simulation.planning.labels import car_days
from fleet_audit.simulation.planning.roster import Roster, cycle_start
from fleet_audit.simulation.planning.trips import Trip
from fleet_audit.simulation.planning.world import UNITS, World
from fleet_audit.simulation.truth import Truth, iso

TOGETHER_S = 300
_DRIVEN_FRAUDS = tuple(kind.name for kind in DAY_FRAUDS if kind.where == "driving")


def name_trip(trip: Trip, truth: Truth) -> None:
    """What this trip carries, and whether it passes midnight or a close."""
    plate, day = trip.vehicle.plate, trip.operational_date
    held = (trip.departs_s, trip.arrives_s)
    if trip.label in _DRIVEN_FRAUDS:
        truth.fraud(trip.label, plate, day, iso(trip.departs_s), held)
    elif trip.label:
        truth.trap(Trap(trip.label, plate, day, *held, iso(trip.departs_s)))
    ends_on = dt.datetime.fromtimestamp(trip.arrives_s, tz=trip.vehicle.unit.zone).date()
    if ends_on != day:
        truth.trap(Trap("over_midnight", plate, day, *held, iso(trip.departs_s)))
        if cycle_start(ends_on) != cycle_start(day):
            truth.trap(Trap("over_close", plate, day, *held, iso(trip.departs_s)))


def lend_driver(trips: list[Trip], others: list[Trip], truth: Truth) -> None:
    """T02: a trip names who drives another bus at that time; the label is on the trip that starts later."""
    borrowed, lent = next((trip, other) for trip in trips for other in others
                          if trip.departs_s < other.arrives_s - TOGETHER_S
                          and other.departs_s < trip.arrives_s - TOGETHER_S)  # fmt: skip
    borrowed.driver_id = lent.driver_id
    later = max(borrowed, lent, key=lambda trip: trip.departs_s)
    truth.fraud("T02", later.vehicle.plate, later.operational_date, iso(later.departs_s),
                (later.departs_s, later.arrives_s))  # fmt: skip


def name_habits(roster: Roster, truth: Truth) -> None:
    """One row per habit and cycle, on its last working day; T04 has one row per Sunday instead."""
    for index, habit in sorted(roster.habits.items()):
        if habit == "T04":
            continue
        worked = sorted(day for vehicle, day in roster.operates if vehicle == index)
        if habit == "O07":
            worked = [day for day in worked if day in car_days(roster.days)]
        last = {cycle_start(day): day for day in worked}
        for start, day in last.items():
            truth.fraud(habit, roster.vehicles[index].plate, day, start)


def name_billing(roster: Roster, invoices: Rows, truth: Truth) -> None:
    """V02 of each invoice line, and V03, on the cycle in which they are billed."""
    first = cycle_start(roster.days[0])
    for line in invoices:
        last = max(day for day in roster.days if cycle_start(day) == first)
        truth.fraud("V02", str(line["plate"]), last, first)
    if roster.unreplaced is not None:
        index, day = roster.unreplaced
        truth.fraud("V03", roster.vehicles[index].plate, day, cycle_start(day))


def name_fleet_traps(roster: Roster, world: World, middle: dt.date, truth: Truth) -> None:
    """The front that moves, the rates that rise, the reserves that step in, the devices that are bad all the time."""
    if "front_moves" in roster.planted:
        for unit in UNITS:
            moved = [place for place in world.places if place.unit_code == unit.code and place.valid_from == middle]
            for place in moved:
                truth.trap(_at_midnight("front_moves", "", middle, place.poi_id))
    for vehicle in roster.vehicles:
        if vehicle.defect:
            truth.trap(_at_midnight(vehicle.defect, vehicle.plate, roster.days[0], vehicle.device_id))
    if "amendment" in roster.planted and len(roster.days) > 1:
        truth.trap(_at_midnight("amendment", "", middle, amended_contract(roster)))
    for (index, day), (titular, _) in sorted(roster.substitutions.items(), key=lambda item: (item[0][1], item[0][0])):
        truth.trap(_at_midnight("reserve", roster.vehicles[index].plate, day, roster.vehicles[titular].plate))


def name_much_deadhead(days: list[dt.date], truth: Truth) -> None:
    """Who drives more than 10 % of the service km empty, by cycle, on the cycle's last day."""
    last = {cycle_start(day): day for day in days}
    for (plate, start), km in sorted(truth.cycle_km.items()):
        if start in last and km["deadhead"] * 10 > km["service"] > 0:
            truth.trap(_at_midnight("much_deadhead", plate, last[start], start.isoformat()))


def _at_midnight(kind: str, plate: str, day: dt.date, reference: str) -> Trap:
    at_s = int(dt.datetime.combine(day, dt.time(), UNITS[0].zone).timestamp())
    return Trap(kind, plate, day, at_s, at_s, reference)
