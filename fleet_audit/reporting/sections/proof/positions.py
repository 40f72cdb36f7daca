"""Positions of the period in question, as the vehicle sent them, each with the reason where it was rejected.

Which period is in question is decided by the case; the positions as bytes are among the rows as received.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.drawing.track import Span
from fleet_audit.reporting.locale import counted, number
from fleet_audit.reporting.sections.inputs import records
from fleet_audit.reporting.sections.proof.odometer_readings import local_second

FIELDS = (
    Field("at", "Quando", width=19),
    Field("device_id", "Equipamento", width=14),
    Field("odometer_km", "Hodômetro (km)", Kind.KM, 14),
    Field("speed_kmh", "Velocidade (km/h)", Kind.HOURS, 12),
    Field("ignition", "Ignição", width=10),
    Field("place", "Latitude; longitude", width=24),
    Field("state", "Situação", width=40),
)
_REASONS = {
    "impossible_speed": "recusada: velocidade impossível",
    "lone_outlier": "recusada: ponto isolado longe dos vizinhos",
    "parked_drift": "recusada: oscilação com o veículo parado",
    "no_fix": "sem coordenada válida: vale o hodômetro",
}
MOST_ROWS = 60
_AROUND = 3  # positions before and after a short period
_SHORT_S = 300
LONGEST_S = 36 * 3600  # a period of days is read trip by trip


def positions_of(points: pd.DataFrame, spans: tuple[Span, ...]) -> pd.DataFrame:
    """The points of the periods in question; around a period of minutes also the three before and after it."""
    chosen = np.zeros(len(points), dtype=bool)
    times = points["recorded_at"]
    for span in spans:
        inside = ((times >= span.started_at) & (times <= span.ended_at)).to_numpy(copy=True)
        if (span.ended_at - span.started_at).total_seconds() <= _SHORT_S and inside.any():
            first, last = np.flatnonzero(inside)[[0, -1]]
            inside[max(first - _AROUND, 0) : last + 1 + _AROUND] = True
        chosen |= inside
    return points[chosen]


def positions_grid(points: pd.DataFrame, spans: tuple[Span, ...], zone: str) -> tuple[Grid, str]:
    """At most 60 of these points, evenly chosen with both ends of each period, and a sentence that counts them all.

    A coordinate that the device did not send is empty, never zero.
    """
    chosen = positions_of(points, spans).reset_index(drop=True)
    kept = chosen
    if len(chosen) > MOST_ROWS:
        ends = {at for span in spans for at in (span.started_at, span.ended_at)}
        evenly = np.unique(np.linspace(0, len(chosen) - 1, MOST_ROWS).astype(int))
        is_end = chosen["recorded_at"].dt.floor("s").isin(ends).to_numpy()
        kept = chosen.iloc[sorted({*evenly, *np.flatnonzero(is_end)})]
    every = counted(len(chosen), "posição", "posições")
    note = f"{every} no período em questão" + (
        "." if len(kept) == len(chosen) else f"; aqui estão {number(len(kept), 0)}, escolhidas por igual."
    )
    return grid_of(FIELDS, [_row(row, zone) for row in records(kept)]), note


def _row(row: dict[str, Any], zone: str) -> dict[str, Any]:
    has_place = row["latitude"] is not None and row["longitude"] is not None
    state = _REASONS.get(row.get("reason_code") or "", "recusada") if row["is_rejected"] else "aceita"
    return {
        "at": local_second(row["recorded_at"], zone),
        "device_id": row["device_id"],
        "odometer_km": row["odometer_km"],
        "speed_kmh": row["speed_kmh"],
        "ignition": {True: "ligada", False: "desligada"}.get(row["ignition"]),
        "place": f"{row['latitude']:.5f}; {row['longitude']:.5f}".replace(".", ",") if has_place else None,
        "state": state,
    }
