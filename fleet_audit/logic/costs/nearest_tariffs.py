"""Estimates for km without a price, at the tariff that is nearest to one that applies: stated, never billed.

Which trips have a price is decided in `tariffs`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.costs.tariffs import KEYS
from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.money import RATE, multiply_brl
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.validity import validity

UNPRICED = ("no_contract", "no_tariff", "ambiguous_tariff")
_LATER_DAYS = 4_000_000  # more than the days from year 1 to 9999: what begins later comes after all that ended before


def price_estimates(trips: pd.DataFrame, costs: pd.DataFrame, reference: Reference) -> pd.DataFrame:
    """trip_id (index), contract_id, tariff_ids, km, low_brl and high_brl of the unpriced trips that have an estimate.

    The contract is the one in force, or without one the vehicle's last, else its next, with the tariffs of its day
    nearest to the trip. Of its tariffs those count that the fewest key columns contradict, then those with most
    equal keys, then the one that holds on that day, ended last before or begins first after it. Several that are
    equally near give the range from the lowest to the highest rate. Trips with unknown km, and empty or other trips
    without a contract, which nothing says that it would pay, have none.

    Args:
        trips: rows of `trips.trip_window`; costs: `fact.trip_costs` of them.
        reference: vehicles, contracts and tariffs with all their dated rows.
    """
    asked = _requests(trips, costs, reference)
    near = _nearest(asked, reference.tariffs)
    of_trip = near.groupby("trip_id")
    found = of_trip["rate_brl_per_km"].agg(["min", "max"]).join(of_trip["tariff_id"].agg(", ".join))
    rows = asked.set_index("trip_id").join(found, how="inner")
    low, high = (multiply_brl(rows["km"], rows[side].astype(RATE)) for side in ("min", "max"))
    columns = rows[["contract_id", "km", "cost_status"]]
    return columns.assign(tariff_ids=rows["tariff_id"], low_brl=low, high_brl=high)


def _requests(trips: pd.DataFrame, costs: pd.DataFrame, reference: Reference) -> pd.DataFrame:
    """trip_id, cost_status, km, contract_id, day of its tariffs and `KEYS` of each trip to be estimated."""
    columns = ["trip_id", "cost_status", "billable_km", "contract_id", "vehicle_class", "billing_area", "regime"]
    own = ["trip_id", "plate", "operational_date", "purpose", "route_code", "route_method", "km_measured"]
    rows = trips[own].merge(costs.loc[costs["cost_status"].isin(UNPRICED), columns], on="trip_id")
    is_service, lacks_contract = rows["purpose"] == "service", rows["cost_status"] == "no_contract"
    rows = rows.assign(
        km=rows["billable_km"].fillna(rows["km_measured"]),
        area=rows["billing_area"],
        day=as_days(rows["operational_date"]),
        route_code=rows["route_code"].where(is_service & (rows["route_method"] == "places").fillna(False)),
    )
    rows = rows[rows["km"].notna() & (is_service | ~lacks_contract)]
    near = _nearest_contracts(rows[rows["cost_status"] == "no_contract"], reference).reindex(rows.index)
    rows = rows.assign(
        day=near["day"].fillna(rows["day"]),
        **{name: rows[name].astype("str").fillna(near[name]) for name in ("contract_id", "vehicle_class")},
    )
    asked = rows[["trip_id", "cost_status", "km", "contract_id", "day", *KEYS]].dropna(subset="contract_id")
    return asked.astype(dict.fromkeys(KEYS, "str"))


def _nearest_contracts(rows: pd.DataFrame, reference: Reference) -> pd.DataFrame:
    """contract_id, vehicle_class and day of the vehicle's last contract, else of its next, on the index of the rows."""
    spans = reference.vehicles[["plate", "contract_id", "vehicle_class"]].assign(
        **dict(zip(("from", "to"), validity(reference.vehicles), strict=True))
    )
    terms = reference.contracts[["contract_id"]].assign(
        **dict(zip(("starts", "ends"), validity(reference.contracts), strict=True))
    )
    spans = spans.merge(terms, on="contract_id")
    spans = spans.assign(starts=spans[["from", "starts"]].max(axis=1), ends=spans[["to", "ends"]].min(axis=1))
    spans = spans[spans["starts"] <= spans["ends"]].drop(columns=["from", "to"])
    pairs = rows[["plate", "day"]].reset_index(names="row").merge(spans, on="plate")
    pairs = pairs.assign(away=_days_away(pairs), day=pairs["day"].clip(pairs["starts"], pairs["ends"]))
    first = pairs.sort_values(["row", "away", "contract_id"]).drop_duplicates("row").set_index("row")
    return first[["contract_id", "vehicle_class", "day"]].astype({"contract_id": "str", "vehicle_class": "str"})


def _nearest(asked: pd.DataFrame, tariffs: pd.DataFrame) -> pd.DataFrame:
    """trip_id, tariff_id and rate_brl_per_km of the tariffs that are nearest to each request."""
    offered = tariffs[["contract_id", "tariff_id", "rate_brl_per_km", *KEYS]].assign(
        **dict(zip(("starts", "ends"), validity(tariffs), strict=True))
    )
    pairs = asked.merge(offered, on="contract_id", suffixes=("", "_tariff"))
    against, equal = np.zeros(len(pairs), dtype=np.int64), np.zeros(len(pairs), dtype=np.int64)
    for name in KEYS:
        key, value = pairs[f"{name}_tariff"].to_numpy(dtype=object), pairs[name].to_numpy(dtype=object)
        is_equal, is_named = key == value, ~pd.isna(key)
        against += is_named & ~is_equal
        equal += is_named & is_equal
    ranks = pairs[["trip_id"]].assign(rank=_ranks(against, -equal, _days_away(pairs)))
    return pairs[ranks["rank"] == ranks.groupby("trip_id")["rank"].transform("min")].sort_values(
        ["trip_id", "tariff_id"]
    )


def _days_away(pairs: pd.DataFrame) -> np.ndarray:
    """Days from `day` to the span of each pair: 0 inside, those since it ended, then those until it begins."""
    day, starts, ends = (pairs[name].to_numpy(dtype="datetime64[D]") for name in ("day", "starts", "ends"))
    since, until = (day - ends).astype(np.int64), (starts - day).astype(np.int64)
    return np.where(since > 0, since, np.where(until > 0, until + _LATER_DAYS, 0))


def _ranks(*keys: np.ndarray) -> np.ndarray:
    """Equal numbers for equal keys, ascending by the first, then the next."""
    frame = pd.DataFrame(dict(enumerate(keys)))
    return frame.groupby(list(frame)).ngroup().to_numpy()
