"""Brings a database to the newest form of the tables.

Only running migrations belongs here; the migrations are in `migrations/versions`.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleet_audit.errors import PermanentError
from fleet_audit.schema.sql import metadata
from fleet_audit.storage.auth import rights
from fleet_audit.storage.postgres import advisory_key, engine_of, sentences

if TYPE_CHECKING:  # with the migrations 0.8 s of processor time, which only a database to be changed needs
    from alembic.config import Config

_VERSION_TABLE_SCHEMA = "ops"
_LOCK = advisory_key("migrations")
_MIGRATIONS = Path(__file__).parent / "migrations"
_REVISIONS = sorted(path.stem for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))  # files are named by their ids
_PUBLISHED_BY_OTHERS = """
SELECT oid::regclass::text FROM pg_class
WHERE relnamespace = 'mart'::regnamespace AND relkind IN ('r', 'v') AND pg_get_userbyid(relowner) <> :role
"""
# Ids that databases recorded before their migration got its present number, and the migration to go on after.
_FORMER_IDS = {
    "0001": "0001_first_tables",
    "0002_calib": "0002_device_health",
    "0002_close": "0003_closing",
    "0002_files": "0004_files_by_day",
    "0002_close2": "0005_computed_days",
    "0002_api": "0006_api_requests",
    "0003_api_windows": "0007_api_windows",
    "0004_billing_lines": "0008_billing_lines",
    "0025_arrivals_of_years": "0024_day_digests",  # 0027 repeats it, except for what exists already
}


def config() -> Config:
    """Alembic's configuration, without an ini file."""
    from alembic.config import Config

    result = Config()
    result.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    result.set_main_option("file_template", "%%(rev)s")
    return result


def upgrade(url: str) -> bool:
    """Migrates the database to the newest revision, writes the dictionary's descriptions as comments, applies rights.

    Returns False when both were there already (two queries, about 10 ms).

    Safe when several processes start at once: an advisory lock lets one migrate, the others find it done. All of it is
    one transaction. Raises RetryableError when the database cannot be reached, PermanentError when it was migrated by a
    newer version of the program.
    """
    with sentences("Migrating the warehouse"), engine_of(url).begin() as connection:
        if _is_current(connection):
            _require_all_rows(connection)
            return False
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if _is_current(connection):
            return False
        _rename_recorded_id(connection)
        current = _current(connection)
        if current is not None and current not in _REVISIONS:
            raise PermanentError(
                f"The warehouse is at revision {current}, which a newer fleet_audit wrote: install that version."
            )
        _require_owner(connection, current)
        _run_migrations(connection)
        _write_comments(connection)
        rights.apply_all(connection)
    return True


def _run_migrations(connection: sa.Connection) -> None:
    from alembic import command

    connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {_VERSION_TABLE_SCHEMA}"))
    settings = config()
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")


def _require_owner(connection: sa.Connection, current: str | None) -> None:
    """Raises PermanentError for a role that may not change tables, such as the one that services connect as."""
    may_create = "select has_database_privilege(current_database(), 'CREATE')"
    if not connection.scalar(sa.text(may_create)):
        role = connection.scalar(sa.text("select current_user"))
        raise PermanentError(
            f"The warehouse is at revision {current or 'none'}, this version needs {_REVISIONS[-1]} and its "
            f"descriptions, and {role} may not change tables: run `fleet-audit migrate` with FLEET_WAREHOUSE_URL of "
            "the role that may."
        )


def _require_all_rows(connection: sa.Connection) -> None:
    """Raises PermanentError for a role that row policies apply to: it would compute from the few rows that it sees."""
    if connection.scalar(sa.text("SELECT row_security_active('fact.trips')")):
        role = connection.scalar(sa.text("SELECT current_user"))
        raise PermanentError(
            f"{role} sees only the rows that policies show it, so nothing can be computed as it: connect as the owner "
            f"of the tables, or let an administrator run `alter role {role} bypassrls`."
        )


def give_published_tables(url: str, role: str) -> None:
    """Makes a role the owner of what is in schema `mart`, and lets it create there: it publishes and replaces that.

    For a deployment in which runs connect as another role than the one that migrates. Raises PermanentError when the
    role does not exist or the connecting one may not do so.
    """
    with sentences(f"Giving schema mart to {role}"), engine_of(url).begin() as connection:
        quoted = connection.dialect.identifier_preparer.quote_identifier(role)
        connection.execute(sa.text(f"GRANT CREATE ON SCHEMA mart TO {quoted}"))
        for name in connection.scalars(sa.text(_PUBLISHED_BY_OTHERS), {"role": role}).all():
            connection.execute(sa.text(f"ALTER TABLE {name} OWNER TO {quoted}"))  # of views too


def recorded_revision(url: str) -> str | None:
    """The revision that the database records; None before the first migration."""
    with sentences("Reading the revision of the warehouse"), engine_of(url).connect() as connection:
        return _current(connection)


def _current(connection: sa.Connection) -> str | None:
    # Not to_regclass: it asks a session's cache, which still said "no such table" to 3 of 4 sessions that waited for
    # the lock while another process migrated and 40 more sessions were open.
    exists = "SELECT count(*) FROM pg_tables WHERE schemaname = :schema AND tablename = 'alembic_version'"
    if not connection.scalar(sa.text(exists), {"schema": _VERSION_TABLE_SCHEMA}):
        return None
    return connection.scalar(sa.text(f"SELECT version_num FROM {_VERSION_TABLE_SCHEMA}.alembic_version"))  # noqa: S608


def _rename_recorded_id(connection: sa.Connection) -> None:
    """Replaces a former id in `ops.alembic_version` by the id of the migration to go on after."""
    former = _current(connection)
    if former in _FORMER_IDS:
        connection.execute(
            sa.text("UPDATE ops.alembic_version SET version_num = :new WHERE version_num = :former"),
            {"new": _FORMER_IDS[former], "former": former},
        )


def _is_current(connection: sa.Connection) -> bool:
    return _current(connection) == _REVISIONS[-1] and _written_comments(connection) == _comments_digest()


@cache
def _comments_digest() -> str:
    """SHA-256 over the dictionary's descriptions of tables and columns, and over the rules of who reads them."""
    texts = [
        rights.digest(),
        *(
            f"{table.fullname}.{column.name}\0{table.comment}\0{column.comment}"
            for table in metadata.sorted_tables
            for column in table.columns
        ),
    ]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _written_comments(connection: sa.Connection) -> str | None:
    """The digest of the comments that the database holds: the comment of schema `ops`, None without one."""
    return connection.scalar(
        sa.text("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = :schema"),
        {"schema": _VERSION_TABLE_SCHEMA},
    )


def _write_comments(connection: sa.Connection) -> None:
    """Descriptions follow the dictionary, so that a corrected sentence needs no migration."""
    for table in metadata.sorted_tables:
        connection.execute(sa.schema.SetTableComment(table))
        for column in table.columns:
            connection.execute(sa.schema.SetColumnComment(column))
    connection.execute(sa.text(f"COMMENT ON SCHEMA {_VERSION_TABLE_SCHEMA} IS '{_comments_digest()}'"))


def make_revision(url: str, slug: str, message: str) -> None:
    """Write `versions/<next number>_<slug>.py`: what the column dictionary has and the last revision lacks.

    `url` is a database to compare with, which is migrated to that revision first; `message` is the file's docstring, an
    imperative without a full stop. For developers: read and adapt the file before it is committed; after that what it
    makes never changes.
    """
    from alembic import command

    settings = config()
    for table in metadata.sorted_tables:  # of the caller's own process; no migration has descriptions, `upgrade` does
        table.comment = None
        for column in table.columns:
            column.comment = None
    with engine_of(url).begin() as connection:
        _run_migrations(connection)
        settings.attributes["connection"] = connection
        command.revision(settings, message, autogenerate=True, rev_id=f"{len(_REVISIONS) + 1:04}_{slug}")
