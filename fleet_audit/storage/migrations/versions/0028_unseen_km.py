"""Add to compared groups how many km can have been driven unobserved, and whether these explain what was declared."""

from __future__ import annotations

from decimal import Decimal

import sqlalchemy as sa
from alembic import op

revision = "0028_unseen_km"
down_revision = "0027_arrivals_of_years"


def upgrade() -> None:
    unseen: sa.Column[Decimal] = sa.Column("unseen_km", sa.Numeric(12, 2), nullable=True)
    flag: sa.Column[bool] = sa.Column("is_unobserved", sa.Boolean(), nullable=True)
    op.add_column("matches", unseen, schema="fact")
    op.add_column("matches", flag, schema="fact")
    op.create_check_constraint(op.f("ck_matches_unseen_km"), "matches", "unseen_km >= 0", schema="fact")
