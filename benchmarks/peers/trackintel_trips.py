"""trackintel: staypoints by its sliding window."""

from __future__ import annotations

import warnings

import geopandas
import numpy as np
import pandas as pd
import trackintel as ti
from harness import run
from joining import join, of_stops

warnings.simplefilter("ignore")


def trips(positions: str, places: str) -> dict:
    rows = pd.read_parquet(positions, columns=["device_id", "recorded_at", "latitude", "longitude"])
    rows = rows.dropna().drop_duplicates(["device_id", "recorded_at"]).sort_values(["device_id", "recorded_at"])
    codes, names = pd.factorize(rows["device_id"])
    points = geopandas.GeoDataFrame(
        {"user_id": codes, "tracked_at": rows["recorded_at"].to_numpy("datetime64[ns]")},
        geometry=geopandas.points_from_xy(rows["longitude"], rows["latitude"]),
        crs=4326,
    )
    points["tracked_at"] = points["tracked_at"].dt.tz_localize("UTC")
    _, stops = ti.Positionfixes(points).generate_staypoints(
        method="sliding", distance_metric="haversine", dist_threshold=150, time_threshold=3, gap_threshold=60,
        include_last=True,
    )  # fmt: skip
    arrived, left = (
        stops[name].dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64) / 1e6
        for name in ("started_at", "finished_at")
    )
    device = np.asarray(names, dtype=object)[stops["user_id"].to_numpy()]
    return join(of_stops(device, arrived, left, stops.geometry.y.to_numpy(), stops.geometry.x.to_numpy()), places)


if __name__ == "__main__":
    run(trips)
