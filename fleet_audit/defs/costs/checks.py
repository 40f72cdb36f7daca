"""Checks of the money tables."""

from fleet_audit.defs.table_checks import table_checks
from fleet_audit.schema.facts import FIXED_COST_DAYS, TRIP_COSTS, VEHICLE_DAY_AMOUNTS

costs_checks = table_checks("costs", (TRIP_COSTS, FIXED_COST_DAYS))
# A step of its own: the amounts are computed after the audit, which reads what the other step checks first.
amounts_checks = table_checks("amounts", (VEHICLE_DAY_AMOUNTS,))
