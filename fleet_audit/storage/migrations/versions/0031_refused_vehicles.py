"""Add to incomplete days the vehicles that a refused file names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031_refused_vehicles"
down_revision = "0030_unproven_runs"


def upgrade() -> None:
    plates: sa.Column[str] = sa.Column("plates", sa.Text(), nullable=True)
    op.add_column("incomplete_days", plates, schema="ops")
