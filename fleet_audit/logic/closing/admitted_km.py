"""Admitted km of a closed cycle: those with a cost; closes of earlier releases also counted km without a price.

What a close records is in `closing.freezing`, what differs later in `adjustments`.
"""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from fleet_audit.logic.primitives.money import sum_decimal


def admitted_km(costs: pd.DataFrame) -> Decimal | None:
    """Sum of the km of `fact.trip_costs` that have a cost; None without any."""
    return sum_decimal(costs.loc[costs["variable_cost_brl"].notna(), "billable_km"])


def counts_unpriced(total_km: Decimal | None, costs: pd.DataFrame) -> bool:
    """Whether the total that a close recorded holds the km of trips without a price, as its frozen costs show.

    Releases have no order in `code_version`, and the frozen rows are the same before and after: only the sum differs.
    """
    return not pd.isna(total_km) and total_km != admitted_km(costs) and total_km == sum_decimal(costs["billable_km"])
