"""Add to device health how many readings of the day were in another unit for a while."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022_other_unit_readings"
down_revision = "0021_reversed_findings"
branch_labels = None
depends_on = None

_COMMENT = "Readings of the day in another unit for a while, which no km use"


def upgrade() -> None:
    column: sa.Column[int] = sa.Column("other_unit_readings", sa.BigInteger(), nullable=True, comment=_COMMENT)
    op.add_column("device_health", column, schema="fact")


def downgrade() -> None:
    op.drop_column("device_health", "other_unit_readings", schema="fact")
