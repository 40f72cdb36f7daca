"""Checks of the audit tables."""

from fleet_audit.defs.table_checks import table_checks
from fleet_audit.schema.facts import (
    DECLARED_RUNS,
    FINDINGS,
    HELD_RUNS,
    INCIDENTS,
    MATCHES,
    RULES_NOT_TESTED,
    TRIP_SCORES,
)

audit_checks = table_checks(
    "audit", (DECLARED_RUNS, MATCHES, HELD_RUNS, FINDINGS, INCIDENTS, TRIP_SCORES, RULES_NOT_TESTED)
)
