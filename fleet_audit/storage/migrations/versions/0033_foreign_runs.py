"""Hold the runs that another carrier than the vehicle's declared, and that a trip is linked to."""

from __future__ import annotations

from alembic import op

revision = "0033_foreign_runs"
down_revision = "0032_cut_runs"
branch_labels = None
depends_on = None

_FORMER = (
    "'phantom', 'no_trip', 'no_data', 'not_observed', 'clock', 'date_uncertain', 'source_missing', 'place_unproven', "
    "'trip_cut'"
)
_FORMER_COMMENT = (
    "phantom: observed and standing; no_trip: partly observed, no trip; no_data: not observed; not_observed: the "
    "tracker may be off the vehicle; clock: the device's clock is off; date_uncertain: the day after is not seen or "
    "fits as well; source_missing: positions or visit reports are incomplete by our own fault; place_unproven: its "
    "trips may be service, rounded coordinates do not prove their places; trip_cut: a gap hides where a trip of it "
    "began or went"
)
_COMMENT = f"{_FORMER_COMMENT}; other_carrier: its trips are paid to the vehicle's carrier, and another one wrote it"


def upgrade() -> None:
    _hold_for(f"{_FORMER}, 'other_carrier'", _COMMENT)


def downgrade() -> None:
    op.execute("DELETE FROM fact.held_runs WHERE reason = 'other_carrier'")
    _hold_for(_FORMER, _FORMER_COMMENT)


def _hold_for(reasons: str, comment: str) -> None:
    op.drop_constraint(op.f("ck_held_runs_reason"), "held_runs", schema="fact", type_="check")
    op.create_check_constraint(op.f("ck_held_runs_reason"), "held_runs", f"reason IN ({reasons})", schema="fact")
    op.alter_column("held_runs", "reason", comment=comment, schema="fact")
