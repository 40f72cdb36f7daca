"""The ledger of a vehicle-day: the odometer's kilometres by purpose, and the residual.

Readings come from the window's tracks, kilometres by purpose from its trips; a day without data is null, not zero.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.intervals import intervals, overlaps
from fleet_audit.logic.primitives.money import round_km
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.wall_clock import local_midnight
from fleet_audit.logic.primitives.window import Window
from fleet_audit.logic.reference.validity import DEFAULT_ZONE
from fleet_audit.logic.trips.coverage import clipped_to_day
from fleet_audit.logic.trips.dwells import dwell_readings
from fleet_audit.logic.trips.kernels.movements import span_points
from fleet_audit.logic.trips.segmentation import Segmentation
from fleet_audit.logic.trips.steps import Steps
from fleet_audit.logic.trips.track.points import instants
from fleet_audit.logic.trips.track.tracks import Tracks
from fleet_audit.logic.trips.vehicle_days import VehicleDays

PURPOSE_COLUMNS = {
    "service": "service_km",
    "deadhead": "deadhead_km",
    "maintenance": "maintenance_km",
    "yard": "yard_km",
    "unknown": "unknown_km",
}
BALANCE_KM = 0.01  # RULES section 2, "Ledger"


def odometer_days(
    segmentation: Segmentation,
    measured: pd.DataFrame,
    trips: pd.DataFrame,
    reported: pd.DataFrame,
    days: VehicleDays,
    day: dt.date,
    parameters: ParameterSet,
) -> pd.DataFrame:
    """Rows of `trips.odometer_days`: what each device's odometer counted on a vehicle's operational day.

    A trip over midnight belongs whole to its start day: the day ends with its last trip (`trips`: those of positions,
    with plate, device_id, operational_date, timezone, started_at, ended_at), and begins where the trip of the day
    before ended. One of a report (`reported`: plate, operational_date, started_at, ended_at, km) lasts until the
    silence ends that it lies in: the km that it reports there are of its own day, whichever day reads the silence.
    What a trip drove after the window of its own day is in no trip: it stays in the day on which it was driven, as
    residual. `measured` are `trips` as positions saw them, before reports were joined to them: what they did not see
    no odometer has to have read.
    """
    tracks, steps, stops = segmentation.tracks, segmentation.steps, segmentation.stops
    gaps, trips = _gap_changes(tracks, steps), _until_window_ends(trips)
    bounds = _day_bounds(tracks.index, _with_silences(trips, reported, gaps), days, day)
    low, high = span_points(tracks.seconds, tracks.offsets, bounds["from_s"].to_numpy(), bounds["to_s"].to_numpy())
    is_seen = high >= low
    kept = bounds[is_seen].reset_index(drop=True)
    low, high = low[is_seen], high[is_seen]
    # A leg is measured to the reading of its stop, a step after its arrival: a day that a trip ends goes as far.
    from_stop, to_stop = _arrival_readings(stops, low), _arrival_readings(stops, high)
    first = np.where(from_stop >= 0, from_stop, tracks.reading_from(low))
    last = np.where(to_stop >= 0, to_stop, tracks.reading_until(high))
    has_readings = (first >= low) & (last > first)  # one reading counts nothing, not zero
    has_readings &= ~_drives_unread(
        kept, measured, tracks.seconds[first], tracks.seconds[np.maximum(last, 0)], parameters.compare_step_s
    )
    row_of = np.where(is_seen, np.cumsum(is_seen) - 1, -1)

    def over_day(points: np.ndarray, values: np.ndarray, *, is_read: bool = True) -> np.ndarray:
        """Sum of the values that lie between the day's readings, or not between them, each track by itself."""
        row = row_of[tracks.track_of(points)]
        points, values, row = points[row >= 0], values[row >= 0], row[row >= 0]
        is_summed = is_read == ((points > first[row]) & (points <= last[row]))
        sums = np.bincount(row[is_summed], weights=values[is_summed], minlength=len(kept))
        return np.where(has_readings, sums, np.nan)

    resets, reset_km = _resets(tracks, steps, parameters)
    after, (own_km, other_km) = gaps["after"].to_numpy(), _reported_km(gaps, reported, day)
    delta = np.where(has_readings, tracks.odometer_km[last] - tracks.odometer_km[first], np.nan)
    delta += over_day(after, own_km, is_read=False) - over_day(after, other_km)
    return pd.DataFrame(
        {
            "operational_date": [day] * len(kept),
            "plate": kept["plate"],
            "device_id": kept["device_id"],
            "first_reading_at": instants(np.where(has_readings, tracks.seconds[first], 0)).where(
                pd.Series(has_readings)
            ),
            "last_reading_at": instants(np.where(has_readings, tracks.seconds[last], 0)).where(pd.Series(has_readings)),
            "odometer_delta_km": delta - over_day(resets, reset_km),
            "gap_km": over_day(after, gaps["km"].to_numpy() - own_km - other_km),
            "dwell_km": over_day(*_dwell_changes(tracks.odometer_km, stops, parameters)),
            "odometer_resolution_km": steps.resolution_km[is_seen],
            "resets": np.nan_to_num(over_day(resets, np.ones(len(resets)))).astype(int),
            "positions": high - low + 1,
        }
    )


def _reported_km(gaps: pd.DataFrame, reported: pd.DataFrame, day: dt.date) -> tuple[np.ndarray, np.ndarray]:
    """km of the trips of visit reports in each of `_gap_changes`, together at most its own: of the day, of other days.

    They are in a ledger as trips already: no km is in it twice. A trip in several silences is shared by its time.
    """
    pairs = overlaps(intervals(gaps), intervals(reported))
    at, trip = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    shared_us = pairs["overlap_us"].to_numpy(dtype=float)
    whole_us = np.bincount(trip, weights=shared_us, minlength=len(reported))
    km = np.nan_to_num(reported["km"].to_numpy(dtype=float))[trip] * shared_us / whole_us[trip]
    is_own = (reported["operational_date"] == day).to_numpy()[trip]
    own_km, other_km = (np.bincount(at, weights=km * of, minlength=len(gaps)) for of in (is_own, ~is_own))
    counted_km, taken_km = gaps["km"].to_numpy(), own_km + other_km
    part = np.divide(counted_km, taken_km, out=np.ones(len(gaps)), where=taken_km > counted_km)
    return own_km * part, other_km * part


def _with_silences(trips: pd.DataFrame, reported: pd.DataFrame, gaps: pd.DataFrame) -> pd.DataFrame:
    """`trips` and those of visit reports, each until the silence ends that it lies in: there its km are read."""
    pairs = overlaps(intervals(gaps), intervals(reported))
    silent = gaps.iloc[pairs["left"]].reset_index(drop=True)
    silent["started_at"] = reported["started_at"].to_numpy()[pairs["right"]]
    names = ["plate", "device_id", "started_at", "ended_at"]
    return pd.concat([trips[names], silent[names]], ignore_index=True) if len(silent) else trips[names]


def _until_window_ends(trips: pd.DataFrame) -> pd.DataFrame:
    """`trips`, each at most until the positions end that its own day reads: its km were counted as far as there."""
    keys = ["operational_date", "timezone"]
    ends = trips[keys].drop_duplicates()
    instants_of = [Window(day, ZoneInfo(zone)).positions_end for day, zone in ends.itertuples(index=False)]
    ends = ends.assign(read_until=pd.Series(instants_of, index=ends.index, dtype=trips["ended_at"].dtype))
    read_until = trips[keys].merge(ends, on=keys, how="left")["read_until"].set_axis(trips.index)
    return trips.assign(ended_at=trips["ended_at"].mask(trips["ended_at"] > read_until, read_until))


def _day_bounds(index: pd.DataFrame, trips: pd.DataFrame, days: VehicleDays, day: dt.date) -> pd.DataFrame:
    """First and last instant (s) of the operational day of each track."""
    spans = {
        zone: (local_midnight(day, ZoneInfo(zone)), local_midnight(day + dt.timedelta(days=1), ZoneInfo(zone)))
        for zone in index["timezone"].unique()
    }
    bounds = index.assign(
        from_at=index["timezone"].map(lambda zone: spans[zone][0]),
        to_at=index["timezone"].map(lambda zone: spans[zone][1]),
    )
    for row in np.flatnonzero(index["plate"].isin(list(days.begins))):
        bounds.loc[row, ["from_at", "to_at"]] = days.bounds(str(index["plate"].iloc[row]), day)
    for side in ("from_at", "to_at"):
        over = trips.merge(bounds[["plate", "device_id", side]].drop_duplicates(), on=["plate", "device_id"])
        over = over[(over["started_at"] < over[side]) & (over["ended_at"] > over[side])]
        latest = over.groupby(["plate", "device_id"])["ended_at"].max()
        moved = latest.reindex(pd.MultiIndex.from_frame(bounds[["plate", "device_id"]])).set_axis(bounds.index)
        bounds[side] = moved.astype(bounds[side].dtype).fillna(bounds[side])
    bounds["from_s"] = [value.timestamp() for value in bounds["from_at"]]
    bounds["to_s"] = [value.timestamp() for value in bounds["to_at"]]
    return bounds


def _drives_unread(
    bounds: pd.DataFrame, trips: pd.DataFrame, first_s: np.ndarray, last_s: np.ndarray, slack_s: float
) -> np.ndarray:
    """Which days have a trip that lasts more than `slack_s` beyond the first or the last reading.

    An odometer that stops in the middle of a day counted a part of it only, which says nothing about the whole.
    """
    spans = bounds[["plate", "device_id", "from_s", "to_s"]].assign(
        row=range(len(bounds)), first_s=first_s, last_s=last_s
    )
    driven = trips[["plate", "device_id"]].assign(
        **{name: [instant.timestamp() for instant in trips[f"{name}_at"]] for name in ("started", "ended")}
    )
    driven = driven.merge(spans, on=["plate", "device_id"])
    driven = driven[(driven["started"] >= driven["from_s"]) & (driven["started"] < driven["to_s"])]
    is_unread = (driven["ended"] - slack_s > driven["last_s"]) | (driven["started"] + slack_s < driven["first_s"])
    return np.isin(np.arange(len(bounds)), driven.loc[is_unread, "row"])


def _arrival_readings(stops: pd.DataFrame, points: np.ndarray) -> np.ndarray:
    """Point that the leg before is measured to, of each point at which a stop begins; -1 of any other."""
    return stops.set_index("first")["arrival_reading"].reindex(points, fill_value=-1).to_numpy()


def _resets(tracks: Tracks, steps: Steps, parameters: ParameterSet) -> tuple[np.ndarray, np.ndarray]:
    """Resets of the odometer below `reset_below_km`: the reading after, and the change."""
    odometer, faulty = tracks.odometer_km, steps.faults
    before, following = _readings_around(tracks, faulty)
    fell = odometer[faulty] - odometer[before]
    counts_on = (following < 0) | ~(odometer[following] < odometer[faulty])
    is_reset = (before >= 0) & (fell < 0) & (odometer[faulty] < parameters.reset_below_km) & counts_on
    return faulty[is_reset], fell[is_reset]


def _readings_around(tracks: Tracks, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The reading before and the one after each point, in its own track; -1: none."""
    owner = tracks.track_of(points)
    before = np.where(points > tracks.offsets[owner], tracks.reading_until(np.maximum(points - 1, 0)), -1)
    is_last = points + 1 >= tracks.offsets[owner + 1]
    return before, np.where(is_last, -1, tracks.reading_from(np.where(is_last, points, points + 1)))


def _gap_changes(tracks: Tracks, steps: Steps) -> pd.DataFrame:
    """Each step that splits and that the odometer counted over: plate, device_id, started_at, ended_at, after (its
    first reading), km.
    """
    split = steps.splits[~np.isin(steps.splits, tracks.offsets)]  # a track's first point is reached from nowhere
    before, after = tracks.reading_until(split - 1), tracks.reading_from(split)
    is_known = (before >= 0) & (after >= 0)
    before, after = before[is_known], after[is_known]
    # Several splits without a reading between them are one change.
    after, chosen = np.unique(after, return_index=True)
    before = before[chosen]
    of = tracks.index.iloc[tracks.track_of(after)]
    return pd.DataFrame(
        {
            "plate": of["plate"].to_numpy(),
            "device_id": of["device_id"].to_numpy(),
            "started_at": instants(tracks.seconds[before]),
            "ended_at": instants(tracks.seconds[after]),
            "after": after,
            "km": np.maximum(tracks.odometer_km[after] - tracks.odometer_km[before], 0.0),
        }
    )


def _dwell_changes(
    odometer: np.ndarray, stops: pd.DataFrame, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray]:
    """Km that the odometer counted inside each stop, and up to a stop right after it, at the later reading.

    Between the readings that the legs around are measured by. More than a yard movement is not explained.
    """
    first, last = dwell_readings(stops)
    change = odometer[last] - odometer[first]
    is_yard = (change >= 0) & (change < parameters.yard_max_km)
    return last[is_yard], change[is_yard]


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
    is_read = readings["odometer_delta_km"].notna()
    is_seen = pd.Series(plates, index=plates).isin({*seen["plate"], *by_purpose.index, *readings.loc[is_read, "plate"]})
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
            "uncertainty_km": uncertainty.where(is_seen),
        }.items()
    }
    # Printed values sum to the last digit; the balance is tested before rounding.
    printed = sum((rounded[name] for name in columns), rounded["gap_km"])
    rounded["residual_km"] = rounded["odometer_delta_km"] - printed
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
