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
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql as pg

from fleet_audit.errors import PermanentError
from fleet_audit.schema.sql import SCHEMAS, metadata
from fleet_audit.storage.migrate import _FORMER_IDS, config, upgrade
from fleet_audit.storage.postgres import engine_of

_SCRIPT = ScriptDirectory.from_config(config())
_CHAIN = [revision.revision for revision in reversed(list(_SCRIPT.walk_revisions()))]
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


def _revision_of(recorded: str) -> str:
    """The revision that a recorded id stands for."""
    return _FORMER_IDS.get(recorded, recorded)


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


@pytest.mark.parametrize("start", sorted([*_CHAIN[:-1], *_FORMER_IDS], key=_revision_of))
def test_rows_of_an_earlier_revision_survive_the_upgrade(
    growing_url: str, new_database: Callable[..., str], start: str
) -> None:
    _migrate(growing_url, _revision_of(start))
    engine_of(growing_url).dispose()  # a template may have no connections
    url = new_database(sa.make_url(growing_url).database)
    with engine_of(url).begin() as connection:
        tables = _tables(connection)
        _insert_rows(connection, tables, {})
        connection.execute(sa.text("UPDATE ops.alembic_version SET version_num = :id"), {"id": start})
        before = {table.fullname: _rows(connection, table) for table in tables}

    assert upgrade(url)
    assert not upgrade(url)
    with engine_of(url).connect() as connection:
        assert {table.fullname: _rows(connection, table) for table in tables} == before
        assert _differences(connection) == []
    engine_of(url).dispose()  # nobody asks this database again, and the server has 200 connections
    assert len(before) >= 30
    assert all(len(rows) == 1 for rows in before.values())


def test_a_database_that_has_the_indexes_of_arrivals_already_gets_what_was_put_before_them(
    empty_postgres_url: str,
) -> None:
    """Their migration was the 25th first, and had no index of adjustments then."""
    _create_as_of(empty_postgres_url, "0024_day_digests")
    with engine_of(empty_postgres_url).begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            _SCRIPT.get_revision("0027_arrivals_of_years").module.upgrade()
        connection.execute(sa.text("DROP INDEX fact.ix_adjustments_billed_cycle_start"))
        connection.execute(sa.text("UPDATE ops.alembic_version SET version_num = '0025_arrivals_of_years'"))
    assert upgrade(empty_postgres_url)
    with engine_of(empty_postgres_url).connect() as connection:
        assert _differences(connection) == []


def test_lines_of_reversed_findings_that_a_final_close_froze_survive_the_downgrade(empty_postgres_url: str) -> None:
    """Only a close for good freezes them; a provisional one is written again."""
    _create_as_of(empty_postgres_url, "0021_reversed_findings")
    settings, engine = config(), engine_of(empty_postgres_url)
    with engine.begin() as connection:
        changed = {"fact.adjustments": {"kind": "finding"}, "ops.cycle_closes": {"status": "final"}}
        _insert_rows(connection, [table for table in _tables(connection) if table.fullname in changed], changed)
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        with pytest.raises(PermanentError, match="1 lines of reversed findings"):
            command.downgrade(settings, "0020_tracker_off_day_before")
    with engine.begin() as connection:
        assert connection.scalar(sa.text("select count(*) from fact.adjustments")) == 1
        connection.execute(sa.text("update ops.cycle_closes set status = 'provisional'"))
        settings.attributes["connection"] = connection
        command.downgrade(settings, "0020_tracker_off_day_before")
        assert connection.scalar(sa.text("select count(*) from fact.adjustments")) == 0


def _create_as_of(url: str, revision: str) -> None:
    with engine_of(url).begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA ops"))
    _migrate(url, revision)


def _migrate(url: str, revision: str) -> None:
    settings = config()
    with engine_of(url).begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)


def _differences(connection: sa.Connection) -> list[object]:
    """How the tables of the database differ from those that are described."""
    options = {
        "include_schemas": True,
        "compare_type": True,
        "version_table_schema": "ops",
        "include_name": _is_ours,
    }
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def _tables(connection: sa.Connection) -> list[sa.Table]:
    found = sa.MetaData()
    for schema in SCHEMAS:
        found.reflect(connection, schema=schema)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def _insert_rows(connection: sa.Connection, tables: list[sa.Table], changed: dict[str, dict[str, str]]) -> None:
    """A row of each table, of values that the columns' types and CHECKs take; `changed` has other ones."""
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
        row = {column.name: value(table, column) for column in table.columns}
        connection.execute(table.insert(), {**row, **changed.get(table.fullname, {})})


def _rows(connection: sa.Connection, table: sa.Table) -> list[tuple[object, ...]]:
    """The rows of the columns that the table has here, under the name that it has in the database now."""
    name = table.name if sa.inspect(connection).has_table(table.name, table.schema) else _RENAMED[table.fullname]
    return [tuple(row) for row in connection.execute(sa.select(table.to_metadata(sa.MetaData(), name=name)))]


def _is_ours(name: str | None, kind: str, _: object) -> bool:
    return kind != "schema" or name in SCHEMAS
