"""What PostgreSQL's own catalog says of our tables, their columns, constraints and indexes."""

from __future__ import annotations

import sqlalchemy as sa

from fleet_audit.storage.postgres import engine_of

CATALOG = {
    "columns": """
        SELECT table_schema, table_name, ordinal_position, column_name, is_nullable, format_type(atttypid, atttypmod),
               col_description(attrelid, attnum), obj_description(attrelid)
        FROM information_schema.columns
        JOIN pg_attribute ON attname = column_name
                         AND attrelid = format('%I.%I', table_schema, table_name)::regclass
        WHERE table_schema IN ('ref', 'ops', 'fact') AND table_name NOT IN ('alembic_version', 'contests')""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace::regnamespace::text IN ('ref', 'ops', 'fact') AND contype <> 'n'
          AND conrelid::regclass::text <> 'ops.alembic_version'""",
    "indexes": """
        SELECT schemaname, indexname, indexdef FROM pg_indexes
        WHERE schemaname IN ('ref', 'ops', 'fact') AND tablename <> 'alembic_version'""",
}


def catalog(url: str, part: str) -> set[tuple[object, ...]]:
    """The rows of that part of a database's catalog."""
    with engine_of(url).connect() as connection:
        return {tuple(row) for row in connection.execute(sa.text(CATALOG[part]))}
