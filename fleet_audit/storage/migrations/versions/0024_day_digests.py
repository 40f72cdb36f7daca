"""Let the table of what each day of positions was staged from hold other computations of a day, too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024_day_digests"
down_revision = "0023_history"

_POSITIONS = "staging/positions"


def upgrade() -> None:
    op.rename_table("staged_days", "day_digests", schema="ops")
    op.add_column(
        "day_digests", sa.Column("computation", sa.Text(), server_default=_POSITIONS, nullable=False), schema="ops"
    )
    op.alter_column("day_digests", "computation", server_default=None, schema="ops")
    op.drop_constraint("pk_staged_days", "day_digests", schema="ops")
    op.create_primary_key("pk_day_digests", "day_digests", ["computation", "partition_date"], schema="ops")
