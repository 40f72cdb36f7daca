"""The movement of a trip or finding as pictures: the vehicle's own points in its own days, from the lake.

The periods come from rows that PostgreSQL shows to the reader. A point is drawn where it lies in a measured trip of
these rows, or where its device was registered to the vehicle on the day in question: what a device or vehicle did
elsewhere before or after is not shown.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from fleet_audit.access.web.site import Site, Visit
from fleet_audit.reporting.drawing.odometer_chart import odometer_chart
from fleet_audit.reporting.drawing.track import Span, Track
from fleet_audit.reporting.drawing.track_map import track_map
from fleet_audit.schema import lake as tables

_AROUND = dt.timedelta(minutes=15)  # shown before and after the periods
_LONGEST = dt.timedelta(hours=36)  # of all periods: a cycle is read day by day
_DAY = dt.timedelta(days=1)
_MOST_SPANS = 12  # of one picture: more names than that hide each other


def movement_pictures(
    site: Site,
    visit: Visit,
    plate: str,
    day: dt.date,
    zone: str,
    trips: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Map and chart of km over time as SVG; empty without points.

    `trips` are rows with device_id, started_at, ended_at, origin_name and destination_name, `runs` with started_at,
    ended_at, bulletin_number and declared_km, all of this vehicle and of the reader; without both the day is drawn.
    """
    spans = _spans(trips, runs)
    midnight = pd.Timestamp(day, tz=zone)
    start = min((span.started_at for span in spans), default=midnight) - (_AROUND if spans else dt.timedelta(0))
    end = max((span.ended_at for span in spans), default=midnight + _DAY) + (_AROUND if spans else dt.timedelta(0))
    if end - start > _LONGEST:
        return []
    points = _own_points(site, visit, plate, day, (pd.Timestamp(start), pd.Timestamp(end)), zone, trips)
    if points.empty:
        return []
    track = Track(points, spans, zone, _places(site, visit, day), _stops(points, trips))
    pictures = (track_map(track, heading=plate), odometer_chart(track))
    return [picture for picture in pictures if picture is not None]


def _spans(trips: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> tuple[Span, ...]:
    found = [
        Span(f"ata {run['bulletin_number']}" if run.get("bulletin_number") else "corrida", run["started_at"],
             run["ended_at"], None if run.get("declared_km") is None else float(run["declared_km"]))
        for run in runs if run.get("started_at") and run.get("ended_at")
    ]  # fmt: skip
    found = found or [Span("viagem", trip["started_at"], trip["ended_at"]) for trip in trips]
    return tuple(sorted(found, key=lambda span: span.started_at)[:_MOST_SPANS])


def _own_points(
    site: Site,
    visit: Visit,
    plate: str,
    day: dt.date,
    period: tuple[Any, Any],
    zone: str,
    trips: Sequence[Mapping[str, Any]],
) -> pd.DataFrame:
    start, end = period
    devices = site.relations.rows(visit.session, "devices", lambda c: (c.plate == plate,))
    ids = {row["device_id"] for row in devices} | {trip["device_id"] for trip in trips if trip.get("device_id")}
    days = [day.date() for day in pd.date_range(start.tz_convert(zone).date(), end.tz_convert(zone).date())]
    days = sorted({*days, days[0] - _DAY, days[-1] + _DAY})  # folders are days of one zone, whatever the unit's
    columns = ["device_id", "recorded_at", "latitude", "longitude", "odometer_km"]
    points = site.lake.read_days(tables.STAGING_POSITIONS, days, columns, pc.field("device_id").isin(sorted(ids)))
    points = points[(points["recorded_at"] >= start) & (points["recorded_at"] <= end)]
    local = points["recorded_at"].dt.tz_convert(zone).dt.date
    is_own = pd.Series(False, index=points.index)
    for row in devices:
        if (row["valid_from"] or day) <= day <= (row["valid_to"] or day):
            is_own |= (points["device_id"] == row["device_id"]).fillna(False) & (local == day)
    for trip in trips:
        within = (points["recorded_at"] >= trip["started_at"]) & (points["recorded_at"] <= trip["ended_at"])
        is_own |= within & (points["device_id"] == trip["device_id"]).fillna(False)
    points = points[is_own.astype(bool)]
    rejected = site.lake.read_days(tables.REJECTED_POINTS, days, filter=pc.field("plate") == plate)
    reasons = rejected.drop_duplicates("recorded_at").set_index("recorded_at")["reason_code"]
    reason = points["recorded_at"].map(reasons)
    points = points.assign(is_rejected=reason.notna() & (reason != "no_fix"))
    return points.sort_values(["recorded_at", "device_id"]).reset_index(drop=True)


def _places(site: Site, visit: Visit, day: dt.date) -> list[dict[str, Any]]:
    """The registered places of that day, for profiles that read the register."""
    rows = site.relations.rows(visit.session, "pois")
    return [
        row for row in rows
        if row["latitude"] is not None and (row["valid_from"] or day) <= day <= (row["valid_to"] or day)
    ]  # fmt: skip


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
