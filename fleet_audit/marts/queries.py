"""Analysis of a SELECT: the tables and columns that it reads, and the origin of its columns.

It parses rendered SQL with sqlglot; nothing is executed. What was found is kept by `lineage_cache`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope, traverse_scope

from fleet_audit.errors import PermanentError
from fleet_audit.marts.model import Lineage, Relation, Tables

DIALECT = "postgres"


def trace_columns(sql: str, path: Path, reads: Iterable[Relation], tables: Tables) -> Lineage:
    """The columns of a model's query in their order, each traced to those that its value is computed from.

    `tables` are the columns of everything that the query may read.

    Raises PermanentError that names the file when the SQL is not one SELECT, names a table past ref() and source(),
    or names a column that does not exist.
    """
    expression = _one_select(sql, path)
    known = {relation: tables[relation] for relation in reads}
    for table in _tables(expression):
        if Relation(table.db, table.name) not in known:
            raise PermanentError(
                f"{path} names the table {table.sql(DIALECT)} directly; write it as "
                "{{ ref('…') }} or {{ source('…', '…') }}, so that it is made before."
            )
    try:
        qualified = qualify(expression, schema=_schema(known), dialect=DIALECT, identify=False, quote_identifiers=False)
    except SqlglotError as error:
        raise PermanentError(f"{path} reads a column that does not exist: {error}.") from error
    columns = tuple(qualified.named_selects)
    if len(set(columns)) != len(columns) or "" in columns:
        raise PermanentError(f"{path}: every column needs a name of its own; the SELECT has {', '.join(columns)}.")
    return _lineage(qualified, known)


def _lineage(expression: exp.Query, tables: Tables) -> Lineage:
    """Output column -> (relation, column) that its value is computed from, sorted; filters do not count."""
    # untrimmed: the trimmed SELECT of each node is for people to look at and takes 28 times as long (3.2 s)
    nodes = lineage(
        None, expression, _schema(tables), dialect=DIALECT, trim_selects=False, scope=build_scope(expression)
    )
    return {
        name: sorted(
            {source for leaf in nodes[name].walk() for source in _origin(leaf.expression, leaf.name)},
            key=lambda source: (str(source[0]), source[1]),
        )
        for name in expression.named_selects
    }


def _one_select(sql: str, path: Path) -> exp.Query:
    try:
        statements = sqlglot.parse(sql, dialect=DIALECT)
    except SqlglotError as error:
        raise PermanentError(f"{path} is not valid PostgreSQL: {' '.join(str(error).split())}.") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise PermanentError(f"{path} is not one SELECT: a file holds exactly one, and nothing else.")
    return statements[0]


def _tables(expression: exp.Query) -> list[exp.Table]:
    """Tables that are read, without the names of CTEs and of table functions."""
    found = []
    for scope in traverse_scope(expression):
        found += [source for source in scope.sources.values() if isinstance(source, exp.Table)]
    return [table for table in found if isinstance(table.this, exp.Identifier)]


def _origin(expression: exp.Expr, column: str) -> list[tuple[Relation, str]]:
    if not isinstance(expression, exp.Table) or not expression.db:
        return []
    return [(Relation(expression.db, expression.name), column.rsplit(".", 1)[-1].strip('"'))]


def _schema(tables: Tables) -> dict[str, object]:
    result: dict[str, dict[str, dict[str, str]]] = {}
    for relation, columns in tables.items():
        result.setdefault(relation.schema, {})[relation.name] = dict.fromkeys(columns, "unknown")
    return result  # type: ignore[return-value]
