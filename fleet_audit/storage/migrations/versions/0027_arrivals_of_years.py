"""Add indexes by which files, changes and adjustments of years are looked up, and the flag of files with lost rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027_arrivals_of_years"
down_revision = "0026_computing_versions"
# Its first id was 0025_arrivals_of_years, after 0024_day_digests: what a database of then has stays as it is.

_DATED = (
    ("fact", "adjustments", "billed_cycle_start"),
    ("ops", "reference_changes", "cycle_start"),
    ("ops", "reference_changes", "last_date"),
)
_LOST = """
update ops.ingested_files as file set has_lost_rows = true
from (
    select file_sha256, file_name, sum(rows_read) as rows_read, sum(rows_accepted) as rows_accepted,
        sum(rows_rejected) as rows_rejected
    from ops.file_days group by file_sha256, file_name
) as days
where days.file_sha256 = file.file_sha256 and days.file_name = file.file_name
    and (days.rows_read, days.rows_accepted, days.rows_rejected)
        <> (file.rows_read, file.rows_accepted, file.rows_rejected)
"""
_LOST_AS_A_WHOLE = """
update ops.ingested_files set has_lost_rows = true where rows_read <> rows_accepted + rows_rejected + rows_duplicate
"""


def upgrade() -> None:
    flag: sa.Column[bool] = sa.Column("has_lost_rows", sa.Boolean(), nullable=True)
    op.add_column("ingested_files", flag, schema="ops", if_not_exists=True)
    op.execute(_LOST)
    op.execute(_LOST_AS_A_WHOLE)
    op.drop_index("ix_ingested_files_file_name", "ingested_files", schema="ops", if_exists=True)
    for columns in (["file_name", "stamp"], ["kind", "file_name", "received_at"]):
        name = f"ix_ingested_files_{'_'.join(columns)}"
        op.create_index(name, "ingested_files", columns, schema="ops", if_not_exists=True)
    _create_partial("ingested_files", "status", "status = 'rejected'")
    _create_partial("ingested_files", "has_lost_rows", "has_lost_rows")
    _create_partial("reference_history", "table_name", "recorded_to IS NULL")
    _create_partial("reference_deltas", "is_rerun", "NOT is_rerun")
    for schema, table, column in _DATED:
        op.create_index(f"ix_{table}_{column}", table, [column], schema=schema, if_not_exists=True)


def _create_partial(table: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(f"ix_{table}_{column}", table, [column], schema="ops", postgresql_where=where, if_not_exists=True)
