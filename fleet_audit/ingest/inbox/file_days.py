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
from fleet_audit.ingest.files import days_of_inbox_file, legible_text, parse_inbox_file
from fleet_audit.ingest.incomplete.days import dates_in_name
from fleet_audit.logic.primitives.cycles import days_between
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

    Of a file of which no row is accepted the days in its name and those that are legible, which become incomplete; none
    when there are neither.

    A night shift's bulletin names the day before, a run before `night_departure_h` may be of a trip that started before
    midnight, and the first positions of a day are the tail of the day before. `parameters` are rows of
    `ref.parameters`.
    """
    if file.kind == "reference":
        return FileDays()
    try:
        found = days_of_inbox_file(file, content, settings, now)
    except RejectedFile:
        return _refused_days(file, content, settings, now, is_refused=True)
    if not found.named:
        return _refused_days(file, content, settings, now, is_refused=False)
    before, after = _REACH[file.kind]
    reached = {day + offset for day in found.named for offset in (-before, _NONE, after)}
    early = {
        day
        for day, first_s in found.first_departure_s.items()
        if first_s < parameters_on(day, parameters).night_departure_h * 3600
    }
    return FileDays(found.named, spans_of(reached | {day - _DAY for day in early}))


def _refused_days(
    file: InboxFile, content: bytes, settings: Settings, now: dt.datetime, *, is_refused: bool
) -> FileDays:
    days = {*dates_in_name(file.name), *legible_text(file.kind, content, settings, now, {}, {}).days}
    return FileDays(frozenset(days), spans_of(days), is_refused)


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
    return bridged([(day, day) for day in days], 0)


def bridged(spans: Sequence[Span], gap_days: int) -> list[Span]:
    """The spans in order; those with at most `gap_days` days between them as one."""
    result: list[Span] = []
    for first, last in sorted(spans):
        if result and first <= result[-1][1] + dt.timedelta(days=1 + gap_days):
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def received_at(warehouse: Warehouse, sha256: str, name: str) -> pd.Timestamp | None:
    """When a run has read these bytes under this name; None when none has."""
    key = {"sha256": sha256, "name": name}
    sql = "select received_at from ops.ingested_files where file_sha256 = :sha256 and file_name = :name"
    return next(iter(warehouse.read(sql, key)["received_at"]), None)


def computed_at(warehouse: Warehouse, days: Iterable[dt.date]) -> dict[dt.date, pd.Timestamp]:
    """When each of the days was computed, as far as it was: the instant of the vehicle that was computed first."""
    found = warehouse.read(
        "select operational_date, min(updated_at) as at from fact.vehicle_day_coverage "
        "where operational_date = any(cast(:days as date[])) group by operational_date",
        {"days": sorted(set(days))},
    )
    return dict(zip(found["operational_date"], found["at"], strict=True))


def days_in(spans: Iterable[Span]) -> list[dt.date]:
    """Each day of the spans."""
    return [day for span in spans for day in days_between(*span)]


def outdated_spans(
    received: pd.Timestamp, computed: Mapping[dt.date, pd.Timestamp], spans: Iterable[Span], named: Collection[dt.date]
) -> list[Span]:
    """What of the spans has to be run for a file that a run has read.

    Those are the days that were computed before it arrived, and those that the file names and that never were: one
    unfinished day does not ask for the others, nor for a neighbour that nobody has run yet.

    Args:
        received: when the file was read.
        computed: when each day was computed (`computed_at`).
        spans: days whose results the file can change.
        named: days that it names.
    """
    return spans_of(day for day in days_in(spans) if (computed[day] <= received if day in computed else day in named))
