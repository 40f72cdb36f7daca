"""Give each carrier with something at stake of a vehicle and day a row of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034_amounts_by_carrier"
down_revision = "0033_foreign_runs"

# `logic.primitives.identity.stable_ids` of day, plate and carrier
_ID = (
    "left(encode(sha256(convert_to(to_char(operational_date, 'YYYY-MM-DD') || chr(31) || plate || chr(31) || "
    "coalesce(carrier_code, ''), 'UTF8')), 'hex'), 16)"
)
_NAME, _KEY = "vehicle_day_amounts", "pk_vehicle_day_amounts"
_INDEX = "ix_vehicle_day_amounts_operational_date"


def upgrade() -> None:
    column = sa.Column("vehicle_amounts_id", sa.Text(), nullable=True)
    op.add_column(_NAME, column, schema="fact")
    op.execute(f"UPDATE fact.{_NAME} SET vehicle_amounts_id = {_ID}")  # noqa: S608
    op.alter_column(_NAME, "vehicle_amounts_id", nullable=False, schema="fact")
    op.drop_constraint(_KEY, _NAME, schema="fact", type_="primary")
    op.create_primary_key(_KEY, _NAME, ["vehicle_amounts_id"], schema="fact")
    op.create_index(op.f(_INDEX), _NAME, ["operational_date"], schema="fact")
