"""Create the table of billing lines, and the keys by which trips are billed."""
# ruff: noqa: E501 (descriptions are not wrapped)

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008_billing_lines"
down_revision = "0007_api_windows"
branch_labels = None
depends_on = None

_ADDED = {
    "vehicle_class": "('onibus', 'micro', 'van')",
    "billing_area": "('AGR', 'IND')",
    "regime": "('municipal', 'intermunicipal')",
}


def upgrade() -> None:
    op.create_table(
        "billing_lines",
        sa.Column("billing_line_id", sa.Text(), nullable=False, comment="Hash of the cycle and what the line is about"),
        sa.Column("cycle_start", sa.Date(), nullable=False, comment="First day of the cycle (partition)"),
        sa.Column("operational_date", sa.Date(), nullable=False, comment="Last day of the cycle"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column("contract_id", sa.Text(), nullable=True, comment="Contract"),
        sa.Column("contract_kind", sa.Text(), nullable=True, comment="Standing contract or spot"),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column(
            "fleet_number",
            sa.Text(),
            nullable=True,
            comment="The carrier's own number of the vehicle, of the last day billed",
        ),
        sa.Column("area", sa.Text(), nullable=False, comment="Sheet of the measurement package"),
        sa.Column("vehicle_class", sa.Text(), nullable=True, comment="Class of the vehicle"),
        sa.Column("regime", sa.Text(), nullable=True, comment="Regime of the route"),
        sa.Column(
            "rate_brl_per_km",
            sa.Numeric(precision=12, scale=4),
            nullable=True,
            comment="Price; null in a line that has a fixed share only [BRL/km]",
        ),
        sa.Column("route_codes", postgresql.ARRAY(sa.Text()), nullable=False, comment="Routes of the billed trips"),
        sa.Column("shift_codes", postgresql.ARRAY(sa.Text()), nullable=False, comment="Shifts of the billed trips"),
        sa.Column(
            "line_status",
            sa.Text(),
            nullable=False,
            comment="billed, or why a line has a fixed share only: nothing_billed, unpriced trips, no_data",
        ),
        sa.Column(
            "trips", sa.BigInteger(), nullable=True, comment="Billed trips; null in a line that has a fixed share only"
        ),
        sa.Column(
            "km",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Billed km; null = unknown, 0.00 = seen and nothing billed [km]",
        ),
        sa.Column(
            "variable_brl",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="Sum of the trips' costs, each half-up to cents; null as km [BRL]",
        ),
        sa.Column(
            "monthly_brl",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="Monthly fixed amount in force on the last day owed; in no sum [BRL]",
        ),
        sa.Column(
            "fixed_days", sa.BigInteger(), nullable=True, comment="Days of the cycle on which a share of it is owed"
        ),
        sa.Column(
            "fixed_brl",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="What the cycle owes of it, whole in one line of a vehicle and contract [BRL]",
        ),
        sa.Column(
            "total_brl",
            sa.Numeric(precision=14, scale=2),
            nullable=False,
            comment="variable_brl + fixed_brl, what is known of them [BRL]",
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
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
        comment="Lines of a cycle's measurement package: one row per vehicle, contract, area, class, regime and rate",
    )
    op.create_index("ix_billing_lines_cycle_start", "billing_lines", ["cycle_start"], unique=False, schema="fact")
    op.add_column(
        "trip_costs",
        sa.Column(
            "vehicle_class",
            sa.Text(),
            nullable=True,
            comment="Class of the vehicle on the day, by which the tariff was chosen",
        ),
        schema="fact",
    )
    op.add_column(
        "trip_costs",
        sa.Column(
            "billing_area",
            sa.Text(),
            nullable=True,
            comment="Sheet of the measurement package: a service trip's own area, else the vehicle's; IND where none is known",
        ),
        schema="fact",
    )
    op.add_column(
        "trip_costs",
        sa.Column(
            "regime",
            sa.Text(),
            nullable=True,
            comment="Regime of the route, of a service trip whose places name the route",
        ),
        schema="fact",
    )
    for name, values in _ADDED.items():
        condition = f"{name} IN {values}"
        op.create_check_constraint(op.f(f"ck_trip_costs_{name}"), "trip_costs", condition, schema="fact")


def downgrade() -> None:
    op.drop_column("trip_costs", "regime", schema="fact")
    op.drop_column("trip_costs", "billing_area", schema="fact")
    op.drop_column("trip_costs", "vehicle_class", schema="fact")
    op.drop_index("ix_billing_lines_cycle_start", table_name="billing_lines", schema="fact")
    op.drop_table("billing_lines", schema="fact")
