"""Add to device health what each device counted beside the one that measures its vehicle."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013_devices_compared"
down_revision = "0012_rules_not_tested"
branch_labels = None
depends_on = None

_COLUMNS = {
    "primary_device_id": (
        sa.Text(),
        "Device that measures the vehicle, where this one is another",
    ),
    "km_counted": (sa.DOUBLE_PRECISION(), "Counted by this one while both report: odometer, or path [km]"),
    "km_primary": (sa.DOUBLE_PRECISION(), "The same by the one that measures [km]"),
}


def upgrade() -> None:
    for name, (kind, comment) in _COLUMNS.items():
        op.add_column("device_health", sa.Column(name, kind, nullable=True, comment=comment), schema="fact")


def downgrade() -> None:
    for name in _COLUMNS:
        op.drop_column("device_health", name, schema="fact")
