"""The legs of the trips in question: departure, arrival, and the km of each by odometer, GPS and visit report.

The trips themselves are in the evidence section.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.sections.proof.odometer_readings import local_second

FIELDS = (
    Field("trip_id", "Viagem", width=18),
    Field("number", "Trecho", Kind.INTEGER, 7),
    Field("started", "Saída", width=19),
    Field("ended", "Chegada", width=19),
    Field("from_to", "De / para", width=44),
    Field("km_odometer", "Hodômetro (km)", Kind.KM, 12),
    Field("km_gps", "GPS (km)", Kind.KM, 10),
    Field("km_reported", "Relatório (km)", Kind.KM, 11),
    Field("positions", "Posições", Kind.INTEGER, 9),
)


def legs_grid(legs: Iterable[Mapping[str, Any]], points: pd.DataFrame, zone: str) -> Grid:
    """One row per leg in order of start, with the number of positions that it rests on.

    `legs` are rows of `trips.legs` with `origin` and `destination` as names.
    """
    rows: list[dict[str, Any]] = []
    for leg in sorted(legs, key=lambda leg: (leg["started_at"], leg["leg_id"])):
        number = sum(1 for row in rows if row["trip_id"] == leg["trip_id"]) + 1
        rows.append(
            {
                "trip_id": leg["trip_id"],
                "number": number,
                "started": local_second(leg["started_at"], zone),
                "ended": local_second(leg["ended_at"], zone),
                "from_to": f"{leg.get('origin') or '?'} → {leg.get('destination') or '?'}",
                **{name: _km(leg.get(name)) for name in ("km_odometer", "km_gps", "km_reported")},
                "positions": positions_in(leg, points) if leg["source"] == "positions" else None,
            }
        )
    return grid_of(FIELDS, rows)


def positions_in(leg: Mapping[str, Any], points: pd.DataFrame) -> int:
    """Number of points of the leg's device between its start and end."""
    times = points["recorded_at"]
    own = (times >= leg["started_at"]) & (times <= leg["ended_at"])
    if leg.get("device_id"):
        own &= points["device_id"] == leg["device_id"]
    return int(own.sum())


def _km(value: Any) -> Decimal | None:
    return None if value is None or pd.isna(value) else Decimal(str(round(float(value), 3)))
