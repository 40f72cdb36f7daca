"""Create the schema of users, of what each may read, and of the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017_users"
down_revision = "0016_finding_ranges"

_NOW = sa.text("clock_timestamp()")
_INSTANT = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.execute("create schema auth")
    op.create_table(
        "users",
        sa.Column("user_id", sa.Text(), nullable=False, server_default=sa.text("gen_random_uuid()::text")),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("database_role", sa.Text(), nullable=True),
        sa.Column("is_disabled", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("failed_logins", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("locked_until", _INSTANT, nullable=True),
        sa.Column("tokens_valid_from", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.CheckConstraint("login = lower(login) and login <> ''", name="ck_users_login"),
        sa.CheckConstraint(
            "profile in ('operations', 'finance', 'auditor', 'carrier', 'admin')", name="ck_users_profile"
        ),
        sa.PrimaryKeyConstraint("user_id", name="pk_users"),
        sa.UniqueConstraint("login", name="uq_users_login"),
        sa.UniqueConstraint("database_role", name="uq_users_database_role"),
        sa.UniqueConstraint("user_id", "profile", name="uq_users_user_id_profile"),
        schema="auth",
    )
    op.create_table(
        "access",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "profile in ('operations', 'finance') or (profile = 'carrier' and carrier_code is not null)",
            name="ck_access_profile",
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "profile"], ["auth.users.user_id", "auth.users.profile"], name="fk_access_users"
        ),
        sa.UniqueConstraint(
            "user_id", "carrier_code", "unit_code", name="uq_access", postgresql_nulls_not_distinct=True
        ),
        schema="auth",
    )
    op.create_table(
        "audit_log",
        sa.Column("entry_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("recorded_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("before", postgresql.JSONB(), nullable=True),
        sa.Column("after", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("entry_id", name="pk_audit_log"),
        schema="auth",
    )
