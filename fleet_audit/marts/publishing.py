"""Publishes a model to PostgreSQL: a view is created or replaced, of a table the days of a run are replaced.

One transaction per model, so that a reader sees the old rows or the new ones; the rows' meaning is in the SQL.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from fleet_audit.marts.model import PARTITION_COLUMN, Days, Model, Relation
from fleet_audit.marts.project import Project
from fleet_audit.marts.rendering import Variable
from fleet_audit.storage.postgres import advisory_key, engine_of, sentences

_LOCK_TIMEOUT = "15min"
_COLUMNS = """
    select attname, format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = to_regclass(:relation) and attnum > 0 and not attisdropped order by attnum"""


@dataclass(frozen=True)
class _Form:
    """Names and types of a relation's columns, and as PostgreSQL writes it the SELECT of a view."""

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

    A table that does not exist yet, or whose columns changed, is rebuilt with all days, together with
    the views of ours that read it. A foreign view on it is never dropped: PostgreSQL then names it and nothing is
    changed. Concurrent runs of a model wait for each other. Raises RetryableError on lock and connection trouble.
    """
    with sentences(f"Publishing {model.relation}"), engine_of(url).begin() as connection:
        connection.execute(sa.text(f"set local lock_timeout = '{_LOCK_TIMEOUT}'"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(advisory_key("mart", model.schema))))
        connection.execute(sa.text(f"create schema if not exists {model.schema}"))
        wanted = _form_of_query(connection, project.sql(model, variables=variables))
        found = _form(connection, model.relation)
        is_rebuilt = found.columns != wanted.columns
        if is_rebuilt:
            _rebuild(connection, project, model, variables or {})
        elif model.is_view and found.definition != wanted.definition:  # replacing would wait for readers
            _create_view(connection, project, model, variables or {})
        elif not model.is_view and days is not None:
            _replace_days(connection, project, model, days, variables or {})
        by_day, rows = _count(connection, model, days)
        return Published(by_day, rows, is_rebuilt, dict(wanted.columns))


def _form(connection: sa.Connection, relation: Relation | str) -> _Form:
    columns = connection.execute(sa.text(_COLUMNS), {"relation": str(relation)})
    definition = connection.scalar(
        sa.text("select pg_get_viewdef(to_regclass(:relation))"), {"relation": str(relation)}
    )
    return _Form([(row[0], row[1]) for row in columns], definition)


def _form_of_query(connection: sa.Connection, sql: str) -> _Form:
    _run(connection, f"create temporary view form as {sql}")
    form = _form(connection, "pg_temp.form")
    _run(connection, "drop view pg_temp.form")
    return form


def _rebuild(connection: sa.Connection, project: Project, model: Model, variables: Mapping[str, Variable]) -> None:
    views = [view for view in project.views_on(model) if _form(connection, view.relation).columns]
    for relation in [*(view.relation for view in reversed(views)), model.relation]:
        _drop(connection, relation)
    if model.is_view:
        _create_view(connection, project, model, variables)
    else:
        _run(connection, f"create table {model.relation} as {project.sql(model, variables=variables)}")
        for number, columns in enumerate(model.indexes, start=1):
            _run(connection, f"create index ix_{model.name}_{number} on {model.relation} ({', '.join(columns)})")
        _comment(connection, model)
    for view in views:
        _create_view(connection, project, view, variables)


def _drop(connection: sa.Connection, relation: Relation) -> None:
    """A model may have changed from a view to a table or back, so the kind is looked up."""
    kind = connection.scalar(
        sa.text("select relkind from pg_class where oid = to_regclass(:relation)"), {"relation": str(relation)}
    )
    if kind is not None:
        _run(connection, f"drop {'view' if kind == 'v' else 'table'} {relation}")


def _create_view(connection: sa.Connection, project: Project, model: Model, variables: Mapping[str, Variable]) -> None:
    _run(connection, f"create or replace view {model.relation} as {project.sql(model, variables=variables)}")
    _comment(connection, model)


def _replace_days(
    connection: sa.Connection, project: Project, model: Model, days: Days, variables: Mapping[str, Variable]
) -> None:
    in_run = project.condition("{{ in_run('" + PARTITION_COLUMN + "') }}", model, days)
    _run(connection, f"delete from {model.relation} where {in_run}")  # noqa: S608
    _run(connection, f"insert into {model.relation} {project.sql(model, days, variables)}")


def _comment(connection: sa.Connection, model: Model) -> None:
    kind = "view" if model.is_view else "table"
    connection.execute(sa.text(f"comment on {kind} {model.relation} is :text"), {"text": model.description})
    for column in model.columns:
        connection.execute(
            sa.text(f"comment on column {model.relation}.{column.name} is :text"), {"text": column.description}
        )


def _count(connection: sa.Connection, model: Model, days: Days | None) -> tuple[dict[dt.date, int], int]:
    """Rows by day of the run, and in all: of the run where it has days, else of the relation."""
    if days is None or not model.is_daily:
        return {}, connection.execute(sa.text(f"select count(*) from {model.relation}")).scalar_one()  # noqa: S608
    counted = connection.execute(
        sa.text(
            f"select {PARTITION_COLUMN}, count(*) from {model.relation} "  # noqa: S608
            f"where {PARTITION_COLUMN} between :first and :last group by {PARTITION_COLUMN}"
        ),
        {"first": days.first, "last": days.last},
    )
    found = {row[0]: row[1] for row in counted}
    length = (days.last - days.first).days + 1
    by_day = {day: found.get(day, 0) for day in (days.first + dt.timedelta(days=n) for n in range(length))}
    return by_day, sum(by_day.values())


def _run(connection: sa.Connection, sql: str) -> None:
    """Executes rendered SQL unchanged: neither `%` nor `:` is read as a parameter."""
    connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
