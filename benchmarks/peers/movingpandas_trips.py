"""movingpandas: trajectories by device, gaps split, outliers cleaned, stops by its detector."""

from __future__ import annotations

import warnings

import geopandas
import movingpandas as mpd
import numpy as np
import pandas as pd
from harness import run
from joining import join, of_stops

warnings.simplefilter("ignore")


def trips(positions: str, places: str) -> dict:
    rows = pd.read_parquet(positions, columns=["device_id", "recorded_at", "latitude", "longitude"])
    rows = rows.dropna().drop_duplicates(["device_id", "recorded_at"]).sort_values(["device_id", "recorded_at"])
    rows["recorded_at"] = rows["recorded_at"].dt.tz_localize(None)
    points = geopandas.GeoDataFrame(
        rows[["device_id", "recorded_at"]],
        geometry=geopandas.points_from_xy(rows["longitude"], rows["latitude"]),
        crs=4326,
    )
    tracks = mpd.TrajectoryCollection(points, "device_id", t="recorded_at", min_length=0)
    tracks = mpd.OutlierCleaner(tracks).clean(v_max=150, units=("km", "h"))
    stops = mpd.TrajectoryStopDetector(tracks).get_stop_points(
        min_duration=pd.Timedelta(seconds=180).to_pytimedelta(), max_diameter=300
    )
    arrived, left = (
        stops[name].to_numpy("datetime64[us]").astype(np.int64) / 1e6 for name in ("start_time", "end_time")
    )
    device = stops["traj_id"].astype(str).str.split("_").str[0].to_numpy(dtype=object)
    return join(of_stops(device, arrived, left, stops.geometry.y.to_numpy(), stops.geometry.x.to_numpy()), places)


if __name__ == "__main__":
    run(trips)
