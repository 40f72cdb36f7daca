"""Checks of the tables of a cycle."""

from fleet_audit.defs.partitions import cycle_partitions
from fleet_audit.defs.table_checks import table_checks
from fleet_audit.schema.facts import (
    BILLING_LINES,
    CALIBRATION_SEGMENTS,
    CYCLE_FINDINGS,
    CYCLE_INCIDENTS,
    REVERSAL_ADJUSTMENTS,
    REVIEW_ESTIMATES,
    REVIEW_SAMPLES,
    VEHICLE_CYCLE_AMOUNTS,
)

cycle_checks = table_checks("cycle", (CYCLE_FINDINGS, CALIBRATION_SEGMENTS), partitions=cycle_partitions)
# A step of its own: incidents and amounts are computed from findings that the other step checks first.
billing_checks = table_checks(
    "billing",
    (BILLING_LINES, CYCLE_INCIDENTS, VEHICLE_CYCLE_AMOUNTS, REVERSAL_ADJUSTMENTS, REVIEW_SAMPLES, REVIEW_ESTIMATES),
    partitions=cycle_partitions,
)
