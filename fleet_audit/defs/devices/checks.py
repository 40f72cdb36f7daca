"""Checks of the tables of devices."""

from fleet_audit.defs.table_checks import table_checks
from fleet_audit.schema.facts import CALIBRATIONS, DEVICE_HEALTH
from fleet_audit.schema.lake import ODOMETER_EVENTS

device_checks = table_checks("devices", (ODOMETER_EVENTS, DEVICE_HEALTH))
calibration_checks = table_checks("calibrations", (CALIBRATIONS,))
