"""Add the rate to the key of invoices: one row per contract, cycle, plate, class and rate."""

from __future__ import annotations

from alembic import op

revision = "0009_invoice_lines"
down_revision = "0008_billing_lines"
branch_labels = None
depends_on = None

_KEY_BEFORE = ["contract_id", "cycle_start", "plate", "vehicle_class"]


def upgrade() -> None:
    _replace_key([*_KEY_BEFORE, "rate_brl_per_km"])


def downgrade() -> None:
    """Fails, as it must, when a vehicle has two lines of one class: one of them would be lost."""
    _replace_key(_KEY_BEFORE)


def _replace_key(columns: list[str]) -> None:
    op.drop_constraint(op.f("uq_invoices"), "invoices", schema="ref", type_="unique")
    op.create_unique_constraint(
        op.f("uq_invoices"), "invoices", columns, schema="ref", postgresql_nulls_not_distinct=True
    )
