"""Create the table of incidents; point each finding to the root of its incident."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015_incidents"
down_revision = "0014_staged_days"

_AMOUNTS = ("paid_doubtful_brl", "disallowed_brl", "held_brl", "in_favour_brl")
_CAUSES = ("own_gap", "exchange", "tracker_off", "clock", "odometer", "declared_run", "single")


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("cycle_start", sa.Date(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("plates", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("root_finding_id", sa.Text(), nullable=False),
        sa.Column("root_rule_id", sa.Text(), nullable=False),
        sa.Column("finding_ids", postgresql.ARRAY(sa.Text()), nullable=False),
        *(sa.Column(name, sa.Numeric(precision=14, scale=2), nullable=True) for name in _AMOUNTS),
        sa.Column("sentence_pt", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint(f"cause IN {_CAUSES}", name=op.f("ck_incidents_cause")),
        *(sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_incidents_{name}")) for name in _AMOUNTS),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incidents")),
        schema="fact",
    )
    op.create_index("ix_incidents_operational_date", "incidents", ["operational_date"], schema="fact")
    op.add_column("findings", sa.Column("root_finding_id", sa.Text(), nullable=True), schema="fact")
