"""Publishes a model to PostgreSQL: a view is created or replaced, of a table the days of a run are replaced.

One transaction per model, so that a reader sees the old rows or the new ones; the rows' meaning is in the SQL.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from fleet_audit.errors import PermanentError
from fleet_audit.marts.model import PARTITION_COLUMN, Days, Model, Relation
from fleet_audit.marts.project import Project
from fleet_audit.marts.rendering import Variable
from fleet_audit.marts.rights import rights_of
from fleet_audit.storage.auth.rights import apply_to
from fleet_audit.storage.postgres import advisory_key, engine_of, sentences

_LOCK_TIMEOUT = "15min"
_HAS_NO_RIGHTS = """
    select relacl is null and not exists (
        select from pg_attribute where attrelid = pg_class.oid and attacl is not null
    ) from pg_class where oid = to_regclass(:relation)"""
_COLUMNS = """
    select attname, format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = to_regclass(:relation) and attnum > 0 and not attisdropped order by attnum"""


_KINDS_OF_MODELS = """
    select c.relname, c.relkind from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
    where n.nspname || '.' || c.relname = any(:relations)"""
_KINDS = {"v": "view", "r": "table", "p": "table"}  # of pg_class; what else has the name is not ours to drop
_OTHER_KINDS = {"m": "a materialized view", "f": "a foreign table"}


@dataclass(frozen=True)
class _Form:
    """What a relation is: `kind` of pg_class (None: it does not exist), columns and types, and the SELECT of a view."""

    kind: str | None
    columns: list[tuple[str, str]]
    definition: str | None


@dataclass(frozen=True)
class Published:
    """Result: rows by day of the run (days without rows are 0), rows in all, whether the table was rebuilt.

    `types` are PostgreSQL's, by column.
    """

    rows_by_day: Mapping[dt.date, int]
    rows: int
    is_rebuilt: bool
    types: Mapping[str, str]


def publish(
    url: str, project: Project, model: Model, days: Days | None, variables: Mapping[str, Variable] | None = None
) -> Published:
    """Publishes the days of a run (None for a model without days), in one transaction or not at all.

    A table that does not exist yet, whose columns changed, or that is a view now, is rebuilt with all days, together
    with the views of ours that read it; grants and policies stay. A foreign view on it is never dropped: PostgreSQL
    then names it and nothing is changed. Concurrent runs of a model wait for each other. Raises RetryableError on lock
    and connection trouble, PermanentError when the name is that of something else than a table or a view.
    """
    with sentences(f"Publishing {model.relation}"), engine_of(url).begin() as connection:
        connection.execute(sa.text(f"set local lock_timeout = '{_LOCK_TIMEOUT}'"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(advisory_key("mart", model.schema))))
        _create_schema(connection, model.schema)
        wanted = _form_of_query(connection, project.sql(model, variables=variables))
        found = _form(connection, model.relation)
        if found.kind is not None and found.kind not in _KINDS:
            raise PermanentError(
                f"{model.relation} is {_OTHER_KINDS.get(found.kind, 'neither a table nor a view')}, but a {model.kind} "
                "of that name is published: rename or drop it, then run the days again."
            )
        is_rebuilt = found.columns != wanted.columns or _KINDS.get(found.kind or "") != model.kind
        if is_rebuilt:
            _rebuild(connection, project, model, variables or {})
        elif model.is_view and found.definition != wanted.definition:  # replacing would wait for readers
            _replace_view(connection, project, model, variables or {})
        elif not model.is_view and days is not None:
            _replace_days(connection, project, model, days, variables or {})
        if connection.scalar(sa.text(_HAS_NO_RIGHTS), {"relation": str(model.relation)}):  # made by real dbt
            apply_to(connection, [str(model.relation)])
        by_day, rows = _count(connection, model, days)
        return Published(by_day, rows, is_rebuilt, dict(wanted.columns))


def _create_schema(connection: sa.Connection, schema: str) -> None:
    """Creates a missing schema. `if not exists` asks for the right to create also where nothing is to be created."""
    # by a query, not to_regnamespace: `storage.migrate` says why, after a wait for a lock
    if not connection.scalar(sa.text("select count(*) from pg_namespace where nspname = :schema"), {"schema": schema}):
        _run(connection, f"create schema {schema}")


def _form(connection: sa.Connection, relation: Relation | str) -> _Form:
    columns = connection.execute(sa.text(_COLUMNS), {"relation": str(relation)})
    definition = connection.scalar(
        sa.text("select pg_get_viewdef(to_regclass(:relation))"), {"relation": str(relation)}
    )
    kind = connection.scalar(
        sa.text("select relkind from pg_class where oid = to_regclass(:relation)"), {"relation": str(relation)}
    )
    return _Form(kind, [(row[0], row[1]) for row in columns], definition)


def _form_of_query(connection: sa.Connection, sql: str) -> _Form:
    _run(connection, f"create temporary view form as {sql}")
    form = _form(connection, "pg_temp.form")
    _run(connection, "drop view pg_temp.form")
    return form


def _rebuild(connection: sa.Connection, project: Project, model: Model, variables: Mapping[str, Variable]) -> None:
    relations = {"relations": [str(one.relation) for one in project.models]}
    kinds = dict(tuple(row) for row in connection.execute(sa.text(_KINDS_OF_MODELS), relations))
    readers = project.readers_of(model, [name for name, kind in kinds.items() if kind == "v"])
    rebuilt = [model, *readers]
    rights = [statement for one in rebuilt for statement in rights_of(connection, one.relation)]
    for one in reversed(rebuilt):
        if (kind := kinds.get(one.name)) is not None:
            _run(connection, f"drop {_KINDS[kind]} {one.relation}")
    for one in rebuilt:
        if one.is_view:
            _create_view(connection, project, one, variables)
        else:
            _create_table(connection, project, one, variables)
    for statement in rights:
        _run(connection, statement)
    apply_to(connection, [str(one.relation) for one in rebuilt])


def _create_table(connection: sa.Connection, project: Project, model: Model, variables: Mapping[str, Variable]) -> None:
    _run(connection, f"create table {model.relation} as {project.sql(model, variables=variables)}")
    for columns in model.indexes:  # real dbt gives the same names: dbt_like_sql/macros/views.sql
        name = f"ix_{model.name}_{'_'.join(columns)}"
        _run(connection, f"create index {name} on {model.relation} ({', '.join(columns)})")
    _comment(connection, model)


def _create_view(connection: sa.Connection, project: Project, model: Model, variables: Mapping[str, Variable]) -> None:
    _run(connection, f"create or replace view {model.relation} as {project.sql(model, variables=variables)}")
    _comment(connection, model)


def _replace_view(connection: sa.Connection, project: Project, model: Model, variables: Mapping[str, Variable]) -> None:
    rights = rights_of(connection, model.relation)  # replacing a view resets its options
    _create_view(connection, project, model, variables)
    for statement in rights:
        _run(connection, statement)
    apply_to(connection, [str(model.relation)])


def _replace_days(
    connection: sa.Connection, project: Project, model: Model, days: Days, variables: Mapping[str, Variable]
) -> None:
    in_run = project.condition("{{ in_run('" + PARTITION_COLUMN + "') }}", model, days)
    _run(connection, f"delete from {model.relation} where {in_run}")  # noqa: S608
    _run(connection, f"insert into {model.relation} {project.sql(model, days, variables)}")


def _comment(connection: sa.Connection, model: Model) -> None:
    """Write the descriptions of a model and of its columns, in one statement for all."""
    described = {f"{model.kind} {model.relation}": model.description}
    described |= {f"column {model.relation}.{column.name}": column.description for column in model.columns}
    comments = "; ".join(f"comment on {what} is :text{number}" for number, what in enumerate(described))
    connection.execute(sa.text(comments), {f"text{n}": text for n, text in enumerate(described.values())})


def _count(connection: sa.Connection, model: Model, days: Days | None) -> tuple[dict[dt.date, int], int]:
    """Rows by day of the run, and in all: of the run's days or cycles where the model has any, else all."""
    if days is None or not model.is_daily:
        conditions = days.conditions(model, "true") if days else ["true"]
        counts = (f"select count(*) from {model.relation} where {condition}" for condition in conditions)  # noqa: S608
        return {}, sum(connection.execute(sa.text(count)).scalar_one() for count in counts)
    by_day = dict.fromkeys(days.each(), 0)
    for condition in days.conditions(model, f"{PARTITION_COLUMN} between :first and :last"):
        counted = connection.execute(
            sa.text(
                f"select {PARTITION_COLUMN}, count(*) from {model.relation} "  # noqa: S608
                f"where {condition} group by {PARTITION_COLUMN}"
            ),
            {"first": days.first, "last": days.last},
        )
        for day, rows in counted:
            by_day[day] += rows
    return by_day, sum(by_day.values())


def _run(connection: sa.Connection, sql: str) -> None:
    """Executes rendered SQL unchanged: neither `%` nor `:` is read as a parameter."""
    connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
