"""Add to device health how many readings of the day were in another unit for a while."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022_other_unit_readings"
down_revision = "0021_reversed_findings"


def upgrade() -> None:
    column: sa.Column[int] = sa.Column("other_unit_readings", sa.BigInteger(), nullable=True)
    op.add_column("device_health", column, schema="fact")
