"""KM SAÍDA and KM CHEGADA that are no readings of an odometer: empty cells written as 0, and typing errors.

They prove nothing about a run's kilometres nor about its day: D10 and D11 do not test them, no night is dated by them
(`night_shifts`), no two runs are one because of them (`repeats`), and Q05 names the typing errors.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet

DRIVABLE_BY = ("impossible_kmh", "odometer_slack_km", "gap_split_s")  # parameters that decide
READINGS = ("odometer_start_km", "odometer_end_km")


def with_sound_readings(runs: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """The runs, with both readings missing where one is 0 or the two cannot be right together."""
    is_no_reading = has_zero_reading(runs).to_numpy() | mistyped_runs(runs, parameters)
    return runs.assign(**{name: runs[name].mask(is_no_reading) for name in READINGS})


def has_zero_reading(runs: pd.DataFrame) -> pd.Series:
    """Whether KM SAÍDA or KM CHEGADA is 0: an empty cell, or km counted from the run's start instead of an odometer."""
    return (runs["odometer_start_km"].eq(0) | runs["odometer_end_km"].eq(0)).fillna(False).astype(bool)


def is_undrivable(from_km: pd.Series, to_km: pd.Series, seconds: np.ndarray, parameters: ParameterSet) -> np.ndarray:
    """Whether no vehicle can have driven from one reading to the other in so many seconds, in either direction.

    It drives at most impossible_kmh, and odometer_slack_km. Times of less than gap_split_s count as so many: written
    times are rough, and 30 km that are added to the readings between two runs of one hour are no typing error.
    """
    counted = (to_km.astype("float64") - from_km.astype("float64")).to_numpy()
    undrivable: np.ndarray = np.abs(counted) > parameters.drivable_km(np.maximum(seconds, parameters.gap_split_s))
    return undrivable


def mistyped_runs(runs: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """Whether a run's own readings fall, or are further apart than a vehicle can have driven meanwhile."""
    mistyped: np.ndarray = _contradict(runs, parameters) & ~has_zero_reading(runs).to_numpy()
    return mistyped


def is_empty_reading(runs: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """Whether a 0 beside the run's other reading is an empty cell, as KM CHEGADA it always is.

    From a KM SAÍDA of 0 some carriers count the km of the run.
    """
    is_arrival = runs["odometer_end_km"].eq(0).fillna(False).to_numpy(dtype=bool)
    empty: np.ndarray = is_arrival | (_contradict(runs, parameters) & has_zero_reading(runs).to_numpy())
    return empty


def _contradict(runs: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    start_km, end_km = runs["odometer_start_km"], runs["odometer_end_km"]
    seconds = (runs["ended_at"] - runs["started_at"]).dt.total_seconds().to_numpy()
    is_falling = end_km.lt(start_km).fillna(False).to_numpy(dtype=bool)
    return is_falling | is_undrivable(start_km, end_km, seconds, parameters)
