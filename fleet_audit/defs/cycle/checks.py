"""Checks of the tables of a cycle."""

from fleet_audit.defs.partitions import cycle_partitions
from fleet_audit.defs.table_checks import table_checks
from fleet_audit.schema.facts import BILLING_LINES, CALIBRATION_SEGMENTS, CYCLE_FINDINGS

cycle_checks = table_checks("cycle", (CYCLE_FINDINGS, CALIBRATION_SEGMENTS, BILLING_LINES), partitions=cycle_partitions)
