"""Give each carrier with something at stake of a vehicle and day a row of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034_amounts_by_carrier"
down_revision = "0033_foreign_runs"
branch_labels = None
depends_on = None

_WHAT, _REST = (
    "The four amounts of each vehicle-day",
    "with something at stake, no kilometre counted twice; never added up",
)
_FORMER_TABLE, _TABLE = f"{_WHAT} {_REST}", f"{_WHAT} and carrier {_REST}"
# `logic.primitives.identity.stable_ids` of day, plate and carrier
_ID = (
    "left(encode(sha256(convert_to(to_char(operational_date, 'YYYY-MM-DD') || chr(31) || plate || chr(31) || "
    "coalesce(carrier_code, ''), 'UTF8')), 'hex'), 16)"
)
_NAME, _KEY = "vehicle_day_amounts", "pk_vehicle_day_amounts"
_INDEX = "ix_vehicle_day_amounts_operational_date"


def upgrade() -> None:
    column = sa.Column("vehicle_amounts_id", sa.Text(), nullable=True, comment="Hash of day, vehicle and carrier")
    op.add_column(_NAME, column, schema="fact")
    op.execute(f"UPDATE fact.{_NAME} SET vehicle_amounts_id = {_ID}")  # noqa: S608
    op.alter_column(_NAME, "vehicle_amounts_id", nullable=False, schema="fact")
    _key_by(["vehicle_amounts_id"], _TABLE)
    op.create_index(op.f(_INDEX), _NAME, ["operational_date"], schema="fact")


def downgrade() -> None:
    op.execute(
        f"DELETE FROM fact.{_NAME} AS own USING fact.{_NAME} AS other "  # noqa: S608
        "WHERE own.operational_date = other.operational_date AND own.plate = other.plate "
        "AND own.vehicle_amounts_id > other.vehicle_amounts_id"
    )
    op.drop_index(op.f(_INDEX), _NAME, schema="fact")
    _key_by(["operational_date", "plate"], _FORMER_TABLE)
    op.drop_column(_NAME, "vehicle_amounts_id", schema="fact")


def _key_by(columns: list[str], comment: str) -> None:
    op.drop_constraint(_KEY, _NAME, schema="fact", type_="primary")
    op.create_primary_key(_KEY, _NAME, columns, schema="fact")
    op.create_table_comment(_NAME, comment, schema="fact")
