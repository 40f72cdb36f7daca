"""Money: the variable cost of each trip, and each day's share of the fixed cost."""

import dagster as dg

from fleet_audit.defs.partitions import run_days
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import DayFrames, daily_arguments, each_day, key_of
from fleet_audit.logic.costs.fixed_costs import fixed_cost_days, serving_plates
from fleet_audit.logic.costs.pricing import price_days
from fleet_audit.schema.facts import FIXED_COST_DAYS, TRIP_COSTS, TRIPS
from fleet_audit.schema.reference import CONTRACTS, FIXED_COSTS, PARAMETERS, POIS, ROUTES, TARIFFS, VEHICLES
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.table_days import Days


@dg.asset(
    **daily_arguments(TRIP_COSTS, "costs"),
    ins={"day_trips": dg.AssetIn(key_of(TRIPS))},
    deps=[key_of(table) for table in (VEHICLES, CONTRACTS, TARIFFS, ROUTES, POIS, PARAMETERS)],
)
@acts_on_errors
def trip_costs(context: dg.AssetExecutionContext, fleet: FleetResource, day_trips: Days) -> DayFrames:
    """Price the admitted km of each trip by the contract's tariff."""
    reference = fleet.reference()
    return each_day(run_days(context), lambda day: price_days(day_trips.read([day]), reference, fleet.parameters(day)))


@dg.asset(
    **daily_arguments(FIXED_COST_DAYS, "costs"),
    ins={"day_trips": dg.AssetIn(key_of(TRIPS))},
    deps=[key_of(table) for table in (VEHICLES, CONTRACTS, FIXED_COSTS, PARAMETERS)],
)
@acts_on_errors
def fixed_costs(context: dg.AssetExecutionContext, fleet: FleetResource, day_trips: Days) -> DayFrames:
    """Spread the monthly amounts over the cycle's days, to the cent."""
    reference, closing_day = fleet.reference(), fleet.settings().closing_day
    return each_day(
        run_days(context),
        lambda day: fixed_cost_days(
            day,
            reference.fixed_costs,
            reference.contracts,
            reference.vehicles,
            serving_plates(day_trips.read([day])),
            closing_day,
            fleet.parameters(day),
        ),
    )
