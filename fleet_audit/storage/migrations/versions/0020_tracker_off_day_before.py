"""Add to device health whether the vehicle's tracker lay off the bus on the day before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020_tracker_off_day_before"
down_revision = "0019_contests"
branch_labels = None
depends_on = None

_COMMENT = "On the day before, the odometer of a device of this vehicle counted while the tracker lay still (O04)"


def upgrade() -> None:
    column: sa.Column[bool] = sa.Column("is_off_bus_day_before", sa.Boolean(), nullable=True, comment=_COMMENT)
    op.add_column("device_health", column, schema="fact")


def downgrade() -> None:
    op.drop_column("device_health", "is_off_bus_day_before", schema="fact")
