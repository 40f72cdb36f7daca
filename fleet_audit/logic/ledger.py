"""The ledger of a vehicle-day: where the odometer's kilometres went, and what is left over.

Readings come from the window's tracks, kilometres by purpose from its trips; a day without data is null, not zero.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.logic.coverage import clipped_to_day
from fleet_audit.logic.money import round_km
from fleet_audit.logic.parameters import ParameterSet
from fleet_audit.logic.reference_view import DEFAULT_ZONE
from fleet_audit.logic.segmentation import Segmentation, Steps, instants
from fleet_audit.logic.wall_clock import local_midnight

PURPOSE_COLUMNS = {
    "service": "service_km",
    "deadhead": "deadhead_km",
    "maintenance": "maintenance_km",
    "yard": "yard_km",
    "unknown": "unknown_km",
}
BALANCE_KM = 0.01  # RULES section 2, "Ledger"


def odometer_days(
    segmentation: Segmentation, trips: pd.DataFrame, day: dt.date, parameters: ParameterSet
) -> pd.DataFrame:
    """Rows of `trips.odometer_days`: what each device's odometer counted on a vehicle's operational day.

    A trip over midnight belongs whole to its start day: the day ends with its last trip (`trips`: those of positions,
    with plate, device_id, started_at, ended_at), and begins where the trip of the day before ended.
    """
    tracks, steps = segmentation.tracks, segmentation.steps
    bounds = _day_bounds(tracks.index, trips, day)
    rank = np.repeat(np.arange(len(tracks.index)), np.diff(tracks.offsets))
    origin = tracks.seconds.min() if len(tracks.seconds) else 0.0
    # One sorted key for all tracks: a window is shorter than 1e6 s, so tracks cannot mix.
    key = rank * 1e6 + (tracks.seconds - origin)
    low = np.searchsorted(key, np.arange(len(bounds)) * 1e6 + bounds["from_s"].to_numpy() - origin, side="left")
    high = np.searchsorted(key, np.arange(len(bounds)) * 1e6 + bounds["to_s"].to_numpy() - origin, side="right") - 1
    low = np.clip(low, tracks.offsets[:-1], tracks.offsets[1:])
    is_seen = high >= low
    kept = bounds[is_seen].reset_index(drop=True)
    low, high = low[is_seen], high[is_seen]
    # A leg is measured to the reading of its stop, a step after its arrival: a day that a trip ends goes as far.
    arrival = np.full(len(tracks.seconds), -1)
    arrival[segmentation.stops["first"]] = segmentation.stops["arrival_reading"]
    first = np.where(arrival[low] >= 0, arrival[low], steps.following_reading[low])
    last = np.where(arrival[high] >= 0, arrival[high], steps.previous_reading[high])
    has_readings = (first >= low) & (last >= first)
    resets, reset_km = _resets(tracks.odometer_km, steps, parameters)
    gaps = _gap_changes(tracks.odometer_km, steps)
    dwell = _dwell_changes(tracks.odometer_km, segmentation, parameters)

    def change(values: np.ndarray, to: np.ndarray, start: np.ndarray) -> np.ndarray:
        running = np.concatenate([[0.0], np.cumsum(values)])
        return np.where(has_readings, running[np.maximum(to, 0) + 1] - running[np.maximum(start, 0) + 1], np.nan)

    delta = (
        np.where(has_readings, tracks.odometer_km[last] - tracks.odometer_km[first], np.nan)
        if len(kept)
        else np.empty(0)
    )
    return pd.DataFrame(
        {
            "operational_date": [day] * len(kept),
            "plate": kept["plate"],
            "device_id": kept["device_id"],
            "first_reading_at": instants(np.where(has_readings, tracks.seconds[first], 0)).where(
                pd.Series(has_readings)
            ),
            "last_reading_at": instants(np.where(has_readings, tracks.seconds[last], 0)).where(pd.Series(has_readings)),
            "odometer_delta_km": delta - change(reset_km, last, first),
            "gap_km": change(gaps, last, first),
            "dwell_km": change(dwell, last, first),
            "odometer_resolution_km": steps.resolution_km[is_seen],
            "resets": np.nan_to_num(change(resets, last, first)).astype(int),
            "positions": high - low + 1,
        }
    )


def _day_bounds(index: pd.DataFrame, trips: pd.DataFrame, day: dt.date) -> pd.DataFrame:
    """First and last instant (s) of the operational day of each track."""
    spans = {
        zone: (local_midnight(day, ZoneInfo(zone)), local_midnight(day + dt.timedelta(days=1), ZoneInfo(zone)))
        for zone in index["timezone"].unique()
    }
    bounds = index.assign(
        from_at=index["timezone"].map(lambda zone: spans[zone][0]),
        to_at=index["timezone"].map(lambda zone: spans[zone][1]),
    )
    for side in ("from_at", "to_at"):
        over = trips.merge(bounds[["plate", "device_id", side]].drop_duplicates(), on=["plate", "device_id"])
        over = over[(over["started_at"] < over[side]) & (over["ended_at"] > over[side])]
        latest = over.groupby(["plate", "device_id"])["ended_at"].max()
        moved = latest.reindex(pd.MultiIndex.from_frame(bounds[["plate", "device_id"]])).set_axis(bounds.index)
        bounds[side] = moved.astype(bounds[side].dtype).fillna(bounds[side])
    bounds["from_s"] = [value.timestamp() for value in bounds["from_at"]]
    bounds["to_s"] = [value.timestamp() for value in bounds["to_at"]]
    return bounds


def _resets(odometer: np.ndarray, steps: Steps, parameters: ParameterSet) -> tuple[np.ndarray, np.ndarray]:
    """Where the odometer falls below `reset_below_km` and counts on: 1, and the change, at the reading after."""
    is_reset, reset_km = np.zeros(len(odometer)), np.zeros(len(odometer))
    faulty = np.flatnonzero(np.diff(steps.sums["odometer_faults"]) > 0) + 1
    before = steps.previous_reading[faulty - 1]
    following = np.append(steps.following_reading, -1)[faulty + 1]
    fell = odometer[faulty] - odometer[before]
    counts_on = (following < 0) | ~(odometer[following] < odometer[faulty])
    found = (before >= 0) & (fell < 0) & (odometer[faulty] < parameters.reset_below_km) & counts_on
    is_reset[faulty[found]], reset_km[faulty[found]] = 1.0, fell[found]
    return is_reset, reset_km


def _gap_changes(odometer: np.ndarray, steps: Steps) -> np.ndarray:
    """What the odometer counted over each step that splits, at the point after it."""
    result = np.zeros(len(odometer))
    after = np.flatnonzero(steps.is_split)
    after = after[after > 0]
    previous, following = steps.previous_reading[after - 1], steps.following_reading[after]
    is_known = (previous >= 0) & (following >= 0)
    change = np.where(is_known, odometer[following] - odometer[previous], 0.0)
    np.add.at(result, following[is_known], np.maximum(change[is_known], 0.0))
    return result


def _dwell_changes(odometer: np.ndarray, segmentation: Segmentation, parameters: ParameterSet) -> np.ndarray:
    """What the odometer counted inside each stop, and from it to one that follows at once, at the later reading.

    Between the readings that the legs around are measured by. More than a yard movement is not explained.
    """
    result = np.zeros(len(odometer))
    stops = segmentation.stops
    arrival, departure = (stops[name].to_numpy() for name in ("arrival_reading", "departure_reading"))
    is_next = stops["first"].shift(-1).eq(stops["last"]).to_numpy()
    following = stops["arrival_reading"].shift(-1, fill_value=-1).to_numpy()
    for first, last, is_asked in ((arrival, departure, True), (departure, following, is_next)):
        is_known = (first >= 0) & (last > first) & is_asked
        change = np.where(is_known, odometer[last] - odometer[first], 0.0)
        is_yard = is_known & (change >= 0) & (change < parameters.yard_max_km)
        np.add.at(result, last[is_yard], change[is_yard])
    return result


def km_ledger(
    day: dt.date, trips: pd.DataFrame, readings: pd.DataFrame, spans: pd.DataFrame, vehicles: pd.DataFrame
) -> pd.DataFrame:
    """Rows of `fact.km_ledger` without the trace columns, one for each vehicle in service or seen.

    Args:
        day: operational day.
        trips: the day's trips (plate, purpose, km_measured, km_uncertainty).
        readings: `odometer_days(...)`.
        spans: `trips.observed_spans` of its window; a vehicle that was not seen on the day, and neither moved nor was
            read, has no data: all its km are null.
        vehicles: plate, unit_code, carrier_code, timezone of the vehicles valid on the day.
    """
    by_purpose = trips.assign(km=trips["km_measured"].astype("float64")).pivot_table(
        index="plate", columns="purpose", values="km", aggfunc="sum"
    )
    plates = sorted({*vehicles["plate"], *by_purpose.index, *readings["plate"]})
    known = vehicles.drop_duplicates("plate").set_index("plate").reindex(plates)
    day_of = readings.groupby("plate")[["odometer_delta_km", "gap_km", "dwell_km"]].sum(min_count=1).reindex(plates)
    seen = clipped_to_day(spans, day, spans["plate"].map(known["timezone"]).fillna(DEFAULT_ZONE))
    is_seen = pd.Series(plates, index=plates).isin({*seen["plate"], *by_purpose.index, *readings["plate"]})
    columns = {
        name: by_purpose.get(purpose, pd.Series(dtype=float)).reindex(plates).fillna(0.0).where(is_seen)
        for purpose, name in PURPOSE_COLUMNS.items()
    }
    columns["yard_km"] = columns["yard_km"] + day_of["dwell_km"].fillna(0.0)
    explained = sum(columns.values(), day_of["gap_km"])
    residual = day_of["odometer_delta_km"] - explained
    stated = trips["km_uncertainty"].astype("float64").groupby(trips["plate"]).sum()
    resolutions = readings.groupby("plate")["odometer_resolution_km"].sum()
    uncertainty = stated.reindex(plates).fillna(0.0) + resolutions.reindex(plates).fillna(0.0)
    rounded = {
        name: round_km(values)
        for name, values in {
            "odometer_delta_km": day_of["odometer_delta_km"],
            **columns,
            "gap_km": day_of["gap_km"],
            "residual_km": residual,
            "uncertainty_km": uncertainty.where(is_seen),
        }.items()
    }
    is_balanced = (residual.abs() <= BALANCE_KM + uncertainty + 1e-9).astype("boolean").where(residual.notna())
    return pd.DataFrame(
        {
            "operational_date": [day] * len(plates),
            "plate": plates,
            "unit_code": known["unit_code"].to_numpy(),
            "carrier_code": known["carrier_code"].to_numpy(),
            **{name: values.array for name, values in rounded.items()},
            "is_balanced": is_balanced.array,
        }
    )
