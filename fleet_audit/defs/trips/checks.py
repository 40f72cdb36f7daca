"""Checks of the movement tables."""

from fleet_audit.defs.table_checks import table_checks
from fleet_audit.schema.facts import COVERAGE, KM_LEDGER, TRIP_WINDOW, TRIPS
from fleet_audit.schema.lake import LEGS

window_checks = table_checks("windows", (TRIP_WINDOW, LEGS))
trips_checks = table_checks("trips", (TRIPS,))  # apart from the next, which are computed from trips
day_checks = table_checks("days", (KM_LEDGER, COVERAGE))
