"""Operational days that a file can change, and whether they were computed since it arrived.

Reading and recording files is in `file_reader`; asking for runs of these days is the sensor's work.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

import pandas as pd

from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.ingest.files import days_of_inbox_file, parse_inbox_file
from fleet_audit.ingest.incomplete_days import dates_in_name
from fleet_audit.logic.primitives.parameters import parameters_on
from fleet_audit.logic.reference.pending_devices import days_unblocked_by
from fleet_audit.schema.facts import PENDING_DEVICES
from fleet_audit.schema.reference import DEVICES
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import InboxFile
from fleet_audit.storage.warehouse import Warehouse

Span: TypeAlias = tuple[dt.date, dt.date]

_NONE, _DAY = dt.timedelta(0), dt.timedelta(days=1)
_REACH = {"visit_report": (_NONE, _NONE), "bulletin": (_NONE, _DAY), "telemetry": (_DAY, _NONE)}


@dataclass(frozen=True)
class FileDays:
    """The days that a file names, the spans of all days whose results it can change, and whether it is refused."""

    named: frozenset[dt.date] = frozenset()
    spans: Sequence[Span] = ()
    is_refused: bool = False


def days_of_file(
    file: InboxFile, content: bytes, settings: Settings, now: dt.datetime, parameters: pd.DataFrame | None = None
) -> FileDays:
    """Operational days whose results a file can change, as spans in order; none of a reference table.

    Of a refused file the days in its name, which become incomplete; none when its name has no date.

    A night shift's bulletin names the day before, a run before `night_departure_h` may be of a trip that started before
    midnight, and the first positions of a day are the tail of the day before. `parameters` are rows of
    `ref.parameters`.
    """
    if file.kind == "reference":
        return FileDays()
    try:
        found = days_of_inbox_file(file, content, settings, now)
    except RejectedFile:
        dates = dates_in_name(file.name)
        return FileDays(frozenset(dates), spans_of(dates), is_refused=True)
    before, after = _REACH[file.kind]
    reached = {day + offset for day in found.named for offset in (-before, _NONE, after)}
    early = {
        day
        for day, first_s in found.first_departure_s.items()
        if first_s < parameters_on(day, parameters).night_departure_h * 3600
    }
    return FileDays(found.named, spans_of(reached | {day - _DAY for day in early}))


def days_of_registration(file: InboxFile, content: bytes, warehouse: Warehouse, settings: Settings) -> list[Span]:
    """Days on which positions wait for a device that this version of `reference/devices` registers."""
    if PurePosixPath(file.name).stem != DEVICES.name:
        return []
    try:
        registered = parse_inbox_file(file, content, settings, dt.datetime.now(dt.UTC)).rows
    except RejectedFile:
        return []
    before, _ = _REACH["telemetry"]
    days = days_unblocked_by(warehouse.read_table(PENDING_DEVICES), registered)
    return spans_of(day - offset for day in days for offset in (_NONE, before))


def spans_of(days: Iterable[dt.date]) -> list[Span]:
    """The days as first and last of each uninterrupted stretch, in order."""
    spans: list[Span] = []
    for day in sorted(set(days)):
        if spans and day - spans[-1][1] == _DAY:
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return spans


@dataclass(frozen=True)
class ComputedDays:
    """When files were received, and when each day was computed, at the time of reading.

    Attributes:
        received: instant by (sha256, file name).
        computed: instant by day: that of its vehicle that was computed first.
    """

    received: Mapping[tuple[str, str], pd.Timestamp]
    computed: Mapping[dt.date, pd.Timestamp]

    @classmethod
    def read(cls, warehouse: Warehouse) -> ComputedDays:
        """All files and days."""
        files = warehouse.read("select file_sha256, file_name, received_at from ops.ingested_files", {})
        days = warehouse.read(
            "select operational_date, min(updated_at) as at from fact.vehicle_day_coverage group by operational_date",
            {},
        )
        names = zip(files["file_sha256"], files["file_name"], strict=True)
        return cls(
            dict(zip(names, files["received_at"], strict=True)),
            dict(zip(days["operational_date"], days["at"], strict=True)),
        )

    def remaining(self, sha256: str, name: str, spans: Iterable[Span], named: Collection[dt.date]) -> list[Span]:
        """What of the spans has to be run for a file: all when no run has read it.

        Else the days that were computed before it arrived, and those that the file names and that never were: one
        unfinished day does not ask for the others, nor for a neighbour that nobody has run yet.
        """
        received = self.received.get((sha256, name))
        if received is None:
            return list(spans)
        days = (first + dt.timedelta(days=at) for first, last in spans for at in range((last - first).days + 1))
        return spans_of(day for day in days if self._is_due(day, received, named))

    def was_read(self, sha256: str, name: str) -> bool:
        """Whether a run has read these bytes under this name."""
        return (sha256, name) in self.received

    def _is_due(self, day: dt.date, received: pd.Timestamp, named: Collection[dt.date]) -> bool:
        return self.computed[day] <= received if day in self.computed else day in named
