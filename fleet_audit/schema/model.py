"""The vocabulary of the column dictionary: a column, a table, and their logical types.

Here belongs what describes data. What is derived from the description (Arrow, pandera, SQL) is in `derive`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

TRACE_COLUMNS = ("run_id", "updated_at")


class Type(Enum):
    """Logical types; `derive` maps each to Arrow, pandas and PostgreSQL."""

    TEXT = "text"
    TEXT_LIST = "text[]"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"  # an instant, UTC
    LOCAL_TIMESTAMP = "local timestamp"  # wall clock of the vehicle's unit, before its zone is known
    KM = "km"  # numeric(12, 2)
    KM3 = "km3"  # numeric(12, 3), a raw measurement
    BRL = "brl"  # numeric(14, 2)
    RATE = "rate"  # numeric(12, 4), BRL per km
    PERCENT = "percent"  # numeric(9, 2); 10 means 10 %
    JSON = "json"


@dataclass(frozen=True)
class Column:
    """One column: its name carries the unit as a suffix; `unit` repeats it for people."""

    name: str
    type: Type
    description: str
    unit: str | None = None
    nullable: bool = False
    values: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Table:
    """A table or lake data set.

    `key` is its primary key; `partition` the column that a partition replaces, but for the rows with a value in `kept`:
    another writer replaces those by that column. `asset` is that writer's name where the table's own is taken.
    `frozen_by` is the day that decides whether a row is frozen: it is once that day's cycle is closed for good.
    `indexes` are columns by which few rows of many are looked for, beside those that follow from key and partition;
    `partial_indexes` hold only the rows of a condition.
    """

    schema: str  # "ref", "ops", "fact" in PostgreSQL; "staging", "trips", "parsed" in the lake
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    partition: str | None = None
    sort: tuple[str, ...] = ()
    kept: str | None = None
    frozen_by: str | None = None
    asset: str | None = None
    indexes: tuple[tuple[str, ...], ...] = ()
    partial_indexes: tuple[tuple[str, str], ...] = ()  # column, condition

    def __hash__(self) -> int:
        """Of its name alone: caches are asked for a table with every frame, and a table may have 60 columns."""
        return hash((self.schema, self.name, len(self.columns)))

    @property
    def full_name(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def address(self) -> str:
        """`schema.asset`: the asset that writes the table; `full_name` where there is only one."""
        return f"{self.schema}.{self.asset or self.name}"

    @property
    def column_names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    @cached_property
    def untraced(self) -> Table:
        """The table as it is computed: without the columns that trace which run wrote a row and when."""
        return replace(self, columns=tuple(column for column in self.columns if column.name not in TRACE_COLUMNS))

    def column(self, name: str) -> Column:
        """The column of that name; KeyError names the table when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.full_name} has no column {name}")


def text(name: str, description: str, *, nullable: bool = False, values: tuple[str, ...] | None = None) -> Column:
    """A text column."""
    return Column(name, Type.TEXT, description, None, nullable, values)


def date(name: str, description: str, *, nullable: bool = False) -> Column:
    """A local calendar day."""
    return Column(name, Type.DATE, description, None, nullable)


def instant(name: str, description: str, *, nullable: bool = False) -> Column:
    """A UTC instant."""
    return Column(name, Type.TIMESTAMP, description, "UTC", nullable)


def local(name: str, description: str, *, nullable: bool = False) -> Column:
    """A wall-clock time of the vehicle's unit."""
    return Column(name, Type.LOCAL_TIMESTAMP, description, "local time", nullable)


def integer(
    name: str, description: str, *, unit: str | None = None, nullable: bool = False, minimum: float | None = None
) -> Column:
    """A whole number."""
    return Column(name, Type.INTEGER, description, unit, nullable, None, minimum)


def real(
    name: str,
    description: str,
    *,
    unit: str | None = None,
    nullable: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Column:
    """A measured (binary floating point) number; never money."""
    return Column(name, Type.FLOAT, description, unit, nullable, None, minimum, maximum)


def flag(name: str, description: str, *, nullable: bool = False) -> Column:
    """A boolean; its name starts `is_` or `has_`."""
    return Column(name, Type.BOOLEAN, description, None, nullable)


def km(name: str, description: str, *, nullable: bool = False, minimum: float | None = None) -> Column:
    """Kilometres to 0.01, half-up."""
    return Column(name, Type.KM, description, "km", nullable, None, minimum)


def km3(name: str, description: str, *, nullable: bool = False, minimum: float | None = None) -> Column:
    """Kilometres as measured, to the metre."""
    return Column(name, Type.KM3, description, "km", nullable, None, minimum)


def brl(name: str, description: str, *, nullable: bool = False, minimum: float | None = None) -> Column:
    """Reais, to the cent."""
    return Column(name, Type.BRL, description, "BRL", nullable, None, minimum)


def rate(name: str, description: str, *, nullable: bool = False) -> Column:
    """Reais per kilometre."""
    return Column(name, Type.RATE, description, "BRL/km", nullable, None, 0)


def percent(name: str, description: str, *, nullable: bool = False) -> Column:
    """A percentage: 10 means 10 %."""
    return Column(name, Type.PERCENT, description, "%", nullable)


def json(name: str, description: str) -> Column:
    """A JSON document (text in frames, jsonb in PostgreSQL)."""
    return Column(name, Type.JSON, description)


def text_list(name: str, description: str) -> Column:
    """An array of texts."""
    return Column(name, Type.TEXT_LIST, description)
