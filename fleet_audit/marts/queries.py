"""Analysis of a SELECT: the tables and columns that it reads, and the origin of its columns.

It parses rendered SQL with sqlglot; nothing is executed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope, traverse_scope

from fleet_audit.errors import PermanentError
from fleet_audit.marts.model import Relation

DIALECT = "postgres"
Tables = Mapping[Relation, Sequence[str]]


@dataclass(frozen=True)
class Query:
    """A SELECT whose every column is traced to its table."""

    expression: exp.Query
    columns: tuple[str, ...]
    tables: Tables

    def lineage(self) -> dict[str, list[tuple[Relation, str]]]:
        """Output column -> (relation, column) that its value is computed from, sorted; filters do not count."""
        # untrimmed: the trimmed SELECT of each node is for people to look at and takes 28 times as long (3.2 s)
        nodes = lineage(
            None,
            self.expression,
            _schema(self.tables),
            dialect=DIALECT,
            trim_selects=False,
            scope=build_scope(self.expression),
        )
        return {
            name: sorted(
                {source for leaf in node.walk() for source in _origin(leaf.expression, leaf.name)},
                key=lambda source: (str(source[0]), source[1]),
            )
            for name, node in nodes.items()
        }


def analyse(sql: str, path: Path, reads: Iterable[Relation], tables: Tables) -> Query:
    """The query of a model. `tables` are the columns of everything that it may read.

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
    return Query(qualified, columns, known)


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
