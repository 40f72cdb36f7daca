"""Create the tables of devices (health, calibration) and let findings name their cycle."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002_device_health"
down_revision = "0001_first_tables"


def upgrade() -> None:
    op.create_table(
        "calibration_segments",
        sa.Column("cycle_start", sa.Date(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("segment_start", sa.Date(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("ratio", sa.DOUBLE_PRECISION(), nullable=False),
        sa.Column("spread_pct", sa.DOUBLE_PRECISION(), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.Column("km", sa.DOUBLE_PRECISION(), nullable=False),
        sa.Column("is_change_point", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("reason IN ('first', 'device', 'ratio')", name=op.f("ck_calibration_segments_reason")),
        sa.CheckConstraint("days >= 1", name=op.f("ck_calibration_segments_days")),
        sa.CheckConstraint("km >= 0", name=op.f("ck_calibration_segments_km")),
        sa.CheckConstraint("ratio >= 0", name=op.f("ck_calibration_segments_ratio")),
        sa.CheckConstraint("spread_pct >= 0", name=op.f("ck_calibration_segments_spread_pct")),
        sa.PrimaryKeyConstraint(
            "cycle_start", "plate", "segment_start", "device_id", name=op.f("pk_calibration_segments")
        ),
        schema="fact",
    )
    op.create_table(
        "calibrations",
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("trips", sa.BigInteger(), nullable=False),
        sa.Column("km_odometer", sa.Numeric(precision=12, scale=3), nullable=False),
        sa.Column("km_gps", sa.Numeric(precision=12, scale=3), nullable=False),
        sa.Column("ratio", sa.DOUBLE_PRECISION(), nullable=False),
        sa.Column("spread_pct", sa.DOUBLE_PRECISION(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("km_gps >= 0", name=op.f("ck_calibrations_km_gps")),
        sa.CheckConstraint("km_odometer >= 0", name=op.f("ck_calibrations_km_odometer")),
        sa.CheckConstraint("ratio >= 0", name=op.f("ck_calibrations_ratio")),
        sa.CheckConstraint("spread_pct >= 0", name=op.f("ck_calibrations_spread_pct")),
        sa.CheckConstraint("trips >= 1", name=op.f("ck_calibrations_trips")),
        sa.PrimaryKeyConstraint("operational_date", "plate", "device_id", name=op.f("pk_calibrations")),
        schema="fact",
    )
    op.create_index(
        "ix_calibrations_plate_operational_date", "calibrations", ["plate", "operational_date"], schema="fact"
    )
    op.create_table(
        "device_health",
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("positions", sa.BigInteger(), nullable=False),
        sa.Column("located", sa.BigInteger(), nullable=False),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        sa.Column("has_ignition", sa.Boolean(), nullable=False),
        sa.Column("odometer_ratio", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("ratio_km", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("clock_shift_h", sa.BigInteger(), nullable=True),
        sa.Column("clock_runs", sa.BigInteger(), nullable=True),
        sa.Column("issues", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("located >= 0", name=op.f("ck_device_health_located")),
        sa.CheckConstraint("positions >= 1", name=op.f("ck_device_health_positions")),
        sa.CheckConstraint("readings >= 0", name=op.f("ck_device_health_readings")),
        sa.PrimaryKeyConstraint("operational_date", "plate", "device_id", name=op.f("pk_device_health")),
        schema="fact",
    )
    op.create_index(
        "ix_device_health_plate_operational_date", "device_health", ["plate", "operational_date"], schema="fact"
    )
    op.add_column("findings", sa.Column("cycle_start", sa.Date(), nullable=True), schema="fact")
