"""Where a stop can lie whose coordinates are rounded to cells.

Which coordinates are rounded is in `track.rounded_fixes`; which places a cell proves is in `documented_places`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.coordinate_grid import DEGREE_M
from fleet_audit.logic.trips.steps import Steps
from fleet_audit.logic.trips.track.points import Points

_SIDES = ("south", "north", "west", "east")


def stop_cells(points: Points, steps: Steps, stops: dict[str, np.ndarray], parameters: ParameterSet) -> pd.DataFrame:
    """stop (number), south, north, west, east and unit (degrees): where each stop that has cells and no fix can lie.

    Nothing states whether an export rounds or cuts decimals off, or to which side: the vehicle was within one `unit`
    of the last digit on either side. A stop keeps within `stop_radius_m`, so the cells that its points report in turn
    bound it together. Nothing bounds (NaN) a stop whose cells exclude each other or are false, nor one over which an
    odometer that counts whole km can stand while the vehicle drives.
    """
    cells = points.cells
    if not len(cells.point):  # of most fleets: grouping no rows takes 10 ms
        return pd.DataFrame({"stop": np.empty(0, dtype=np.int64), **{name: np.empty(0) for name in ("unit", *_SIDES)}})
    stop = np.searchsorted(stops["first"], cells.point, side="right") - 1
    is_inside = (stop >= 0) & (cells.point <= np.append(stops["last"], -1)[stop])
    longest_s = 3600 * steps.resolution_km[np.append(stops["track"], -1)[stop]] / parameters.standing_kmh
    is_inside &= np.isnan(np.append(stops["latitude"], 0.0)[stop])
    is_true = ~cells.is_false & (np.append(stops["standing_s"], 0)[stop] >= longest_s)
    found = pd.DataFrame(
        {
            "stop": stop,
            "latitude": np.where(is_true, cells.latitude, np.nan),
            "longitude": np.where(is_true, cells.longitude, np.nan),
            "unit": np.where(is_true, cells.degrees, np.nan),
        }
    )[is_inside]
    groups = found.groupby("stop").agg(
        lat_min=("latitude", "min"),
        lat_max=("latitude", "max"),
        lon_min=("longitude", "min"),
        lon_max=("longitude", "max"),
        unit=("unit", "max"),
    )
    unit, radius = groups["unit"], parameters.stop_radius_m / DEGREE_M
    side = radius / np.cos(np.radians(groups[["lat_min", "lat_max"]].abs().max(axis=1))).clip(lower=1e-6)
    rows = pd.DataFrame(
        {
            "stop": groups.index.to_numpy(),
            "unit": unit.to_numpy(),
            **dict(zip(("south", "north"), _bounds(groups["lat_min"], groups["lat_max"], unit, radius), strict=True)),
            **dict(zip(("west", "east"), _bounds(groups["lon_min"], groups["lon_max"], unit, side), strict=True)),
        }
    )
    sides = ["south", "north", "west", "east"]
    rows[sides] = rows[sides].where((rows["south"] <= rows["north"]) & (rows["west"] <= rows["east"]))
    return rows


def _bounds(
    lowest: pd.Series, highest: pd.Series, unit: pd.Series, radius: pd.Series | float
) -> tuple[np.ndarray, np.ndarray]:
    """The side of the lowest and of the highest cell, each as near as the other one allows."""
    low = np.maximum(lowest - unit, highest - unit - radius)
    high = np.minimum(highest + unit, lowest + unit + radius)
    return low.to_numpy(), high.to_numpy()
