"""What windows and devices make of the positions of a day's window, as work that another process may take.

Imports no Dagster: a process that takes it starts without.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from fleet_audit.engine.chunks import Chunk
from fleet_audit.logic.devices.device_health import VehicleDevices, device_tracks, vehicle_devices
from fleet_audit.logic.devices.exchanges import LEFT_READINGS, WINDOW_EVENTS
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.window import window_days
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.day_window import DayWindow, build_day_tracks, segment_day
from fleet_audit.logic.trips.track.position_arrays import POSITION_COLUMNS, PositionArrays
from fleet_audit.schema.facts import DEVICE_HEALTH, TRIP_WINDOW
from fleet_audit.schema.lake import DWELL_COUNTS, LEGS, OBSERVED_SPANS, READINGS, REJECTED_POINTS, ROUNDED_VEHICLES
from fleet_audit.storage.lake import TextFilter
from fleet_audit.storage.table_days import LakeDays

WINDOW_PARTS = {
    "trips": TRIP_WINDOW,
    "legs": LEGS,
    "spans": OBSERVED_SPANS,
    "rejected": REJECTED_POINTS,
    "readings": READINGS,
    "dwells": DWELL_COUNTS,
    "rounded": ROUNDED_VEHICLES,
}  # of `DayWindow`
DEVICE_PARTS = {"events": WINDOW_EVENTS, "left": LEFT_READINGS, "health": DEVICE_HEALTH}  # of `VehicleDevices`


@dataclass(frozen=True)
class DayVehicles:
    """A day of a chunk of the fleet, or of the whole fleet where it is not cut; `parameters` are those in force."""

    day: dt.date
    parameters: ParameterSet
    chunk: Chunk | None = None

    @property
    def of_plates(self) -> TextFilter | None:
        """The rows of these vehicles."""
        return None if self.chunk is None else TextFilter("plate", self.chunk.plates)

    @property
    def of_devices(self) -> TextFilter | None:
        """The rows of the devices that were ever in these vehicles."""
        return None if self.chunk is None else TextFilter("device_id", self.chunk.device_ids)

    def reference(self, given: Reference) -> Reference:
        """The reference with these vehicles: `given`, where it is that of the whole fleet."""
        return given if self.chunk is None else self.chunk.reference(given)


@dataclass
class WindowPositions:
    """The positions of the windows of days that follow each other: a staging day is in the windows of four.

    Attributes:
        positions: `staging.positions`.
        is_kept: whether the days of a window stay in memory (60 bytes a position) for the next one, of a fleet that is
            not cut. In several processes they do not: 0.3 GB of 500 vehicles in each of them, for days of which each
            process takes every other one.
    """

    positions: LakeDays
    is_kept: bool
    _known: Mapping[dt.date, PositionArrays] = field(default_factory=dict, repr=False)

    def of(self, vehicles: DayVehicles) -> list[PositionArrays]:
        """The positions of D-2 … D+1, a part per day."""
        days, is_kept = window_days(vehicles.day), self.is_kept and vehicles.chunk is None
        found = {day: self._known.get(day) or self._read(day, vehicles.of_devices) for day in days}
        self._known = found if is_kept else {}
        pa.default_memory_pool().release_unused()  # reading a window of 500 vehicles leaves 0.2 GB of it
        return list(found.values())

    def _read(self, day: dt.date, wanted: TextFilter | None) -> PositionArrays:
        return PositionArrays.of(self.positions.read_arrow([day], POSITION_COLUMNS, wanted))


@dataclass(frozen=True)
class WindowOfDay:
    """Segments the window of a day; `visit_legs` is `staging.visit_legs`, `runs` is `staging.declared_runs`."""

    positions: WindowPositions
    visit_legs: LakeDays
    runs: LakeDays
    reference: Reference

    def files(self, day: dt.date) -> dict[str, int | None]:
        """The files that a day is computed from, with their sizes; None: there is none."""
        days = window_days(day)
        return self.positions.positions.sizes(days) | self.visit_legs.sizes(days) | self.runs.sizes(days)

    def __call__(self, vehicles: DayVehicles) -> DayWindow:
        """Trips, legs, spans, rejected points, readings, dwells and vehicles with rounded coordinates of the day."""
        day, reference = vehicles.day, vehicles.reference(self.reference)
        tracks = build_day_tracks(day, self.positions.of(vehicles), reference)
        visit_legs, runs = (
            table.read(window_days(day), filter=vehicles.of_plates) for table in (self.visit_legs, self.runs)
        )
        return segment_day(day, tracks, visit_legs, runs, reference, vehicles.parameters)


@dataclass(frozen=True)
class DevicesOfDay:
    """The devices of a day, for `fleet_devices`; `trips` is `trips.trip_window`, `runs` is `staging.declared_runs`."""

    positions: WindowPositions
    trips: LakeDays
    runs: LakeDays
    reference: Reference

    def files(self, day: dt.date) -> dict[str, int | None]:
        """The files that a day is computed from, with their sizes; None: there is none."""
        days = window_days(day)
        return self.positions.positions.sizes(days) | self.runs.sizes(days) | self.trips.sizes([day])

    def __call__(self, vehicles: DayVehicles) -> VehicleDevices:
        """Odometer events of the window, readings that are left, and the health of each device."""
        day, reference = vehicles.day, vehicles.reference(self.reference)
        reported = device_tracks(day, self.positions.of(vehicles), reference)
        trips = self.trips.read([day], filter=vehicles.of_plates)
        runs = self.runs.read(window_days(day), filter=vehicles.of_plates)
        return vehicle_devices(day, reported, trips, runs, reference, vehicles.parameters)
