"""The odometer readings that prove a finding or measure a trip: of the device, of the bulletin, in order of time.

Which readings a rule compared is in its evidence; the chart of them is in `drawing.odometer_chart`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import ODOMETER_EVENTS
from fleet_audit.reporting.sections.evidence import in_order_of_time

FIELDS = (
    Field("what", "Leitura", width=34),
    Field("at", "Quando", width=19),
    Field("odometer_km", "Hodômetro (km)", Kind.KM, 14),
    Field("difference_km", "Diferença (km)", Kind.KM_DIFFERENCE, 13),
    Field("path_km", "Pelas posições (km)", Kind.KM, 14),
    Field("source", "Fonte", width=44),
)
MOST_EVENTS = 6  # of a day; the finding's sentence states how many there were


def readings_grid(evidence: Mapping[str, Any], points: pd.DataFrame, zone: str) -> Grid:
    """Both readings of each event; else first and last reading of each trip and run, with their differences."""
    rows = list(_of_events(evidence, zone))
    if not rows:
        rows = [*_of_trips(evidence, points, zone), *_of_runs(evidence, zone)]
    return grid_of(FIELDS, rows)


def local_second(instant: dt.datetime | str, zone: str) -> str:
    """`10/06/2025 06:15:30`, local."""
    at = dt.datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return f"{at.astimezone(ZoneInfo(zone)):%d/%m/%Y %H:%M:%S}"


def _of_events(evidence: Mapping[str, Any], zone: str) -> Iterator[dict[str, Any]]:
    for event in evidence.get("events", ())[:MOST_EVENTS]:
        name, device = ODOMETER_EVENTS[event["kind"]], f"equipamento {event['device_id']}"
        before, after = _km(event["odometer_from_km"]), _km(event["odometer_to_km"])
        yield {
            "what": f"antes: {name}",
            "at": local_second(event["started_at"], zone),
            "odometer_km": before,
            "source": device,
        }
        yield {
            "what": f"depois: {name}",
            "at": local_second(event["ended_at"], zone),
            "odometer_km": after,
            "difference_km": after - before if after is not None and before is not None else None,
            "path_km": _km(event.get("path_km")),
            "source": device,
        }


def _of_trips(evidence: Mapping[str, Any], points: pd.DataFrame, zone: str) -> Iterator[dict[str, Any]]:
    readings = points[points["odometer_km"].notna()]
    for trip in in_order_of_time(evidence, "trips"):
        start, end = (dt.datetime.fromisoformat(trip[name]) for name in ("started_at", "ended_at"))
        own = readings[(readings["recorded_at"] >= start) & (readings["recorded_at"] <= end)]
        own = own[own["device_id"] == trip["device_id"]] if trip.get("device_id") else own
        if len(own) < 2:
            continue
        first, last = own.iloc[0], own.iloc[-1]
        source = f"viagem {trip['trip_id']}, equipamento {first['device_id']}"
        ends = (("primeira leitura da viagem", first), ("última leitura da viagem", last))
        for what, point in ends:
            yield {
                "what": what,
                "at": local_second(point["recorded_at"], zone),
                "odometer_km": _km(point["odometer_km"]),
                "difference_km": _km(last["odometer_km"] - first["odometer_km"]) if point is last else None,
                "path_km": _km(trip.get("km_gps")) if point is last else None,
                "source": source,
            }


def _of_runs(evidence: Mapping[str, Any], zone: str) -> Iterator[dict[str, Any]]:
    for run in in_order_of_time(evidence, "declared_runs"):
        start, end = _km(run.get("odometer_start_km")), _km(run.get("odometer_end_km"))
        if start is None and end is None:
            continue
        source = f"ata {run.get('bulletin_number') or 'sem número'}, {run.get('file_name') or 'arquivo'}, " + (
            f"linha {run.get('row_number')}"
        )
        for what, key, reading in (
            ("KM SAÍDA declarado", "started_at", start),
            ("KM CHEGADA declarado", "ended_at", end),
        ):
            yield {
                "what": what,
                "at": local_second(run[key], zone) if run.get(key) else None,
                "odometer_km": reading,
                "difference_km": end - start if key == "ended_at" and end is not None and start is not None else None,
                "source": source,
            }


def _km(value: Any) -> Decimal | None:
    return None if value is None or pd.isna(value) else Decimal(str(round(float(value), 3)))
