"""Create the table of rules that were not tested; add reasons to hold a run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012_rules_not_tested"
down_revision = "0011_inbox"

_REASONS = "reason IN ('phantom', 'no_trip', 'no_data', 'not_observed', 'clock', 'date_uncertain', 'source_missing')"


def upgrade() -> None:
    op.create_table(
        "rules_not_tested",
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason_pt", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("cycle_start", sa.Date(), nullable=True),
        sa.CheckConstraint("scope IN ('day', 'cycle')", name=op.f("ck_rules_not_tested_scope")),
        sa.PrimaryKeyConstraint("operational_date", "rule_id", "scope", name=op.f("pk_rules_not_tested")),
        schema="ops",
    )
    op.drop_constraint(op.f("ck_held_runs_reason"), "held_runs", schema="fact", type_="check")
    op.create_check_constraint(op.f("ck_held_runs_reason"), "held_runs", _REASONS, schema="fact")
