"""Readings of one vehicle's device that continue another vehicle's odometer: two devices were exchanged.

Falls and jumps are found in `odometer_events`; whether the register explains an exchange belongs to the rule O08.
A reading may be continued by any vehicle of the fleet: what is computed of a part of it is joined before it is matched.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.track.points import instants
from fleet_audit.logic.trips.track.tracks import Tracks
from fleet_audit.schema.lake import ODOMETER_EVENTS
from fleet_audit.schema.model import Table, instant, real, text

COLUMNS = ["continued_plate", "continued_device_id", "continued_at", "continued_km", "is_mutual"]
WINDOW_EVENTS = replace(
    ODOMETER_EVENTS, columns=tuple(column for column in ODOMETER_EVENTS.columns if column.name not in COLUMNS)
)
LEFT_READINGS = Table(
    "trips",
    "left_readings",
    "Readings that their own device does not continue (in memory only)",
    (
        text("continued_plate", "Vehicle"),
        text("continued_device_id", "Device"),
        instant("continued_at", "When"),
        real("continued_km", "Reading", unit="km"),
        real("left_latitude", "Where, WGS 84", unit="°", nullable=True),
        real("left_longitude", "Where, WGS 84", unit="°", nullable=True),
    ),
)


def continued_readings(events: pd.DataFrame, left: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Reading of another plate that each fall or jump continues: `COLUMNS`, all null where there is none.

    A reading can be continued elsewhere only where its own device does not count on from it: the reading before a
    fall or jump, or the last one of a track that ends before the event. So two vehicles whose odometers happen to be
    equal are no exchange. It is continued where the new one lies within `exchange_km` of it, and a vehicle can have
    come from its place in the time between. Of several the closest counts, then the latest, then the lower plate.
    `is_mutual`: that plate's own event continues a reading of this plate, too.

    Args:
        events: `odometer_events` of the whole fleet, of all days of the window: kind, is_lone, plate, device_id,
            started_at, ended_at, odometer_from_km, odometer_to_km, latitude and longitude of both ends.
        left: `left_readings` of the whole fleet.
        parameters: exchange_km, reset_below_km, impossible_kmh, odometer_slack_km.
    """
    breaks = _breaks(events)
    breaks = breaks[breaks["odometer_to_km"] >= parameters.reset_below_km].reset_index(names="event")
    left = left.sort_values("continued_km", kind="stable")
    pairs = breaks.merge(_near(breaks, left, parameters.exchange_km), on="event")
    pairs = pairs[(pairs["plate"] != pairs["continued_plate"]) & (pairs["continued_at"] <= pairs["ended_at"])]
    pairs = pairs[_is_reachable(pairs, parameters)]
    pairs["off_km"] = (pairs["odometer_to_km"] - pairs["continued_km"]).abs()
    pairs = pairs.sort_values(
        ["event", "off_km", "continued_at", "continued_plate"], ascending=[True, True, False, True]
    )
    best = pairs.drop_duplicates("event")
    own = set(zip(best["plate"], best["continued_plate"], strict=True))
    is_mutual = [(there, here) in own for here, there in zip(best["plate"], best["continued_plate"], strict=True)]
    return best.assign(is_mutual=is_mutual).set_index("event")[COLUMNS].reindex(events.index)


def left_readings(events: pd.DataFrame, tracks: Tracks) -> pd.DataFrame:
    """Readings that their own device does not continue: before each fall or jump, and the last one of each track.

    Args:
        events: `odometer_events` of all days of the window.
        tracks: the window's points, of the same vehicles.
    """
    before = _breaks(events)[
        ["plate", "device_id", "started_at", "odometer_from_km", "latitude_from", "longitude_from"]
    ]
    has_reading = np.flatnonzero(~np.isnan(tracks.odometer_km))
    last = pd.Series(has_reading).groupby(tracks.track_of(has_reading)).last()
    owners = tracks.index.iloc[last.index]
    ends = pd.DataFrame({
        "plate": owners["plate"].to_numpy(dtype=object),
        "device_id": owners["device_id"].to_numpy(dtype=object),
        "started_at": instants(tracks.seconds[last]),
        "odometer_from_km": tracks.odometer_km[last],
        "latitude_from": tracks.latitude[last],
        "longitude_from": tracks.longitude[last],
    })  # fmt: skip
    found = pd.concat([before.astype(ends.dtypes.to_dict()), ends], ignore_index=True)
    return found.set_axis(LEFT_READINGS.column_names, axis=1)


def _breaks(events: pd.DataFrame) -> pd.DataFrame:
    return events[events["kind"].isin(["fall", "jump"]) & ~events["is_lone"].astype(bool)]


def _near(breaks: pd.DataFrame, left: pd.DataFrame, most_km: float) -> pd.DataFrame:
    """Each event with every left reading within `most_km` of its new one; `left` is sorted by its km."""
    km, to_km = left["continued_km"].to_numpy(), breaks["odometer_to_km"].to_numpy()
    low = np.searchsorted(km, to_km - most_km - 1e-9)
    counts = np.searchsorted(km, to_km + most_km + 1e-9) - low
    first = np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.arange(counts.sum()) - first + np.repeat(low, counts)
    return left.iloc[chosen].assign(event=np.repeat(breaks["event"].to_numpy(), counts))


def _is_reachable(pairs: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """Whether a vehicle can have driven from the left reading's place to the new one's; true where one is unknown."""
    ends = (pairs[name].to_numpy() for name in ("left_latitude", "left_longitude", "latitude_to", "longitude_to"))
    away_km = np.array([distance_m(*end) / 1000 for end in zip(*ends, strict=True)], dtype=float)
    seconds = (pairs["ended_at"] - pairs["continued_at"]).dt.total_seconds().to_numpy()
    return ~(away_km > parameters.drivable_km(seconds))
