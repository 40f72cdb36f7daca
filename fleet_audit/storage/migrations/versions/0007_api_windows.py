"""Create the table of API windows and until when each was answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007_api_windows"
down_revision = "0006_api_requests"
branch_labels = None
depends_on = None

_INSTANT = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "api_windows",
        sa.Column(
            "partition_date", sa.Date(), nullable=False, comment="Day of America/Sao_Paulo that the window lies in"
        ),
        sa.Column("window_from", _INSTANT, nullable=False, comment="Start of the window [UTC]"),
        sa.Column(
            "window_to",
            _INSTANT,
            nullable=False,
            comment="End of the window, exclusive, also when it is in the future [UTC]",
        ),
        sa.Column(
            "answered_to",
            _INSTANT,
            nullable=True,
            comment="Positions before this instant were received in full; null: none were [UTC]",
        ),
        sa.Column("answered_at", _INSTANT, nullable=True, comment="When the last complete answer was received [UTC]"),
        sa.Column(
            "failed_at",
            _INSTANT,
            nullable=True,
            comment="When the API was last asked without a complete answer; null after one [UTC]",
        ),
        sa.Column(
            "message", sa.Text(), nullable=True, comment="Why the last request has no complete answer, in one sentence"
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run that asked last"),
        sa.PrimaryKeyConstraint("partition_date", "window_from", name=op.f("pk_api_windows")),
        schema="ops",
        comment="Quarters of a day that the telemetry API was asked for, and until when each was answered in full",
    )


def downgrade() -> None:
    op.drop_table("api_windows", schema="ops")
