"""Create the tables of closing, adjustments and the reference's history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003_closing"
down_revision = "0002_device_health"


def upgrade() -> None:
    op.create_table(
        "adjustments",
        sa.Column("adjustment_id", sa.Text(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("billed_cycle_start", sa.Date(), nullable=False),
        sa.Column("origin_cycle_start", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("contract_id", sa.Text(), nullable=True),
        sa.Column("trip_id", sa.Text(), nullable=True),
        sa.Column("km_closed", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("km_now", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("difference_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("brl_closed", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("brl_now", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("difference_brl", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('trip', 'fixed')", name=op.f("ck_adjustments_kind")),
        sa.PrimaryKeyConstraint("adjustment_id", name=op.f("pk_adjustments")),
        schema="fact",
    )
    op.create_index("ix_adjustments_operational_date", "adjustments", ["operational_date"], schema="fact")
    op.create_index(
        "ix_adjustments_plate_operational_date", "adjustments", ["plate", "operational_date"], schema="fact"
    )
    op.create_table(
        "cycle_closes",
        sa.Column("cycle_start", sa.Date(), nullable=False),
        sa.Column("cycle_end", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("closed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("manifest_sha256", sa.Text(), nullable=False),
        sa.Column("manifest_path", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("parameters_version", sa.Text(), nullable=False),
        sa.Column("total_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("total_variable_brl", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("total_fixed_brl", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.CheckConstraint("status IN ('provisional', 'final')", name=op.f("ck_cycle_closes_status")),
        sa.PrimaryKeyConstraint("cycle_start", "status", name=op.f("pk_cycle_closes")),
        schema="ops",
    )
    op.create_table(
        "reference_changes",
        sa.Column("change_id", sa.Text(), nullable=False),
        sa.Column("cycle_start", sa.Date(), nullable=False),
        sa.Column("finding_date", sa.Date(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("recorded_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("first_date", sa.Date(), nullable=False),
        sa.Column("last_date", sa.Date(), nullable=False),
        sa.Column("rows_added", sa.BigInteger(), nullable=False),
        sa.Column("rows_removed", sa.BigInteger(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("previous_sha256", sa.Text(), nullable=False),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.CheckConstraint("rows_added >= 0", name=op.f("ck_reference_changes_rows_added")),
        sa.CheckConstraint("rows_removed >= 0", name=op.f("ck_reference_changes_rows_removed")),
        sa.PrimaryKeyConstraint("change_id", "cycle_start", name=op.f("pk_reference_changes")),
        schema="ops",
    )
    op.create_table(
        "reference_deltas",
        sa.Column("change_run_id", sa.Text(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("table_names", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("km_before", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("km_after", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("brl_before", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("brl_after", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("is_rerun", sa.Boolean(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.UniqueConstraint(
            "change_run_id",
            "operational_date",
            "carrier_code",
            name=op.f("uq_reference_deltas"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="ops",
    )
    op.create_index("ix_reference_deltas_operational_date", "reference_deltas", ["operational_date"], schema="ops")
    op.create_table(
        "reference_history",
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_key", sa.Text(), nullable=False),
        sa.Column("recorded_from", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("recorded_to", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "row_key", "recorded_from", name=op.f("pk_reference_history")),
        schema="ops",
    )
