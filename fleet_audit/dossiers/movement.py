"""The movement in question of a finding or trip: its period, its points with rejected ones marked, legs, rows received.

The pictures and tables of it are in `reporting`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from fleet_audit.ingest.source_rows import ReceivedRow, items_of_pages, rows_of_files
from fleet_audit.installation import Installation
from fleet_audit.logic.primitives.cycles import ONE_DAY, days_between
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.validity import valid_on
from fleet_audit.reporting.drawing.track import Span, Track, mark_rejected
from fleet_audit.reporting.labels import ODOMETER_EVENTS
from fleet_audit.reporting.sections.divergences import DivergentGroup
from fleet_audit.reporting.sections.inputs import POSITION_COLUMNS, records
from fleet_audit.reporting.sections.proof.odometer_readings import MOST_EVENTS
from fleet_audit.schema import lake as tables
from fleet_audit.storage.lake import Lake, one_of
from fleet_audit.storage.warehouse import Warehouse

_AROUND = dt.timedelta(minutes=30)  # shown before and after the period in question


def movement_of(
    lake: Lake,
    subject: Mapping[str, Any],
    evidence: Mapping[str, Any],
    legs: Sequence[Mapping[str, Any]],
    reference: Reference,
) -> Track:
    """The vehicle's points around the period in question: odometer events, else runs and trips, else the day.

    A finding of a whole cycle that names none of them has no points: its days and trips prove it.
    """
    day, plate = subject["operational_date"], subject["plate"]
    zones = reference.units.set_index("unit_code")["timezone"].dropna().to_dict()
    zone = zones.get(subject["unit_code"], Track.zone)
    spans = _spans(evidence)
    midnight = pd.Timestamp(day, tz=zone)
    start = min((span.started_at for span in spans), default=midnight) - _AROUND
    end = max((span.ended_at for span in spans), default=midnight + ONE_DAY) + _AROUND
    devices = valid_on(reference.devices, day)
    own = {*devices.loc[devices["plate"] == plate, "device_id"]}
    own |= {row["device_id"] for name in ("trips", "events") for row in evidence.get(name, ()) if row.get("device_id")}
    days = _days(start, end) if spans or subject.get("cycle_start") is None else []
    points = lake.read_days(tables.STAGING_POSITIONS, days, filter=one_of("device_id", own))
    points = points[(points["recorded_at"] >= start) & (points["recorded_at"] <= end)]
    rejected = lake.read_days(tables.REJECTED_POINTS, days, filter=pc.field("plate") == (plate or ""))
    points = mark_rejected(points, rejected)
    places = valid_on(reference.pois, day).dropna(subset=["latitude", "longitude"])
    return Track(points.sort_values(["recorded_at", "device_id"]), spans, zone, records(places), _stops(legs))


def points_of_groups(lake: Lake, groups: Sequence[DivergentGroup]) -> pd.DataFrame:
    """Points of the groups' vehicles in their periods, the columns of `POSITION_COLUMNS`."""
    if not groups:
        return pd.DataFrame(columns=POSITION_COLUMNS)
    days = _days(min(group.period[0] for group in groups), max(group.period[1] for group in groups))
    plates = {device_id: group.plate for group in groups for device_id in group.device_ids}
    asked = ["device_id", "recorded_at", "latitude", "longitude"]
    points = lake.read_days(tables.STAGING_POSITIONS, days, asked, one_of("device_id", plates))
    points = points.assign(plate=points["device_id"].map(plates))
    rejected = lake.read_days(tables.REJECTED_POINTS, days, filter=one_of("plate", plates.values()))
    pairs = pd.MultiIndex.from_frame(rejected[["plate", "recorded_at"]].astype(object))
    is_rejected = pd.MultiIndex.from_frame(points[["plate", "recorded_at"]].astype(object)).isin(pairs)
    return points.assign(is_rejected=is_rejected)[list(POSITION_COLUMNS)]


def _stops(legs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Name, latitude and longitude of where the legs start and end."""
    ends = [(leg[end], leg[f"{end}_latitude"], leg[f"{end}_longitude"])
            for leg in legs for end in ("origin", "destination")]  # fmt: skip
    known = {name: (latitude, longitude) for name, latitude, longitude in ends if name and latitude is not None}
    return [
        {"name": name, "latitude": latitude, "longitude": longitude} for name, (latitude, longitude) in known.items()
    ]


def legs_of_trips(
    lake: Lake, warehouse: Warehouse, evidence: Mapping[str, Any], places: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Rows of `trips.legs` of the evidence's trips, with origin and destination as names or addresses."""
    ids = sorted(trip["trip_id"] for trip in evidence.get("trips", ()))
    days = warehouse.read(
        "select distinct operational_date as day from fact.trips where trip_id = any(string_to_array(:ids, ','))",
        {"ids": ",".join(ids)},
    )["day"]
    if days.empty:
        return []
    legs = lake.read_days(tables.LEGS, sorted(days), filter=one_of("trip_id", ids))
    return [
        {
            **leg,
            **{end: places.get(leg[f"{end}_poi_id"], leg[f"{end}_poi_id"]) or leg[f"{end}_address"]
               for end in ("origin", "destination")},
        }
        for leg in records(legs)
        if not leg["is_short"]
    ]  # fmt: skip


def received_rows(
    stores: Installation, evidence: Mapping[str, Any], track: Track, legs: Sequence[Mapping[str, Any]]
) -> list[ReceivedRow]:
    """The rows of files that the evidence names, and the positions that prove it, as they arrived."""
    lake, warehouse, key = stores.lake(), stores.warehouse(), stores.driver_key()
    rows = [*evidence.get("declared_runs", ()), *evidence.get("legs", ()), *legs]
    asked = {(row["file_sha256"], row["row_number"]): None for row in rows if row.get("file_sha256")}
    points = _proving_points(track)
    of_pages, of_files = points[points["source"] == "api"], points[points["source"] == "file"]
    items = [(row.device_id, row.recorded_at) for row in of_pages.itertuples()]
    asked |= {(row.file_sha256, int(row.row_number)): None for row in of_files.itertuples()}
    return [
        *(rows_of_files(lake, warehouse, asked, key) if asked else []),
        *(items_of_pages(lake, warehouse, stores.adapter(), items, key) if items else []),
    ]


def _proving_points(track: Track) -> pd.DataFrame:
    """Both readings of each odometer event, else first and last point of the periods in question, or of all."""
    points = track.points
    instants = {at for span in track.spans if span.readings_km for at in (span.started_at, span.ended_at)}
    if instants:
        return points[points["recorded_at"].dt.floor("s").isin(instants)]
    marked = points[track.is_marked(points["recorded_at"])]
    chosen = marked if len(marked) else points
    return chosen.iloc[[0, -1]] if len(chosen) > 1 else chosen


def _spans(evidence: Mapping[str, Any]) -> tuple[Span, ...]:
    events = evidence.get("events", ())[:MOST_EVENTS]
    if events:
        return tuple(
            Span(ODOMETER_EVENTS[row["kind"]], *_period(row), None, (row["odometer_from_km"], row["odometer_to_km"]))
            for row in events
        )
    runs = [row for row in evidence.get("declared_runs", ()) if row.get("started_at") and row.get("ended_at")]
    trips = [row for row in evidence.get("trips", ()) if row.get("started_at")]
    return (
        *(Span(f"ata {row.get('bulletin_number') or ''}".strip(), *_period(row), row.get("declared_km"))
          for row in runs),
        *(Span("viagem", *_period(row)) for row in trips),
    )  # fmt: skip


def _period(row: Mapping[str, Any]) -> tuple[dt.datetime, dt.datetime]:
    return dt.datetime.fromisoformat(row["started_at"]), dt.datetime.fromisoformat(row["ended_at"])


def _days(start: dt.datetime, end: dt.datetime) -> list[dt.date]:
    """Partitions of the lake that may hold the period, whatever the zone."""
    return days_between((start - ONE_DAY).date(), (end + ONE_DAY).date())
