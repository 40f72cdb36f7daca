"""Add to adjustments the reversed finding and the cycle that bills it; create the table of outcomes of contests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from fleet_audit.errors import PermanentError

revision = "0021_reversed_findings"
down_revision = "0020_tracker_off_day_before"
branch_labels = None
depends_on = None

_COLUMNS = (
    sa.Column(
        "finding_id", sa.Text(), nullable=True, comment="Reversed finding; empty for a line of a day that was run again"
    ),
    sa.Column(
        "decided_cycle_start",
        sa.Date(),
        nullable=True,
        comment="billed_cycle_start of a reversed finding; empty for other lines",
    ),
)
_FROZEN = """
    select count(*) as lines, min(billed_cycle_start) as first_start from fact.adjustments where kind = 'finding'
      and billed_cycle_start in (select cycle_start from ops.cycle_closes where status = 'final')
"""


def upgrade() -> None:
    for column in _COLUMNS:
        op.add_column("adjustments", column, schema="fact")
    _restrict_kinds("'trip', 'fixed', 'finding'")
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


def downgrade() -> None:
    _refuse_frozen_lines()
    op.execute("drop view if exists mart.rule_outcomes")
    op.drop_table("contest_outcomes", schema="fact")
    op.execute("delete from fact.adjustments where kind = 'finding'")
    _restrict_kinds("'trip', 'fixed'")
    for column in _COLUMNS:
        op.drop_column("adjustments", column.name, schema="fact")


def _refuse_frozen_lines() -> None:
    """Raises PermanentError where lines of reversed findings stand in a cycle that is closed for good."""
    frozen = op.get_bind().execute(sa.text(_FROZEN)).one()
    if frozen.lines:
        raise PermanentError(
            f"{frozen.lines} lines of reversed findings in fact.adjustments are billed by cycles that are closed for "
            f"good, the first from {frozen.first_start}, and this revision has no place for them: stay at "
            f"{revision}, or restore a backup from before that close."
        )


def _restrict_kinds(listed: str) -> None:
    op.drop_constraint(op.f("ck_adjustments_kind"), "adjustments", schema="fact")
    op.create_check_constraint(op.f("ck_adjustments_kind"), "adjustments", f"kind IN ({listed})", schema="fact")
