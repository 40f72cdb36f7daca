"""Hold the runs that another carrier than the vehicle's declared, and that a trip is linked to."""

from __future__ import annotations

from alembic import op

revision = "0033_foreign_runs"
down_revision = "0032_cut_runs"

_REASONS = (
    "reason IN ('phantom', 'no_trip', 'no_data', 'not_observed', 'clock', 'date_uncertain', 'source_missing', "
    "'place_unproven', 'trip_cut', 'other_carrier')"
)


def upgrade() -> None:
    op.drop_constraint(op.f("ck_held_runs_reason"), "held_runs", schema="fact", type_="check")
    op.create_check_constraint(op.f("ck_held_runs_reason"), "held_runs", _REASONS, schema="fact")
