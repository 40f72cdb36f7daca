"""Add to findings the BRL at stake at both ends of the measurement's uncertainty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016_finding_ranges"
down_revision = "0015_incidents"


def upgrade() -> None:
    for name in ("brl_low", "brl_high"):
        op.add_column("findings", sa.Column(name, sa.Numeric(14, 2), nullable=True), schema="fact")
        op.create_check_constraint(op.f(f"ck_findings_{name}"), "findings", f"{name} >= 0", schema="fact")
