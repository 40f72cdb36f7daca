"""Create the tables of files by day, acceptance, devices that wait, and the inbox sensor's memory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004_files_by_day"
down_revision = "0003_closing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "day_acceptance",
        sa.Column("operational_date", sa.Date(), nullable=False, comment="Local day (partition)"),
        sa.Column("source_kind", sa.Text(), nullable=False, comment="What the rows came by"),
        sa.Column("rows_read", sa.BigInteger(), nullable=False, comment="Rows read"),
        sa.Column("rows_accepted", sa.BigInteger(), nullable=False, comment="Accepted"),
        sa.Column("rows_rejected", sa.BigInteger(), nullable=False, comment="Quarantined"),
        sa.Column(
            "rows_duplicate",
            sa.BigInteger(),
            nullable=False,
            comment="Duplicates: they say nothing new, and lower no acceptance",
        ),
        sa.Column(
            "acceptance_pct",
            sa.Numeric(precision=9, scale=2),
            nullable=True,
            comment="Accepted of accepted and rejected; empty when there are neither [%]",
        ),
        sa.Column(
            "is_low", sa.Boolean(), nullable=False, comment="Below day_acceptance_pct: what the day shows is incomplete"
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint(
            "source_kind IN ('visit_report', 'bulletin', 'telemetry', 'api')",
            name=op.f("ck_day_acceptance_source_kind"),
        ),
        sa.PrimaryKeyConstraint("operational_date", "source_kind", name=op.f("pk_day_acceptance")),
        schema="ops",
        comment="Share of a day's rows that was accepted, of the newest version of each file and of the API",
    )
    op.create_table(
        "file_days",
        sa.Column("file_sha256", sa.Text(), nullable=False, comment="SHA-256 of the bytes"),
        sa.Column("file_name", sa.Text(), nullable=False, comment="Path inside the inbox"),
        sa.Column("date", sa.Date(), nullable=False, comment="Local day"),
        sa.Column("rows_read", sa.BigInteger(), nullable=False, comment="Data rows read"),
        sa.Column("rows_accepted", sa.BigInteger(), nullable=False, comment="Accepted"),
        sa.Column("rows_rejected", sa.BigInteger(), nullable=False, comment="Quarantined"),
        sa.Column("rows_duplicate", sa.BigInteger(), nullable=False, comment="Duplicates"),
        sa.PrimaryKeyConstraint("file_sha256", "file_name", "date", name=op.f("pk_file_days")),
        schema="ops",
        comment="A file's rows by local day; a row whose day is illegible counts on the day of the row before it",
    )
    op.create_table(
        "inbox_requests",
        sa.Column("file_name", sa.Text(), nullable=False, comment="Path inside the inbox"),
        sa.Column("stamp", sa.Text(), nullable=False, comment="Size and times: other ones mean that the file changed"),
        sa.Column(
            "first_date",
            sa.Date(),
            nullable=True,
            comment="First day asked for; empty when its days had been run already",
        ),
        sa.Column("last_date", sa.Date(), nullable=True, comment="Last day asked for"),
        sa.Column("requested_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When [UTC]"),
        sa.PrimaryKeyConstraint("file_name", name=op.f("pk_inbox_requests")),
        schema="ops",
        comment="The inbox sensor's memory: each file as it was when its days were last asked for",
    )
    op.create_table(
        "pending_devices",
        sa.Column("operational_date", sa.Date(), nullable=False, comment="Day of America/Sao_Paulo (partition)"),
        sa.Column("device_id", sa.Text(), nullable=False, comment="Device"),
        sa.Column("positions", sa.BigInteger(), nullable=False, comment="Positions that wait"),
        sa.Column("first_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="First of them [UTC]"),
        sa.Column("last_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="Last of them [UTC]"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint("positions >= 1", name=op.f("ck_pending_devices_positions")),
        sa.PrimaryKeyConstraint("operational_date", "device_id", name=op.f("pk_pending_devices")),
        schema="ops",
        comment="Positions that wait: their device is in no vehicle on that day until reference/devices says so",
    )
    op.add_column(
        "ingested_files",
        sa.Column(
            "reason_code", sa.Text(), nullable=True, comment="Stable code of why it was refused whole (docs/reasons.md)"
        ),
        schema="ops",
    )
    op.add_column(
        "ingested_files",
        sa.Column(
            "report_path",
            sa.Text(),
            nullable=True,
            comment="CSV of what was refused of it, for its sender, inside the lake",
        ),
        schema="ops",
    )
    op.add_column(
        "ingested_files",
        sa.Column(
            "stamp",
            sa.Text(),
            nullable=True,
            comment="Size and times under which it was last listed: a file that keeps them is not opened again",
        ),
        schema="ops",
    )


def downgrade() -> None:
    op.drop_column("ingested_files", "stamp", schema="ops")
    op.drop_column("ingested_files", "report_path", schema="ops")
    op.drop_column("ingested_files", "reason_code", schema="ops")
    op.drop_table("pending_devices", schema="ops")
    op.drop_table("inbox_requests", schema="ops")
    op.drop_table("file_days", schema="ops")
    op.drop_table("day_acceptance", schema="ops")
