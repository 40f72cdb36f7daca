"""Forecast of a cycle: km and variable cost of its remaining days, from the days that have data.

What was measured and billed so far is an input, one row per day.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd

from fleet_audit.logic.primitives.cycles import Cycle, as_days
from fleet_audit.logic.primitives.parameters import ParameterSet

_HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True)
class Forecast:
    """A cycle as of a day. Quantities are None when no day has data: that is unknown, not zero."""

    days_with_data: int
    remaining_days: int
    km_so_far: Decimal | None
    km_remaining: Decimal | None
    km_total: Decimal | None
    variable_cost_so_far_brl: Decimal | None
    variable_cost_remaining_brl: Decimal | None
    variable_cost_total_brl: Decimal | None


def forecast_cycle(daily: pd.DataFrame, cycle: Cycle, as_of: dt.date, parameters: ParameterSet) -> Forecast:
    """Forecast of the cycle's km and variable cost at its end.

    Remaining km = mean km of the days with data × remaining days × forecast_seasonal_factor. Remaining cost = the level
    of the daily cost, smoothed exponentially with forecast_alpha from the first day with data on, × remaining days.
    Both half-up to 0.01. A day without data takes no part.

    Args:
        daily: operational_date, km and variable_cost_brl (decimals, null = no data), one row per day; only those of
            the cycle up to as_of count.
        cycle: the cycle.
        as_of: the last day that is over; remaining are the days after it.
        parameters: forecast_seasonal_factor, forecast_alpha.
    """
    days = as_days(daily["operational_date"])
    known = daily[(days >= as_days(cycle.start)) & (days <= as_days(min(as_of, cycle.end)))]
    known = known.iloc[as_days(known["operational_date"]).argsort(kind="stable")]
    km = [Decimal(value) for value in known["km"].dropna()]
    cost = [Decimal(value) for value in known["variable_cost_brl"].dropna()]
    remaining = min(max((cycle.end - as_of).days, 0), cycle.length)
    season, alpha = Decimal(str(parameters.forecast_seasonal_factor)), Decimal(str(parameters.forecast_alpha))
    km_remaining = _half_up(sum(km) * remaining * season / len(km)) if km else None
    cost_remaining = _half_up(_smoothed(cost, alpha) * remaining) if cost else None
    return Forecast(
        days_with_data=len(km),
        remaining_days=remaining,
        km_so_far=sum(km, Decimal("0.00")) if km else None,
        km_remaining=km_remaining,
        km_total=None if km_remaining is None else sum(km) + km_remaining,
        variable_cost_so_far_brl=sum(cost, Decimal("0.00")) if cost else None,
        variable_cost_remaining_brl=cost_remaining,
        variable_cost_total_brl=None if cost_remaining is None else sum(cost) + cost_remaining,
    )


def _smoothed(values: list[Decimal], alpha: Decimal) -> Decimal:
    level = values[0]
    for value in values[1:]:
        level = alpha * value + (1 - alpha) * level
    return level


def _half_up(value: Decimal) -> Decimal:
    return value.quantize(_HUNDREDTH, rounding=ROUND_HALF_UP)


def daily_totals(trips: pd.DataFrame, costs: pd.DataFrame, coverage: pd.DataFrame) -> pd.DataFrame:
    """Input of `forecast_cycle`: measured service km and variable cost of each day on which a vehicle was seen.

    A day without trips counts as zero. A day none of whose trips has km, or a price, is unknown; of one that has some,
    their sum is what is known.

    Args:
        trips: `fact.trips`; costs: `fact.trip_costs`; coverage: `fact.vehicle_day_coverage` of the cycle so far.
    """
    days = coverage.loc[coverage["status"] != "silent", "operational_date"].drop_duplicates().sort_values()
    service = trips[trips["purpose"] == "service"]
    totals = pd.DataFrame({"operational_date": days.to_list()})
    for name, rows, column in (("km", service, "km_measured"), ("variable_cost_brl", costs, "variable_cost_brl")):
        sums = rows.dropna(subset=[column]).groupby("operational_date")[column].sum()
        some = set(rows["operational_date"])
        values = [sums.get(day, None if day in some else 0) for day in totals["operational_date"]]
        totals[name] = pd.Series([None if value is None else Decimal(str(value)) for value in values], dtype=object)
    return totals
