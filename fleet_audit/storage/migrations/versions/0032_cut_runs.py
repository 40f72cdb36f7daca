"""Hold runs whose trips are not billed because a gap hides where they began or went."""

from __future__ import annotations

from alembic import op

revision = "0032_cut_runs"
down_revision = "0031_refused_vehicles"
branch_labels = None
depends_on = None

_FORMER = (
    "'phantom', 'no_trip', 'no_data', 'not_observed', 'clock', 'date_uncertain', 'source_missing', 'place_unproven'"
)
_FORMER_TABLE = "Runs that no trip is linked to, or none whose place is proven: held, neither paid nor refused"
_TABLE = "Runs that no trip is linked to, or none that is proven to be service: held, neither paid nor refused"
_FORMER_COMMENT = (
    "phantom: observed and standing; no_trip: partly observed, no trip; no_data: not observed; not_observed: the "
    "tracker may be off the vehicle; clock: the device's clock is off; date_uncertain: the day after is not seen or "
    "fits as well; source_missing: positions or visit reports are incomplete by our own fault; place_unproven: its "
    "trips may be service, rounded coordinates do not prove their places"
)
_COMMENT = f"{_FORMER_COMMENT}; trip_cut: a gap hides where a trip of it began or went"


def upgrade() -> None:
    _hold_for(f"{_FORMER}, 'trip_cut'", _TABLE, _COMMENT)


def downgrade() -> None:
    op.execute("DELETE FROM fact.held_runs WHERE reason = 'trip_cut'")
    _hold_for(_FORMER, _FORMER_TABLE, _FORMER_COMMENT)


def _hold_for(reasons: str, table: str, comment: str) -> None:
    op.drop_constraint(op.f("ck_held_runs_reason"), "held_runs", schema="fact", type_="check")
    op.create_check_constraint(op.f("ck_held_runs_reason"), "held_runs", f"reason IN ({reasons})", schema="fact")
    op.create_table_comment("held_runs", table, schema="fact")
    op.alter_column("held_runs", "reason", comment=comment, schema="fact")
