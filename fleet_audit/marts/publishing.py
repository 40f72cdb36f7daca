"""Publishes a model to PostgreSQL: a view is created or replaced, of a table the days of a run are replaced.

One transaction a model, so that a reader sees the old rows or the new ones; what the rows mean is the SQL's business.
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
_SHAPE = """
    select attname, format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = to_regclass(:relation) and attnum > 0 and not attisdropped order by attnum"""


@dataclass(frozen=True)
class Published:
    """What was done: rows by day of the run (days without rows are 0), rows in all, whether it was built anew."""

    rows_by_day: Mapping[dt.date, int]
    rows: int
    is_rebuilt: bool


def publish(
    url: str, project: Project, model: Model, days: Days | None, variables: Mapping[str, Variable] | None = None
) -> Published:
    """Publishes the days of a run (None for a model without days), in one transaction or not at all.

    A table that does not exist yet, or whose columns changed, is built anew with every day that there is, together with
    the views of ours that read it. Somebody else's view on it is never dropped: PostgreSQL then names it and nothing is
    changed. Concurrent runs of a model wait for each other. Raises RetryableError on lock and connection trouble.
    """
    with sentences(f"Publishing {model.relation}"), engine_of(url).begin() as connection:
        connection.execute(sa.text(f"set local lock_timeout = '{_LOCK_TIMEOUT}'"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(advisory_key("mart", model.schema))))
        connection.execute(sa.text(f"create schema if not exists {model.schema}"))
        everything = project.sql(model, variables=variables)
        is_rebuilt = _shape(connection, model.relation) != _shape_of_query(connection, everything)
        if is_rebuilt:
            _rebuild(connection, project, model, variables or {})
        elif model.is_view:
            _create_view(connection, model, everything)
        elif days is not None:
            _replace_days(connection, project, model, days, variables or {})
        return _count(connection, model, days, is_rebuilt)


def _shape(connection: sa.Connection, relation: Relation | str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(sa.text(_SHAPE), {"relation": str(relation)})]


def _shape_of_query(connection: sa.Connection, sql: str) -> list[tuple[str, str]]:
    _run(connection, f"create temporary view shape as {sql}")
    shape = _shape(connection, "pg_temp.shape")
    _run(connection, "drop view pg_temp.shape")
    return shape


def _rebuild(connection: sa.Connection, project: Project, model: Model, variables: Mapping[str, Variable]) -> None:
    views = [view for view in project.views_on(model) if _shape(connection, view.relation)]
    for relation in [*(view.relation for view in reversed(views)), model.relation]:
        _drop(connection, relation)
    if model.is_view:
        _create_view(connection, model, project.sql(model, variables=variables))
    else:
        _run(connection, f"create table {model.relation} as {project.sql(model, variables=variables)}")
        for number, columns in enumerate(model.indexes, start=1):
            _run(connection, f"create index ix_{model.name}_{number} on {model.relation} ({', '.join(columns)})")
        _comment(connection, model)
    for view in views:
        _create_view(connection, view, project.sql(view, variables=variables))


def _drop(connection: sa.Connection, relation: Relation) -> None:
    """A model may have changed from a view to a table or back, so the kind is asked for."""
    kind = connection.scalar(
        sa.text("select relkind from pg_class where oid = to_regclass(:relation)"), {"relation": str(relation)}
    )
    if kind is not None:
        _run(connection, f"drop {'view' if kind == 'v' else 'table'} {relation}")


def _create_view(connection: sa.Connection, model: Model, sql: str) -> None:
    _run(connection, f"create or replace view {model.relation} as {sql}")
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


def _count(connection: sa.Connection, model: Model, days: Days | None, is_rebuilt: bool) -> Published:
    if days is None or not model.is_daily:
        total = connection.execute(sa.text(f"select count(*) from {model.relation}")).scalar_one()  # noqa: S608
        return Published({}, total, is_rebuilt)
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
    return Published(by_day, sum(by_day.values()), is_rebuilt)


def _run(connection: sa.Connection, sql: str) -> None:
    """Rendered SQL as it is: without parameters the driver takes neither `%` nor `:` for one."""
    connection.exec_driver_sql(sql)
