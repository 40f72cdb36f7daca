"""Offsets between the clock of a vehicle's device and the times in its bulletins.

A clock that is off by whole hours is found in `logic.devices.device_health`. Here it is off by minutes, and the runs
are shifted for matching; what is written in `fact.declared_runs` stays as the carrier wrote it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.intervals import micros
from fleet_audit.logic.primitives.parameters import ParameterSet

_HOUR_S = 3600.0


_COLUMNS = ["plate", "day", "offset_s", "runs"]


def no_clock_offsets() -> pd.DataFrame:
    """`minute_offsets` of a day on which every clock is right."""
    return pd.DataFrame({name: pd.Series(dtype=object) for name in _COLUMNS})


def minute_offsets(runs: pd.DataFrame, trips: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Vehicle-days whose runs differ from their nearest trips by one offset: plate, day, offset_s, runs.

    A run's nearest trip is the one whose start and end together differ least from its own, both by at most
    `clock_max_s`. The offset is the median of those differences. It is stated where at least `clock_min_runs` runs and
    most of the day's runs have such a trip, the offset lies within `clock_min_s` … `clock_max_s`, and the median
    absolute deviation is at most `clock_spread_s` (RULES section 5). A positive offset is a device that is ahead.

    Args:
        runs: runs as `night_shifts.repair_dates` returns them.
        trips: trips of the window.
        parameters: clock_min_runs, clock_min_s, clock_max_s, clock_spread_s.
    """
    if len(runs) < parameters.clock_min_runs:  # of a small fleet: nothing could be stated, and to see that took 18 ms
        return no_clock_offsets()
    table = pd.DataFrame(
        {
            "plate": runs["plate"].to_numpy(dtype=object),
            "day": as_days(runs["operational_date"]),
            "run": np.arange(len(runs)),
            "start": micros(runs["started_at"]) / 1e6,
            "end": micros(runs["ended_at"]) / 1e6,
        }
    )
    moving = trips[trips["purpose"] != "yard"]
    measured = pd.DataFrame(
        {
            "plate": moving["plate"].to_numpy(dtype=object),
            "started": micros(moving["started_at"]) / 1e6,
            "ended": micros(moving["ended_at"]) / 1e6,
        }
    )
    pairs = table.merge(measured, on="plate")
    pairs["at_start"], pairs["at_end"] = pairs["started"] - pairs["start"], pairs["ended"] - pairs["end"]
    most = parameters.clock_max_s + parameters.clock_spread_s
    pairs = pairs[(pairs["at_start"].abs() <= most) & (pairs["at_end"].abs() <= most)]
    pairs["apart"] = pairs["at_start"].abs() + pairs["at_end"].abs()
    nearest = pairs.sort_values(["run", "apart", "started"]).drop_duplicates("run")
    declared = table.groupby(["plate", "day"]).size().rename("declared")
    found = nearest.groupby(["plate", "day"], sort=True).agg(runs=("run", "size")).join(declared)
    number = nearest.groupby(["plate", "day"], sort=True).ngroup().to_numpy()
    offset, spread = _medians(np.tile(number, 2), np.concatenate([nearest["at_start"], nearest["at_end"]]))
    is_one = (found["runs"] >= parameters.clock_min_runs) & (2 * found["runs"] > found["declared"])
    is_one &= (parameters.clock_min_s <= abs(offset)) & (abs(offset) <= parameters.clock_max_s)
    is_one &= spread <= parameters.clock_spread_s
    stated = found.assign(offset_s=np.rint(offset).astype("int64"))[is_one].reset_index()
    return stated[_COLUMNS]


def _medians(group: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The median of each group's values, and the median of their absolute deviations from it, by number of group."""
    median = pd.Series(values).groupby(group).median().to_numpy()
    return median, pd.Series(np.abs(values - median[group])).groupby(group).median().to_numpy()


def shifted_for_matching(runs: pd.DataFrame, offsets: pd.DataFrame, health: pd.DataFrame) -> pd.DataFrame:
    """The runs at the times of their vehicle's device: by its minutes on that day, else by its proven whole hours.

    Args:
        runs: runs with plate and operational_date.
        offsets: `minute_offsets`.
        health: `fact.device_health` of the day; a device with `clock_shift` states `clock_shift_h`.
    """
    seconds = pd.Series(0.0, index=runs.index)
    is_off = np.array(["clock_shift" in issues for issues in health["issues"]], dtype=bool)
    hours = health[is_off].drop_duplicates("plate").set_index("plate")["clock_shift_h"].astype("float64")
    seconds += runs["plate"].astype(object).map(hours).fillna(0.0).astype("float64") * _HOUR_S
    by_day = {(row.plate, row.day): row.offset_s for row in offsets.itertuples()}
    days = pd.Series(as_days(runs["operational_date"]), index=runs.index)
    minutes = [by_day.get((plate, pd.Timestamp(day)), 0.0) for plate, day in zip(runs["plate"], days, strict=True)]
    seconds = seconds.where(seconds != 0, pd.Series(minutes, index=runs.index, dtype=float))
    shift = pd.to_timedelta(seconds, unit="s")
    return runs.assign(started_at=runs["started_at"] + shift, ended_at=runs["ended_at"] + shift)


def plates_with_suspected_hours(runs: pd.DataFrame, trips: pd.DataFrame, parameters: ParameterSet) -> set[str]:
    """Plates whose runs all fit a trip at one whole hour's shift, too few to prove that the clock is off.

    A lone run fits where both of its ends do within `clock_spread_s`. Two or more that agree on the hour and on the km
    of each trip may be written as drivers write times, within `clock_fit_s`: a vehicle that runs twice a day never has
    `clock_min_runs`, and with arrivals written 8 min late its clock, 1 h ahead, made two phantom runs (D05).

    Args:
        runs: runs of a day that no trip is linked to, of vehicles without a linked run.
        trips: trips that no run is linked to.
        parameters: clock_spread_s, clock_fit_s, clock_max_h, trip_tolerance_pct, trip_tolerance_km.
    """
    if runs.empty or trips.empty:  # nothing is left to compare
        return set()
    left = runs[["plate", "declared_run_id", "declared_km", "started_at", "ended_at"]]
    measured = trips[["plate", "trip_id", "started_at", "ended_at", "km_measured"]]
    pairs = left.merge(measured, on="plate", suffixes=("", "_trip"))
    at_start = (pairs["started_at_trip"] - pairs["started_at"]).dt.total_seconds()
    at_end = (pairs["ended_at_trip"] - pairs["ended_at"]).dt.total_seconds()
    hours = (at_start / _HOUR_S).round()
    asked = runs.groupby("plate")["declared_run_id"].nunique()
    is_lone = pairs["plate"].map(asked) == 1
    fit_s = np.where(is_lone, parameters.clock_spread_s, parameters.clock_fit_s)
    fits = ((at_start - hours * _HOUR_S).abs() <= fit_s) & ((at_end - hours * _HOUR_S).abs() <= fit_s)
    measured_km, declared_km = (pairs[name].astype("float64") for name in ("km_measured", "declared_km"))
    allowed = np.maximum(measured_km * parameters.trip_tolerance_pct / 100, parameters.trip_tolerance_km)
    fits &= ((declared_km - measured_km).abs() <= allowed) & (hours != 0) & (hours.abs() <= parameters.clock_max_h)
    found = pairs.assign(hours=hours)[fits].groupby(["plate", "hours"])[["declared_run_id", "trip_id"]].nunique()
    return {str(plate) for (plate, _), fitting in found.iterrows() if fitting.min() >= asked[plate]}
