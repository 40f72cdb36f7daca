"""Add to computed days with which Python, libraries and time zones they were computed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026_computing_versions"
down_revision = "0025_moving_time"


def upgrade() -> None:
    column: sa.Column[str] = sa.Column("computing_versions", sa.Text(), nullable=True)
    op.add_column("computed_days", column, schema="ops")
