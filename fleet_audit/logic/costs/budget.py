"""Budget of a cycle, or of some of its days: the planned km at their tariffs, and the fixed cost of the days.

What is forecast from the days that were run is in `forecast`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from fleet_audit.logic.costs.fixed_costs import fixed_cost_of_days
from fleet_audit.logic.costs.plan import plan_of_days
from fleet_audit.logic.costs.tariffs import select_tariffs, with_vehicles
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.logic.primitives.money import known_sum, multiply_brl, sum_decimal
from fleet_audit.logic.reference.reference import Reference


@dataclass(frozen=True)
class Budget:
    """Km and BRL of the budgeted days. None: no plan, or no fixed cost; `unpriced_lines` of the plan have no tariff."""

    planned_km: Decimal | None
    variable_brl: Decimal | None
    fixed_so_far_brl: Decimal | None
    fixed_remaining_brl: Decimal | None
    unpriced_lines: int = 0

    @property
    def fixed_brl(self) -> Decimal | None:
        """The fixed cost of the days: what those that were run owe, and what the others will."""
        return known_sum((self.fixed_so_far_brl, self.fixed_remaining_brl))

    @property
    def total_brl(self) -> Decimal | None:
        """Variable + fixed; unknown where either is."""
        if self.variable_brl is None or self.fixed_brl is None:
            return None
        return self.variable_brl + self.fixed_brl


def cycle_budget(
    cycle: Cycle,
    reference: Reference,
    fixed_so_far_brl: Decimal | None,
    run_days: Collection[dt.date],
    closing_day: int,
    days: Collection[dt.date] | None = None,
) -> Budget:
    """The budget of a cycle, or of these `days` of it.

    A line of the plan is priced as service of its vehicle on the cycle's first day: with its class, its route, and the
    route's area and regime (without a route its default area). Of the days that are not run a reserve has no fixed
    share: its titular is expected to serve.

    Args:
        fixed_so_far_brl: sum of `fact.fixed_cost_days` of these days; run_days: those of them that were run.
    """
    days = sorted(days if days is not None else cycle_days(cycle))
    plan = plan_of_days(reference.km_plan, cycle, days)
    rates = _rates(plan, reference, cycle)
    costs = multiply_brl(plan["planned_km"], rates)
    left = sorted(set(days) - set(run_days))
    titulars = set(reference.vehicles["titular_plate"].dropna())
    remaining = fixed_cost_of_days(
        left, reference.fixed_costs, reference.contracts, reference.vehicles, titulars, closing_day
    )
    return Budget(
        planned_km=sum_decimal(plan["planned_km"]),
        variable_brl=sum_decimal(costs),
        fixed_so_far_brl=fixed_so_far_brl,
        fixed_remaining_brl=remaining or Decimal("0.00"),
        unpriced_lines=int((plan["planned_km"].notna() & costs.isna()).sum()),
    )


def _rates(plan: pd.DataFrame, reference: Reference, cycle: Cycle) -> pd.Series:
    """Tariff of each line of the plan; null where none or several apply."""
    asked = plan[["plate", "route_code"]].assign(operational_date=cycle.start)
    vehicles = reference.vehicles_on_days([cycle.start])
    asked = with_vehicles(asked, vehicles, ["contract_id", "vehicle_class", "default_area"])
    routes = reference.routes.drop_duplicates("route_code").set_index("route_code")
    asked["regime"] = asked["route_code"].map(routes["regime"])
    asked["area"] = asked["route_code"].map(routes["area"]).astype("str").fillna(asked["default_area"])
    return select_tariffs(asked, reference.tariffs)["rate_brl_per_km"]
