"""Days on which a vehicle has fixed amounts of several contracts: what is paid of each, and what is not.

Which of them is paid is decided in `fixed_costs`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.costs.fixed_costs import days_in_force, of_one_contract, ordinary_shares
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.logic.primitives.money import BRL, from_hundredths, to_hundredths

_COLUMNS = ("row", "plate", "contract_id", "other_contract_ids", "is_paid", "date_from", "date_to", "days")


def parallel_fixed_costs(
    cycle: Cycle, until: dt.date, fixed_costs: pd.DataFrame, contracts: pd.DataFrame, vehicles: pd.DataFrame
) -> pd.DataFrame:
    """Rows of fixed_costs that hold on days on which a row of another contract of the same vehicle is paid.

    Columns: row (its position), plate, contract_id, other_contract_ids (those that are paid), is_paid (it is paid as
    well, because neither is of the vehicle's own contract), date_from, date_to, days (how many), amount_brl (its shares
    of these days as an ordinary line, paid or not) and other_brl (those of the others).

    Args:
        cycle: the cycle; until: its last day that counts.
        fixed_costs, contracts, vehicles: the `ref` tables with all their dated rows.
    """
    dates = np.array(cycle_days(cycle), dtype="datetime64[D]")
    holds = days_in_force(fixed_costs, contracts, dates)
    paid = of_one_contract(holds, fixed_costs, vehicles, dates)
    cents = to_hundredths(fixed_costs["amount_brl_per_month"])
    shares = np.where(paid, ordinary_shares(cents, paid), ordinary_shares(cents, holds))
    plates, names = (fixed_costs[name].to_numpy(dtype=object) for name in ("plate", "contract_id"))
    several = fixed_costs.groupby("plate")["contract_id"].transform("nunique").to_numpy() > 1
    records = []
    for row in np.flatnonzero(several):
        others = np.flatnonzero((plates == plates[row]) & (names != names[row]))
        together = holds[row] & paid[others].any(axis=0) & (dates <= np.datetime64(until))
        for is_paid in (False, True):
            chosen = together & (paid[row] == is_paid)
            if chosen.any():
                of_others = paid[others] & chosen
                record: dict[str, Any] = dict(zip(_COLUMNS, (
                    row, plates[row], names[row], sorted(set(names[others[of_others.any(axis=1)]])), is_paid,
                    *dates[chosen][[0, -1]].tolist(), int(chosen.sum()),
                ), strict=True))  # fmt: skip
                money = {"cents": shares[row][chosen].sum(), "other_cents": (shares[others] * of_others).sum()}
                records.append({**record, **money})
    found = pd.DataFrame(records, columns=[*_COLUMNS, "cents", "other_cents"])
    amounts = {
        name: from_hundredths(found[cents].to_numpy(dtype="int64"), BRL, found.index)
        for name, cents in (("amount_brl", "cents"), ("other_brl", "other_cents"))
    }
    return found.drop(columns=["cents", "other_cents"]).assign(**amounts)
