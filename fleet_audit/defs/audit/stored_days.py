"""The inputs of a day's audit, read from the stores by the process that computes it.

Imports no Dagster: a process that takes a day starts without. The audit of the inputs is in `logic.audit.day`.
"""

import datetime as dt
from dataclasses import dataclass

import pandas as pd

from fleet_audit.logic.audit.day import AuditResult, DayInputs, audit_day
from fleet_audit.logic.devices.device_health import DeviceDay
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.window import window_days
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.model import TRACE_COLUMNS
from fleet_audit.storage.table_days import Days


@dataclass(frozen=True)
class StoredDayAudit:
    """Audits days by the same reference tables.

    Of a long range each process reads its own days: the run's process would read those of all, and send them.

    Attributes:
        windows, legs, spans, dwells, events, health, notes, runs: `trips.trip_window`, `legs`, `observed_spans`,
            `dwell_counts`, `odometer_events`, `fact.device_health`, `staging.source_notes`, `declared_runs`.
        incomplete: days on which a source is incomplete by our own fault (`incomplete.incomplete_sources`).
    """

    windows: Days
    legs: Days
    spans: Days
    dwells: Days
    events: Days
    health: Days
    notes: Days
    runs: Days
    incomplete: pd.DataFrame
    reference: Reference

    def __call__(self, day: tuple[dt.date, ParameterSet]) -> AuditResult:
        """The audit of a day, by these parameters."""
        operational_date, parameters = day
        return audit_day(self._inputs(operational_date), self.reference, parameters)

    def _inputs(self, day: dt.date) -> DayInputs:
        in_window = self.incomplete["operational_date"].isin(window_days(day))
        health = self.health.read([day]).drop(columns=[*TRACE_COLUMNS])
        return DayInputs(
            day=day,
            trips=self.windows.read([day]),
            legs=self.legs.read([day]),
            spans=self.spans.read([day]),
            dwells=self.dwells.read([day]),
            devices=DeviceDay(self.events.read([day]), health),
            runs=self.runs.read(window_days(day)),
            notes=self.notes.read([day]),
            incomplete=self.incomplete[in_window],
        )
