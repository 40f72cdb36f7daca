"""Hold runs whose trips are not billed because no place of theirs is proven."""

from __future__ import annotations

from alembic import op

revision = "0030_unproven_runs"
down_revision = "0029_place_candidates"

_REASONS = (
    "reason IN ('phantom', 'no_trip', 'no_data', 'not_observed', 'clock', 'date_uncertain', 'source_missing', "
    "'place_unproven')"
)


def upgrade() -> None:
    op.drop_constraint(op.f("ck_held_runs_reason"), "held_runs", schema="fact", type_="check")
    op.create_check_constraint(op.f("ck_held_runs_reason"), "held_runs", _REASONS, schema="fact")
