"""Add to device health what each device counted beside the one that measures its vehicle."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013_devices_compared"
down_revision = "0012_rules_not_tested"

_COLUMNS = {"primary_device_id": sa.Text(), "km_counted": sa.DOUBLE_PRECISION(), "km_primary": sa.DOUBLE_PRECISION()}


def upgrade() -> None:
    for name, kind in _COLUMNS.items():
        op.add_column("device_health", sa.Column(name, kind, nullable=True), schema="fact")
