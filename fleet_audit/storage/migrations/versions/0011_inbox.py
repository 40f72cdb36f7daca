"""Create the tables of the inbox's sightings and of incomplete days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011_inbox"
down_revision = "0010_amounts"

_INSTANT = postgresql.TIMESTAMP(timezone=True)
_SOURCES = "source IN ('visit_report', 'bulletin', 'telemetry', 'api')"


def upgrade() -> None:
    op.create_table(
        "inbox_sightings",
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("stamp", sa.Text(), nullable=False),
        sa.Column("first_seen_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("file_name", name=op.f("pk_inbox_sightings")),
        schema="ops",
    )
    op.create_table(
        "incomplete_days",
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("carrier_code", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("reason_pt", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.CheckConstraint(_SOURCES, name=op.f("ck_incomplete_days_source")),
        sa.PrimaryKeyConstraint(
            "operational_date", "source", "carrier_code", "file_name", name=op.f("pk_incomplete_days")
        ),
        schema="ops",
    )
