"""Create the tables of API requests and of what staging holds by the hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006_api_requests"
down_revision = "0005_computed_days"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_requests",
        sa.Column(
            "request_id",
            sa.Text(),
            nullable=False,
            comment="Hash of window, page and what was answered: the same answer again is the same row",
        ),
        sa.Column(
            "partition_date", sa.Date(), nullable=False, comment="Day of America/Sao_Paulo that the window lies in"
        ),
        sa.Column(
            "window_from", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="First instant asked for [UTC]"
        ),
        sa.Column(
            "window_to",
            postgresql.TIMESTAMP(timezone=True),
            nullable=False,
            comment="End of the window, exclusive [UTC]",
        ),
        sa.Column("page_number", sa.BigInteger(), nullable=False, comment="Page within the window, from 1"),
        sa.Column(
            "window_attempt",
            sa.BigInteger(),
            nullable=False,
            comment="1, and one more each time that the cursor expired",
        ),
        sa.Column(
            "status", sa.BigInteger(), nullable=True, comment="HTTP status of the last answer; null when there was none"
        ),
        sa.Column("tries", sa.BigInteger(), nullable=False, comment="Requests that this page took"),
        sa.Column(
            "latency_ms", sa.BigInteger(), nullable=True, comment="From the last request to the whole answer [ms]"
        ),
        sa.Column("rows_read", sa.BigInteger(), nullable=False, comment="Items of the page"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True, comment="Size of the answer as received [bytes]"),
        sa.Column("body_sha256", sa.Text(), nullable=True, comment="SHA-256 of the answer"),
        sa.Column("archive_path", sa.Text(), nullable=True, comment="Where its bytes are, inside the lake"),
        sa.Column(
            "server_request_id", sa.Text(), nullable=True, comment="X-Request-Id of the answer, to ask the vendor by"
        ),
        sa.Column("message", sa.Text(), nullable=True, comment="Why the window failed, in one sentence"),
        sa.Column(
            "answered_at",
            postgresql.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When the answer was there [UTC]",
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run that asked"),
        sa.CheckConstraint("latency_ms >= 0", name=op.f("ck_api_requests_latency_ms")),
        sa.CheckConstraint("page_number >= 0", name=op.f("ck_api_requests_page_number")),
        sa.CheckConstraint("rows_read >= 0", name=op.f("ck_api_requests_rows_read")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_api_requests_size_bytes")),
        sa.CheckConstraint("tries >= 0", name=op.f("ck_api_requests_tries")),
        sa.CheckConstraint("window_attempt >= 1", name=op.f("ck_api_requests_window_attempt")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_api_requests")),
        schema="ops",
        comment="Pages of the telemetry API as they were asked for and archived, and windows that failed",
    )
    op.create_table(
        "position_hours",
        sa.Column("hour_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="Begin of the hour [UTC]"),
        sa.Column("partition_date", sa.Date(), nullable=False, comment="Day of America/Sao_Paulo"),
        sa.Column("rows_accepted", sa.BigInteger(), nullable=False, comment="Positions"),
        sa.Column(
            "digest",
            sa.Text(),
            nullable=False,
            comment="Of all facts of the hour's positions, whatever their order and origin",
        ),
        sa.Column(
            "changed_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it became this [UTC]"
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run that changed it"),
        sa.CheckConstraint("rows_accepted >= 0", name=op.f("ck_position_hours_rows_accepted")),
        sa.PrimaryKeyConstraint("hour_at", name=op.f("pk_position_hours")),
        schema="ops",
        comment="What staging holds of each hour: which days were computed before something in their window changed",
    )


def downgrade() -> None:
    op.drop_table("position_hours", schema="ops")
    op.drop_table("api_requests", schema="ops")
