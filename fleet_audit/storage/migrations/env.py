"""Alembic's entry: runs the migrations on the connection that `storage.migrate` hands over.

Only the binding to our metadata belongs here; each change of the tables is a file in `versions`.
"""

from __future__ import annotations

from alembic import context

from fleet_audit.schema.sql import SCHEMAS, metadata


def include_name(name: str | None, type_: str, parent_names: object) -> bool:
    """Compare our own schemas only: `mart` belongs to the SQL models, everything else to other programs."""
    return type_ != "schema" or name in set(SCHEMAS) - {"mart"}


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_schemas=True,
    include_name=include_name,
    version_table_schema="ops",
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
