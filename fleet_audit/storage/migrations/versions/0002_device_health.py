"""Create the tables of devices (health, calibration) and let findings name their cycle."""
# ruff: noqa: E501 (descriptions are not wrapped)

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002_device_health"
down_revision = "0001_first_tables"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calibration_segments",
        sa.Column("cycle_start", sa.Date(), nullable=False, comment="Cycle whose report shows it (partition)"),
        sa.Column("operational_date", sa.Date(), nullable=False, comment="Last day of the segment"),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("segment_start", sa.Date(), nullable=False, comment="First day of the segment"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column("device_id", sa.Text(), nullable=False, comment="Device"),
        sa.Column("ratio", sa.DOUBLE_PRECISION(), nullable=False, comment="Median of its days' ratios, weighted by km"),
        sa.Column(
            "spread_pct",
            sa.DOUBLE_PRECISION(),
            nullable=False,
            comment="Spread of its days: 1.4826 × median absolute deviation [%]",
        ),
        sa.Column("days", sa.BigInteger(), nullable=False, comment="Days with comparable trips"),
        sa.Column("km", sa.DOUBLE_PRECISION(), nullable=False, comment="Path compared [km]"),
        sa.Column(
            "is_change_point",
            sa.Boolean(),
            nullable=False,
            comment="It begins because something changed: a device, or the ratio",
        ),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=False,
            comment="first: nothing before it is known; device: another device; ratio: the level moved (tyre, calibration)",
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint("reason IN ('first', 'device', 'ratio')", name=op.f("ck_calibration_segments_reason")),
        sa.CheckConstraint("days >= 1", name=op.f("ck_calibration_segments_days")),
        sa.CheckConstraint("km >= 0", name=op.f("ck_calibration_segments_km")),
        sa.CheckConstraint("ratio >= 0", name=op.f("ck_calibration_segments_ratio")),
        sa.CheckConstraint("spread_pct >= 0", name=op.f("ck_calibration_segments_spread_pct")),
        sa.PrimaryKeyConstraint(
            "cycle_start", "plate", "segment_start", "device_id", name=op.f("pk_calibration_segments")
        ),
        schema="fact",
        comment="Days in a row over which a vehicle's odometer / GPS ratio keeps its level, and why each begins",
    )
    op.create_table(
        "calibrations",
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("device_id", sa.Text(), nullable=False, comment="Device"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column("trips", sa.BigInteger(), nullable=False, comment="Trips compared"),
        sa.Column(
            "km_odometer",
            sa.Numeric(precision=12, scale=3),
            nullable=False,
            comment="Their km by odometer, without bridged steps [km]",
        ),
        sa.Column("km_gps", sa.Numeric(precision=12, scale=3), nullable=False, comment="The same by path [km]"),
        sa.Column(
            "ratio", sa.DOUBLE_PRECISION(), nullable=False, comment="Median of odometer / GPS a trip, weighted by km"
        ),
        sa.Column(
            "spread_pct",
            sa.DOUBLE_PRECISION(),
            nullable=False,
            comment="Spread of the trips' ratios: 1.4826 × median absolute deviation [%]",
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint("km_gps >= 0", name=op.f("ck_calibrations_km_gps")),
        sa.CheckConstraint("km_odometer >= 0", name=op.f("ck_calibrations_km_odometer")),
        sa.CheckConstraint("ratio >= 0", name=op.f("ck_calibrations_ratio")),
        sa.CheckConstraint("spread_pct >= 0", name=op.f("ck_calibrations_spread_pct")),
        sa.CheckConstraint("trips >= 1", name=op.f("ck_calibrations_trips")),
        sa.PrimaryKeyConstraint("operational_date", "plate", "device_id", name=op.f("pk_calibrations")),
        schema="fact",
        comment="Odometer / GPS of each device on each day, over trips that both measured well",
    )
    op.create_index(
        "ix_calibrations_plate_operational_date",
        "calibrations",
        ["plate", "operational_date"],
        unique=False,
        schema="fact",
    )
    op.create_table(
        "device_health",
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("device_id", sa.Text(), nullable=False, comment="Device"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column("positions", sa.BigInteger(), nullable=False, comment="Positions of the day"),
        sa.Column("located", sa.BigInteger(), nullable=False, comment="Of these with coordinates"),
        sa.Column("readings", sa.BigInteger(), nullable=False, comment="Of these with an odometer"),
        sa.Column("has_ignition", sa.Boolean(), nullable=False, comment="It reports the ignition"),
        sa.Column(
            "odometer_ratio",
            sa.DOUBLE_PRECISION(),
            nullable=True,
            comment="Odometer / path, median of pieces of 5 km over the day's window",
        ),
        sa.Column("ratio_km", sa.DOUBLE_PRECISION(), nullable=True, comment="Path of these pieces [km]"),
        sa.Column(
            "clock_shift_h",
            sa.BigInteger(),
            nullable=True,
            comment="Hours by which its clock is ahead of the declared runs and visit reports; 0: it agrees; null: not known [h]",
        ),
        sa.Column("clock_runs", sa.BigInteger(), nullable=True, comment="Runs that say so"),
        sa.Column(
            "issues",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="What is wrong: odometer_metres, odometer_miles, odometer_scale, clock_shift, constant_place, no_odometer, no_coordinates, no_ignition",
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint("located >= 0", name=op.f("ck_device_health_located")),
        sa.CheckConstraint("positions >= 1", name=op.f("ck_device_health_positions")),
        sa.CheckConstraint("readings >= 0", name=op.f("ck_device_health_readings")),
        sa.PrimaryKeyConstraint("operational_date", "plate", "device_id", name=op.f("pk_device_health")),
        schema="fact",
        comment="Health of a device: its odometer's unit, its clock, its receiver, the fields that it never sends",
    )
    op.create_index(
        "ix_device_health_plate_operational_date",
        "device_health",
        ["plate", "operational_date"],
        unique=False,
        schema="fact",
    )
    op.add_column(
        "findings",
        sa.Column(
            "cycle_start",
            sa.Date(),
            nullable=True,
            comment="Cycle that a rule over a whole cycle judged; empty for a rule of one day",
        ),
        schema="fact",
    )


def downgrade() -> None:
    op.drop_column("findings", "cycle_start", schema="fact")
    op.drop_index("ix_device_health_plate_operational_date", table_name="device_health", schema="fact")
    op.drop_table("device_health", schema="fact")
    op.drop_index("ix_calibrations_plate_operational_date", table_name="calibrations", schema="fact")
    op.drop_table("calibrations", schema="fact")
    op.drop_table("calibration_segments", schema="fact")
