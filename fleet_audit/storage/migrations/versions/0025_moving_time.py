"""Add to trips how long, and over how many steps, they moved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025_moving_time"
down_revision = "0024_day_digests"


def upgrade() -> None:
    seconds: sa.Column[float] = sa.Column("moving_s", sa.Double(), nullable=True)
    steps: sa.Column[int] = sa.Column("moving_steps", sa.BigInteger(), nullable=True)
    op.add_column("trips", seconds, schema="fact")
    op.add_column("trips", steps, schema="fact")
    op.create_check_constraint(op.f("ck_trips_moving_s"), "trips", "moving_s >= 0", schema="fact")
