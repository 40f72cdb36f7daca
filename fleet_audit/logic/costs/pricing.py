"""Prices of trips of any days by the reference of those days: one call that costs and audit share.

The choice of a tariff is in `tariffs`.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.logic.costs.tariffs import price_trips
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.reference import Reference


def price_days(trips: pd.DataFrame, reference: Reference, parameters: ParameterSet) -> pd.DataFrame:
    """`tariffs.price_trips` of the trips of one or several whole days, as of each trip's day."""
    vehicles = reference.vehicles_on_days(trips["operational_date"].unique())
    return price_trips(trips, vehicles, reference.tariffs, reference.routes, reference.pois, parameters)
