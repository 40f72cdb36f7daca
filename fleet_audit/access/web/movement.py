"""The movement of a trip or finding as pictures: the vehicle's own points in its own days, from the lake.

The periods come from rows that PostgreSQL shows to the reader. A point is drawn where it lies in a measured trip of
these rows, or where its device was registered to the vehicle on the day in question: what a device or vehicle did
elsewhere before or after is not shown.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from fleet_audit.logic.primitives.cycles import ONE_DAY, days_between
from fleet_audit.reporting.drawing.odometer_chart import odometer_chart
from fleet_audit.reporting.drawing.track import Span, Track, mark_rejected
from fleet_audit.reporting.drawing.track_map import track_map
from fleet_audit.schema import lake as tables
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.storage.lake import Lake, one_of

_AROUND = dt.timedelta(minutes=15)  # shown before and after the periods
_LONGEST = dt.timedelta(hours=36)  # of all periods: a cycle is read day by day
_MOST_SPANS = 12  # of one picture: more names than that hide each other


@dataclass(frozen=True)
class Subject:
    """What is drawn of one vehicle and day, all of it rows that PostgreSQL showed to the reader.

    `trips` have device_id, started_at, ended_at, origin_name and destination_name; `runs` started_at, ended_at,
    bulletin_number and declared_km. `devices` are rows of ref.devices of the plate, `places` registered places.
    """

    plate: str
    day: dt.date
    zone: str
    trips: Sequence[Mapping[str, Any]]
    runs: Sequence[Mapping[str, Any]]
    devices: Sequence[Mapping[str, Any]]
    places: Sequence[Mapping[str, Any]]


def movement_pictures(lake: Lake, subject: Subject) -> list[str]:
    """Map and chart of km over time as SVG, of the runs and trips, else of the day; empty without points."""
    spans = _spans(subject)
    around = _AROUND if spans else dt.timedelta(0)
    midnight = pd.Timestamp(subject.day, tz=subject.zone)
    start = pd.Timestamp(min((span.started_at for span in spans), default=midnight) - around)
    end = pd.Timestamp(max((span.ended_at for span in spans), default=midnight + ONE_DAY) + around)
    if end - start > _LONGEST:
        return []
    points = _own_points(lake, subject, start, end)
    if points.empty:
        return []
    places = [
        row for row in subject.places if row["latitude"] is not None and row["longitude"] is not None
        and _is_valid(row, subject.day)
    ]  # fmt: skip
    track = Track(points, spans, subject.zone, places, _stops(points, subject.trips))
    pictures = (track_map(track, heading=subject.plate), odometer_chart(track))
    return [picture for picture in pictures if picture is not None]


def _spans(subject: Subject) -> tuple[Span, ...]:
    found = [
        Span(f"ata {run['bulletin_number']}" if run.get("bulletin_number") else "corrida", run["started_at"],
             run["ended_at"], None if run.get("declared_km") is None else float(run["declared_km"]))
        for run in subject.runs if run.get("started_at") and run.get("ended_at")
    ]  # fmt: skip
    found = found or [Span("viagem", trip["started_at"], trip["ended_at"]) for trip in subject.trips]
    return tuple(sorted(found, key=lambda span: span.started_at)[:_MOST_SPANS])


def _own_points(lake: Lake, subject: Subject, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    ids = {row["device_id"] for row in (*subject.devices, *subject.trips) if row.get("device_id")}
    columns = ["device_id", "recorded_at", "latitude", "longitude", "odometer_km"]
    points = lake.read_days(
        tables.STAGING_POSITIONS, _days(start, end, PARTITION_ZONE), columns, one_of("device_id", ids)
    )
    points = points[(points["recorded_at"] >= start) & (points["recorded_at"] <= end)]
    is_own = pd.Series(False, index=points.index)
    on_day = points["recorded_at"].dt.tz_convert(subject.zone).dt.date == subject.day
    for row in subject.devices:
        if _is_valid(row, subject.day):
            is_own |= (points["device_id"] == row["device_id"]).fillna(False) & on_day
    for trip in subject.trips:
        within = (points["recorded_at"] >= trip["started_at"]) & (points["recorded_at"] <= trip["ended_at"])
        is_own |= within & (points["device_id"] == trip["device_id"]).fillna(False)
    points = points[is_own.astype(bool)]
    of_plate = pc.field("plate") == subject.plate
    rejected = lake.read_days(tables.REJECTED_POINTS, _days(start, end, subject.zone), filter=of_plate)
    return mark_rejected(points, rejected).sort_values(["recorded_at", "device_id"]).reset_index(drop=True)


def _days(start: pd.Timestamp, end: pd.Timestamp, zone: str) -> list[dt.date]:
    return days_between(start.tz_convert(zone).date(), end.tz_convert(zone).date())


def _is_valid(row: Mapping[str, Any], day: dt.date) -> bool:
    return bool((row["valid_from"] or day) <= day <= (row["valid_to"] or day))


def _stops(points: pd.DataFrame, trips: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Where the trips start and end, by the names that the reader's own trip list has."""
    seen = points[~points["is_rejected"]].dropna(subset=["latitude", "longitude"])
    found: dict[str, tuple[float, float]] = {}
    for trip in trips:
        own = seen[(seen["recorded_at"] >= trip["started_at"]) & (seen["recorded_at"] <= trip["ended_at"])]
        for name, at in ((trip.get("origin_name"), 0), (trip.get("destination_name"), -1)):
            if name and len(own):
                found.setdefault(name, (float(own["latitude"].iloc[at]), float(own["longitude"].iloc[at])))
    return [
        {"name": name, "latitude": latitude, "longitude": longitude} for name, (latitude, longitude) in found.items()
    ]
