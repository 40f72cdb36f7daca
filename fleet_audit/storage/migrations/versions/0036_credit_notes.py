"""Let an invoice have credit notes: km below zero, beside the line that they correct, or for a contract as a whole."""

from __future__ import annotations

from alembic import op

revision = "0036_credit_notes"
down_revision = "0035_reports_of_other_clocks"

_KEY = ["contract_id", "cycle_start", "plate", "vehicle_class", "rate_brl_per_km", "billed_km", "variable_brl"]


def upgrade() -> None:
    op.drop_constraint(op.f("ck_invoices_billed_km"), "invoices", schema="ref", type_="check")
    op.drop_constraint(op.f("uq_invoices"), "invoices", schema="ref", type_="unique")
    op.alter_column("invoices", "plate", nullable=True, schema="ref")
    op.create_unique_constraint(
        op.f("uq_invoices"), "invoices", [*_KEY, "fixed_brl"], schema="ref", postgresql_nulls_not_distinct=True
    )
