"""Add to device health whether the vehicle's tracker lay off the bus on the day before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_tracker_off_day_before"
down_revision = "0019_contests"


def upgrade() -> None:
    column: sa.Column[bool] = sa.Column("is_off_bus_day_before", sa.Boolean(), nullable=True)
    op.add_column("device_health", column, schema="fact")
