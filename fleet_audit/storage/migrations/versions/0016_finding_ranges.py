"""Add to findings the BRL at stake at both ends of the measurement's uncertainty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016_finding_ranges"
down_revision = "0015_incidents"
branch_labels = None
depends_on = None

_COLUMNS = {
    "brl_low": "brl_at_stake at the lower end of the measurement's uncertainty [BRL]",
    "brl_high": "brl_at_stake at the upper end of the measurement's uncertainty [BRL]",
}


def upgrade() -> None:
    for name, comment in _COLUMNS.items():
        op.add_column("findings", sa.Column(name, sa.Numeric(14, 2), nullable=True, comment=comment), schema="fact")
        op.create_check_constraint(op.f(f"ck_findings_{name}"), "findings", f"{name} >= 0", schema="fact")


def downgrade() -> None:
    for name in _COLUMNS:
        op.drop_column("findings", name, schema="fact")
