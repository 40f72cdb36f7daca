"""What every audited span offers to turn drafts into findings, whether it is a day or a cycle.

The inputs of the rules of a day are in `day.context`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Protocol

import pandas as pd

from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.primitives.parameters import ParameterSet


class Case(Protocol):
    """Inputs of a day or a cycle for turning drafts into findings."""

    @property
    def day(self) -> dt.date:
        """Date of what is found."""

    @property
    def identity(self) -> object:
        """Identity in a finding's id: the day or the cycle."""

    @property
    def legs(self) -> pd.DataFrame:
        """`trips.legs` of the trips, for the evidence."""

    @property
    def exceptions(self) -> pd.DataFrame:
        """`ref.exceptions`."""

    @property
    def parameters(self) -> ParameterSet:
        """Those in force."""

    @property
    def owners(self) -> dict[str, Record]:
        """unit_code and carrier_code by plate."""

    @property
    def foreign_runs(self) -> set[str]:
        """Runs that another carrier than the vehicle's wrote."""

    def trip_records(self, ids: Iterable[str]) -> dict[str, Record]:
        """Rows of trips by id."""

    def run_records(self, ids: Iterable[str]) -> dict[str, Record]:
        """Rows of declared runs by id."""
