"""Each day's share of the monthly fixed amounts, computed for one day without looking at any other.

Prices per km are in `tariffs`.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days, cycle_days, cycle_of, dates
from fleet_audit.logic.primitives.money import BRL, divide_half_up, from_hundredths, to_hundredths
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.validity import validity
from fleet_audit.logic.trips.rounded.unproven_places import may_be_service
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.facts import FIXED_COST_DAYS


def fixed_cost_days(
    day: dt.date,
    fixed_costs: pd.DataFrame,
    contracts: pd.DataFrame,
    vehicles: pd.DataFrame,
    service_plates: AbstractSet[str],
    closing_day: int,
    parameters: ParameterSet,
) -> pd.DataFrame:
    """The shares of one day: the columns of `fact.fixed_cost_days` without run_id and updated_at.

    A row's line is amount × days in force in the cycle ÷ days of the cycle, half-up to cents, spread over these days so
    that they sum to it: every day has the same remainder, so the earliest days take the odd cents. In force are the
    days on which the row and its contract hold. Where rows of several contracts of a vehicle hold on a day, only that
    of the contract of its row of `vehicles` is paid, if one is (`of_one_contract`). On days on which the vehicle
    is a reserve with a titular, it has amount ÷ days of the cycle, half-up, if the titular has no service, else no row;
    its other days are a line as above. Where a titular may have served (`serving_plates`), the reserve's share is held:
    it has no row until the place is proven, and V03 lists the reserve as not tested.
    A reserve that names no titular is paid as any vehicle. Rows of one contract and plate are lines of their own,
    added where they meet on one day.

    Args:
        day: local day, the operational date of the rows.
        fixed_costs, contracts, vehicles: the `ref` tables with all their dated rows.
        service_plates: `serving_plates` of the day's trips.
        closing_day: first day of a cycle, 1..28.
        parameters: only their version, for the row.
    """
    shares, is_due = due_shares([day], fixed_costs, contracts, vehicles, {day: service_plates}, closing_day)
    is_due_today = is_due[:, 0]
    due = fixed_costs.loc[is_due_today, ["plate", "contract_id"]].assign(cents=shares[is_due_today, 0])
    due = due.groupby(["plate", "contract_id"], as_index=False)["cents"].sum()
    return pd.DataFrame(
        {
            "operational_date": dates(np.full(len(due), as_days(day))),
            "plate": due["plate"].astype("str"),
            "contract_id": due["contract_id"].astype("str"),
            "amount_brl": from_hundredths(due["cents"].to_numpy(), BRL, due.index),
            "parameters_version": pd.Series(parameters.version, index=due.index, dtype="str"),
        }
    )


def serving_plates(trips: pd.DataFrame) -> set[str]:
    """Plates with a service trip among these, or with one that may be service."""
    return set(trips.loc[_is_proven(trips) | may_be_service(trips), "plate"])


def serving_days(trips: pd.DataFrame) -> dict[dt.date, set[str]]:
    """`serving_plates` of each day that has any."""
    return _plates_of_days(trips[_is_proven(trips) | may_be_service(trips)])


def _is_proven(trips: pd.DataFrame) -> np.ndarray:
    return (trips["purpose"] == "service").to_numpy(dtype=bool)


def _plates_of_days(trips: pd.DataFrame) -> dict[dt.date, set[str]]:
    return {day: set(plates) for day, plates in trips.groupby("operational_date")["plate"]}


def held_fixed_costs(
    trips: pd.DataFrame,
    fixed_costs: pd.DataFrame,
    contracts: pd.DataFrame,
    vehicles: pd.DataFrame,
    closing_day: int,
) -> pd.DataFrame:
    """operational_date, plate, contract_id and amount_brl of the shares of reserves that `fixed_cost_days` holds.

    A share is held on a day on which the reserve has none only because a trip of its titular may be service.

    Args:
        trips: `fact.trips` of whole days of one cycle; the others as for `fixed_cost_days`.
    """
    names = ["operational_date", "plate", "contract_id", "amount_brl"]
    days = sorted(set(trips.loc[may_be_service(trips), "operational_date"]))
    if not days:
        return empty_frame(FIXED_COST_DAYS)[names]
    tables = fixed_costs, contracts, vehicles
    shares, is_due = due_shares(days, *tables, _plates_of_days(trips[_is_proven(trips)]), closing_day)
    at_day, at_row = np.nonzero((is_due & ~due_shares(days, *tables, serving_days(trips), closing_day)[1]).T)
    rows = fixed_costs[["plate", "contract_id"]].iloc[at_row].reset_index(drop=True)
    amounts = from_hundredths(shares[at_row, at_day], BRL, rows.index)
    return rows.assign(operational_date=dates(as_days(pd.Series(days))[at_day]), amount_brl=amounts)[names]


def fixed_cost_of_days(
    days: Sequence[dt.date],
    fixed_costs: pd.DataFrame,
    contracts: pd.DataFrame,
    vehicles: pd.DataFrame,
    service_plates: AbstractSet[str],
    closing_day: int,
) -> Decimal | None:
    """The sum of `fixed_cost_days` of days of one cycle, on all of which the same plates serve; None without a row."""
    if not days:
        return None
    serving = dict.fromkeys(days, service_plates)
    shares, is_due = due_shares(days, fixed_costs, contracts, vehicles, serving, closing_day)
    return Decimal(int(shares[is_due].sum())).scaleb(-2) if is_due.any() else None


def due_shares(
    asked: Sequence[dt.date],
    fixed_costs: pd.DataFrame,
    contracts: pd.DataFrame,
    vehicles: pd.DataFrame,
    serving: Mapping[dt.date, AbstractSet[str]],
    closing_day: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows × asked days of one cycle: cents of each row's share, and whether it is due.

    The arguments are those of `fixed_cost_days`; `serving` has the service plates of each asked day with any. All days
    in one call: one per day of a cycle took 0.9 of the 14 s of processor time of a day of twelve vehicles.
    """
    days = np.array(cycle_days(cycle_of(asked[0], closing_day)), dtype="datetime64[D]")
    at = np.searchsorted(days, np.array(asked, dtype="datetime64[D]"))
    holds = of_one_contract(days_in_force(fixed_costs, contracts, days), fixed_costs, vehicles, days)
    reserves = vehicles[(vehicles["status"] == "reserva") & vehicles["titular_plate"].notna()]
    as_reserve = _holds(reserves, days)
    is_reserve = _any_row(as_reserve, reserves["plate"], fixed_costs["plate"])
    serves = [reserves["titular_plate"].isin(serving.get(day, set())).to_numpy(dtype=bool) for day in asked]
    is_replaced = _any_row(as_reserve[:, at] & np.column_stack(serves), reserves["plate"], fixed_costs["plate"])
    cents = to_hundredths(fixed_costs["amount_brl_per_month"])
    of_reserves = divide_half_up(cents, len(days))[:, np.newaxis]
    shares = np.where(is_reserve, of_reserves, ordinary_shares(cents, holds & ~is_reserve))
    return shares[:, at], holds[:, at] & ~is_replaced


def days_of_other_shares(
    days: Sequence[dt.date],
    before: Mapping[str, pd.DataFrame],
    after: Mapping[str, pd.DataFrame],
    closing_day: int,
) -> set[dt.date]:
    """Which of the days have other shares after a change of the tables, whatever was driven.

    A line that begins or ends elsewhere has its odd cents on other days of the cycle as well.

    Args:
        days: local days, in order.
        before, after: `ref.fixed_costs`, `contracts` and `vehicles` by name.
    """
    found: set[dt.date] = set()
    for _, of_cycle in itertools.groupby(days, lambda day: cycle_of(day, closing_day).start):
        asked = list(of_cycle)
        old, new = (_cents_by_day(asked, tables, closing_day) for tables in (before, after))
        is_other = old.sub(new, fill_value=0).ne(0).any()
        found |= {day for day, other in zip(asked, is_other, strict=True) if other}
    return found


def _cents_by_day(days: Sequence[dt.date], tables: Mapping[str, pd.DataFrame], closing_day: int) -> pd.DataFrame:
    """Cents of each vehicle and contract (rows) on each of the days of one cycle (columns), where nobody serves."""
    shares, is_due = due_shares(days, **tables, serving={}, closing_day=closing_day)
    keys = [tables["fixed_costs"][name].to_numpy(dtype=object) for name in ("plate", "contract_id")]
    return pd.DataFrame(np.where(is_due, shares, 0)).groupby(keys).sum()


def days_in_force(fixed_costs: pd.DataFrame, contracts: pd.DataFrame, days: np.ndarray) -> np.ndarray:
    """Rows × days: whether the row and its contract hold."""
    of_contracts = _any_row(_holds(contracts, days), contracts["contract_id"], fixed_costs["contract_id"])
    return _holds(fixed_costs, days) & of_contracts


def of_one_contract(
    holds: np.ndarray, fixed_costs: pd.DataFrame, vehicles: pd.DataFrame, days: np.ndarray
) -> np.ndarray:
    """`holds` (rows × days) without rows of another contract than the vehicle's, on days on which one of its own holds.

    A row of an earlier contract that was left open would be paid beside that of the new one. One of the own contract
    takes its place whatever its amount, 0.00 as well. Where none is of the vehicle's own contract, nothing says which
    is due: all stay, and rows of two contracts are paid both. `parallel_contracts` lists these rows and those that are
    not paid, and Q05 of the cycle reports them.
    """
    worked, wanted = (
        frame["plate"].astype(object) + "|" + frame["contract_id"].astype(object) for frame in (vehicles, fixed_costs)
    )
    is_own = _any_row(_holds(vehicles, days), worked, wanted)
    plate = fixed_costs["plate"].to_numpy(dtype=object)
    has_own = pd.DataFrame(holds & is_own).groupby(plate).transform("any").to_numpy(dtype=bool)
    return holds & (is_own | ~has_own)


def ordinary_shares(cents: np.ndarray, in_force: np.ndarray) -> np.ndarray:
    """Rows × days: cents of each line whose days in force (rows × days of the cycle) are true."""
    count = in_force.sum(axis=1)
    line = divide_half_up(cents * count, in_force.shape[1])
    each, odd = np.divmod(line, np.maximum(count, 1))
    earlier = in_force.cumsum(axis=1) - in_force
    return each[:, np.newaxis] + (earlier < odd[:, np.newaxis])


def _holds(frame: pd.DataFrame, days: np.ndarray) -> np.ndarray:
    """Rows × days: whether the row is valid on the day."""
    starts, ends = validity(frame)
    return (starts[:, np.newaxis] <= days) & (days <= ends[:, np.newaxis])


def _any_row(holds: np.ndarray, keys: pd.Series, wanted: pd.Series) -> np.ndarray:
    """Wanted × days: whether any row of that key holds on the day; `holds` is rows × days."""
    known = pd.DataFrame(holds).groupby(keys.to_numpy(dtype=object)).any()
    return known.reindex(wanted.to_numpy(dtype=object), fill_value=False).to_numpy(dtype=bool)
