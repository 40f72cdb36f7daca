"""Create the table of what each day of positions was staged from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014_staged_days"
down_revision = "0013_devices_compared"


def upgrade() -> None:
    op.create_table(
        "staged_days",
        sa.Column("partition_date", sa.Date(), nullable=False),
        sa.Column("inputs_digest", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("partition_date", name=op.f("pk_staged_days")),
        schema="ops",
    )
