"""Simulates a fleet: an inbox, the data set of a telemetry API, and the truth behind both, day by day.

Here belong the loop over days and the writing. Each part of the world has its own module beside this one.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq

from fleet_audit.schema import reference
from fleet_audit.schema.model import Table
from fleet_audit.simulation.catalogue import planted
from fleet_audit.simulation.devices.transmission import POSITIONS, Transmission, midnight_s
from fleet_audit.simulation.devices.traps import Trap
from fleet_audit.simulation.paper.declarations import HEADER, Declarations, Fraud, Run
from fleet_audit.simulation.paper.tables import (
    Prices,
    RouteBook,
    Rows,
    dearer_invoice,
    reference_rows,
    since,
    wrong_place,
)
from fleet_audit.simulation.paper.visit_report import Block, visit_report
from fleet_audit.simulation.planning.labels import VEHICLES_PER_HABIT, car_days, label
from fleet_audit.simulation.planning.naming import (
    lend_driver,
    name_billing,
    name_fleet_traps,
    name_habits,
    name_much_deadhead,
    name_trip,
)
from fleet_audit.simulation.planning.roster import Roster, Vehicle, install_devices, make_roster
from fleet_audit.simulation.planning.schedule import DayPlanner
from fleet_audit.simulation.planning.trips import Movement, Trip
from fleet_audit.simulation.planning.world import CARRIERS, UNITS, World
from fleet_audit.simulation.truth import Truth, iso


@dataclass(frozen=True)
class SimulationSummary:
    """What was written."""

    vehicles: int
    days: int
    positions: int
    trips: int
    declared_runs: int
    frauds: int
    traps: int
    service_km: Decimal
    variable_cost_brl: Decimal


def simulate(
    out: Path, *, seed: int, vehicles: int, date_from: dt.date, date_to: dt.date, frauds: bool = True,
    also: Collection[str] = (), without: Collection[str] = (), vehicles_per_habit: int = VEHICLES_PER_HABIT,
    on_one_route: bool = False, shuttle_runs: int = 0, label_days: Collection[dt.date] = (),
    progress: Callable[[str], None] | None = None,
) -> SimulationSummary:  # fmt: skip
    """Writes `out/inbox`, `out/api/positions.parquet` and `out/truth`; the same arguments give the same bytes.

    Memory holds two days of the fleet at a time.

    Args:
        out: folder to write into.
        seed: of everything that is drawn.
        vehicles: how many, reserves included.
        date_from: first operational day; date_to: the last one.
        frauds: with all of `catalogue.FRAUDS`; the traps are always there.
        also: names of `catalogue.KINDS` to plant too.
        without: names not to plant.
        vehicles_per_habit: one vehicle of each habit for so many vehicles; none in a smaller fleet.
        on_one_route: whether all vehicles serve one route, as buses of one carrier by day that positions show.
        shuttle_runs: runs that each of these vehicles makes between mill and harvest front on every day; only with
            `on_one_route`.
        label_days: days that may hold a label of one vehicle and day; all where none is given.
        progress: receives one line per day.

    Raises ValueError without a vehicle, without a day, for shuttle runs without one route, for a label day outside of
    the simulated days, or when a name is unknown.
    """
    if vehicles < 1 or date_to < date_from:
        raise ValueError("A simulation needs at least one vehicle, and a last day not before the first")
    if shuttle_runs and not on_one_route:
        raise ValueError("Shuttle runs are those of buses on one route: give on_one_route too")
    days = [date_from + dt.timedelta(days=number) for number in range((date_to - date_from).days + 1)]
    outside = sorted(set(label_days) - set(days))
    if outside:
        raise ValueError(f"Labels cannot be planted outside of the simulated days: remove {outside[0]} from label_days")
    names = planted(frauds=frauds, also=also, without=without)
    roster = make_roster(seed, vehicles, days, names, on_one_route=on_one_route, shuttle_runs=shuttle_runs)
    label(seed, roster, vehicles_per_habit, [day for day in days if day in label_days])
    install_devices(seed, roster)
    return _Simulation(Path(out), seed, roster).run(progress or (lambda _: None))


class _Simulation:
    def __init__(self, out: Path, seed: int, roster: Roster) -> None:
        self._out, self._seed, self._roster = out, seed, roster
        days, moves = roster.days, "front_moves" in roster.planted and len(roster.days) > 1
        self._middle = days[len(days) // 2]
        self._world = World(seed, self._middle if moves else None)
        self._planner = DayPlanner(self._world, seed)
        self._declarations = Declarations(self._world, seed, roster)
        self._routes = RouteBook(
            {roster.vehicles[index].plate: habit for index, habit in roster.habits.items()}, roster.days
        )
        self._devices = Transmission(roster, self._world, seed)
        self._numbers = dict.fromkeys((code for code, _ in CARRIERS), 0)
        self._repeated: list[tuple[Run, int]] = []  # runs of the day before that are declared again, with their number
        self._late: dict[int, list[Trip]] = {}  # trips that start on the day after their plan's
        self._reported: dict[int, list[tuple[Trip, Movement]]] = {}
        self._positions = self._declared = 0
        for folder in ("reference", "visit_reports", "bulletins"):
            (out / "inbox" / folder).mkdir(parents=True, exist_ok=True)
        (out / "api").mkdir(parents=True, exist_ok=True)

    def run(self, progress: Callable[[str], None]) -> SimulationSummary:
        prices = Prices(self._roster)
        with (
            pq.ParquetWriter(self._out / "api" / "positions.parquet", POSITIONS, compression="zstd") as writer,
            Truth(self._out / "truth", prices) as truth,
        ):
            for day in self._roster.days:
                progress(f"{day:%d/%m/%Y}")
                self._day(day, writer, truth)
            after = self._roster.days[-1] + dt.timedelta(days=1)
            self._report(after - dt.timedelta(days=1), {})
            self._report(after, {})
            for index, trips in sorted(self._late.items()):
                truth.vehicle_day(self._roster.vehicles[index], after, trips, "")
            self._write_reference(truth)
            name_habits(self._roster, truth)
            name_much_deadhead(self._roster.days, truth)
            name_fleet_traps(self._roster, self._world, self._middle, truth)
        return SimulationSummary(
            vehicles=len(self._roster.vehicles),
            days=len(self._roster.days),
            positions=self._positions,
            trips=truth.counts["trips"],
            declared_runs=self._declared,
            frauds=truth.counts["frauds"],
            traps=truth.counts["traps"],
            service_km=truth.service_km,
            variable_cost_brl=truth.variable_cost_brl,
        )

    def _write_reference(self, truth: Truth) -> None:
        service_km = {vehicle_cycle: km["service"] for vehicle_cycle, km in truth.cycle_km.items()}
        invoices = dearer_invoice(self._roster, service_km)
        name_billing(self._roster, invoices, truth)
        for table, rows in reference_rows(self._world, self._roster, self._routes, invoices):
            _write_table(self._out / "inbox" / "reference", table, rows)
        if "wrong_geofence" in self._roster.planted:
            folder = self._out / "first_delivery" / "reference"
            folder.mkdir(parents=True, exist_ok=True)
            poi_id, rows = wrong_place(self._world, since(self._roster.days))
            _write_table(folder, reference.POIS, rows)
            first, last = self._roster.days[0], self._roster.days[-1]
            truth.trap(Trap("wrong_geofence", "", self._middle, *_period_s(first, last), poi_id))

    def _day(self, day: dt.date, writer: pq.ParquetWriter, truth: Truth) -> None:
        roster = self._roster
        labels = {vehicle.index: roster.labels.get((vehicle.index, day), "") for vehicle in roster.vehicles}
        started_m = [state.driven_m for state in self._devices.states]
        trips = [self._plan(vehicle, day, labels[vehicle.index]) for vehicle in roster.vehicles]
        for index, kind in labels.items():
            if kind == "T02":
                lend_driver(trips[index], trips[roster.partners[index, day]], truth)
        runs, frauds = [], []
        for vehicle, plan, driven_m in zip(roster.vehicles, trips, started_m, strict=True):
            made, tricks = self._declarations.declare(vehicle, day, plan, driven_m, labels[vehicle.index])
            runs += made
            frauds += tricks
        table = self._devices.sent(day, trips, labels, truth)
        self._positions += table.num_rows
        writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._write_bulletins(day, runs, frauds, truth)
        self._write_truth(day, trips, labels, truth)
        self._report(day - dt.timedelta(days=1), self._first_departures(trips))
        for vehicle, plan in zip(roster.vehicles, trips, strict=True):
            if vehicle.mode != "positions":
                seen = [(trip, movement) for trip in plan for movement in trip.movements]
                self._reported.setdefault(vehicle.index, []).extend(seen)

    def _plan(self, vehicle: Vehicle, day: dt.date, kind: str) -> list[Trip]:
        if (vehicle.index, day) not in self._roster.operates:
            return []
        habit = self._roster.habits.get(vehicle.index, "")
        if habit == "O07" and day not in car_days(self._roster.days):
            habit = ""
        return self._planner.plan(vehicle, day, self._devices.states[vehicle.index].driven_m, kind, habit)

    def _write_bulletins(self, day: dt.date, runs: list[Run], frauds: list[Fraud], truth: Truth) -> None:
        numbers: dict[int, int] = {}
        for code, _ in CARRIERS:
            own = sorted((run for run in runs if run.vehicle.carrier_code == code), key=lambda run: run.start_s)
            cells = [run.cells(number) for run, number in self._repeated if run.vehicle.carrier_code == code]
            for run in own:
                self._numbers[code] += 1
                numbers[id(run)] = self._numbers[code]
                cells.append(run.cells(self._numbers[code]))
                if run.is_dated_by_shift:
                    held = (run.start_s, run.end_s)
                    operational_date = run.declared_date + dt.timedelta(days=1)
                    truth.trap(
                        Trap("shift_day_date", run.vehicle.plate, operational_date, *held, str(numbers[id(run)]))
                    )
            self._declared += len(cells)
            if cells:
                _write_csv(self._out / "inbox" / "bulletins" / f"boletim_{day}_{code}.csv", list(HEADER), cells)
        for run, number in self._repeated:
            truth.fraud("D09", run.vehicle.plate, run.declared_date, number)
        for fraud in frauds:
            named = numbers[id(fraud.run)] if fraud.run else iso(fraud.trip.departs_s) if fraud.trip else ""
            if fraud.rule_id != "D09":
                truth.fraud(fraud.rule_id, fraud.vehicle.plate, fraud.operational_date, named)
        self._repeated = [(self._declarations.a_day_later(run), numbers[id(run)]) for run in runs if run.fraud == "D09"]

    def _write_truth(self, day: dt.date, trips: list[list[Trip]], labels: dict[int, str], truth: Truth) -> None:
        for vehicle, plan in zip(self._roster.vehicles, trips, strict=True):
            own = [*self._late.pop(vehicle.index, []), *(trip for trip in plan if trip.operational_date == day)]
            late = [trip for trip in plan if trip.operational_date != day]
            if late:
                self._late[vehicle.index] = late
            truth.vehicle_day(vehicle, day, own, labels[vehicle.index])
            for trip in plan:
                name_trip(trip, truth)
                if trip.purpose == "service":
                    self._routes.add(trip)
            habit = self._roster.habits.get(vehicle.index)
            if habit == "T04" and day.isoweekday() == 7 and own:
                truth.fraud("T04", vehicle.plate, day, "")

    def _first_departures(self, trips: list[list[Trip]]) -> dict[int, int]:
        return {number: plan[0].departs_s for number, plan in enumerate(trips) if plan}

    def _report(self, day: dt.date, next_s: dict[int, int]) -> None:
        """Writes the movements that start on a local day, once the departure after each of them is known."""
        devices = self._roster.devices_on(day)
        blocks: dict[str, list[Block]] = {}
        for index, seen in sorted(self._reported.items()):
            vehicle = self._roster.vehicles[index]
            end_s = midnight_s(vehicle, day, 1)
            today = [pair for pair in seen if pair[1].start_s < end_s]
            self._reported[index] = later = [pair for pair in seen if pair[1].start_s >= end_s]
            if today:
                following = later[0][1].start_s if later else next_s.get(index)
                blocks.setdefault(vehicle.carrier_code, []).append(
                    Block(vehicle, devices[index].device_id, today, following))  # fmt: skip
        for code, name in CARRIERS:
            if code in blocks:
                path = self._out / "inbox" / "visit_reports" / f"relatorio_visita_{day}_{code}.csv"
                path.write_bytes(visit_report(name, day, blocks[code], self._seed))


def _period_s(first: dt.date, last: dt.date) -> tuple[int, int]:
    bounds = (first, last + dt.timedelta(days=1))
    return tuple(int(dt.datetime.combine(day, dt.time(), UNITS[0].zone).timestamp()) for day in bounds)  # type: ignore[return-value]


def _write_table(folder: Path, table: Table, rows: Rows) -> None:
    cells = [[row.get(name) for name in table.column_names] for row in rows]
    _write_csv(folder / f"{table.name}.csv", table.column_names, cells)


def _write_csv(path: Path, header: list[str], rows: list) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
