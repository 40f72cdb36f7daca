"""Create the tables of files by day, acceptance, devices that wait, and the inbox sensor's memory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004_files_by_day"
down_revision = "0003_closing"


def upgrade() -> None:
    op.create_table(
        "day_acceptance",
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("rows_accepted", sa.BigInteger(), nullable=False),
        sa.Column("rows_rejected", sa.BigInteger(), nullable=False),
        sa.Column("rows_duplicate", sa.BigInteger(), nullable=False),
        sa.Column("acceptance_pct", sa.Numeric(precision=9, scale=2), nullable=True),
        sa.Column("is_low", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint(
            "source_kind IN ('visit_report', 'bulletin', 'telemetry', 'api')",
            name=op.f("ck_day_acceptance_source_kind"),
        ),
        sa.PrimaryKeyConstraint("operational_date", "source_kind", name=op.f("pk_day_acceptance")),
        schema="ops",
    )
    op.create_table(
        "file_days",
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("rows_accepted", sa.BigInteger(), nullable=False),
        sa.Column("rows_rejected", sa.BigInteger(), nullable=False),
        sa.Column("rows_duplicate", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file_sha256", "file_name", "date", name=op.f("pk_file_days")),
        schema="ops",
    )
    op.create_table(
        "inbox_requests",
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("stamp", sa.Text(), nullable=False),
        sa.Column("first_date", sa.Date(), nullable=True),
        sa.Column("last_date", sa.Date(), nullable=True),
        sa.Column("requested_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("file_name", name=op.f("pk_inbox_requests")),
        schema="ops",
    )
    op.create_table(
        "pending_devices",
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("positions", sa.BigInteger(), nullable=False),
        sa.Column("first_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("last_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("positions >= 1", name=op.f("ck_pending_devices_positions")),
        sa.PrimaryKeyConstraint("operational_date", "device_id", name=op.f("pk_pending_devices")),
        schema="ops",
    )
    op.add_column("ingested_files", sa.Column("reason_code", sa.Text(), nullable=True), schema="ops")
    op.add_column("ingested_files", sa.Column("report_path", sa.Text(), nullable=True), schema="ops")
    op.add_column("ingested_files", sa.Column("stamp", sa.Text(), nullable=True), schema="ops")
