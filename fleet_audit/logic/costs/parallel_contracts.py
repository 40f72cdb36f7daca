"""Days on which a vehicle has fixed amounts of several contracts: what is paid of each, and what is not.

Which of them is paid is decided in `fixed_costs`.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from fleet_audit.logic.costs.fixed_costs import (
    days_in_force,
    due_shares,
    of_one_contract,
    ordinary_shares,
    serving_days,
)
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.logic.primitives.money import BRL, from_hundredths, to_hundredths

_COLUMNS = ("row", "plate", "contract_id", "other_contract_id", "is_paid", "date_from", "date_to", "days")


def parallel_fixed_costs(
    cycle: Cycle,
    until: dt.date,
    fixed_costs: pd.DataFrame,
    contracts: pd.DataFrame,
    vehicles: pd.DataFrame,
    trips: pd.DataFrame,
) -> pd.DataFrame:
    """Rows of fixed_costs beside each other contract of the same vehicle that is paid on days on which the row holds.

    Columns: row (its position), plate, contract_id, other_contract_id (the one that is paid), is_paid (the row is paid
    as well, because neither is of the vehicle's own contract), date_from, date_to, days (how many), amount_brl (the
    row's shares of these days: what is due, or those of an ordinary line where it is not paid) and other_brl (what is
    due under the other contract). Nothing of a reserve is paid while its titular serves.

    Args:
        cycle: the cycle; until: its last day that counts.
        fixed_costs, contracts, vehicles: the `ref` tables with all their dated rows.
        trips: trips of the cycle, `fact.trips`.
    """
    is_several = fixed_costs.groupby("plate")["contract_id"].transform("nunique").to_numpy() > 1
    terms = fixed_costs[is_several]
    dates = np.array(cycle_days(cycle), dtype="datetime64[D]")
    holds = days_in_force(terms, contracts, dates)
    cents, is_due = _due(cycle, until, terms, contracts, vehicles, trips)
    is_passed_over = holds & ~of_one_contract(holds, terms, vehicles, dates)
    ordinary = ordinary_shares(to_hundredths(terms["amount_brl_per_month"]), holds)
    plates, names = (terms[name].to_numpy(dtype=object) for name in ("plate", "contract_id"))
    records = []
    for at, row in enumerate(np.flatnonzero(is_several)):
        is_of_plate = plates == plates[at]
        for other in sorted(set(names[is_of_plate & (names != names[at])])):
            of_other = is_due & (is_of_plate & (names == other))[:, np.newaxis]
            for is_paid, is_own, own in ((False, is_passed_over[at], ordinary[at]), (True, is_due[at], cents[at])):
                chosen = is_own & of_other.any(axis=0)
                if chosen.any():
                    period = (*dates[chosen][[0, -1]].tolist(), int(chosen.sum()))
                    money = (own[chosen].sum(), (cents * of_other)[:, chosen].sum())
                    records.append((row, plates[at], names[at], other, is_paid, *period, *money))
    found = pd.DataFrame(records, columns=[*_COLUMNS, "cents", "other_cents"])
    amounts = {
        name: from_hundredths(found[cents].to_numpy(dtype="int64"), BRL, found.index)
        for name, cents in (("amount_brl", "cents"), ("other_brl", "other_cents"))
    }
    return found.drop(columns=["cents", "other_cents"]).assign(**amounts)


def _due(
    cycle: Cycle,
    until: dt.date,
    terms: pd.DataFrame,
    contracts: pd.DataFrame,
    vehicles: pd.DataFrame,
    trips: pd.DataFrame,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows × days of the cycle: cents of each row's share, and whether it is due; none after `until`."""
    of_titulars = trips[trips["plate"].isin(vehicles["titular_plate"].dropna())]
    days = cycle_days(cycle)
    cents, is_due = due_shares(days, terms, contracts, vehicles, serving_days(of_titulars), cycle.start.day)
    return cents, is_due & (np.array(days) <= until)
