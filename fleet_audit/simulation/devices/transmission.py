"""What the devices of the fleet send in a day, with honest defects and frauds applied.

Here belongs the order in which tracks are made, disturbed and written as the API's rows. How each disturbance works is
in `traps`, `tampering` and `bad_devices`.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from fleet_audit.simulation.catalogue import DAY_TRAPS
from fleet_audit.simulation.devices.bad_devices import spoil
from fleet_audit.simulation.devices.motion import PARKED_STEP_S, Track, VehicleState, day_track
from fleet_audit.simulation.devices.tampering import TAMPERED, tamper
from fleet_audit.simulation.devices.traps import Trap, apply_trap, hold_back, send_backwards, send_twice
from fleet_audit.simulation.planning.roster import Device, Roster, Vehicle
from fleet_audit.simulation.planning.trips import Trip
from fleet_audit.simulation.planning.world import World
from fleet_audit.simulation.truth import Truth, iso

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
_SILENT = ("D06", "silent_day")
_LABELS_OF_DEVICES = (*(kind.name for kind in DAY_TRAPS if kind.where == "device"), "D06")


class Transmission:
    """The devices from day to day; `states` are where the vehicles stand, in order of index."""

    def __init__(self, roster: Roster, world: World, seed: int) -> None:
        self._roster, self._world, self._seed = roster, world, seed
        self.states = [self._parked(vehicle) for vehicle in roster.vehicles]
        self._yesterday: dict[int, Track] = {}  # of the vehicles whose device will send it again

    def sent(self, day: dt.date, trips: list[list[Trip]], labels: dict[int, str],
             truth: Truth) -> pa.Table:  # fmt: skip
        """Positions of a day, sorted by device and time; traps and frauds on them are named in the truth.

        Args:
            day: the local day, of each vehicle's zone.
            trips: of each vehicle in order of time.
            labels: of each vehicle, "" = none.
            truth: takes the names.
        """
        devices = self._roster.devices_on(day)
        for vehicle, plan in zip(self._roster.vehicles, trips, strict=True):
            self.states[vehicle.index].offset_tenths += self._swap_offset(devices[vehicle.index], day)
            if not vehicle.has_positions and plan:
                self.states[vehicle.index].driven_m = plan[-1].movements[-1].driven_to_m
        self._exchange_devices(day, devices, truth)
        order = sorted(
            (vehicle.index for vehicle in self._roster.vehicles if vehicle.has_positions),
            key=lambda index: devices[index].device_id,
        )
        if not order:
            return POSITIONS.empty_table()
        states = [self.states[index] for index in order]
        noise = np.random.default_rng([self._seed, day.toordinal()])
        bounds = [(midnight_s(state.vehicle, day), midnight_s(state.vehicle, day, 1)) for state in states]
        until_s = [end for _, end in bounds]
        if day == self._roster.days[-1]:
            until_s = [max([end, *(trip.off_s + TAIL_S for trip in trips[index])])
                       for end, index in zip(until_s, order, strict=True)]  # fmt: skip
        track = day_track(self._world, states, [trips[index] for index in order], until_s, noise)
        track = self._send_again(day, order, bounds, track, truth)
        keep = np.ones(len(track.instant_s), dtype=bool)
        for place, index in enumerate(order):
            rows = track.rows_of(place)
            kind = labels[index] if labels[index] != "out_of_order" else ""
            if labels[index] == "out_of_order":
                backwards = send_backwards(track, rows, bounds[place], noise)
                truth.trap(Trap("out_of_order", self._roster.vehicles[index].plate, day, *backwards))
            if (index, day) in self._roster.late:
                held_back = hold_back(track, rows, bounds[place], noise)
                truth.trap(Trap("late_upload", self._roster.vehicles[index].plate, day, *held_back))
            keep[rows] = self._disturb(kind, day, states[place], track, rows, trips[index], bounds[place], noise, truth)
        track = spoil(track.take(keep), [state.vehicle.defect for state in states])
        is_poorer = np.zeros(len(track.instant_s), dtype=bool)
        if "sent_twice" in self._roster.planted:
            known = len(track.instant_s)
            track, is_poorer = send_twice(track, noise)
            held = (min(start for start, _ in bounds), max(end for _, end in bounds))
            truth.trap(Trap("sent_twice", "", day, *held, str(len(track.instant_s) - known)))
        return _table(track, is_poorer, [devices[index].device_id for index in order], states)

    def _disturb(
        self, kind: str, day: dt.date, state: VehicleState, track: Track, rows: slice, trips: list[Trip],
        day_s: tuple[int, int], noise: np.random.Generator, truth: Truth,
    ) -> np.ndarray:  # fmt: skip
        """What a label does to a vehicle-day's positions, named in the truth; gives the rows that remain."""
        plate = state.vehicle.plate
        if kind in TAMPERED:
            done = tamper(kind, track, rows, trips, day_s, noise)
            state.offset_tenths += done.offset_tenths
            for reference_at in [iso(trip.departs_s) for trip in done.trips] or [""]:
                truth.fraud(kind, plate, day, reference_at, done.held_s)
            return done.keep
        if kind not in _LABELS_OF_DEVICES:
            return np.ones(rows.stop - rows.start, dtype=bool)
        keep, held = apply_trap(kind, track, rows, trips, day_s, noise)
        if held is None:
            return keep
        if kind == "odometer_reset":
            _reset_odometer(track, rows, held[0], state)
        if kind != "D06":
            within = [iso(trip.departs_s) for trip in trips if trip.departs_s <= held[0] < trip.arrives_s]
            truth.trap(Trap(kind, plate, day, *held, within[0] if within and kind == "dead_zone" else ""))
        return keep

    def _exchange_devices(self, day: dt.date, devices: dict[int, Device], truth: Truth) -> None:
        """O08: for a day two buses carry each other's device, whose odometer is the bus's; then they change back."""
        for (index, its_day), partner in self._roster.partners.items():
            if self._roster.labels[index, its_day] != "O08" or day not in (its_day, its_day + dt.timedelta(days=1)):
                continue
            if day == its_day:
                devices[index], devices[partner] = devices[partner], devices[index]
            for vehicle in (self._roster.vehicles[index], self._roster.vehicles[partner]):
                held = (
                    midnight_s(vehicle, day),
                    midnight_s(vehicle, day, 1) if day == its_day else midnight_s(vehicle, day),
                )
                shown = self._day_shown(vehicle, day)
                if day == its_day or shown > its_day:  # the day of the exchange is named already
                    truth.fraud("O08", vehicle.plate, shown, "", held)

    def _day_shown(self, vehicle: Vehicle, day: dt.date) -> dt.date:
        """Day on which a change of devices at the midnight that begins a day shows: a silent device shows it when it
        reports again, one whose clock is three hours behind dates it on the day before.
        """
        label = self._roster.labels.get((vehicle.index, day), "")
        if label == "clock_off":
            return day - dt.timedelta(days=1)
        return self._day_shown(vehicle, day + dt.timedelta(days=1)) if label in _SILENT else day

    def _send_again(self, day: dt.date, order: list[int], bounds: list[tuple[int, int]], track: Track,
                    truth: Truth) -> Track:  # fmt: skip
        """G05: what a device sent the day before comes again as today's; keeps what it will send again tomorrow."""
        tomorrow = day + dt.timedelta(days=1)
        for place, index in enumerate(order):
            if index in self._yesterday:
                again = self._yesterday.pop(index).a_day_later()
                self.states[index].offset_tenths += again.counted_tenths
                track = track.replaced(place, again)
                truth.fraud("G05", self._roster.vehicles[index].plate, day, "", bounds[place])
            if self._roster.labels.get((index, tomorrow)) == "G05":
                rows = track.rows_of(place)
                mask = np.zeros(len(track.instant_s), dtype=bool)
                mask[rows] = track.instant_s[rows] >= bounds[place][0]
                self._yesterday[index] = track.take(mask)
        return track

    def _swap_offset(self, device: Device, day: dt.date) -> int:
        """A new device counts on from its own reading."""
        return device.offset_tenths if device.valid_from == day else 0

    def _parked(self, vehicle: Vehicle) -> VehicleState:
        first = self._roster.days[0]
        garage = self._world.place(vehicle.garage_id, first)
        start_s = midnight_s(vehicle, first) - PARKED_STEP_S + vehicle.index % PARKED_STEP_S
        return VehicleState(vehicle, self._world.road(garage, garage).base_m, start_s)


def midnight_s(vehicle: Vehicle, day: dt.date, days_later: int = 0) -> int:
    """Local midnight of the vehicle's unit, epoch seconds."""
    local = dt.datetime.combine(day + dt.timedelta(days=days_later), dt.time(), vehicle.unit.zone)
    return int(local.timestamp())


def _reset_odometer(track: Track, rows: slice, at_s: int, state: VehicleState) -> None:
    """From an instant on the device counts from 0."""
    after = rows.start + int(np.searchsorted(track.instant_s[rows], at_s))
    if after < rows.stop:
        reading = int(track.odometer_tenths[after])
        track.odometer_tenths[after : rows.stop] -= reading
        state.offset_tenths -= reading


def _table(track: Track, is_poorer: np.ndarray, devices: list[str], states: list[VehicleState]) -> pa.Table:
    """Positions with the API's fields; a poorer copy has no odometer and no driver."""
    lacks_odometer, lacks_ignition = (
        np.array([state.vehicle.defect == defect for state in states])[track.owner]
        for defect in ("no_odometer", "no_ignition")
    )

    def texts(codes: np.ndarray, values: list[str], missing: np.ndarray | None = None) -> pa.Array:
        indices = pa.array(codes.astype(np.int32), mask=missing)
        return pa.DictionaryArray.from_arrays(indices, pa.array(values, pa.string())).cast(pa.string())

    return pa.Table.from_arrays([
        texts(track.owner, devices),
        pa.array(track.instant_s * 1_000_000).cast(POSITIONS.field("timestamp").type),
        pa.array(track.latitude),
        pa.array(track.longitude),
        pa.array(track.speed_kmh),
        pa.array(track.odometer_tenths / 10, mask=is_poorer | lacks_odometer),
        pa.array(track.ignition, mask=lacks_ignition),
        texts(track.driver, track.drivers, (track.driver < 0) | is_poorer),
        pa.array(track.passengers, mask=track.passengers < 0),
        pa.array(track.uploaded_s * 1_000_000).cast(POSITIONS.field("uploaded_at").type),
    ], schema=POSITIONS)  # fmt: skip
