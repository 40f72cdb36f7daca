"""SQL of the warehouse's tables, made from the column dictionary, and how a cursor runs it.

When rows are read, replaced or kept is decided in `warehouse`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache

import adbc_driver_manager.dbapi as adbc
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.schema import CreateTable

from fleet_audit.schema.facts import CYCLE_CLOSES
from fleet_audit.schema.model import Table, Type
from fleet_audit.schema.sql import metadata

DIALECT = pg.dialect(paramstyle="numeric_dollar")


def dated(table: Table, column: str, dates: Sequence[dt.date]) -> str:
    """SQL condition: a column of the table has one of these dates."""
    listed = ", ".join(f"DATE '{day.isoformat()}'" for day in dates)
    return f"{table.column(column).name} IN ({listed})"


@lru_cache
def select_of(table: Table) -> tuple[str, str]:
    """The SELECT of all columns of a table and its ORDER BY: compiling them takes longer than reading a few rows."""
    target = metadata.tables[table.full_name]
    order = [target.c[name].nulls_first() for name in table.sort or table.key]
    query = sa.select(*(target.c[name] for name in table.column_names))
    return literal(query), ", ".join(literal(column) for column in order)


def is_frozen(rows: sa.Table, table: Table) -> sa.ColumnElement[bool]:
    """Whether a row of the table, or of one staged for it, lies in a cycle that is closed for good."""
    if table.frozen_by is None:
        return sa.false()
    closes = metadata.tables[CYCLE_CLOSES.full_name]
    day = rows.c[table.frozen_by]
    return sa.exists().where(closes.c.status == "final", closes.c.cycle_start <= day, day <= closes.c.cycle_end)


def staged(cursor: adbc.Cursor, table: Table, target: sa.Table, rows: pa.Table) -> sa.Table:
    """Loads the rows into a temporary table, in which JSON is text: the driver cannot load jsonb in binary form."""
    columns = [
        sa.Column(column.name, sa.Text() if column.type is Type.JSON else target.c[column.name].type)
        for column in table.columns
    ]
    stage = sa.Table(f"load_{table.name}", sa.MetaData(), *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")
    run_statement(cursor, CreateTable(stage))
    cursor.adbc_ingest(stage.name, rows, mode="append", db_schema_name="pg_temp")
    return stage


def insert_from(table: Table, target: sa.Table, stage: sa.Table) -> pg.Insert:
    """Insert all rows of a staged table, each column in the type of the target."""
    values = [sa.cast(stage.c[column.name], target.c[column.name].type) for column in table.columns]
    return pg.insert(target).from_select(table.column_names, sa.select(*values))


def run_statement(cursor: adbc.Cursor, statement: sa.ClauseElement) -> int:
    """Run a statement; returns the number of rows that it touched."""
    cursor.execute(literal(statement))
    return cursor.rowcount


def scalar(cursor: adbc.Cursor, query: sa.Select) -> int:
    """The first value of the first row of a query."""
    cursor.execute(literal(query))
    return cursor.fetchall()[0][0]


def literal(statement: sa.ClauseElement) -> str:
    """The statement as SQL with its values in it."""
    return str(statement.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))
