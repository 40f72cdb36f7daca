"""The evidence of a finding as a carrier reads it: the day in its order."""

from __future__ import annotations

import pandas as pd

from fleet_audit.reporting.sections.evidence import evidence_rows
from fleet_audit.reporting.sections.proof.odometer_readings import readings_grid

ZONE = "America/Sao_Paulo"


def test_runs_and_trips_stand_in_order_of_time_whatever_their_ids() -> None:
    hours = {"26": "17", "5": "09", "16": "10"}
    times = {name: {"started_at": f"2025-06-09T{hour}:00:00+00:00", "ended_at": f"2025-06-09T{hour}:40:00+00:00"}
             for name, hour in hours.items()}  # fmt: skip
    evidence = {
        "declared_runs": [{"bulletin_number": name, "odometer_start_km": 100.0, **at} for name, at in times.items()],
        "trips": [{"trip_id": name, **at} for name, at in times.items()],
    }
    listed = [(row["what"], row["number"]) for row in evidence_rows(evidence, ZONE, {})]
    assert listed == [(what, name) for what in ("corrida declarada", "viagem medida") for name in ("5", "16", "26")]
    points = pd.DataFrame({"recorded_at": pd.to_datetime([], utc=True), "odometer_km": [], "device_id": []})
    read = readings_grid(evidence, points, ZONE).column("at")
    assert read == sorted(read)
    assert len(read) == 6
