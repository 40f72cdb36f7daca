"""Create the table of computed days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005_computed_days"
down_revision = "0004_files_by_day"


def upgrade() -> None:
    op.create_table(
        "computed_days",
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("computed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("operational_date", name=op.f("pk_computed_days")),
        schema="ops",
    )
