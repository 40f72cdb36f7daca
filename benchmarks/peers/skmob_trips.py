"""scikit-mobility: its speed filter, its stay locations."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import skmob
from harness import run
from joining import join, of_stops
from skmob.preprocessing import detection, filtering

warnings.simplefilter("ignore")


def trips(positions: str, places: str) -> dict:
    rows = pd.read_parquet(positions, columns=["device_id", "recorded_at", "latitude", "longitude"])
    rows = rows.dropna().drop_duplicates(["device_id", "recorded_at"]).sort_values(["device_id", "recorded_at"])
    rows["recorded_at"] = rows["recorded_at"].dt.tz_localize(None)
    track = skmob.TrajDataFrame(
        rows, latitude="latitude", longitude="longitude", datetime="recorded_at", user_id="device_id"
    )
    stops = detection.stay_locations(
        filtering.filter(track, max_speed_kmh=150), minutes_for_a_stop=3, spatial_radius_km=0.15, leaving_time=True,
        stop_radius_factor=1.0, no_data_for_minutes=60,
    )  # fmt: skip
    arrived, left = (
        stops[name].to_numpy("datetime64[us]").astype(np.int64) / 1e6 for name in ("datetime", "leaving_datetime")
    )
    device = stops["uid"].to_numpy(dtype=object)
    return join(of_stops(device, arrived, left, stops["lat"].to_numpy(), stops["lng"].to_numpy()), places)


if __name__ == "__main__":
    run(trips)
