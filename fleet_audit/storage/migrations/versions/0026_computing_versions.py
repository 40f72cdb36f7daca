"""Add to computed days with which Python, libraries and time zones they were computed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026_computing_versions"
down_revision = "0025_moving_time"
branch_labels = None
depends_on = None

_VERSIONS = "The same with versions of Python, libraries and time zones"


def upgrade() -> None:
    column: sa.Column[str] = sa.Column("computing_versions", sa.Text(), nullable=True, comment=_VERSIONS)
    op.add_column("computed_days", column, schema="ops")


def downgrade() -> None:
    op.drop_column("computed_days", "computing_versions", schema="ops")
