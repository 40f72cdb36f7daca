"""Reference tables of the simulated fleet, and the prices that its truth is costed with.

Here belong the rows of `reference/*.csv`. Who drives is in `roster`, where in `world`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from fleet_audit.schema import reference
from fleet_audit.schema.model import Table
from fleet_audit.simulation.planning.roster import HOLIDAYS, Roster, Vehicle, cycle_days, cycle_start
from fleet_audit.simulation.planning.trips import Trip
from fleet_audit.simulation.planning.world import CARRIERS, UNITS, World, offset

BASE_RATES = {"onibus": "4.90", "micro": "3.80", "van": "2.73"}
AGR_FACTOR = Decimal("1.09")
AMENDMENT_FACTOR = Decimal("1.035")
FIXED_BRL = {"onibus": "40314.14", "micro": "28750.00", "van": "17980.50"}
DEADHEAD_RULES = {"TRANSUL": ("unpaid", ""), "VIAMATA": ("paid", ""), "CANARIO": ("capped", "10")}
SINCE = dt.date(2025, 1, 1)
PLANNED_SHARE = {"T05": 0.75, "T06": 1.5}  # of what is driven
GEOFENCE_OFF_M = 3_000.0
CENT = Decimal("0.01")

Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Tariff:
    """A dated row of `tariffs`."""

    tariff_id: str
    contract_id: str
    vehicle_class: str
    area: str
    rate: Decimal
    valid_from: dt.date
    valid_to: dt.date | None


def since(days: list[dt.date]) -> dt.date:
    """When everything that is not amended began: well before the first day."""
    return min(SINCE, days[0].replace(month=1, day=1))


def tariffs(roster: Roster) -> list[Tariff]:
    """One per contract, class and area; the first contract's rise in the middle of the period (an amendment)."""
    made = []
    contracts = _contract_ids(roster)
    amended_on = roster.days[len(roster.days) // 2]
    for contract_id in contracts:
        for vehicle_class, base in BASE_RATES.items():
            if (contract_id, vehicle_class) == roster.untariffed:
                continue
            for area in ("AGR", "IND"):
                rate = (Decimal(base) * (AGR_FACTOR if area == "AGR" else 1)).quantize(CENT, ROUND_HALF_UP)
                name = f"T-{contract_id}-{vehicle_class}-{area}"
                if contract_id == contracts[0] and len(roster.days) > 1 and "amendment" in roster.planted:
                    risen = (rate * AMENDMENT_FACTOR).quantize(CENT, ROUND_HALF_UP)
                    before = amended_on - dt.timedelta(days=1)
                    made.append(Tariff(name, contract_id, vehicle_class, area, rate, since(roster.days), before))
                    made.append(Tariff(name, contract_id, vehicle_class, area, risen, amended_on, None))
                else:
                    made.append(Tariff(name, contract_id, vehicle_class, area, rate, since(roster.days), None))
    return made


class Prices:
    """Rates by contract, class, area and day."""

    def __init__(self, roster: Roster) -> None:
        self._ended = roster.ended_contract
        self._rows: dict[tuple[str, str, str], list[Tariff]] = {}
        for tariff in tariffs(roster):
            self._rows.setdefault((tariff.contract_id, tariff.vehicle_class, tariff.area), []).append(tariff)

    def rate(self, vehicle: Vehicle, area: str, day: dt.date) -> Decimal | None:
        """BRL per km; None without a valid contract or tariff."""
        if vehicle.contract_id == self._ended:
            return None
        for tariff in self._rows.get((vehicle.contract_id, vehicle.vehicle_class, area), []):
            if tariff.valid_from <= day and (tariff.valid_to is None or day <= tariff.valid_to):
                return tariff.rate
        return None


def route_code(origin_id: str, destination_id: str) -> str:
    """Code of the route between two places."""
    return f"R-{origin_id}-{destination_id}"


class RouteBook:
    """Routes and the plan, learnt from the service trips that the fleet makes.

    Args:
        habits: by plate; those of `PLANNED_SHARE` and T04 depart from their plan.
        days: the simulated days; a plan is that of its whole cycle, also where they cover a part of it.
    """

    def __init__(self, habits: dict[str, str], days: Sequence[dt.date]) -> None:
        self._habits, self._days = habits, days
        self._longest_m: dict[tuple[str, str], float] = {}
        self._planned: dict[tuple[dt.date, str, str], tuple[int, float, str]] = {}

    def add(self, trip: Trip) -> None:
        """Counts a service trip."""
        key = (trip.places[0].poi_id, trip.places[-1].poi_id)
        if trip.label != "G06":
            self._longest_m[key] = max(self._longest_m.get(key, 0.0), trip.length_m)
        plan_key = (cycle_start(trip.operational_date), trip.vehicle.plate, route_code(*key))
        count, metres, _ = self._planned.get(plan_key, (0, 0.0, ""))
        weekdays = "1-7" if "C" in trip.vehicle.pattern else trip.vehicle.weekdays
        self._planned[plan_key] = (count + 1, metres + trip.length_m, weekdays)

    def routes(self, world: World) -> Rows:
        """`routes`: expected km are those of the longest of the usual ways."""
        rows: Rows = []
        named = {place.poi_id: place for place in world.places}
        for (origin_id, destination_id), metres in sorted(self._longest_m.items()):
            origin, destination = named[origin_id], named[destination_id]
            workplace = destination if destination.kind in ("usina", "frente") else origin
            rows.append({
                "route_code": route_code(origin_id, destination_id), "unit_code": origin.unit_code,
                "name": f"{origin.name} - {destination.name}", "area": "IND" if workplace.kind == "usina" else "AGR",
                "regime": "intermunicipal", "origin_poi_id": origin_id, "destination_poi_id": destination_id,
                "expected_km": f"{metres / 1000:.1f}", "keywords": f"{origin.name.lower()};{destination.name.lower()}",
            })  # fmt: skip
        return rows

    def km_plan(self) -> Rows:
        """`km_plan`: the driven km in whole 10 km; vehicles with a habit of `PLANNED_SHARE` or T04 depart from them.

        A cycle that is simulated in part is planned for all its working days, at the mean of the simulated ones.
        """
        rows: Rows = []
        for (start, plate, code), (count, metres, weekdays) in sorted(self._planned.items()):
            habit = self._habits.get(plate, "")
            share = PLANNED_SHARE.get(habit, 1.0) * self._cycle_share(start, weekdays)
            rows.append({
                "cycle_start": start, "plate": plate, "route_code": code,
                "planned_km": round(share * metres / 10_000) * 10, "planned_trips": round(share * count),
                "weekdays": "1-6" if habit == "T04" else weekdays,
            })  # fmt: skip
        return rows

    def _cycle_share(self, start: dt.date, weekdays: str) -> float:
        """Working days of the cycle ÷ those of them that are simulated."""
        works = [day for day in cycle_days(start) if day.isoweekday() <= int(weekdays[-1])]
        return len(works) / max(len([day for day in works if day in self._days]), 1)


def amended_contract(roster: Roster) -> str:
    """The contract whose rates rise in the middle of the period."""
    return _contract_ids(roster)[0]


def wrong_place(world: World, start: dt.date) -> tuple[str, Rows]:
    """Id of a place, and `pois` as first delivered: that place some 3 km off."""
    wrong = next(place for place in world.places if place.kind == "frente")
    latitude, longitude = offset(wrong.latitude, wrong.longitude, GEOFENCE_OFF_M, 0.0)
    rows = _poi_rows(world, start)
    for row in rows:
        if row["poi_id"] == wrong.poi_id:
            row.update(latitude=round(latitude, 6), longitude=round(longitude, 6))
    return wrong.poi_id, rows


def dearer_invoice(roster: Roster, service_km: dict[tuple[str, dt.date], Decimal]) -> Rows:
    """V02: the invoice of the first cycle of the vehicle that is billed as a bus; honest carriers send none.

    An honest carrier cannot know the measured km to the cent.

    Args:
        roster: the fleet.
        service_km: by plate and cycle, as driven.
    """
    if roster.billed_as_bus is None:
        return []
    vehicle, start = roster.vehicles[roster.billed_as_bus], cycle_start(roster.days[0])
    rate = Prices(roster).rate(replace(vehicle, vehicle_class="onibus"), vehicle.default_area, roster.days[0])
    km = service_km.get((vehicle.plate, start))
    if rate is None or not km:
        return []
    return [{
        "contract_id": vehicle.contract_id, "cycle_start": start, "plate": vehicle.plate, "vehicle_class": "onibus",
        "billed_km": km, "rate_brl_per_km": rate, "variable_brl": (km * rate).quantize(CENT, ROUND_HALF_UP),
    }]  # fmt: skip


def reference_rows(world: World, roster: Roster, routes: RouteBook, invoices: Rows) -> list[tuple[Table, Rows]]:
    """All tables of the inbox's `reference` folder; drivers are a header only."""
    start = since(roster.days)
    return [
        (reference.UNITS, [{"unit_code": unit.code, "name": unit.name, "timezone": unit.timezone,
                            "cost_center": unit.cost_center} for unit in UNITS]),
        (reference.CARRIERS, [{"carrier_code": code, "name": name} for code, name in CARRIERS]),
        (reference.CONTRACTS, _contracts(roster)),
        (reference.VEHICLES, [_vehicle_row(vehicle, roster, start) for vehicle in roster.vehicles]),
        (reference.DEVICES, [{"device_id": device.device_id, "plate": roster.vehicles[device.vehicle].plate,
                              "valid_from": device.valid_from, "valid_to": device.valid_to}
                             for device in roster.devices]),
        (reference.DRIVERS, []),
        (reference.POIS, _poi_rows(world, start)),
        (reference.SHIFTS, [
            {"unit_code": unit.code, "shift_code": shift.code, "start_local": _hhmm(shift.start_min),
             "end_local": _hhmm(shift.end_min), "weekdays": shift.weekdays, "tolerance_min": shift.tolerance_min}
            for unit in UNITS for shift in unit.shifts]),
        (reference.ROUTES, routes.routes(world)),
        (reference.TARIFFS, [{**tariff.__dict__, "rate_brl_per_km": tariff.rate} for tariff in tariffs(roster)]),
        (reference.FIXED_COSTS, [
            {"contract_id": vehicle.contract_id, "plate": vehicle.plate,
             "amount_brl_per_month": FIXED_BRL[vehicle.vehicle_class], "valid_from": start}
            for vehicle in roster.vehicles]),
        (reference.KM_PLAN, routes.km_plan()),
        (reference.CALENDAR, [{"date": day, "unit_code": unit.code, "day_type": _day_type(day)}
                              for day in _calendar_days(roster.days) for unit in UNITS]),
        (reference.INVOICES, invoices),
        (reference.EXCEPTIONS, [{
            "exception_id": "EX-1", "rule_id": "G07", "carrier_code": CARRIERS[2][0], "date_from": roster.days[0],
            "date_to": roster.days[-1], "reason": "Obra na pista da usina", "approved_by": "gestor.contratos"}]),
    ]  # fmt: skip


def _poi_rows(world: World, start: dt.date) -> Rows:
    return [{**place.__dict__, "address_pattern": place.street, "valid_from": place.valid_from or start}
            for place in world.places]  # fmt: skip


def _contract_ids(roster: Roster) -> list[str]:
    ids = {vehicle.contract_id: None for vehicle in roster.vehicles}
    return sorted(ids)


def _contracts(roster: Roster) -> Rows:
    start = since(roster.days)
    rows: Rows = []
    for contract_id in _contract_ids(roster):
        vehicle = next(vehicle for vehicle in roster.vehicles if vehicle.contract_id == contract_id)
        rule, cap = DEADHEAD_RULES[vehicle.carrier_code]
        has_ended = contract_id == roster.ended_contract
        rows.append({
            "contract_id": contract_id, "carrier_code": vehicle.carrier_code, "unit_code": vehicle.unit.code,
            "kind": "spot" if has_ended else "contrato", "deadhead_rule": rule, "deadhead_cap_pct": cap,
            "trip_tolerance_pct": 10, "trip_tolerance_km": 1, "day_tolerance_pct": 10, "cycle_tolerance_pct": 5,
            "valid_from": start, "valid_to": roster.days[0] - dt.timedelta(days=1) if has_ended else None,
        })  # fmt: skip
    return rows


def _vehicle_row(vehicle: Vehicle, roster: Roster, start: dt.date) -> dict[str, object]:
    titular = vehicle.titular
    return {
        "plate": vehicle.plate, "fleet_number": vehicle.fleet_number, "carrier_code": vehicle.carrier_code,
        "unit_code": vehicle.unit.code, "contract_id": vehicle.contract_id, "vehicle_class": vehicle.vehicle_class,
        "default_area": vehicle.default_area, "seats": vehicle.seats,
        "status": "ativo" if titular is None else "reserva",
        "titular_plate": None if titular is None else roster.vehicles[titular].plate, "valid_from": start,
    }  # fmt: skip


def _calendar_days(days: list[dt.date]) -> list[dt.date]:
    first = cycle_start(days[0])
    last = cycle_start(days[-1]) + dt.timedelta(days=31)
    return [first + dt.timedelta(days=number) for number in range((last - first).days)]


def _day_type(day: dt.date) -> str:
    if (day.month, day.day) in HOLIDAYS:
        return "feriado"
    return {6: "sabado", 7: "domingo"}.get(day.isoweekday(), "util")


def _hhmm(minutes: int) -> str:
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
