"""Create the tables of the four amounts, and their columns of findings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010_amounts"
down_revision = "0009_invoice_lines"

_AMOUNTS = ("paid_doubtful_brl", "disallowed_brl", "held_brl", "in_favour_brl")


def upgrade() -> None:
    _create("vehicle_day_amounts", [_day(), _text("plate"), *_owner()], ["operational_date", "plate"])
    op.create_index(
        "ix_vehicle_day_amounts_plate_operational_date",
        "vehicle_day_amounts",
        ["plate", "operational_date"],
        schema="fact",
    )
    cycle = [_text("vehicle_amounts_id"), sa.Column("cycle_start", sa.Date(), nullable=False), _day(), _text("plate")]
    _create("vehicle_cycle_amounts", [*cycle, *_owner()], ["vehicle_amounts_id"])
    op.create_index("ix_vehicle_cycle_amounts_cycle_start", "vehicle_cycle_amounts", ["cycle_start"], schema="fact")
    for column in (_text("amount", nullable=True), *_amounts()):
        op.add_column("findings", column, schema="fact")
    op.create_check_constraint(op.f("ck_findings_amount"), "findings", f"amount IN {_AMOUNTS}", schema="fact")
    for name in _AMOUNTS:
        op.create_check_constraint(op.f(f"ck_findings_{name}"), "findings", f"{name} >= 0", schema="fact")


def _create(table: str, columns: list[sa.Column], key: list[str]) -> None:
    op.create_table(
        table,
        *columns,
        *_amounts(),
        _text("run_id"),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        *(sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_{table}_{name}")) for name in _AMOUNTS),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{table}")),
        schema="fact",
    )


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _day() -> sa.Column:
    return sa.Column("operational_date", sa.Date(), nullable=False)


def _owner() -> list[sa.Column]:
    return [_text("unit_code", nullable=True), _text("carrier_code", nullable=True)]


def _amounts() -> list[sa.Column]:
    return [sa.Column(name, sa.Numeric(precision=14, scale=2), nullable=True) for name in _AMOUNTS]
