"""The PostgreSQL form of the column dictionary: SQLAlchemy metadata of the schemas `ref`, `ops` and `fact`.

Only what follows from the dictionary belongs here; how a database gets there is in `storage/migrations`.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from fleet_audit.schema import facts, reference
from fleet_audit.schema.model import Column, Table, Type

SCHEMAS = ("ref", "ops", "fact", "mart")  # mart holds the SQL models; `marts` creates its tables

_TYPES: dict[Type, TypeEngine] = {
    Type.TEXT: sa.Text(),
    Type.TEXT_LIST: pg.ARRAY(sa.Text()),
    Type.INTEGER: sa.BigInteger(),
    Type.FLOAT: pg.DOUBLE_PRECISION(),
    Type.BOOLEAN: sa.Boolean(),
    Type.DATE: sa.Date(),
    Type.TIMESTAMP: pg.TIMESTAMP(timezone=True),
    Type.LOCAL_TIMESTAMP: pg.TIMESTAMP(),
    Type.KM: sa.Numeric(12, 2),
    Type.KM3: sa.Numeric(12, 3),
    Type.BRL: sa.Numeric(14, 2),
    Type.RATE: sa.Numeric(12, 4),
    Type.PERCENT: sa.Numeric(9, 2),
    Type.JSON: pg.JSONB(),
}
_NAMES = {"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s", "ck": "ck_%(table_name)s_%(constraint_name)s"}


def sql_table(table: Table, metadata: sa.MetaData) -> sa.Table:
    """The table with types, comments, key, CHECKs for domains and limits, and indexes, added to the metadata.

    A key with a nullable column cannot be a primary key: it becomes UNIQUE NULLS NOT DISTINCT.
    """
    columns = [
        sa.Column(column.name, _TYPES[column.type], nullable=column.nullable, comment=_comment(column))
        for column in table.columns
    ]
    items: list[SchemaItem] = [*columns, *_key(table), *_checks(table), *_indexes(table)]
    return sa.Table(table.name, metadata, *items, schema=table.schema, comment=table.description)


def _comment(column: Column) -> str:
    return f"{column.description} [{column.unit}]" if column.unit else column.description


def _key(table: Table) -> Iterator[SchemaItem]:
    if not table.key:
        return
    if any(table.column(name).nullable for name in table.key):
        yield sa.UniqueConstraint(*table.key, postgresql_nulls_not_distinct=True)
    else:
        yield sa.PrimaryKeyConstraint(*table.key)


def _checks(table: Table) -> Iterator[SchemaItem]:
    for column in table.columns:
        conditions = []
        if column.values is not None:
            domain = ", ".join(f"'{value}'" for value in column.values)
            conditions.append(f"{column.name} IN ({domain})")
        if column.minimum is not None:
            conditions.append(f"{column.name} >= {column.minimum:g}")
        if column.maximum is not None:
            conditions.append(f"{column.name} <= {column.maximum:g}")
        if conditions:
            yield sa.CheckConstraint(" AND ".join(conditions), name=column.name)


def _indexes(table: Table) -> Iterator[SchemaItem]:
    if table.partition and table.key[:1] != (table.partition,):  # such a key already serves as the index
        yield sa.Index(f"ix_{table.name}_{table.partition}", table.partition)
    if table.partition == "operational_date" and "plate" in table.column_names:
        yield sa.Index(f"ix_{table.name}_plate_operational_date", "plate", "operational_date")
    if table.kept:  # few rows have a value; the others cost an index nothing
        yield sa.Index(
            f"ix_{table.name}_{table.kept}", table.kept, postgresql_where=sa.text(f"{table.kept} IS NOT NULL")
        )
    for columns in table.indexes:
        yield sa.Index(f"ix_{table.name}_{'_'.join(columns)}", *columns)
    for column, condition in table.partial_indexes:
        yield sa.Index(f"ix_{table.name}_{column}", column, postgresql_where=sa.text(condition))


def build_metadata() -> sa.MetaData:
    """The metadata of all tables that live in PostgreSQL."""
    result = sa.MetaData(naming_convention=_NAMES)
    for table in (*reference.TABLES, *facts.FACTS, *facts.CYCLE_FACTS, *facts.OPS):
        sql_table(table, result)
    return result


metadata = build_metadata()
