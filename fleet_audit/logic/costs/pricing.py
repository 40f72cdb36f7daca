"""Trips of any days priced with what the reference says of those days: the one call that costs and audit share.

How a tariff is chosen is in `tariffs`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from fleet_audit.logic.costs.tariffs import price_trips
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.validity import vehicles_on_days


def vehicles_of(rows: pd.DataFrame, reference: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """`reference_view.vehicles_on_days` of the rows' operational dates."""
    return vehicles_on_days(
        reference["vehicles"], reference["contracts"], reference["units"], rows["operational_date"].unique()
    )


def price_days(trips: pd.DataFrame, reference: Mapping[str, pd.DataFrame], parameters: ParameterSet) -> pd.DataFrame:
    """`tariffs.price_trips` of trips of one or several whole days; `reference`: frames of `ref` by table name."""
    return price_trips(trips, vehicles_of(trips, reference), reference["tariffs"], reference["routes"], parameters)
