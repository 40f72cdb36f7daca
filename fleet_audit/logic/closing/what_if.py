"""A cycle's bill under other tariffs, contracts or parameters, and its difference from what was billed.

Which rows are read, and where a whole cycle is computed again, is in `closing.what_if`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd

from fleet_audit.logic.costs.amounts import cents_of
from fleet_audit.logic.costs.billing_lines import CycleDays, billing_lines, unpriced_trips
from fleet_audit.logic.costs.fixed_costs import fixed_cost_days, serving_days
from fleet_audit.logic.costs.pricing import price_days
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.logic.primitives.money import BRL, KM, from_hundredths, to_hundredths
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.facts.columns import AMOUNTS

_OWNER = ["carrier_code", "contract_id"]
_QUANTITIES = {"km": KM, "variable_brl": BRL, "fixed_brl": BRL, "total_brl": BRL}


def priced_again(
    days: CycleDays,
    computed: Collection[object],
    reference: Reference,
    cycle: Cycle,
    parameters: ParameterSet,
) -> CycleDays:
    """The cycle's trips with the prices and fixed shares of another reference; trips and coverage stay.

    Args:
        days: the rows of the cycle.
        computed: its days that were run; the others have no fixed share.
        reference: tariffs, contracts and all else that prices depend on.
        cycle: the cycle.
        parameters: only their version, for the rows.
    """
    plates = serving_days(days.trips)
    fixed = [
        fixed_cost_days(
            day,
            reference.fixed_costs,
            reference.contracts,
            reference.vehicles,
            plates.get(day, set()),
            cycle.start.day,
            parameters,
        )
        for day in cycle_days(cycle)
        if day in computed
    ]
    return replace(
        days,
        trip_costs=price_days(days.trips, reference, parameters),
        fixed_cost_days=pd.concat(fixed, ignore_index=True) if fixed else days.fixed_cost_days,
    )


def bill_by_contract(days: CycleDays, reference: Reference, cycle: Cycle) -> pd.DataFrame:
    """What the cycle bills per carrier and contract (the index; "" where a trip has none).

    Columns: km, variable_brl, fixed_brl, total_brl in whole hundredths; unpriced_trips: trips that are not billed
    because they have no price.

    Args:
        days: the rows of the cycle.
        reference: the owner of a fixed share whose vehicle has none.
        cycle: the cycle.
    """
    lines = billing_lines(days, reference, cycle)
    unpriced = unpriced_trips(days.trips, days.trip_costs).drop(columns="contract_id")
    unpriced = unpriced.merge(days.trip_costs[["trip_id", "contract_id"]], on="trip_id")
    sums = {name: _by_owner(lines).assign(value=to_hundredths(lines[name])) for name in _QUANTITIES}
    found = {name: each.groupby(_OWNER)["value"].sum() for name, each in sums.items()}
    found["unpriced_trips"] = _by_owner(unpriced).groupby(_OWNER).size()
    return pd.DataFrame(found).fillna(0).astype("int64")


def bill_differences(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The delta statement: one row per carrier and contract that either of two `bill_by_contract` names.

    Columns: carrier_code, contract_id (null where a trip has none), and of each of km, variable_brl, fixed_brl and
    total_brl `…_before`, `…_after`, `…_difference` (decimals), unpriced_before and unpriced_after. A trip without a
    price is billed on neither side: it is counted, and its cost is in no difference.
    """
    owners = before.index.union(after.index)
    sides = {"before": before.reindex(owners, fill_value=0), "after": after.reindex(owners, fill_value=0)}
    result = owners.to_frame(index=False).replace("", None).astype("str")
    for name, dtype in _QUANTITIES.items():
        values = {side: rows[name].to_numpy() for side, rows in sides.items()}
        values["difference"] = values["after"] - values["before"]
        for side, each in values.items():
            result[f"{name}_{side}"] = from_hundredths(each, dtype, result.index)
    for side, rows in sides.items():
        result[f"unpriced_{side}"] = rows["unpriced_trips"].to_numpy()
    return result


def amount_differences(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The four amounts per carrier: carrier_code, and of each amount `…_before`, `…_after`, `…_difference`.

    An amount of which no vehicle is known is null, and so is its difference.

    Args:
        before, after: `fact.vehicle_cycle_amounts` of the cycle; they are never added to one another.
    """
    sums = [_amounts_by_carrier(rows) for rows in (before, after)]
    carriers = sums[0].index.union(sums[1].index)
    old, new = (each.reindex(carriers, fill_value=0) for each in sums)
    result = pd.DataFrame({"carrier_code": carriers}).replace("", None).astype("str")
    for name in AMOUNTS:
        for side, values in (("before", old[name]), ("after", new[name]), ("difference", new[name] - old[name])):
            cents, missing = values.fillna(0).to_numpy(dtype=np.int64), values.isna().to_numpy(dtype=bool)
            result[f"{name}_{side}"] = from_hundredths(cents, BRL, result.index, missing)
    return result


def _by_owner(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({name: rows[name].astype("str").fillna("") for name in _OWNER}, index=rows.index)


def _amounts_by_carrier(rows: pd.DataFrame) -> pd.DataFrame:
    cents = pd.DataFrame({name: cents_of(rows[name]) for name in AMOUNTS}, index=rows.index)
    return cents.groupby(rows["carrier_code"].astype("str").fillna("").to_numpy()).sum(min_count=1)
