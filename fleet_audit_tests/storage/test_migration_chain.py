"""The migrations are one readable chain, and a database of any earlier revision keeps its rows when it is upgraded."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql as pg

from fleet_audit.schema.sql import SCHEMAS
from fleet_audit.storage.migrate import _FORMER_IDS, config, upgrade
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.storage.catalog import CATALOG, catalog

_Catalog = dict[str, set[tuple[object, ...]]]
_SCRIPT = ScriptDirectory.from_config(config())
_CHAIN = [revision.revision for revision in reversed(list(_SCRIPT.walk_revisions()))]
# Each revision by the id that a database may have it recorded as: the former one where there is one, for both lead to
# the same revision, and the upgrade from a former id is that from the revision's own after one more look-up.
_RECORDED = {revision: revision for revision in _CHAIN[:-1]} | {now: former for former, now in _FORMER_IDS.items()}
_RENAMED = {"ops.staged_days": "day_digests"}
_VALUES = {
    sa.Text: "x",
    sa.Numeric: Decimal(1),
    sa.BigInteger: 1,
    sa.Float: 1.0,
    sa.Boolean: True,
    sa.Date: dt.date(2025, 6, 10),
    sa.DateTime: dt.datetime(2025, 6, 10, 12, tzinfo=dt.UTC),
    pg.ARRAY: ["x"],
    pg.JSONB: {"x": 1},
}


def test_the_chain_is_numbered_in_its_order_and_each_file_has_the_name_of_its_id() -> None:
    assert _SCRIPT.get_heads() == [_CHAIN[-1]], "two migrations follow the same one: renumber the one that landed last"
    assert [int(name[:4]) for name in _CHAIN] == list(range(1, len(_CHAIN) + 1))
    files = sorted(path.stem for path in (Path(_SCRIPT.dir) / "versions").glob("*.py"))
    assert files == _CHAIN
    assert all(re.fullmatch(r"\d{4}_[a-z]+(_[a-z]+)*", name) and len(name) <= 32 for name in files)


@pytest.fixture(scope="module")
def growing_url(new_database: Callable[..., str]) -> str:
    """A database that goes from revision to revision: what each begins with is made once."""
    url = new_database("template0")
    with engine_of(url).begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA ops"))
    return url


@pytest.fixture(scope="module")
def newest(new_database: Callable[..., str]) -> _Catalog:
    """The catalog of a new database."""
    return _whole_catalog(new_database())


@pytest.mark.parametrize(("revision", "recorded"), _RECORDED.items(), ids=_RECORDED.values())
def test_rows_of_an_earlier_revision_survive_the_upgrade(
    growing_url: str, newest: _Catalog, new_database: Callable[..., str], revision: str, recorded: str
) -> None:
    _migrate(growing_url, revision)
    engine_of(growing_url).dispose()  # a template may have no connections
    url = new_database(sa.make_url(growing_url).database)
    with engine_of(url).begin() as connection:
        tables = _tables(connection)
        _insert_rows(connection, tables)
        connection.execute(sa.text("UPDATE ops.alembic_version SET version_num = :id"), {"id": recorded})
        before = {table.fullname: _rows(connection, table) for table in tables}

    assert upgrade(url)
    assert not upgrade(url)
    with engine_of(url).connect() as connection:
        assert {table.fullname: _rows(connection, table) for table in tables} == before
    assert _whole_catalog(url) == newest
    engine_of(url).dispose()  # nobody asks this database again, and the server has 200 connections
    assert len(before) >= 30
    assert all(len(rows) == 1 for rows in before.values())


def test_a_database_that_has_the_indexes_of_arrivals_already_gets_what_was_put_before_them(
    empty_postgres_url: str, newest: _Catalog
) -> None:
    """Their migration was the 25th first, and had no index of adjustments then."""
    _create_as_of(empty_postgres_url, "0024_day_digests")
    with engine_of(empty_postgres_url).begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            _SCRIPT.get_revision("0027_arrivals_of_years").module.upgrade()
        connection.execute(sa.text("DROP INDEX fact.ix_adjustments_billed_cycle_start"))
        connection.execute(sa.text("UPDATE ops.alembic_version SET version_num = '0025_arrivals_of_years'"))
    assert upgrade(empty_postgres_url)
    assert _whole_catalog(empty_postgres_url) == newest


def _create_as_of(url: str, revision: str) -> None:
    with engine_of(url).begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA ops"))
    _migrate(url, revision)


def _migrate(url: str, revision: str) -> None:
    settings = config()
    with engine_of(url).begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)


def _whole_catalog(url: str) -> _Catalog:
    return {part: catalog(url, part) for part in CATALOG}


def _tables(connection: sa.Connection) -> list[sa.Table]:
    found = sa.MetaData()
    for schema in SCHEMAS:
        found.reflect(connection, schema=schema)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def _insert_rows(connection: sa.Connection, tables: list[sa.Table]) -> None:
    """A row of each table, of values that the columns' types and CHECKs take."""
    checks = connection.execute(
        sa.text("SELECT connamespace::regnamespace::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE contype = 'c'")
    )  # fmt: skip
    listed = {
        (schema, name): found.group(1)
        for schema, name, check in checks
        if (found := re.search(r"'([^']+)'::text", check))
    }

    def value(table: sa.Table, column: sa.Column) -> object:
        first = listed.get((table.schema, f"ck_{table.name}_{column.name}"))
        return first or next(value for kind, value in _VALUES.items() if isinstance(column.type, kind))

    for table in tables:
        connection.execute(table.insert(), {column.name: value(table, column) for column in table.columns})


def _rows(connection: sa.Connection, table: sa.Table) -> list[tuple[object, ...]]:
    """The rows of the columns that the table has here, under the name that it has in the database now."""
    is_there = connection.scalar(sa.text("SELECT to_regclass(:name) IS NOT NULL"), {"name": table.fullname})
    name = table.name if is_there else _RENAMED[table.fullname]
    return [tuple(row) for row in connection.execute(sa.select(table.to_metadata(sa.MetaData(), name=name)))]
