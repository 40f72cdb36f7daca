"""The reference tables as one object, with the questions that the pipeline asks of them.

Which dated rows hold on a day is in `validity`; places have their own index in `places`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.reference.validity import join_days, validity, vehicles_on, zones_by_plate, zones_of
from fleet_audit.schema import reference
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.facts import REFERENCE_CHANGES

_KEPT_VIEWS = 11  # of a range run of 8 days with those that its windows read; 8 MB each of 25,000 vehicles
_View = TypeVar("_View", pd.DataFrame, pd.Series)


@dataclass(frozen=True)
class Reference:
    """Each table of `schema.reference` as a frame of its columns, and the changes inside open cycles."""

    units: pd.DataFrame
    carriers: pd.DataFrame
    contracts: pd.DataFrame
    vehicles: pd.DataFrame
    devices: pd.DataFrame
    drivers: pd.DataFrame
    pois: pd.DataFrame
    shifts: pd.DataFrame
    routes: pd.DataFrame
    tariffs: pd.DataFrame
    fixed_costs: pd.DataFrame
    km_plan: pd.DataFrame
    calendar: pd.DataFrame
    invoices: pd.DataFrame
    exceptions: pd.DataFrame
    parameters: pd.DataFrame
    sample_reviews: pd.DataFrame
    reference_changes: pd.DataFrame

    @classmethod
    def of(cls, frames: Mapping[str, pd.DataFrame]) -> Reference:
        """The object of frames by table name; a table that is absent is empty, an unknown name is a TypeError."""
        empty = {table.name: table for table in (*reference.TABLES, REFERENCE_CHANGES) if table.name not in frames}
        tables: dict[str, Any] = {**frames, **{name: empty_frame(table) for name, table in empty.items()}}
        return cls(**tables)

    def with_tables(self, **frames: pd.DataFrame) -> Reference:
        """The same reference with other frames in place of the named tables."""
        return replace(self, **frames)

    def tables(self) -> dict[str, pd.DataFrame]:
        """The frames by table name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def carrier_codes(self) -> set[str]:
        """Codes of the carriers that any table names."""
        named = (frame["carrier_code"].dropna() for frame in (self.carriers, self.vehicles, self.contracts))
        return {code for codes in named for code in codes}

    def vehicles_on(self, day: dt.date) -> pd.DataFrame:
        """One row per plate with a valid row on the day, its contract and zone: `validity.vehicles_on`."""
        held = self._held("vehicles", day) + self._held("contracts", day)
        return self._kept("vehicles", held, lambda: vehicles_on(self.vehicles, self.contracts, self.units, day))

    def vehicles_on_days(self, days: Iterable[dt.date]) -> pd.DataFrame:
        """`vehicles_on` of each day, with the day in `operational_date`."""
        return join_days(self.vehicles_on, days)

    def zones(self, plates: pd.Series, day: dt.date) -> pd.Series:
        """IANA zone of each plate as of the day: `validity.vehicle_zones`."""
        held = self._held("vehicles", day)
        return zones_of(plates, self._kept("zones", held, lambda: zones_by_plate(self.vehicles, self.units, day)))

    def __getstate__(self) -> dict[str, pd.DataFrame]:
        """The tables alone: the processes of a range of days compute their own views."""
        return self.tables()

    def _held(self, table: str, day: dt.date) -> bytes:
        """Which rows of the table hold on the day, as bits: days that follow each other mostly have the same."""
        periods: dict[str, tuple[np.ndarray, np.ndarray]] = self.__dict__.setdefault("_periods", {})
        if table not in periods:
            periods[table] = validity(getattr(self, table))
        starts, ends = periods[table]
        at = as_days(day)
        return np.packbits((starts <= at) & (at <= ends)).tobytes()

    def _kept(self, name: str, held: bytes, compute: Callable[[], _View]) -> _View:
        """A copy of what `compute` returns for the rows that hold; steps ask some twenty times, and for several days.

        Twelve vehicles' view takes 8 ms, which a day asked for 34 times, and its windows' days have the same one.
        """
        kept: dict[str, dict[bytes, _View]] = self.__dict__.setdefault("_views", {})
        views = kept.setdefault(name, {})
        if held not in views:
            if len(views) >= _KEPT_VIEWS:
                del views[next(iter(views))]
            views[held] = compute()
        return views[held].copy(deep=False)
