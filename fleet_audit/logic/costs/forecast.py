"""Forecast of a cycle: km and variable cost of its remaining days, from the days that have data.

What was measured and billed so far is an input, one row per day.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from fleet_audit.logic.primitives.cycles import Cycle, as_days, cycle_days
from fleet_audit.logic.primitives.money import half_up
from fleet_audit.logic.primitives.parameters import ParameterSet


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


def forecast_cycle(
    daily: pd.DataFrame, cycle: Cycle, run_days: Iterable[dt.date], calendar: pd.DataFrame, parameters: ParameterSet
) -> Forecast:
    """Forecast of the cycle's km and variable cost at its end: a Saturday that is left is forecast by Saturdays.

    Remaining km = for each day of the cycle that was not run the mean km of the days with data of its class (of all
    days where its class has none) × forecast_seasonal_factor. Remaining cost likewise by the level of the class's daily
    cost, smoothed exponentially with forecast_alpha from the first day with data on. Both half-up to 0.01. A day
    without data takes no part.

    Args:
        daily: operational_date, km and variable_cost_brl (decimals, null = no data), one row per day; only those of
            the cycle that were run count.
        cycle: the cycle.
        run_days: days that were run; remaining are all other days of the cycle.
        calendar: `ref.calendar`, for the days' classes.
        parameters: forecast_seasonal_factor, forecast_alpha.
    """
    days, is_run = cycle_days(cycle), set(run_days)
    classes = day_classes(days, calendar)
    left = Counter(classes[day] for day in days if day not in is_run)
    known = daily[daily["operational_date"].isin(is_run.intersection(days))]
    known = known.iloc[as_days(known["operational_date"]).argsort(kind="stable")]
    season, alpha = Decimal(str(parameters.forecast_seasonal_factor)), Decimal(str(parameters.forecast_alpha))
    km, cost = (_by_class(known, name, classes) for name in ("km", "variable_cost_brl"))
    km_so_far, cost_so_far = (sum(values[None], Decimal("0.00")) if values[None] else None for values in (km, cost))
    km_left = _remaining(km, left, lambda values: sum(values, Decimal(0)) * season / len(values))
    cost_left = _remaining(cost, left, lambda values: _smoothed(values, alpha))
    return Forecast(
        days_with_data=len(km[None]),
        remaining_days=left.total(),
        km_so_far=km_so_far,
        km_remaining=km_left,
        km_total=None if km_so_far is None or km_left is None else km_so_far + km_left,
        variable_cost_so_far_brl=cost_so_far,
        variable_cost_remaining_brl=cost_left,
        variable_cost_total_brl=None if cost_so_far is None or cost_left is None else cost_so_far + cost_left,
    )


def day_classes(days: Iterable[dt.date], calendar: pd.DataFrame) -> dict[dt.date, str]:
    """Class of each day: what most units' calendars name it (of equally many the first by name), else its weekday."""
    named = calendar.dropna(subset=["day_type"]).groupby("date")["day_type"].agg(lambda types: types.mode().iloc[0])
    of_weekday = ("util", "util", "util", "util", "util", "sabado", "domingo")
    return {day: named.get(day, of_weekday[day.weekday()]) for day in days}


def _by_class(known: pd.DataFrame, name: str, classes: dict[dt.date, str]) -> dict[str | None, list[Decimal]]:
    """Values of the days with data in order, by class; those of all days under None."""
    rows = known.dropna(subset=[name])
    found: dict[str | None, list[Decimal]] = {None: []}
    for day, value in zip(rows["operational_date"], rows[name], strict=True):
        found[None].append(Decimal(value))
        found.setdefault(classes[day], []).append(Decimal(value))
    return found


def _remaining(
    values: dict[str | None, list[Decimal]], left: Counter[str], level: Callable[[list[Decimal]], Decimal]
) -> Decimal | None:
    """Sum over the remaining days of their class's level; None where no day has data."""
    if not values[None]:
        return None
    return half_up(sum((count * level(values.get(name) or values[None]) for name, count in left.items()), Decimal(0)))


def _smoothed(values: list[Decimal], alpha: Decimal) -> Decimal:
    level = values[0]
    for value in values[1:]:
        level = alpha * value + (1 - alpha) * level
    return level


def daily_totals(trips: pd.DataFrame, costs: pd.DataFrame, coverage: pd.DataFrame) -> pd.DataFrame:
    """Input of `forecast_cycle`: measured service km and variable cost of each day on which a vehicle was seen.

    A day without trips counts as zero. A day none of whose trips has km, or a price, is unknown; of one that has some,
    their sum is what is known. Costs of trips that are no more, which stay when the step of the costs failed, do not
    count.

    Args:
        trips: `fact.trips`; costs: `fact.trip_costs`; coverage: `fact.vehicle_day_coverage` of the cycle so far.
    """
    days = coverage.loc[coverage["status"] != "silent", "operational_date"].drop_duplicates().sort_values()
    service, costs = trips[trips["purpose"] == "service"], costs[costs["trip_id"].isin(trips["trip_id"])]
    totals = pd.DataFrame({"operational_date": days.to_list()})
    for name, rows, column in (("km", service, "km_measured"), ("variable_cost_brl", costs, "variable_cost_brl")):
        sums = rows.dropna(subset=[column]).groupby("operational_date")[column].sum()
        some = set(rows["operational_date"])
        values = [sums.get(day, None if day in some else 0) for day in totals["operational_date"]]
        totals[name] = pd.Series([None if value is None else Decimal(str(value)) for value in values], dtype=object)
    return totals
