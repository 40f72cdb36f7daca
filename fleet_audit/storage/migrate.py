"""Brings a database to the newest form of the tables.

Only the running of migrations belongs here; what they do is in `migrations/versions`.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from fleet_audit.errors import PermanentError
from fleet_audit.storage.postgres import advisory_key, engine_of, sentences

_VERSION_TABLE_SCHEMA = "ops"
_LOCK = advisory_key("migrations")


def config() -> Config:
    """Alembic's configuration; there is no ini file."""
    result = Config()
    result.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return result


def upgrade(url: str) -> bool:
    """Migrates the database to the newest revision; False when it was there already (one query, about 10 ms).

    Safe when several processes start at once: an advisory lock lets one migrate, the others find it done. All of it is
    one transaction. Raises RetryableError when the database cannot be reached, PermanentError when it was migrated by a
    newer version of the program.
    """
    settings = config()
    script = ScriptDirectory.from_config(settings)
    engine = engine_of(url)
    with sentences("Migrating the warehouse"), engine.begin() as connection:
        if _current(connection) == script.get_current_head():
            return False
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        current = _current(connection)
        if current == script.get_current_head():
            return False
        if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
            raise PermanentError(f"The warehouse is at revision {current}, made by a newer fleet_audit: install that.")
        connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {_VERSION_TABLE_SCHEMA}"))
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
    return True


def _current(connection: sa.Connection) -> str | None:
    options = {"version_table_schema": _VERSION_TABLE_SCHEMA}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def make_revision(url: str, message: str) -> None:
    """Writes the next file of `versions`: what the column dictionary has and the (migrated) database has not.

    For developers; read and adapt the file before it is committed, after that it never changes.
    """
    settings = config()
    number = len(list(ScriptDirectory.from_config(settings).walk_revisions())) + 1
    with engine_of(url).begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {_VERSION_TABLE_SCHEMA}"))
        settings.attributes["connection"] = connection
        command.revision(settings, message, autogenerate=True, rev_id=f"{number:04}")
