"""Days of visit reports whose clock is hours off: their movements repeat what better sources saw at one difference.

Clocks that differ by minutes are allowed for in `parts`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.intervals import intervals, overlaps
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.reported.silent import CLOCK_US, REACH_US

_MOST_CLOCK_US = 14 * 3_600_000_000  # no zone is further from UTC
_LEAST_KM = 2  # shorter ways, such as those round a yard, are alike at many times
_LEAST_ALIKE = 2  # movements: the way to work and the way back


def is_other_clock(
    visits: pd.DataFrame, legs: pd.DataFrame, unseen: pd.DataFrame, parameters: ParameterSet
) -> np.ndarray:
    """Which movements are of a day of a vehicle's report that shows at another time what `legs` show.

    At one difference of clocks at least two movements, and most of the day, are as long as a leg, in time and in km; at
    most half as many are so at their own time, or lie in a leg there, or in a silence over which an odometer counted.
    A report that fits at its own time on one day does so on the others: of a bus that drove at 06:00 and 17:00 on
    Friday, and at 06:00 on Saturday while its device was silent, Saturday's 40 km were lost to a clock 11 h off.

    Args:
        visits: movements with plate, date, started_at, ended_at, reported_km.
        legs: those of better sources, with leg_km; unseen: `silences.unseen_steps`.
    """
    movements = intervals(visits).assign(
        row=np.arange(len(visits)),
        date=visits["date"].to_numpy(),
        km=visits["reported_km"].to_numpy(float, na_value=np.nan),
    )
    driven = intervals(legs).assign(leg=np.arange(len(legs)), km=legs["leg_km"].to_numpy(float))
    day = ["plate", "date"]
    shared = overlaps(movements, driven)
    shorter_us = np.minimum(_lasting_us(movements)[shared["left"]], _lasting_us(driven)[shared["right"]])
    inside = shared.loc[2 * shared["overlap_us"] >= shorter_us, "left"]
    silent = overlaps(movements, intervals(unseen))
    counted_km = unseen["counted_km"].to_numpy(float)[silent["right"]]
    driven_there = silent.loc[2 * counted_km >= movements["km"].to_numpy()[silent["left"]], "left"]
    ways = movements[2 * movements["km"] >= _LEAST_KM]
    ways = ways[~ways["plate"].isin(_on_time(ways, np.concatenate([inside, driven_there])))]
    pairs = _alike(ways, driven[driven["km"] >= _LEAST_KM], parameters)
    found = _most_alike(pairs)
    at_own_time = pairs.loc[pairs["clock_us"].abs() <= REACH_US, "row"]
    fitting = np.unique(np.concatenate([inside, driven_there, at_own_time])).astype(np.int64)
    asked = movements[movements["plate"].isin(ways["plate"])]
    as_it_is = asked[asked["row"].isin(fitting)].groupby(day).size().reindex(found.index, fill_value=0)
    listed = asked.groupby(day).size().reindex(found.index)
    is_proven = (found >= _LEAST_ALIKE) & (2 * found > listed) & (2 * as_it_is <= found)
    is_other = np.zeros(len(visits), dtype=bool)
    is_other[asked["row"]] = pd.MultiIndex.from_frame(asked[day]).isin(found.index[is_proven])
    return is_other


def _on_time(ways: pd.DataFrame, fitting: np.ndarray) -> np.ndarray:
    """Plates of which at least two movements, and most of a day, fit at their own time."""
    by_day = ways["row"].isin(fitting).groupby([ways["plate"], ways["date"]]).agg(["sum", "size"])
    is_on_time = (by_day["sum"] >= _LEAST_ALIKE) & (2 * by_day["sum"] > by_day["size"])
    plates: np.ndarray = by_day.index.get_level_values("plate")[is_on_time].to_numpy()
    return plates


def _most_alike(pairs: pd.DataFrame) -> pd.Series:
    """By plate and date: the most movements that are alike with as many legs at one difference of clocks."""
    day = ["plate", "date"]
    pairs = pairs.assign(near=pairs["clock_us"] // CLOCK_US)  # all pairs of a shuttle's 40 equal ways a day took 2 GB
    clocks = pairs[[*day, "clock_us", "near"]].drop_duplicates()
    around = pd.concat([clocks.assign(near=clocks["near"] + step) for step in (-1, 0, 1)])
    beside = around.merge(pairs, on=[*day, "near"], suffixes=("", "_beside"))
    beside = beside[(beside["clock_us"] - beside["clock_us_beside"]).abs() <= CLOCK_US]
    counts = beside.groupby([*day, "clock_us"])[["row", "leg"]].nunique().min(axis=1)
    return counts.groupby(level=day).max()


def _alike(movements: pd.DataFrame, driven: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Pairs of a movement and a leg as long in time and in km, with clock_us: how much later the leg began."""
    start_us, leg_us = movements["start_us"], driven["start_us"]
    near = overlaps(  # of 500 vehicles a window has a million pairs of any distance
        movements.assign(start_us=start_us - _MOST_CLOCK_US, end_us=start_us + _MOST_CLOCK_US + 1),
        driven.assign(end_us=leg_us + 1),
    )
    way, leg = movements.iloc[near["left"]], driven.iloc[near["right"]]
    clock_us, end_clock_us = (leg[f"{side}_us"].to_numpy() - way[f"{side}_us"].to_numpy() for side in ("start", "end"))
    km, leg_km = way["km"].to_numpy(), leg["km"].to_numpy()
    is_alike = np.abs(clock_us - end_clock_us) <= CLOCK_US
    is_alike &= np.abs(km - leg_km) <= np.maximum(parameters.agree_pct / 100 * leg_km, parameters.agree_km)
    return way[["plate", "date", "row"]].assign(leg=leg["leg"].to_numpy(), clock_us=clock_us)[is_alike]


def _lasting_us(spans: pd.DataFrame) -> np.ndarray:
    return (spans["end_us"] - spans["start_us"]).to_numpy()
