"""Create the table of billing lines, and the keys by which trips are billed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008_billing_lines"
down_revision = "0007_api_windows"

_ADDED = {
    "vehicle_class": "('onibus', 'micro', 'van')",
    "billing_area": "('AGR', 'IND')",
    "regime": "('municipal', 'intermunicipal')",
}


def upgrade() -> None:
    op.create_table(
        "billing_lines",
        sa.Column("billing_line_id", sa.Text(), nullable=False),
        sa.Column("cycle_start", sa.Date(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("contract_id", sa.Text(), nullable=True),
        sa.Column("contract_kind", sa.Text(), nullable=True),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("fleet_number", sa.Text(), nullable=True),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("vehicle_class", sa.Text(), nullable=True),
        sa.Column("regime", sa.Text(), nullable=True),
        sa.Column("rate_brl_per_km", sa.Numeric(precision=12, scale=4), nullable=True),
        sa.Column("route_codes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("shift_codes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("line_status", sa.Text(), nullable=False),
        sa.Column("trips", sa.BigInteger(), nullable=True),
        sa.Column("km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("variable_brl", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("monthly_brl", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("fixed_days", sa.BigInteger(), nullable=True),
        sa.Column("fixed_brl", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("total_brl", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("contract_kind IN ('contrato', 'spot')", name=op.f("ck_billing_lines_contract_kind")),
        sa.CheckConstraint("vehicle_class IN ('onibus', 'micro', 'van')", name=op.f("ck_billing_lines_vehicle_class")),
        sa.CheckConstraint("regime IN ('municipal', 'intermunicipal')", name=op.f("ck_billing_lines_regime")),
        sa.CheckConstraint("area IN ('AGR', 'IND')", name=op.f("ck_billing_lines_area")),
        sa.CheckConstraint(
            "line_status IN ('billed', 'nothing_billed', 'unpriced', 'no_data')",
            name=op.f("ck_billing_lines_line_status"),
        ),
        sa.CheckConstraint("fixed_days >= 1", name=op.f("ck_billing_lines_fixed_days")),
        sa.CheckConstraint("km >= 0", name=op.f("ck_billing_lines_km")),
        sa.CheckConstraint("monthly_brl >= 0", name=op.f("ck_billing_lines_monthly_brl")),
        sa.CheckConstraint("rate_brl_per_km >= 0", name=op.f("ck_billing_lines_rate_brl_per_km")),
        sa.CheckConstraint("trips >= 1", name=op.f("ck_billing_lines_trips")),
        sa.CheckConstraint("variable_brl >= 0", name=op.f("ck_billing_lines_variable_brl")),
        sa.PrimaryKeyConstraint("billing_line_id", name=op.f("pk_billing_lines")),
        schema="fact",
    )
    op.create_index("ix_billing_lines_cycle_start", "billing_lines", ["cycle_start"], schema="fact")
    op.add_column("trip_costs", sa.Column("vehicle_class", sa.Text(), nullable=True), schema="fact")
    op.add_column("trip_costs", sa.Column("billing_area", sa.Text(), nullable=True), schema="fact")
    op.add_column("trip_costs", sa.Column("regime", sa.Text(), nullable=True), schema="fact")
    for name, values in _ADDED.items():
        condition = f"{name} IN {values}"
        op.create_check_constraint(op.f(f"ck_trip_costs_{name}"), "trip_costs", condition, schema="fact")
