"""Add to compared groups how many km can have been driven unobserved, and whether these explain what was declared."""

from __future__ import annotations

from decimal import Decimal

import sqlalchemy as sa
from alembic import op

revision = "0028_unseen_km"
down_revision = "0027_arrivals_of_years"
branch_labels = None
depends_on = None

_KM = (
    "The most that was driven unobserved, of a group with more declared than measured; null when one side is missing, "
    "or by an earlier release [km]"
)
_FLAG = (
    "What it declares too much, above its tolerance if it exceeds, can have been driven unobserved; null as unseen_km"
)


def upgrade() -> None:
    unseen: sa.Column[Decimal] = sa.Column("unseen_km", sa.Numeric(12, 2), nullable=True, comment=_KM)
    flag: sa.Column[bool] = sa.Column("is_unobserved", sa.Boolean(), nullable=True, comment=_FLAG)
    op.add_column("matches", unseen, schema="fact")
    op.add_column("matches", flag, schema="fact")
    op.create_check_constraint(op.f("ck_matches_unseen_km"), "matches", "unseen_km >= 0", schema="fact")


def downgrade() -> None:
    op.drop_column("matches", "is_unobserved", schema="fact")
    op.drop_column("matches", "unseen_km", schema="fact")
