"""Create the tables of API requests and of what staging holds by the hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006_api_requests"
down_revision = "0005_computed_days"


def upgrade() -> None:
    op.create_table(
        "api_requests",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("partition_date", sa.Date(), nullable=False),
        sa.Column("window_from", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("window_to", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("page_number", sa.BigInteger(), nullable=False),
        sa.Column("window_attempt", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("latency_ms", sa.BigInteger(), nullable=True),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("body_sha256", sa.Text(), nullable=True),
        sa.Column("archive_path", sa.Text(), nullable=True),
        sa.Column("server_request_id", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("answered_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.CheckConstraint("latency_ms >= 0", name=op.f("ck_api_requests_latency_ms")),
        sa.CheckConstraint("page_number >= 0", name=op.f("ck_api_requests_page_number")),
        sa.CheckConstraint("rows_read >= 0", name=op.f("ck_api_requests_rows_read")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_api_requests_size_bytes")),
        sa.CheckConstraint("tries >= 0", name=op.f("ck_api_requests_tries")),
        sa.CheckConstraint("window_attempt >= 1", name=op.f("ck_api_requests_window_attempt")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_api_requests")),
        schema="ops",
    )
    op.create_table(
        "position_hours",
        sa.Column("hour_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("partition_date", sa.Date(), nullable=False),
        sa.Column("rows_accepted", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("changed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.CheckConstraint("rows_accepted >= 0", name=op.f("ck_position_hours_rows_accepted")),
        sa.PrimaryKeyConstraint("hour_at", name=op.f("pk_position_hours")),
        schema="ops",
    )
