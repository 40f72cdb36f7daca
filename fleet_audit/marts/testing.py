"""The tests of schema.yml as queries: the rows that break them.

They mean the same as dbt's generic tests; others are not supported.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from fleet_audit.marts.model import PARTITION_COLUMN, Days, Model, Relation, SchemaTest
from fleet_audit.marts.project import Project

SAMPLE = 5
LONGEST_CYCLE_DAYS = 31  # a finding of a cycle is dated on its last day, and may name a trip of its first


@dataclass(frozen=True)
class Failures:
    """How many values break a test, and the first of them."""

    test: SchemaTest
    count: int
    sample: tuple[Mapping[str, Any], ...]

    def sentence(self, model: Model) -> str:
        """One sentence with the number of rows and some of them."""
        where = f"{model.relation}.{self.test.column}"
        if not self.count:
            return f"{where}: {claim(self.test)}."
        shown = "; ".join(", ".join(f"{name}={value}" for name, value in row.items()) for row in self.sample)
        return f"{where}: {self.count} rows break the rule that {claim(self.test)}. First ones: {shown}."


def failures(
    connection: sa.Connection, project: Project, model: Model, test: SchemaTest, days: Days | None = None
) -> Failures:
    """Runs a test over the whole model, or over the days and cycles that a run of `days` published."""
    count, sample = 0, []
    for sql, parameters in failing_rows(project, model, test, days):
        sampled = f"select *, count(*) over () as failing from ({sql}) as broken limit {SAMPLE}"  # noqa: S608
        found = [dict(row) for row in connection.execute(sa.text(sampled), parameters).mappings()]
        count += found[0]["failing"] if found else 0
        sample += [{name: value for name, value in row.items() if name != "failing"} for row in found]
    return Failures(test, count, tuple(sample[:SAMPLE]))


def failures_by_test(
    connection: sa.Connection, project: Project, model: Model, tests: Sequence[SchemaTest], days: Days | None = None
) -> dict[str, Failures]:
    """The results of tests by their names, as `failures` gives them.

    One statement asks which tests any row breaks: 153 tests of a day were as many statements, and are 21. It counts:
    for `exists`, PostgreSQL would choose plans that find a first row early, and there is none nearly always. All tests
    of a view look at rows that it gives once: to plan the widest view took 50 ms for each of its tests, to read it 16.
    """
    if not tests:
        return {}
    read, sources = _sources(project, model, tests, days)
    queries = [[_failing_rows(project, model, test, days, *source) for source in sources] for test in tests]
    counts = [[f"(select count(*) from ({sql}) as broken)" for sql, _ in own] for own in queries]  # noqa: S608
    asked = ", ".join(" + ".join(own) or "0" for own in counts)
    values = {name: value for own in queries for _, parameters in own for name, value in parameters.items()}
    found = connection.execute(sa.text(f"{read}select {asked}"), values).one()
    return {
        test.name: failures(connection, project, model, test, days) if count else Failures(test, 0, ())
        for test, count in zip(tests, found, strict=True)
    }


def failures_by_day(
    connection: sa.Connection, project: Project, model: Model, whole: Failures, days: Days
) -> dict[dt.date, Failures]:
    """The result of a test on each day that a run published, from that over all of them.

    A value that repeats only across days counts on the last one.
    """
    test = whole.test
    if not whole.count:
        return dict.fromkeys(days.each(), whole)
    found = {day: failures(connection, project, model, test, replace(days, first=day, last=day)) for day in days.each()}
    if not any(one.count for one in found.values()):
        found[days.last] = whole
    return found


def failing_rows(
    project: Project, model: Model, test: SchemaTest, days: Days | None
) -> list[tuple[str, dict[str, Any]]]:
    """SELECTs of the values that break a test, with bound parameters: one for each cycle of a run, if there are any.

    Names come from checked identifiers only.
    """
    return [
        _failing_rows(project, model, test, days, str(model.relation), condition)
        for condition in _conditions(project, model, days)
    ]


def _sources(
    project: Project, model: Model, tests: Sequence[SchemaTest], days: Days | None
) -> tuple[str, list[tuple[str, str]]]:
    """What names the rows of a view for a statement, and where its tests find them: relations and conditions."""
    conditions = _conditions(project, model, days)
    if not model.is_view:
        return "", [(str(model.relation), condition) for condition in conditions]
    columns = ", ".join(dict.fromkeys(name for test in tests for name in _shown(model, test)))
    read = [
        f"of_run_{number} as materialized (select {columns} from {model.relation} where {condition})"  # noqa: S608
        for number, condition in enumerate(conditions)
    ]
    return f"with {', '.join(read)} ", [(f"of_run_{number}", "true") for number in range(len(read))]


def _conditions(project: Project, model: Model, days: Days | None) -> list[str]:
    of_days = project.condition("{{ in_run('" + PARTITION_COLUMN + "') }}", model, days)
    return days.conditions(model, of_days) if days else ["true"]


def _shown(model: Model, test: SchemaTest) -> list[str]:
    """The columns of a row that breaks the test which a sentence shows."""
    by_day = [PARTITION_COLUMN] if model.is_daily else []
    return list(dict.fromkeys([*(column.name for column in model.columns[:2]), *by_day, test.column]))


def _failing_rows(
    project: Project, model: Model, test: SchemaTest, days: Days | None, relation: str, in_run: str
) -> tuple[str, dict[str, Any]]:
    shown, column = ", ".join(_shown(model, test)), test.column
    match test.kind:
        case "not_null":
            return f"select {shown} from {relation} where {column} is null and {in_run}", {}  # noqa: S608
        case "unique":
            return (
                f"select {column}, count(*) as rows from {relation} "  # noqa: S608
                f"where {column} is not null and {in_run} group by {column} having count(*) > 1"
            ), {}
        case "accepted_values":
            return (
                f"select {shown} from {relation} "  # noqa: S608
                f"where {column} is not null and not ({column} = any(:{test.name})) and {in_run}"
            ), {test.name: list(test.arguments["values"])}
        case "relationships":
            parent, field = project.related(model, test.arguments["to"]), test.arguments["field"]
            return (
                f"select {shown} from {relation} as child where {column} is not null and {in_run} "  # noqa: S608
                f"and not exists (select from {parent} as parent where parent.{field} = child.{column}"
                f"{_near_run(project, parent, days)})"
            ), {}
    raise AssertionError(test.kind)


def _near_run(project: Project, parent: Relation, days: Days | None) -> str:
    """A condition that keeps the search for a related row to the days that a row of the run can be about."""
    named = next((one for one in project.models if one.relation == parent), None)
    if days is None or named is None or not named.is_daily:
        return ""
    first = days.first - dt.timedelta(days=1 + LONGEST_CYCLE_DAYS)
    return f" and parent.{PARTITION_COLUMN} between date '{first}' and date '{days.last + dt.timedelta(days=1)}'"


def claim(test: SchemaTest) -> str:
    """The condition that the test requires of its column."""
    match test.kind:
        case "not_null":
            return "it is never empty"
        case "unique":
            return "no two rows share a value"
        case "accepted_values":
            return f"it is one of {', '.join(map(str, test.arguments['values']))}"
        case _:
            return f"it exists in {test.arguments['to']}"
