"""A model of `dbt_like_sql`: its SELECT, its documentation, its tests and the relations that it reads.

Only descriptions belong here; `project` reads them, `publishing` and `testing` use them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet_audit.logic.primitives.cycles import days_between

Tables = Mapping["Relation", Sequence[str]]  # columns of each
Lineage = dict[str, list[tuple["Relation", str]]]  # output column -> (relation, column) that it is computed from
PARTITION_COLUMN = "operational_date"
CYCLE_COLUMN = "cycle_start"
MATERIALIZATIONS = ("view", "incremental")


@dataclass(frozen=True)
class Relation:
    """A table or view that a model reads: `ref('x')` is ('mart', 'x'), `source('fact', 'trips')` ('fact', 'trips')."""

    schema: str
    name: str

    def __str__(self) -> str:
        """As SQL writes it."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class SchemaTest:
    """One generic test of a column, as schema.yml states it."""

    kind: str
    column: str
    arguments: Mapping[str, Any]
    is_warning: bool

    @property
    def name(self) -> str:
        """Unique within its model, e.g. `trip_id_not_null`."""
        return f"{self.column}_{self.kind}"


@dataclass(frozen=True)
class ColumnDocument:
    """A column's description and tests."""

    name: str
    description: str
    tests: tuple[SchemaTest, ...]


@dataclass(frozen=True)
class Model:
    """One file: one SELECT, published as one table or view.

    `columns` are in the SELECT's order; `reads` are the relations that it names, `refs` those that are models.
    """

    name: str
    path: Path
    schema: str
    template: str
    materialized: str
    indexes: tuple[tuple[str, ...], ...]
    description: str
    columns: tuple[ColumnDocument, ...]
    reads: tuple[Relation, ...]
    refs: tuple[str, ...]

    @property
    def relation(self) -> Relation:
        """Where it is published."""
        return Relation(self.schema, self.name)

    @property
    def is_view(self) -> bool:
        """A view; else a table of which a run replaces its days."""
        return self.materialized == "view"

    @property
    def kind(self) -> str:
        """What it is in PostgreSQL: `view` or `table`."""
        return "view" if self.is_view else "table"

    @property
    def is_daily(self) -> bool:
        """Whether rows have an operational day, so that a run publishes its days and not the whole."""
        return any(column.name == PARTITION_COLUMN for column in self.columns)

    @property
    def is_of_cycles(self) -> bool:
        """Whether rows name their measurement cycle: a run then looks at those of its own cycles only."""
        return any(column.name == CYCLE_COLUMN for column in self.columns)

    @property
    def tests(self) -> tuple[SchemaTest, ...]:
        """All tests of its columns, in their order."""
        return tuple(test for column in self.columns for test in column.tests)

    @property
    def code_version(self) -> str:
        """Changes when the SQL text does."""
        return hashlib.sha256(f"{self.materialized}\n{self.template}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Days:
    """A run's operational days, both ends inclusive, and the first days of the cycles that it publishes rows of."""

    first: dt.date
    last: dt.date
    cycles: tuple[dt.date, ...] = ()

    def each(self) -> list[dt.date]:
        """The days in order."""
        return days_between(self.first, self.last)

    def conditions(self, model: Model, of_days: str) -> list[str]:
        """Conditions on the model's relation, one for each cycle, that hold together for what a run publishes.

        `of_days` is the condition on the day. A cycle has a condition of its own, because PostgreSQL looks into a view
        for an equal cycle and not for one of several.
        """
        by_day = [of_days] if model.is_daily else []
        if not model.is_of_cycles or not self.cycles:
            return [" and ".join(by_day) or "true"]
        return [" and ".join([*by_day, f"{CYCLE_COLUMN} = date '{start}'"]) for start in self.cycles]
