"""The migrations are one readable chain, and a database of any earlier revision keeps its rows when it is upgraded."""

from __future__ import annotations

import datetime as dt
import re
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


def test_the_chain_is_numbered_in_its_order_and_each_file_has_the_name_of_its_id() -> None:
    assert _SCRIPT.get_heads() == [_CHAIN[-1]], "two migrations follow the same one: renumber the one that landed last"
    assert [int(name[:4]) for name in _CHAIN] == list(range(1, len(_CHAIN) + 1))
    files = sorted(path.stem for path in (Path(_SCRIPT.dir) / "versions").glob("*.py"))
    assert files == _CHAIN
    assert all(re.fullmatch(r"\d{4}_[a-z]+(_[a-z]+)*", name) and len(name) <= 32 for name in files)


@pytest.mark.parametrize("start", [*_CHAIN[:-1], *_FORMER_IDS])
def test_rows_of_an_earlier_revision_survive_the_upgrade(empty_postgres_url: str, start: str) -> None:
    _create_as_of(empty_postgres_url, _FORMER_IDS.get(start, start))
    with engine_of(empty_postgres_url).begin() as connection:
        tables = _tables(connection)
        for table in tables:
            connection.execute(table.insert(), {column.name: _value(connection, column) for column in table.columns})
        connection.execute(sa.text("UPDATE ops.alembic_version SET version_num = :id"), {"id": start})
        before = {table.fullname: _rows(connection, table) for table in tables}

    assert upgrade(empty_postgres_url)
    assert not upgrade(empty_postgres_url)
    with engine_of(empty_postgres_url).connect() as connection:
        assert {table.fullname: _rows(connection, table) for table in tables} == before
        assert _differences(connection) == []
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
        for name, kind in (("fact.adjustments", "finding"), ("ops.cycle_closes", None)):
            table = next(table for table in _tables(connection) if table.fullname == name)
            row = {column.name: _value(connection, column) for column in table.columns}
            connection.execute(table.insert(), {**row, **({"kind": kind} if kind else {"status": "final"})})
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
    settings = config()
    with engine_of(url).begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA ops"))
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


def _value(connection: sa.Connection, column: sa.Column) -> object:
    """A value that the column's type and CHECK take."""
    check = connection.scalar(
        sa.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name AND connamespace = "
                "CAST(CAST(:schema AS text) AS regnamespace)"),
        {"name": f"ck_{column.table.name}_{column.name}", "schema": column.table.schema},
    )  # fmt: skip
    listed = re.search(r"'([^']+)'::text", check or "")
    if listed:
        return listed.group(1)
    return next(value for kind, value in _VALUES.items() if isinstance(column.type, kind))


def _rows(connection: sa.Connection, table: sa.Table) -> list[tuple[object, ...]]:
    """The rows of the columns that the table has here, under the name that it has in the database now."""
    name = table.name if sa.inspect(connection).has_table(table.name, table.schema) else _RENAMED[table.fullname]
    return [tuple(row) for row in connection.execute(sa.select(table.to_metadata(sa.MetaData(), name=name)))]


def _is_ours(name: str | None, kind: str, _: object) -> bool:
    return kind != "schema" or name in SCHEMAS
