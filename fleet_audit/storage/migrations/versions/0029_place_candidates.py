"""Add to trips the places in which an end with rounded coordinates can lie."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029_place_candidates"
down_revision = "0028_unseen_km"


def upgrade() -> None:
    for name in ("origin_candidates", "destination_candidates"):
        op.add_column("trips", sa.Column(name, sa.Text(), nullable=True), schema="fact")
