"""What an odometer counts while its positions stand: between the readings that the legs around a stop are measured by.

A tracker that lies off the bus shows only so that the bus was driven. What it means is judged in `audit.rules`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.odometer import counted_at_rest
from fleet_audit.logic.trips.segmentation import Segmentation
from fleet_audit.logic.trips.track.points import instants


def dwell_readings(stops: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """First and last point of the readings of each stop, then of those from a stop to one right after it.

    Args:
        stops: `Segmentation.stops`.

    Only pairs of two different points. Legs and dwells together count what the odometer counted between splits.
    """
    arrival, departure = (stops[name].to_numpy() for name in ("arrival_reading", "departure_reading"))
    is_next = stops["first"].shift(-1).eq(stops["last"]).to_numpy()
    following = np.where(is_next, stops["arrival_reading"].shift(-1, fill_value=-1).to_numpy(), -1)
    first, last = np.concatenate([arrival, departure]), np.concatenate([departure, following])
    is_known = (first >= 0) & (last > first)
    return first[is_known], last[is_known]


def dwell_counts(segmentation: Segmentation, parameters: ParameterSet) -> pd.DataFrame:
    """Rows of `trips.dwell_counts`: each step from reading to reading of a dwell over which the odometer counted.

    `counted_km` is missing where it fell by more than its resolution or rose by more than impossible_kmh × Δt +
    odometer_slack_km: then the two readings are not of one odometer that holds.
    """
    tracks = segmentation.tracks
    readings = np.flatnonzero(~np.isnan(tracks.odometer_km))
    first, last = readings[:-1], readings[1:]
    begin, end = dwell_readings(segmentation.stops)
    order = np.argsort(begin, kind="stable")
    dwell = np.searchsorted(begin[order], first, side="right") - 1
    is_inside = (dwell >= 0) & (last <= np.append(end[order], -1)[dwell])
    counted = counted_at_rest(
        tracks.seconds,
        tracks.odometer_km,
        readings,
        is_inside,
        segmentation.steps.resolution_km[tracks.track_of(first)],
        parameters.impossible_kmh,
        parameters.odometer_slack_km,
    )
    is_counting = counted != 0
    first, last = first[is_counting], last[is_counting]
    owner = tracks.track_of(first)
    return pd.DataFrame(
        {
            "plate": tracks.index["plate"].to_numpy(dtype=object)[owner],
            "device_id": tracks.index["device_id"].to_numpy(dtype=object)[owner],
            "started_at": instants(tracks.seconds[first]),
            "ended_at": instants(tracks.seconds[last]),
            "counted_km": counted[is_counting],
        }
    )
