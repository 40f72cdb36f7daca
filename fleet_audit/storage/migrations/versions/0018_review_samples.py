"""Create the tables of samples for review: the reviews that arrive, the sampled trips, and the estimates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018_review_samples"
down_revision = "0017_users"


def _texts(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def _days(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Date(), nullable=False) for name in names]


def _km(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Numeric(precision=12, scale=2), nullable=nullable)


def _brl(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.Numeric(precision=14, scale=2), nullable=nullable) for name in names]


def _counts(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _trace() -> list[sa.Column]:
    return [*_texts("run_id"), sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False)]


def _at_least(table: str, least: int, *names: str) -> list[sa.CheckConstraint]:
    return [sa.CheckConstraint(f"{name} >= {least}", name=op.f(f"ck_{table}_{name}")) for name in names]


def upgrade() -> None:
    op.create_table(
        "sample_reviews",
        *_days("cycle_start"),
        *_texts("trip_id"),
        _km("audited_km", nullable=True),
        *_brl("audited_brl", nullable=True),
        *_texts("reviewer"),
        *_texts("note", nullable=True),
        *_at_least("sample_reviews", 0, "audited_km", "audited_brl"),
        sa.PrimaryKeyConstraint("cycle_start", "trip_id", name=op.f("pk_sample_reviews")),
        schema="ref",
    )
    op.create_table(
        "review_samples",
        *_days("cycle_start", "operational_date"),
        *_texts("trip_id"),
        *_days("trip_date"),
        *_texts("plate"),
        *_texts("carrier_code", "unit_code", "contract_id", nullable=True),
        _km("billable_km"),
        sa.Column("rate_brl_per_km", sa.Numeric(precision=12, scale=4), nullable=False),
        *_brl("paid_brl"),
        *_counts("selections"),
        sa.Column("is_certain", sa.Boolean(), nullable=False),
        _km("audited_km", nullable=True),
        *_brl("audited_brl", "error_brl", nullable=True),
        *_texts("reviewer", "note", nullable=True),
        *_trace(),
        *_at_least("review_samples", 0, "billable_km", "rate_brl_per_km", "paid_brl", "audited_km", "audited_brl"),
        *_at_least("review_samples", 1, "selections"),
        sa.PrimaryKeyConstraint("cycle_start", "trip_id", name=op.f("pk_review_samples")),
        schema="fact",
    )
    amounts = ("population_brl", "materiality_brl", "interval_brl", "start_brl")
    estimates = ("overpaid_brl", "underpaid_brl", "upper_limit_brl")
    counts = ("sampled_trips", "reviewed_trips", "other_reviews")
    op.create_table(
        "review_estimates",
        *_days("cycle_start", "operational_date"),
        *_counts("population_trips"),
        *_brl("population_brl"),
        sa.Column("confidence_pct", postgresql.DOUBLE_PRECISION(), nullable=False),
        *_brl("materiality_brl", "interval_brl", "start_brl"),
        *_counts(*counts),
        *_brl(*estimates, nullable=True),
        sa.Column("is_tolerated", sa.Boolean(), nullable=True),
        *_texts("parameters_version"),
        *_trace(),
        *_at_least("review_estimates", 0, "population_trips", *amounts, *counts, *estimates),
        sa.PrimaryKeyConstraint("cycle_start", name=op.f("pk_review_estimates")),
        schema="fact",
    )
