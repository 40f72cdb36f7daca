"""The migrations give exactly the tables of the column dictionary."""

from __future__ import annotations

import multiprocessing
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.schema import facts, reference
from fleet_audit.schema.model import Type
from fleet_audit.schema.sql import SCHEMAS, metadata
from fleet_audit.storage import migrate
from fleet_audit.storage.migrate import give_published_tables, upgrade
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.storage.catalog import CATALOG, catalog

_HINT = "the column dictionary changed: write a migration with storage.migrate.make_revision"


def test_alembic_finds_no_difference_to_the_dictionary(postgres_url: str) -> None:
    options = {
        "include_schemas": True,
        "compare_type": True,
        "version_table_schema": "ops",
        "include_name": lambda name, kind, _: kind != "schema" or name in SCHEMAS,
    }
    with engine_of(postgres_url).connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == [], _HINT


@pytest.mark.parametrize("part", CATALOG)
def test_migrated_and_created_catalogs_are_equal(postgres_url: str, empty_postgres_url: str, part: str) -> None:
    """Alembic compares neither CHECKs nor NULLS NOT DISTINCT; PostgreSQL's own catalog does."""
    with engine_of(empty_postgres_url).begin() as connection:
        for schema in SCHEMAS:
            connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
        metadata.create_all(connection)
    migrated, created = catalog(postgres_url, part), catalog(empty_postgres_url, part)
    assert len(migrated) > 20
    assert migrated == created, _HINT


def test_a_corrected_description_reaches_a_migrated_database_without_a_migration(postgres_url: str) -> None:
    with engine_of(postgres_url).begin() as connection:
        connection.execute(sa.text("COMMENT ON COLUMN fact.trips.plate IS 'an older sentence'"))
        connection.execute(sa.text("COMMENT ON SCHEMA ops IS 'an older dictionary'"))
    assert upgrade(postgres_url)
    assert not upgrade(postgres_url)
    with engine_of(postgres_url).connect() as connection:
        comment = connection.scalar(
            sa.text("SELECT col_description('fact.trips'::regclass, attnum) FROM pg_attribute"
                    " WHERE attrelid = 'fact.trips'::regclass AND attname = 'plate'")
        )  # fmt: skip
    assert comment == metadata.tables["fact.trips"].c.plate.comment


def test_types_are_the_promised_ones(postgres_url: str) -> None:
    promised = {
        Type.TEXT: "text",
        Type.TEXT_LIST: "text[]",
        Type.INTEGER: "bigint",
        Type.FLOAT: "double precision",
        Type.BOOLEAN: "boolean",
        Type.DATE: "date",
        Type.TIMESTAMP: "timestamp with time zone",
        Type.KM: "numeric(12,2)",
        Type.KM3: "numeric(12,3)",
        Type.BRL: "numeric(14,2)",
        Type.RATE: "numeric(12,4)",
        Type.PERCENT: "numeric(9,2)",
        Type.JSON: "jsonb",
    }
    found = {(row[0], row[1], row[3]): row[5] for row in catalog(postgres_url, "columns")}
    for table in (*reference.TABLES, *facts.FACTS, *facts.CYCLE_FACTS, *facts.OPS):
        for column in table.columns:
            assert found[table.schema, table.name, column.name] == promised[column.type]


def test_the_mart_schema_exists_and_is_empty(postgres_url: str) -> None:
    with engine_of(postgres_url).connect() as connection:
        assert sa.inspect(connection).get_table_names(schema="mart") == []
        assert "mart" in sa.inspect(connection).get_schema_names()


def test_upgrade_at_head_does_nothing(postgres_url: str) -> None:
    upgrade(postgres_url)
    assert upgrade(postgres_url) is False


def test_processes_that_start_at_once_migrate_once(empty_postgres_url: str) -> None:
    # Not multiprocessing.Pool: its terminate() can kill a worker that holds the queue's lock, and then waits for ever.
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = list(pool.map(upgrade, [empty_postgres_url] * 3))
    assert sorted(done) == [False, False, True]
    assert len(catalog(empty_postgres_url, "columns")) > 100


def test_a_session_that_waited_sees_what_another_migrated_also_among_many_sessions(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sessions learn of new tables one after the other: with 40 idle ones, the waiting one learns too late.
    engine = sa.create_engine(sa.make_url(empty_postgres_url).set(drivername="postgresql+psycopg2"), pool_size=40)
    idle = [engine.connect() for _ in range(40)]
    has_looked, is_locked = threading.Event(), threading.Event()
    run_migrations = migrate._run_migrations

    def migrate_slowly(connection: sa.Connection) -> None:
        is_locked.set()
        time.sleep(1)
        run_migrations(connection)

    def wait_and_look() -> tuple[bool, bool]:
        with engine_of(empty_postgres_url).begin() as connection:
            before = migrate._is_current(connection)
            has_looked.set()
            is_locked.wait()
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(migrate._LOCK)))
            return before, migrate._is_current(connection)

    monkeypatch.setattr(migrate, "_run_migrations", migrate_slowly)
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(wait_and_look)
        has_looked.wait()
        assert upgrade(empty_postgres_url)
        assert seen.result() == (False, True)
    for connection in idle:
        connection.close()
    engine.dispose()


def test_a_database_of_a_newer_program_is_refused(postgres_url: str) -> None:
    with engine_of(postgres_url).begin() as connection:
        connection.execute(sa.text("UPDATE ops.alembic_version SET version_num = '9999'"))
    with pytest.raises(PermanentError, match=r"9999.*newer"):
        upgrade(postgres_url)


def test_a_server_that_is_away_is_worth_another_try() -> None:
    with pytest.raises(RetryableError, match="Migrating the warehouse failed"):
        upgrade("postgresql://postgres@127.0.0.1:1/postgres")


@pytest.fixture
def service_url(postgres_url) -> Iterator[str]:
    """The URL of a role that reads and writes rows and changes no table, as services of a deployment connect."""
    role = f"service_{uuid.uuid4().hex[:12]}"
    with engine_of(postgres_url).begin() as connection:
        connection.execute(sa.text(f"create role {role} login bypassrls"))
        connection.execute(sa.text(f"grant usage on schema fact, ops, mart to {role}"))
        connection.execute(sa.text(f"grant select on all tables in schema fact, ops to {role}"))
    url = postgres_url.replace("postgres@", f"{role}@")
    yield url
    engine_of(url).dispose()
    with engine_of(postgres_url).begin() as connection:
        connection.execute(sa.text(f"drop owned by {role}; drop role {role}"))


def test_a_role_that_may_not_change_tables_reads_which_command_to_run(postgres_url, service_url):
    assert upgrade(service_url) is False
    with engine_of(postgres_url).begin() as connection:
        connection.execute(sa.text("comment on schema ops is 'descriptions of an older version'"))
    with pytest.raises(PermanentError, match="run `fleet-audit migrate`"):
        upgrade(service_url)
    assert upgrade(postgres_url) is True
    assert upgrade(service_url) is False


def test_a_role_that_policies_apply_to_is_refused_instead_of_seeing_no_rows(postgres_url, service_url):
    with engine_of(postgres_url).begin() as connection:
        connection.execute(sa.text(f"alter role {sa.make_url(service_url).username} nobypassrls"))
    with pytest.raises(PermanentError, match="sees only the rows that policies show it"):
        upgrade(service_url)


def test_the_role_that_publishes_owns_the_marts(postgres_url, service_url):
    role = str(sa.make_url(service_url).username)
    with engine_of(postgres_url).begin() as connection:
        connection.execute(sa.text("create table mart.published (one int); create view mart.shown as select 1 as one"))
    give_published_tables(postgres_url, role)
    with engine_of(service_url).begin() as connection:
        connection.execute(sa.text("drop view mart.shown; drop table mart.published; create table mart.new (one int)"))
