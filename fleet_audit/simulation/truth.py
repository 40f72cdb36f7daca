"""The truth of a simulated fleet as files: trips with their cost, vehicle-days, frauds, traps.

Here belongs what is known for certain and what it should cost by the contract. What was declared is in `declarations`.
"""

from __future__ import annotations

import csv
import datetime as dt
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import IO

from fleet_audit.simulation.catalogue import KINDS
from fleet_audit.simulation.devices.motion import odometer_tenths
from fleet_audit.simulation.devices.traps import Trap
from fleet_audit.simulation.paper.tables import CENT, DEADHEAD_RULES, Prices
from fleet_audit.simulation.planning.roster import IDLE_LABELS, Vehicle, cycle_start
from fleet_audit.simulation.planning.trips import Trip

FILES = {
    "trips": (
        "plate", "operational_date", "started_at", "ended_at", "km", "odometer_km", "purpose", "area", "origin_poi_id",
        "destination_poi_id", "shift_code", "passengers", "unit_code", "carrier_code", "contract_id", "vehicle_class",
        "source", "billable_km", "rate_brl_per_km", "variable_cost_brl"),
    "vehicle_days": (
        "operational_date", "plate", "unit_code", "carrier_code", "source", "has_data", "label", "service_trips",
        "service_km", "deadhead_km", "maintenance_km", "yard_km", "variable_cost_brl"),
    "frauds": ("rule_id", "plate", "operational_date", "reference", "started_at", "ended_at"),
    "traps": ("trap", "plate", "operational_date", "started_at", "ended_at", "reference", "rule_id"),
}  # fmt: skip


class Truth:
    """Writes the four files as the days pass; use it as a context manager."""

    def __init__(self, folder: Path, prices: Prices) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._prices = prices
        self._files: dict[str, IO[str]] = {
            name: (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") for name in FILES
        }
        self._writers = {name: csv.writer(file, lineterminator="\n") for name, file in self._files.items()}
        for name, columns in FILES.items():
            self._writers[name].writerow(columns)
        self.counts = dict.fromkeys(FILES, 0)
        self.cycle_km: dict[tuple[str, dt.date], dict[str, Decimal]] = {}  # by plate and cycle: service, deadhead
        self.service_km = Decimal(0)
        self.variable_cost_brl = Decimal(0)

    def __enter__(self) -> Truth:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def vehicle_day(self, vehicle: Vehicle, day: dt.date, trips: list[Trip], label: str) -> None:
        """A vehicle-day and its trips, all of that operational date, in order of time."""
        km = dict.fromkeys(("service", "deadhead", "maintenance", "yard"), Decimal(0))
        for trip in trips:
            km[trip.purpose] += _km(trip)
        cap = km["service"] * Decimal(DEADHEAD_RULES[vehicle.carrier_code][1] or 0) / 100
        total, unpriced = Decimal(0), False
        for trip in trips:
            billable = self._billable(trip, cap)
            if trip.purpose == "deadhead":
                cap -= billable
            rate = self._prices.rate(vehicle, trip.area if trip.purpose == "service" else vehicle.default_area, day)
            cost = None if rate is None else (billable * rate).quantize(CENT, ROUND_HALF_UP)
            unpriced |= cost is None and trip.purpose == "service"
            total += cost or 0
            self._write("trips", self._trip(trip, day, billable, rate if billable else None, cost))
        is_silent = label in IDLE_LABELS and label != "G05"
        has_data = not is_silent and (vehicle.has_positions or bool(trips))
        service = sum(trip.purpose == "service" for trip in trips)
        self._write("vehicle_days", [day, vehicle.plate, vehicle.unit.code, vehicle.carrier_code, vehicle.mode,
                                     str(has_data).lower(), label, service, *km.values(), total])  # fmt: skip
        if unpriced:
            rule = "V01" if vehicle.contract_id.startswith("SP-") else "K01"
            self.fraud(rule, vehicle.plate, day, vehicle.contract_id)
        driven = self.cycle_km.setdefault(
            (vehicle.plate, cycle_start(day)), {"service": Decimal(0), "deadhead": Decimal(0)}
        )
        for purpose in driven:
            driven[purpose] += km[purpose]
        self.service_km += km["service"]
        self.variable_cost_brl += total

    def fraud(
        self, rule_id: str, plate: str, day: dt.date, reference: object, held_s: tuple[int, int] | None = None
    ) -> None:
        """A labelled fraud: the bulletin's number, the trip's start, the cycle or the contract; and when it held."""
        self._write("frauds", [rule_id, plate, day, reference, *(map(iso, held_s) if held_s else ("", ""))])

    def trap(self, trap: Trap) -> None:
        """A labelled defect that nobody meant, with the rule that should report it."""
        self._write("traps", [trap.kind, trap.plate, trap.operational_date, iso(trap.started_s), iso(trap.ended_s),
                              trap.reference, KINDS[trap.kind].rule_id])  # fmt: skip

    def _billable(self, trip: Trip, cap_left: Decimal) -> Decimal:
        if trip.purpose == "service":
            return _km(trip)
        rule = DEADHEAD_RULES[trip.vehicle.carrier_code][0]
        if trip.purpose != "deadhead" or rule == "unpaid":
            return Decimal("0.00")
        return _km(trip) if rule == "paid" else min(_km(trip), cap_left.quantize(CENT, ROUND_HALF_UP))

    def _trip(self, trip: Trip, day: dt.date, billable: Decimal, rate: Decimal | None, cost: Decimal | None) -> list:
        vehicle, first, last = trip.vehicle, trip.movements[0], trip.movements[-1]
        tenths = odometer_tenths(vehicle, last.driven_to_m) - odometer_tenths(vehicle, first.driven_from_m)
        return [
            vehicle.plate, day, iso(trip.departs_s), iso(trip.arrives_s), f"{trip.length_m / 1000:.3f}", tenths / 10,
            trip.purpose, trip.area, trip.places[0].poi_id, trip.places[-1].poi_id, trip.shift_code,
            max(trip.passengers), vehicle.unit.code, vehicle.carrier_code, vehicle.contract_id, vehicle.vehicle_class,
            vehicle.mode, billable, rate, cost,
        ]  # fmt: skip

    def _write(self, name: str, row: list) -> None:
        self._writers[name].writerow(row)
        self.counts[name] += 1


def iso(epoch_s: int) -> str:
    """UTC, ISO 8601."""
    return dt.datetime.fromtimestamp(epoch_s, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _km(trip: Trip) -> Decimal:
    return Decimal(repr(trip.length_m / 1000)).quantize(CENT, ROUND_HALF_UP)
