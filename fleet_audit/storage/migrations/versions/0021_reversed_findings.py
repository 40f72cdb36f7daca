"""Add to adjustments the reversed finding and the cycle that bills it; create the table of outcomes of contests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021_reversed_findings"
down_revision = "0020_tracker_off_day_before"

_COLUMNS = (
    sa.Column("finding_id", sa.Text(), nullable=True),
    sa.Column("decided_cycle_start", sa.Date(), nullable=True),
)


def upgrade() -> None:
    for column in _COLUMNS:
        op.add_column("adjustments", column, schema="fact")
    op.drop_constraint(op.f("ck_adjustments_kind"), "adjustments", schema="fact")
    op.create_check_constraint(
        op.f("ck_adjustments_kind"), "adjustments", "kind IN ('trip', 'fixed', 'finding')", schema="fact"
    )
    op.create_table(
        "contest_outcomes",
        sa.Column("finding_id", sa.Text(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('contested', 'upheld', 'reversed')", name=op.f("ck_contest_outcomes_status")),
        sa.PrimaryKeyConstraint("finding_id", name=op.f("pk_contest_outcomes")),
        schema="fact",
    )
