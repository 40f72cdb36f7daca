"""Checks of the money tables."""

from fleet_audit.defs.table_checks import table_checks
from fleet_audit.schema.facts import FIXED_COST_DAYS, TRIP_COSTS

costs_checks = table_checks("costs", (TRIP_COSTS, FIXED_COST_DAYS))
