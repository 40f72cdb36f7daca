"""How each vehicle drove, trip by trip and day by day, against what is usual for it on the same way.

Whether a change of it proves anything is decided in `rules.cycle.statistics.own_past`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.movements import mean_step_s

WAY = ["plate", "device_id", "origin_poi_id", "destination_poi_id", "shift_code"]
_ROUTE = ["unit_code", *WAY[2:]]
_PURPOSES = ("service", "deadhead")


@dataclass(frozen=True)
class Driving:
    """Trips that can be compared with others of the same vehicle, and what they show of its days.

    Attributes:
        trips: trip_id, operational_date, WAY, driver_id, carrier_code ("" where unknown), unit_code, km, moving_s,
            standing_s, and usual_moving_s, usual_standing_s: the medians of the same way, shift, device and driver.
        days: plate, device_id, carrier_code, operational_date, trips, speed_pct: how much faster than usual it moved;
            standing_s: how much longer than usual it stood per trip. Both less the median of the unit's vehicles on
            that day, so that rain, traffic and holidays are no change of one vehicle.
    """

    trips: pd.DataFrame
    days: pd.DataFrame


def driving(trips: pd.DataFrame, parameters: ParameterSet) -> Driving:
    """The comparable trips among rows of `fact.trips`, and their days.

    Args:
        trips: rows of any days.
        parameters: profile_min_km, profile_way_pct, profile_way_trips, profile_peers, coverage_min_pct,
            coverage_step_s, profile_interval_factor.
    """
    compared = with_usual_times(_of_one_way(_well_observed(trips, parameters), parameters), parameters)
    return Driving(compared, _days(compared, parameters))


def _well_observed(trips: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Trips between two known places by positions that came often enough, and as often as the device's others.

    A device that reports half as often sees fewer short halts: that is another setting, not another vehicle. A trip of
    which a visit report shows a part has no path (km_gps), and its halts there are not known.
    """
    rows = trips[trips["purpose"].isin(_PURPOSES) & (trips["source"] == "positions")]
    known = ["origin_poi_id", "destination_poi_id", "unit_code", "device_id", "km_measured", "km_gps"]
    rows = rows[rows[known].notna().all(axis=1)]
    numbers = {"km": "km_measured", "coverage": "coverage_pct", "moving_s": "moving_s"}
    rows = rows.assign(**{name: rows[column].astype("float64") for name, column in numbers.items()})
    rows["standing_s"] = (rows["ended_at"] - rows["started_at"]).dt.total_seconds() - rows["moving_s"]
    rows["step_s"] = mean_step_s(rows)
    rows = rows[
        (rows["km"] >= parameters.profile_min_km)
        & (rows["coverage"] >= parameters.coverage_min_pct)
        & (rows["step_s"] <= parameters.coverage_step_s)
    ]
    interval = rows["step_s"] / rows.groupby(["plate", "device_id"])["step_s"].transform("median")
    rows = rows[interval.between(1 / parameters.profile_interval_factor, parameters.profile_interval_factor)]
    named = {name: rows[name].fillna("") for name in ("shift_code", "driver_id", "carrier_code")}
    return rows.assign(**named)


def _of_one_way(rows: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Trips as long as their way: a detour, or a harvest front that moved, is another way between the same names.

    Within profile_way_pct, or the uncertainty of the trip's own km: a front 8 % further on a better road changed both
    the speed and the halts, and says nothing about the vehicle.
    """
    usual = rows.groupby(WAY)["km"].transform("median")
    doubt_km = rows["km_uncertainty"].astype("float64").fillna(0.0)
    return rows[(rows["km"] - usual).abs() <= np.maximum(parameters.profile_way_pct / 100 * usual, doubt_km)]


def with_usual_times(rows: pd.DataFrame, parameters: ParameterSet, by: pd.DataFrame | None = None) -> pd.DataFrame:
    """The trips with usual_moving_s and usual_standing_s; those with too few of their kind are excluded.

    A named driver is compared with himself: another one, who drives faster, proves nothing about the vehicle. A trip
    that names nobody is compared with all of its way.

    Args:
        rows: comparable trips.
        parameters: profile_way_trips.
        by: the trips that show what is usual; the same ones by default.
    """
    shown = rows if by is None else by
    of_driver = _medians(rows, shown, [*WAY, "driver_id"], parameters)
    of_way = _medians(rows, shown, WAY, parameters)
    is_named = rows["driver_id"] != ""
    usual = {f"usual_{name}": of_driver[name].where(is_named, of_way[name]) for name in of_way}
    return rows.assign(**usual).dropna(subset=[*usual])


def with_times_of_others(rows: pd.DataFrame, shown: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """The trips of one vehicle with usual_moving_s and usual_standing_s of the unit's others on its routes and shifts.

    The median over the vehicles of each one's own median. Trips with fewer than profile_peers such vehicles, each with
    profile_way_trips trips, are excluded.

    Args:
        rows: comparable trips of one vehicle.
        shown: comparable trips of all vehicles.
        parameters: profile_peers, profile_way_trips.
    """
    others = shown[~shown["plate"].isin(set(rows["plate"]))].groupby([*_ROUTE, "plate"])[["moving_s", "standing_s"]]
    by_vehicle = others.median()[others.size() >= parameters.profile_way_trips].groupby(_ROUTE)
    medians = by_vehicle.median()[by_vehicle.size() >= parameters.profile_peers]
    usual = medians.reindex(pd.MultiIndex.from_frame(rows[_ROUTE])).set_axis(rows.index).add_prefix("usual_")
    return rows.assign(**usual).dropna(subset=[*usual])


def other_vehicles(rows: pd.DataFrame, shown: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """How many other vehicles `with_times_of_others` would compare each trip with; `rows` may be of several vehicles.

    One look at all trips: a look for each of 89 vehicles took 1.2 s at 2,675 trips, 40 % of a cycle's audit.
    """
    by_vehicle = shown.groupby([*_ROUTE, "plate"]).size()
    known = by_vehicle.index[by_vehicle >= parameters.profile_way_trips]
    all_known = known.to_frame(index=False).groupby(_ROUTE).size()
    found = all_known.reindex(pd.MultiIndex.from_frame(rows[_ROUTE]), fill_value=0).to_numpy()
    return found - pd.MultiIndex.from_frame(rows[[*_ROUTE, "plate"]]).isin(known)


def _medians(rows: pd.DataFrame, shown: pd.DataFrame, keys: list[str], parameters: ParameterSet) -> pd.DataFrame:
    """Median moving_s and standing_s of the shown trips with the keys of each row; NaN where they are too few."""
    groups = shown.groupby(keys)[["moving_s", "standing_s"]]
    medians = groups.median()[groups.size() >= parameters.profile_way_trips]
    found = medians.reindex(pd.MultiIndex.from_frame(rows[keys]))
    return found.set_axis(rows.index)


def _days(trips: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    sums = trips.groupby(["unit_code", "operational_date", "plate", "device_id", "carrier_code"], sort=True).agg(
        trips=("trip_id", "size"),
        moving_s=("moving_s", "sum"),
        standing_s=("standing_s", "sum"),
        usual_moving_s=("usual_moving_s", "sum"),
        usual_standing_s=("usual_standing_s", "sum"),
    )
    days = sums.reset_index()
    days = days.assign(
        speed_pct=100 * (days["usual_moving_s"] / days["moving_s"] - 1),
        standing_s=(days["standing_s"] - days["usual_standing_s"]) / days["trips"],
    )
    of_unit = days.groupby(["unit_code", "operational_date"])
    has_peers = of_unit["plate"].transform("nunique") > parameters.profile_peers
    shown = ["speed_pct", "standing_s"]
    days[shown] = days[shown] - of_unit[shown].transform("median")
    order = ["plate", "device_id", "carrier_code", "operational_date"]
    return days.loc[has_peers, [*order, "trips", *shown]].sort_values(order).reset_index(drop=True)
