"""Checks of the tables of closing."""

from fleet_audit.defs.table_checks import table_checks
from fleet_audit.schema.facts import ADJUSTMENTS

closing_checks = table_checks("closing", (ADJUSTMENTS,))
