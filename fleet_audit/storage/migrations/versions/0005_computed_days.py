"""Create the table of computed days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005_computed_days"
down_revision = "0004_files_by_day"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "computed_days",
        sa.Column("operational_date", sa.Date(), nullable=False, comment="Day (partition)"),
        sa.Column(
            "computed_at",
            postgresql.TIMESTAMP(timezone=True),
            nullable=False,
            comment="What had arrived by then is in the day's rows [UTC]",
        ),
        sa.Column(
            "code_version", sa.Text(), nullable=False, comment="Version of the package and hash of its code and SQL"
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.PrimaryKeyConstraint("operational_date", name=op.f("pk_computed_days")),
        schema="ops",
        comment="Days whose money was computed to the end: with what had arrived by when, and by which code",
    )


def downgrade() -> None:
    op.drop_table("computed_days", schema="ops")
