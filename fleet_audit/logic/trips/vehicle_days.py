"""Operational days of vehicles that move between units of two time zones: each instant is in exactly one day.

Days of vehicles that stay in one zone are local days (`wall_clock`); this module covers vehicles whose zone changes.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import ONE_DAY, dates
from fleet_audit.logic.primitives.wall_clock import local_days, local_midnight
from fleet_audit.logic.reference.reference import Reference

_REACH = range(-4, 5)  # days around the computed one whose begin is known


@dataclass(frozen=True)
class VehicleDays:
    """When the days around one day begin for each vehicle whose zone changes then.

    A day begins at midnight in the zone of the unit that the vehicle belongs to on it, and lasts until the next one
    begins: where a later unit lies west, the earlier unit's last day has an hour more.
    """

    days: tuple[dt.date, ...]
    zones: dict[str, list[str]]
    begins: dict[str, list[pd.Timestamp]]

    @classmethod
    def around(cls, reference: Reference, day: dt.date) -> VehicleDays:
        """The days from four before to four after a day."""
        days = tuple(day + offset * ONE_DAY for offset in _REACH)
        plates = reference.vehicles["plate"]
        repeated = plates[plates.duplicated()].drop_duplicates().reset_index(drop=True)
        known = [reference.zones(repeated, one).to_list() for one in days]
        zones = {plate: list(of) for plate, *of in zip(repeated, *known, strict=True)}
        moving = {plate: of for plate, of in zones.items() if len(set(of)) > 1}
        begins = {
            plate: [local_midnight(one, ZoneInfo(zone)) for one, zone in zip(days, of, strict=True)]
            for plate, of in moving.items()
        }
        return cls(days, moving, begins)

    def of(self, plates: pd.Series, instants: pd.Series, zones: pd.Series) -> np.ndarray:
        """Operational day (datetime64[D]) of each instant; `zones`: those of the vehicles that do not move."""
        found = local_days(instants, zones)
        for row in np.flatnonzero(plates.isin(list(self.begins))):
            begins = self.begins[plates.iloc[row]]
            at = int(np.searchsorted(begins, instants.iloc[row], side="right")) - 1
            found[row] = np.datetime64(self.days[max(at, 0)])
        return found

    def bounds(self, plate: str, day: dt.date) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """First instant of a moving vehicle's day and of its next day; None for a vehicle that stays in its zone."""
        if plate not in self.begins:
            return None
        at = self.days.index(day)
        return self.begins[plate][at], self.begins[plate][at + 1]

    def redated(self, trips: pd.DataFrame, legs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Trips and their legs with the operational day and the zone of their vehicle at their start."""
        if not trips["plate"].isin(list(self.begins)).any():
            return trips, legs
        found = self.of(trips["plate"], trips["started_at"], trips["timezone"])
        zones = [
            self.zones[plate][self.days.index(day.item())] if plate in self.zones else zone
            for plate, day, zone in zip(trips["plate"], found, trips["timezone"], strict=True)
        ]
        trips = trips.assign(operational_date=dates(found), timezone=pd.Series(zones, index=trips.index, dtype="str"))
        day_of = trips.set_index("trip_id")["operational_date"]
        return trips, legs.assign(operational_date=day_of.reindex(legs["trip_id"]).array)
