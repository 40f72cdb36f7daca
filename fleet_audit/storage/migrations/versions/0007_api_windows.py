"""Create the table of API windows and until when each was answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007_api_windows"
down_revision = "0006_api_requests"

_INSTANT = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "api_windows",
        sa.Column("partition_date", sa.Date(), nullable=False),
        sa.Column("window_from", _INSTANT, nullable=False),
        sa.Column("window_to", _INSTANT, nullable=False),
        sa.Column("answered_to", _INSTANT, nullable=True),
        sa.Column("answered_at", _INSTANT, nullable=True),
        sa.Column("failed_at", _INSTANT, nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("partition_date", "window_from", name=op.f("pk_api_windows")),
        schema="ops",
    )
