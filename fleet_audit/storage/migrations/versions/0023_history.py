"""Add indexes for reads that grew with history, and let autovacuum keep statistics of the newest days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023_history"
down_revision = "0022_other_unit_readings"

_INDEXES = {
    "ingested_files": (["kind", "last_date"], ["file_name"], ["received_at"]),
    "file_days": (["date"],),
    "api_requests": (["partition_date"],),
    "position_hours": (["partition_date"], ["changed_at"]),
}
_OF_CYCLES = {
    "fact.findings": "cycle_start",
    "fact.incidents": "cycle_start",
    "fact.adjustments": "decided_cycle_start",
    "ops.rules_not_tested": "cycle_start",
}
# By default a table is analyzed once a tenth of it is new: a year of days is then planned for without its last five
# weeks, and its newest day, of which PostgreSQL knows nothing, as if it had one row. Rows are deleted and inserted by
# day and never updated, so that pages stay full: a fill factor would only leave gaps.
_VACUUM = """
do $$ declare name regclass; begin
  for name in select oid from pg_class where relnamespace = 'fact'::regnamespace and relkind = 'r' loop
    execute format('alter table %s {}', name);
  end loop;
end $$
"""
_OPTIONS = (
    "autovacuum_analyze_scale_factor",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_insert_scale_factor",
)


def upgrade() -> None:
    for table, indexes in _INDEXES.items():
        for columns in indexes:
            op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns, schema="ops")
    for name, column in _OF_CYCLES.items():
        schema, table = name.split(".")
        where = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_{table}_{column}", table, [column], schema=schema, postgresql_where=where)
    settings = ", ".join(f"{name} = 0.01" for name in _OPTIONS)
    op.execute(_VACUUM.format(f"set ({settings})"))
