"""Add to trips the places in which an end with rounded coordinates can lie."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029_place_candidates"
down_revision = "0028_unseen_km"
branch_labels = None
depends_on = None

_COMMENTS = {
    f"{side}_candidates": f"Places in which {end} with rounded coordinates can lie, where these prove none; beside the "
    "place where documents name the only one"
    for side, end in (("origin", "a departure"), ("destination", "an arrival"))
}


def upgrade() -> None:
    for name, comment in _COMMENTS.items():
        op.add_column("trips", sa.Column(name, sa.Text(), nullable=True, comment=comment), schema="fact")


def downgrade() -> None:
    for name in _COMMENTS:
        op.drop_column("trips", name, schema="fact")
