"""Add to incomplete days the vehicles that a refused file names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031_refused_vehicles"
down_revision = "0030_unproven_runs"
branch_labels = None
depends_on = None

_COMMENT = "Vehicles that it concerns, each where no other file shows it that day, by commas; null: all"


def upgrade() -> None:
    plates: sa.Column[str] = sa.Column("plates", sa.Text(), nullable=True, comment=_COMMENT)
    op.add_column("incomplete_days", plates, schema="ops")


def downgrade() -> None:
    op.drop_column("incomplete_days", "plates", schema="ops")
