"""Create the tables of contests, notes on findings, requested exceptions, and uploads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019_contests"
down_revision = "0018_review_samples"


def _text(name: str, comment: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable, comment=comment)


def _date(name: str, comment: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Date(), nullable=nullable, comment=comment)


def _count(name: str, comment: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=False, comment=comment)


def _instant(name: str, comment: str, *, nullable: bool = False) -> sa.Column:
    default = None if nullable else sa.text("clock_timestamp()")
    kind = postgresql.TIMESTAMP(timezone=True)
    return sa.Column(name, kind, nullable=nullable, server_default=default, comment=comment)


def _id(name: str, comment: str) -> sa.Column:
    return sa.Column(
        name, sa.Text(), primary_key=True, server_default=sa.text("gen_random_uuid()::text"), comment=comment
    )


def _owner() -> list[sa.Column]:
    return [_text("carrier_code", "Carrier", nullable=True), _text("unit_code", "Unit", nullable=True)]


def upgrade() -> None:
    op.create_table(
        "contests",
        _id("contest_id", "Contest"),
        sa.Column("finding_id", sa.Text(), nullable=False, unique=True, comment="Finding that is contested"),
        _date("operational_date", "Day of the finding"),
        _text("rule_id", "Its rule"),
        _text("plate", "Its vehicle", nullable=True),
        *_owner(),
        _text("trip_id", "Its trip", nullable=True),
        _text("declared_run_id", "Its declared run", nullable=True),
        sa.Column("brl_at_stake", sa.Numeric(14, 2), nullable=True, comment="Its amount when contested [BRL]"),
        _text("amount", "Which of the four amounts that is", nullable=True),
        _text("status", "contested, then upheld (the finding stands) or reversed (it was wrong)"),
        _instant("opened_at", "When it was contested"),
        _date("due_date", "Last day for the decision, in business days of the unit's calendar"),
        _text("opened_by", "Login of who contested"),
        _text("text", "Reasons of who contests"),
        _instant("decided_at", "When it was decided", nullable=True),
        _text("decided_by", "Login of who decided", nullable=True),
        _text("decision_text", "Reasons of who decided", nullable=True),
        sa.CheckConstraint("status in ('contested', 'upheld', 'reversed')", name="ck_contests_status"),
        sa.CheckConstraint(
            "(status = 'contested') = (decided_at is null) and (decided_at is null) = (decided_by is null) and "
            "(decided_at is null) = (decision_text is null) and decided_by is distinct from opened_by",
            name="ck_contests_decision",
        ),
        schema="auth",
        comment="Contests of findings: one per finding, with the texts of both sides",
    )
    op.create_table(
        "contest_files",
        _id("file_id", "File"),
        _text("contest_id", "Contest"),
        *_owner(),
        _text("file_name", "Name as it was sent"),
        _text("file_sha256", "SHA-256 of its bytes"),
        _count("size_bytes", "Size [B]"),
        _text("path", "Where it is, inside the lake"),
        _instant("added_at", "When it was attached"),
        _text("added_by", "Login of who attached it"),
        sa.ForeignKeyConstraint(["contest_id"], ["auth.contests.contest_id"], name="fk_contest_files_contests"),
        sa.UniqueConstraint("contest_id", "file_sha256", name="uq_contest_files"),
        schema="auth",
        comment="Files attached to contests",
    )
    op.create_table(
        "finding_notes",
        _id("note_id", "Note"),
        _text("finding_id", "Finding"),
        _date("operational_date", "Day of the finding"),
        *_owner(),
        _instant("written_at", "When it was written"),
        _text("written_by", "Login of who wrote it"),
        _text("text", "Note"),
        sa.Column("is_internal", sa.Boolean(), nullable=False, comment="Not shown to the carrier"),
        schema="auth",
        comment="Notes of people on findings",
    )
    op.create_table(
        "exceptions",
        _id("exception_id", "Exception"),
        _text("rule_id", "Rule; empty = any", nullable=True),
        _text("plate", "Vehicle; empty = any", nullable=True),
        *_owner(),
        _text("route_code", "Route; empty = any", nullable=True),
        _date("date_from", "First day", nullable=True),
        _date("date_to", "Last day", nullable=True),
        _text("reason", "Why"),
        _text("status", "requested, approved or refused"),
        _instant("requested_at", "When it was requested"),
        _text("requested_by", "Login of who requested it"),
        _instant("decided_at", "When it was decided", nullable=True),
        _text("decided_by", "Login of who decided; never who requested it", nullable=True),
        sa.CheckConstraint("status in ('requested', 'approved', 'refused')", name="ck_exceptions_status"),
        sa.CheckConstraint(
            "(status = 'requested') = (decided_by is null) and decided_by is distinct from requested_by",
            name="ck_exceptions_two_persons",
        ),
        schema="auth",
        comment="Exceptions requested by one person and approved by another",
    )
    op.create_table(
        "uploads",
        _id("upload_id", "Upload"),
        _text("user_id", "User who sent it"),
        _text("uploaded_by", "Login of who sent it"),
        _instant("uploaded_at", "When it arrived"),
        _text("kind", "bulletins, visit_reports, telemetry or reference"),
        _text("file_name", "Name as it was sent"),
        _text("file_sha256", "SHA-256 of its bytes"),
        _count("size_bytes", "Size [B]"),
        _text("status", "accepted, partial or rejected"),
        _text("reason_code", "Why the whole file was rejected", nullable=True),
        _text("message", "What was accepted, or what to correct"),
        _count("rows_read", "Data rows"),
        _count("rows_accepted", "Accepted rows"),
        _count("rows_rejected", "Rejected rows"),
        _text("inbox_name", "Path inside the inbox; empty: it was not put there", nullable=True),
        _text("report_path", "Report of its rejected rows, inside the lake", nullable=True),
        sa.CheckConstraint("status in ('accepted', 'partial', 'rejected')", name="ck_uploads_status"),
        sa.ForeignKeyConstraint(["user_id"], ["auth.users.user_id"], name="fk_uploads_users"),
        schema="auth",
        comment="Files that users uploaded into the inbox",
    )
    op.create_index("ix_finding_notes_finding_id", "finding_notes", ["finding_id"], schema="auth")
    op.create_index("ix_uploads_user_id", "uploads", ["user_id", "uploaded_at"], schema="auth")
