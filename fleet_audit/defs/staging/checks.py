"""Checks of the staging tables: schema, and that no row was lost on the way (Q03)."""

from fleet_audit.defs.table_checks import table_checks
from fleet_audit.schema.lake import STAGING_DECLARED_RUNS, STAGING_NOTES, STAGING_POSITIONS, STAGING_VISIT_LEGS

_COUNTED = (STAGING_POSITIONS, STAGING_VISIT_LEGS, STAGING_DECLARED_RUNS)
staging_checks = table_checks("staging", (*_COUNTED, STAGING_NOTES), reconciled=_COUNTED)
