"""Add the rate to the key of invoices: one row per contract, cycle, plate, class and rate."""

from __future__ import annotations

from alembic import op

revision = "0009_invoice_lines"
down_revision = "0008_billing_lines"

_KEY = ["contract_id", "cycle_start", "plate", "vehicle_class", "rate_brl_per_km"]


def upgrade() -> None:
    op.drop_constraint(op.f("uq_invoices"), "invoices", schema="ref", type_="unique")
    op.create_unique_constraint(op.f("uq_invoices"), "invoices", _KEY, schema="ref", postgresql_nulls_not_distinct=True)
