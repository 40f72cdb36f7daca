"""What windows and devices make of the positions of a day's window, as work that another process may take.

Imports no Dagster: a process that takes it starts without.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from fleet_audit.logic.devices.device_health import DeviceDay, device_day
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.window import window_days
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.day_window import DayWindow, build_day_tracks, segment_day
from fleet_audit.logic.trips.track.position_arrays import POSITION_COLUMNS, PositionArrays
from fleet_audit.storage.table_days import LakeDays


@dataclass
class WindowPositions:
    """The positions of the windows of days that follow each other: a staging day is in the windows of four.

    Attributes:
        positions: `staging.positions`.
        is_kept: whether the days of a window stay in memory (60 bytes a position) for the next one.
    """

    positions: LakeDays
    is_kept: bool
    _known: Mapping[dt.date, PositionArrays] = field(default_factory=dict, repr=False)

    def of(self, day: dt.date) -> list[PositionArrays]:
        """The positions of D-2 … D+1, a part per day."""
        found = {known: self._known.get(known) or self._read(known) for known in window_days(day)}
        self._known = found if self.is_kept else {}
        return list(found.values())

    def _read(self, day: dt.date) -> PositionArrays:
        return PositionArrays.of(self.positions.read_arrow([day], POSITION_COLUMNS))


@dataclass(frozen=True)
class WindowInputs:
    """What the window of a day is made of beside positions: `visit_legs` are `staging.visit_legs` of D-2 … D+1."""

    day: dt.date
    visit_legs: pd.DataFrame
    parameters: ParameterSet


@dataclass(frozen=True)
class WindowOfDay:
    """Segments the window of a day."""

    positions: WindowPositions
    reference: Reference

    def __call__(self, inputs: WindowInputs) -> DayWindow:
        """Trips, legs, spans, rejected points and readings of the day."""
        day = inputs.day
        tracks = build_day_tracks(day, self.positions.of(day), self.reference)
        return segment_day(day, tracks, inputs.visit_legs, self.reference, inputs.parameters)


@dataclass(frozen=True)
class DeviceInputs:
    """What the devices of a day are judged by beside positions.

    Attributes:
        trips: `trips.trip_window` of D.
        runs: `staging.declared_runs` of DATA D-2 … D+1.
    """

    day: dt.date
    trips: pd.DataFrame
    runs: pd.DataFrame
    parameters: ParameterSet


@dataclass(frozen=True)
class DevicesOfDay:
    """Judges the devices of a day."""

    positions: WindowPositions
    reference: Reference

    def __call__(self, inputs: DeviceInputs) -> DeviceDay:
        """Odometer events of the day, and the health of each device."""
        rows = self.positions.of(inputs.day)
        return device_day(inputs.day, rows, inputs.trips, inputs.runs, self.reference, inputs.parameters)
