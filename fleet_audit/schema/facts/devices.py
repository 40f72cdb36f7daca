"""Coverage of the vehicles, health of their devices, and how odometers compare with GPS.

Positions are in the lake.
"""

from __future__ import annotations

from fleet_audit.schema.facts.columns import DAY, TRACE, fact_table
from fleet_audit.schema.model import Column, Table, Type, date, flag, integer, km3, real, text, text_list

COVERAGE = fact_table(
    "vehicle_day_coverage",
    "What was seen of each vehicle on each day",
    (
        DAY,
        text("plate", "Vehicle"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        text(
            "status",
            "complete: seen over at least 80 % of the day; partial: less; silent: nothing arrived",
            values=("complete", "partial", "silent"),
        ),
        Column("observed_h", Type.FLOAT, "Hours observed", "h", True, None, 0),
        integer("positions", "Positions received"),
        integer("visit_legs", "Movements in visit reports"),
    ),
    ("operational_date", "plate"),
    added=(
        integer(
            "visit_legs_other_clock",
            "Of these movements those of a report whose clock is hours off: evidence, never paid",
            nullable=True,
        ),
    ),
)

DEVICE_ISSUES = (
    "odometer_metres",
    "odometer_miles",
    "odometer_tenths",
    "odometer_tens",
    "odometer_scale",
    "odometer_unit_changes",
    "odometer_erratic",
    "clock_shift",
    "constant_place",
    "no_true_fix",
    "rounded_coordinates",
    "other_clock",
    "other_vehicle",
    "devices_disagree",
    "no_odometer",
    "no_coordinates",
    "no_ignition",
)

DEVICE_HEALTH = fact_table(
    "device_health",
    "Device health: its odometer's unit, its clock, its receiver, and fields that it never sends",
    (
        DAY,
        text("plate", "Vehicle"),
        text("device_id", "Device"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        integer("positions", "Positions of the day", minimum=1),
        integer("located", "Of these with coordinates", minimum=0),
        integer("readings", "Of these with an odometer", minimum=0),
        flag("has_ignition", "It reports the ignition"),
        real("odometer_ratio", "Odometer / path, median of pieces of 5 km over the day's window", nullable=True),
        real("ratio_km", "Path of these pieces", unit="km", nullable=True),
        integer(
            "clock_shift_h",
            "Hours by which its clock is ahead of the declared runs and visit reports; 0: it agrees; null: not known",
            unit="h",
            nullable=True,
        ),
        integer("clock_runs", "Runs that support the shift", nullable=True),
        text_list("issues", f"What is wrong: {', '.join(DEVICE_ISSUES)}"),
    ),
    ("operational_date", "plate", "device_id"),
    added=(
        text(
            "primary_device_id", "Device that measures the vehicle that day, where this one is another", nullable=True
        ),
        real("km_counted", "Counted by this one while both report: odometer, or path", unit="km", nullable=True),
        real("km_primary", "The same by the one that measures", unit="km", nullable=True),
        flag(
            "is_off_bus_day_before",
            "On the day before, the odometer of a device of this vehicle counted while the tracker lay still (O04)",
            nullable=True,
        ),
        integer(
            "other_unit_readings", "Readings of the day in another unit for a while, which no km use", nullable=True
        ),
    ),
)

CALIBRATIONS = fact_table(
    "calibrations",
    "Odometer / GPS of each device on each day, over trips that both measured well",
    (
        DAY,
        text("plate", "Vehicle"),
        text("device_id", "Device"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        integer("trips", "Trips compared", minimum=1),
        km3("km_odometer", "Their km by odometer, without bridged steps", minimum=0),
        km3("km_gps", "The same by path", minimum=0),
        real("ratio", "Median of odometer / GPS a trip, weighted by km", minimum=0),
        real("spread_pct", "Spread of the trips' ratios: 1.4826 × median absolute deviation", unit="%", minimum=0),
    ),
    ("operational_date", "plate", "device_id"),
)

CALIBRATION_SEGMENTS = Table(
    "fact",
    "calibration_segments",
    "Days in a row over which a vehicle's odometer / GPS ratio keeps its level, and why each begins",
    (
        date("cycle_start", "Cycle whose report shows it (partition)"),
        date("operational_date", "Last day of the segment"),
        text("plate", "Vehicle"),
        date("segment_start", "First day of the segment"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        text("device_id", "Device"),
        real("ratio", "Median of its days' ratios, weighted by km", minimum=0),
        real("spread_pct", "Spread of its days: 1.4826 × median absolute deviation", unit="%", minimum=0),
        integer("days", "Days with comparable trips", minimum=1),
        real("km", "Path compared", unit="km", minimum=0),
        flag("is_change_point", "It begins because something changed: a device, or the ratio"),
        text(
            "reason",
            "first: nothing before it is known; device: another device; ratio: the level moved (tyre, calibration)",
            values=("first", "device", "ratio"),
        ),
        *TRACE,
    ),
    key=("cycle_start", "plate", "segment_start", "device_id"),
    partition="cycle_start",
    sort=("cycle_start", "plate", "segment_start", "device_id"),
    frozen_by="cycle_start",
)
