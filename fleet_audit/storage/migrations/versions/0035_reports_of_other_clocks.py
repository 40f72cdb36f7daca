"""Add to the coverage of a vehicle-day how many movements are of a report whose clock is hours off."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035_reports_of_other_clocks"
down_revision = "0034_amounts_by_carrier"


def upgrade() -> None:
    column: sa.Column[int] = sa.Column("visit_legs_other_clock", sa.BigInteger(), nullable=True)
    op.add_column("vehicle_day_coverage", column, schema="fact")
