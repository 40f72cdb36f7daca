"""Simulates a fleet: an inbox, the data set of a telemetry API, and the truth behind both, day by day.

Here belong the loop over days and the writing. Each part of the world has its own module beside this one.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fleet_audit.simulation.declarations import HEADER, Declarations, Fraud, Run
from fleet_audit.simulation.motion import PARKED_STEP_S, Track, VehicleState, day_track
from fleet_audit.simulation.roster import TRAPS, Device, Roster, Vehicle, make_roster
from fleet_audit.simulation.schedule import DayPlanner, Movement, Trip
from fleet_audit.simulation.tables import Prices, RouteBook, reference_rows
from fleet_audit.simulation.traps import Trap, hold_back, send_twice, spring
from fleet_audit.simulation.truth import Truth, iso
from fleet_audit.simulation.visit_report import Block, visit_report
from fleet_audit.simulation.world import CARRIERS, World

POSITIONS = pa.schema([
    ("device_id", pa.string()),
    ("timestamp", pa.timestamp("us", tz="UTC")),
    ("latitude", pa.float64()),
    ("longitude", pa.float64()),
    ("speed_kmh", pa.float64()),
    ("odometer_km", pa.float64()),
    ("ignition", pa.bool_()),
    ("driver_id", pa.string()),
    ("passengers", pa.int64()),
    ("uploaded_at", pa.timestamp("us", tz="UTC")),
])  # fmt: skip
TAIL_S = 3_600  # positions go on for so long after the last night trip, so that its end is seen


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
    progress: Callable[[str], None] | None = None,
) -> SimulationSummary:  # fmt: skip
    """Writes `out/inbox`, `out/api/positions.parquet` and `out/truth`; the same arguments give the same bytes.

    Memory holds one day of the fleet at a time.

    Raises ValueError when there is no vehicle or no day.
    """
    if vehicles < 1 or date_to < date_from:
        raise ValueError("A simulation needs at least one vehicle, and a last day not before the first")
    days = [date_from + dt.timedelta(days=number) for number in range((date_to - date_from).days + 1)]
    simulation = _Simulation(Path(out), seed, make_roster(seed, vehicles, days, frauds=frauds), frauds)
    return simulation.run(progress or (lambda _: None))


class _Simulation:
    def __init__(self, out: Path, seed: int, roster: Roster, frauds: bool) -> None:
        self._out, self._seed, self._roster, self._frauds = out, seed, roster, frauds
        days = roster.days
        self._world = World(seed, days[len(days) // 2] if len(days) > 1 else None)
        self._planner = DayPlanner(self._world, seed)
        self._declarations = Declarations(self._world, seed)
        self._routes = RouteBook()
        self._states = [self._parked(vehicle) for vehicle in roster.vehicles]
        self._numbers = dict.fromkeys((code for code, _ in CARRIERS), 0)
        self._late: dict[int, list[Trip]] = {}  # trips that start on the day after their plan's
        self._reported: dict[int, list[tuple[Trip, Movement]]] = {}
        self._positions = 0
        for folder in ("reference", "visit_reports", "bulletins"):
            (out / "inbox" / folder).mkdir(parents=True, exist_ok=True)
        (out / "api").mkdir(parents=True, exist_ok=True)

    def run(self, progress: Callable[[str], None]) -> SimulationSummary:
        prices = Prices(self._roster)
        with (
            pq.ParquetWriter(self._out / "api" / "positions.parquet", POSITIONS, compression="zstd") as writer,
            Truth(self._out / "truth", prices, names_lost_money=self._frauds) as truth,
        ):
            for day in self._roster.days:
                progress(f"{day:%d/%m/%Y}")
                self._day(day, writer, truth)
            after = self._roster.days[-1] + dt.timedelta(days=1)
            self._report(after - dt.timedelta(days=1), {})
            self._report(after, {})
            for index, trips in sorted(self._late.items()):
                truth.vehicle_day(self._roster.vehicles[index], after, trips, "")
        for table, rows in reference_rows(self._world, self._roster, self._routes):
            path = self._out / "inbox" / "reference" / f"{table.name}.csv"
            _write_csv(path, table.column_names, [[row.get(name) for name in table.column_names] for row in rows])
        return SimulationSummary(
            vehicles=len(self._roster.vehicles),
            days=len(self._roster.days),
            positions=self._positions,
            trips=truth.counts["trips"],
            declared_runs=sum(self._numbers.values()),
            frauds=truth.counts["frauds"],
            traps=truth.counts["traps"],
            service_km=truth.service_km,
            variable_cost_brl=truth.variable_cost_brl,
        )

    def _parked(self, vehicle: Vehicle) -> VehicleState:
        first = self._roster.days[0]
        garage = self._world.place(vehicle.garage_id, first)
        start_s = _midnight(vehicle, first) - PARKED_STEP_S + vehicle.index % PARKED_STEP_S
        return VehicleState(vehicle, self._world.road(garage, garage).base_m, start_s)

    def _day(self, day: dt.date, writer: pq.ParquetWriter, truth: Truth) -> None:
        labels = {vehicle.index: self._roster.labels.get((vehicle.index, day), "") for vehicle in self._roster.vehicles}
        trips, runs, frauds = [], [], []
        for vehicle, state in zip(self._roster.vehicles, self._states, strict=True):
            label = labels[vehicle.index]
            operates = (vehicle.index, day) in self._roster.operates
            plan = self._planner.plan(vehicle, day, state.driven_m, extras=not label) if operates else []
            made, tricks = self._declarations.declare(vehicle, day, plan, state.driven_m, label)
            trips.append(plan)
            runs += made
            frauds += tricks
        self._write_positions(day, trips, labels, writer, truth)
        self._write_bulletins(day, runs, frauds, truth)
        self._write_truth(day, trips, labels, truth)
        self._report(day - dt.timedelta(days=1), self._first_departures(trips))
        for vehicle, plan in zip(self._roster.vehicles, trips, strict=True):
            if vehicle.mode != "positions":
                seen = [(trip, movement) for trip in plan for movement in trip.movements]
                self._reported.setdefault(vehicle.index, []).extend(seen)

    def _write_positions(self, day: dt.date, trips: list[list[Trip]], labels: dict[int, str],
                         writer: pq.ParquetWriter, truth: Truth) -> None:  # fmt: skip
        devices = self._devices_on(day)
        for vehicle, plan in zip(self._roster.vehicles, trips, strict=True):
            self._states[vehicle.index].offset_tenths += self._swap_offset(devices[vehicle.index], day)
            if not vehicle.has_positions and plan:
                self._states[vehicle.index].driven_m = plan[-1].movements[-1].driven_to_m
        order = sorted(
            (vehicle.index for vehicle in self._roster.vehicles if vehicle.has_positions),
            key=lambda index: devices[index].device_id,
        )
        if not order:
            return
        states = [self._states[index] for index in order]
        noise = np.random.default_rng([self._seed, day.toordinal()])
        bounds = [(_midnight(state.vehicle, day), _midnight(state.vehicle, day, 1)) for state in states]
        until_s = [end for _, end in bounds]
        if day == self._roster.days[-1]:
            until_s = [max([end, *(trip.off_s + TAIL_S for trip in trips[index])])
                       for end, index in zip(until_s, order, strict=True)]  # fmt: skip
        track = day_track(self._world, states, [trips[index] for index in order], until_s, noise)
        keep = np.ones(len(track.instant_s), dtype=bool)
        for place, index in enumerate(order):
            is_late = (index, day) in self._roster.late
            if not is_late and labels[index] not in _LABELS_OF_DEVICES:
                continue
            rows = track.rows_of(place)
            if is_late:
                held_back = hold_back(track, rows, bounds[place], noise)
                truth.trap(Trap("late_upload", self._roster.vehicles[index].plate, day, *held_back))
            if labels[index] not in _LABELS_OF_DEVICES:
                continue
            keep[rows], held = spring(labels[index], track, rows, trips[index], bounds[place], noise)
            if held is not None and labels[index] != "D06":
                truth.trap(Trap(labels[index], self._roster.vehicles[index].plate, day, *held))
            if labels[index] == "odometer_reset" and held is not None:
                _reset_odometer(track, rows, held[0], states[place])
        track, is_poorer = send_twice(track.take(keep), noise)
        table = _table(track, is_poorer, [devices[index].device_id for index in order])
        self._positions += table.num_rows
        writer.write_table(table, row_group_size=max(1, table.num_rows))

    def _devices_on(self, day: dt.date) -> dict[int, Device]:
        return {
            device.vehicle: device
            for device in self._roster.devices
            if device.valid_from <= day and (device.valid_to is None or day <= device.valid_to)
        }

    def _swap_offset(self, device: Device, day: dt.date) -> int:
        """A new device counts on from its own reading."""
        return device.offset_tenths if device.valid_from == day else 0

    def _write_bulletins(self, day: dt.date, runs: list[Run], frauds: list[Fraud], truth: Truth) -> None:
        numbers: dict[int, int] = {}
        for code, _ in CARRIERS:
            own = sorted((run for run in runs if run.vehicle.carrier_code == code), key=lambda run: run.start_s)
            cells = []
            for run in own:
                self._numbers[code] += 1
                numbers[id(run)] = self._numbers[code]
                cells.append(run.cells(self._numbers[code]))
            if cells:
                _write_csv(self._out / "inbox" / "bulletins" / f"boletim_{day}_{code}.csv", list(HEADER), cells)
        for fraud in frauds:
            reference = numbers[id(fraud.run)] if fraud.run else iso(fraud.trip.departs_s) if fraud.trip else ""
            truth.fraud(fraud.rule_id, fraud.vehicle.plate, fraud.operational_date, reference)

    def _write_truth(self, day: dt.date, trips: list[list[Trip]], labels: dict[int, str], truth: Truth) -> None:
        for vehicle, plan in zip(self._roster.vehicles, trips, strict=True):
            own = [*self._late.pop(vehicle.index, []), *(trip for trip in plan if trip.operational_date == day)]
            late = [trip for trip in plan if trip.operational_date != day]
            if late:
                self._late[vehicle.index] = late
            truth.vehicle_day(vehicle, day, own, labels[vehicle.index])
            for trip in plan:
                if trip.purpose == "service":
                    self._routes.add(trip)

    def _first_departures(self, trips: list[list[Trip]]) -> dict[int, int]:
        return {number: plan[0].departs_s for number, plan in enumerate(trips) if plan}

    def _report(self, day: dt.date, next_s: dict[int, int]) -> None:
        """Writes the movements that start on a local day, once the departure after each of them is known."""
        devices = self._devices_on(day)
        blocks: dict[str, list[Block]] = {}
        for index, seen in sorted(self._reported.items()):
            vehicle = self._roster.vehicles[index]
            end_s = _midnight(vehicle, day, 1)
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


_LABELS_OF_DEVICES = (*TRAPS, "D06")


def _midnight(vehicle: Vehicle, day: dt.date, days_later: int = 0) -> int:
    local = dt.datetime.combine(day + dt.timedelta(days=days_later), dt.time(), vehicle.unit.zone)
    return int(local.timestamp())


def _reset_odometer(track: Track, rows: slice, at_s: int, state: VehicleState) -> None:
    """From an instant on the device counts from 0."""
    after = rows.start + int(np.searchsorted(track.instant_s[rows], at_s))
    if after < rows.stop:
        reading = int(track.odometer_tenths[after])
        track.odometer_tenths[after : rows.stop] -= reading
        state.offset_tenths -= reading


def _table(track: Track, is_poorer: np.ndarray, devices: list[str]) -> pa.Table:
    """Positions with the API's fields; a poorer copy has no odometer and no driver."""

    def texts(codes: np.ndarray, values: list[str], missing: np.ndarray | None = None) -> pa.Array:
        indices = pa.array(codes.astype(np.int32), mask=missing)
        return pa.DictionaryArray.from_arrays(indices, pa.array(values, pa.string())).cast(pa.string())

    return pa.Table.from_arrays([
        texts(track.owner, devices),
        pa.array(track.instant_s * 1_000_000).cast(POSITIONS.field("timestamp").type),
        pa.array(track.latitude),
        pa.array(track.longitude),
        pa.array(track.speed_kmh),
        pa.array(track.odometer_tenths / 10, mask=is_poorer),
        pa.array(track.ignition),
        texts(track.driver, track.drivers, (track.driver < 0) | is_poorer),
        pa.array(track.passengers, mask=track.passengers < 0),
        pa.array(track.uploaded_s * 1_000_000).cast(POSITIONS.field("uploaded_at").type),
    ], schema=POSITIONS)  # fmt: skip


def _write_csv(path: Path, header: list[str], rows: list) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
