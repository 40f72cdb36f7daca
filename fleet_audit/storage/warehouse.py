"""The warehouse: typed frames into and out of PostgreSQL, whole partitions in one transaction.

Only transport belongs here: tables and the meaning of rows are in the column dictionary.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import adbc_driver_manager.dbapi as adbc
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.schema.derive import arrow_schema, empty_frame, from_arrow, to_arrow
from fleet_audit.schema.model import Table
from fleet_audit.schema.sql import metadata
from fleet_audit.storage.adbc import adbc_connection
from fleet_audit.storage.postgres import advisory_key, engine_of, sentences
from fleet_audit.storage.results import typed_frame, without_extensions
from fleet_audit.storage.statements import (
    DIALECT,
    dated,
    insert_from,
    is_frozen,
    run_statement,
    scalar,
    select_of,
    staged,
)

_ATTEMPTS = 4  # a deadlock or a key that a concurrent transaction holds is over within one of its transactions
_LOCK_TIMEOUT = "15min"
# Keys of a day's rows are looked up one by one: to hash a year of rows for them costs more with each day of history.
_JOINS_OF_WHOLE_TABLES = ("enable_hashjoin", "enable_mergejoin")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Written:
    """Result of a write.

    `rows` written, rows `replaced` (there before, in the same partition), and rows `moved`: another partition held them
    under the same key, now they live in this one. Rows `skipped` have the key of a frozen row, which stays as it is.
    """

    rows: int
    replaced: int
    moved: int = 0
    skipped: int = 0


class Warehouse:
    """A PostgreSQL database with the tables of the column dictionary (see `migrate.upgrade`)."""

    def __init__(self, url: str) -> None:
        """`url` is `postgresql://…`; nothing is connected yet."""
        self.url = url

    def replace_partition(
        self, table: Table, days: Sequence[dt.date], data: pd.DataFrame | pa.Table, run_id: str
    ) -> Written:
        """Replaces the rows of these days by `data` (no rows: empties them), all in one transaction or not at all.

        Fills `run_id` and `updated_at`. A row whose key stands in another partition moves (a run whose date changed):
        it is never in two. Rows of a cycle that is closed for good are neither replaced nor moved. Concurrent writers
        of a day wait for each other. Raises PermanentError when a row lies outside of the days or in a closed cycle, or
        two rows share a key; RetryableError on lock and connection trouble.
        """
        if table.partition is None:
            raise PermanentError(f"{table.full_name} has no partition: replace it whole.")
        rows = _prepared(table, data, run_id)
        _require_days(table, rows, days)
        target = metadata.tables[table.full_name]
        partition = target.c[table.partition]
        ours: sa.ColumnElement[bool] = partition.in_(days)
        if table.kept is not None:
            ours = sa.and_(ours, target.c[table.kept].is_(None))
        frozen = is_frozen(target, table)
        ours = sa.and_(ours, sa.not_(frozen))
        locks = [advisory_key(table.full_name, day) for day in sorted(set(days))]

        def write(cursor: adbc.Cursor) -> Written:
            if not rows.num_rows:
                return Written(0, run_statement(cursor, sa.delete(target).where(ours)))
            stage = staged(cursor, table, target, rows)
            if scalar(cursor, sa.select(sa.func.count()).select_from(stage).where(is_frozen(stage, table))):
                raise PermanentError(
                    f"{table.full_name}: {_listed(days)} lies in a cycle that is closed for good, and its rows never "
                    "change; what differs now is an adjustment. Nothing was written."
                )
            replaced = run_statement(cursor, sa.delete(target).where(ours))
            moved = skipped = 0
            if table.key and table.partition not in table.key and rows.num_rows:
                moved, skipped = _free_keys(cursor, table, target, stage, frozen)
            run_statement(cursor, insert_from(table, target, stage))
            found = scalar(cursor, sa.select(sa.func.count()).select_from(target).where(ours))
            _require_count(table, rows.num_rows - skipped, found)
            return Written(found, replaced, moved, skipped)

        return self._in_transaction(f"Writing {table.full_name}", locks, write)

    def closed_days(self, days: Sequence[dt.date]) -> set[dt.date]:
        """Those of the days whose cycle is closed for good."""
        if not days:
            return set()
        closes = self.read(
            "select cycle_start, cycle_end from ops.cycle_closes "
            "where status = 'final' and cycle_start <= :last and cycle_end >= :first",
            {"first": min(days), "last": max(days)},
        )
        spans = list(zip(closes["cycle_start"], closes["cycle_end"], strict=True))
        return {day for day in days if any(start <= day <= end for start, end in spans)}

    @contextmanager
    def holding(self, tables: Sequence[Table], days: Sequence[dt.date]) -> Iterator[None]:
        """Keeps every other writer away from these days of these tables while the caller reads them and decides."""
        keys = [advisory_key(table.full_name, day) for table in tables for day in sorted(days)]
        with self._locked("Closing", keys):  # a writer holds keys of one table only, in this order
            yield

    @contextmanager
    def holding_journal(self, table: Table) -> Iterator[None]:
        """Keeps everybody else who writes the table's journal away, until the caller's rows are in both or in none."""
        with self._locked(f"Recording {table.full_name}", [advisory_key("journal", table.full_name)]):
            yield

    def replace_table(self, table: Table, data: pd.DataFrame | pa.Table) -> Written:
        """Replaces the whole content of a table, in one transaction."""
        rows = _prepared(table, data, None)
        target = metadata.tables[table.full_name]

        def write(cursor: adbc.Cursor) -> Written:
            replaced = run_statement(cursor, sa.delete(target))
            if not rows.num_rows:
                return Written(0, replaced)
            stage = staged(cursor, table, target, rows)
            run_statement(cursor, insert_from(table, target, stage))
            found = scalar(cursor, sa.select(sa.func.count()).select_from(target))
            _require_count(table, rows.num_rows, found)
            return Written(found, replaced)

        return self._in_transaction(f"Writing {table.full_name}", [advisory_key(table.full_name)], write)

    def upsert(self, table: Table, data: pd.DataFrame | pa.Table, *, updated_at: pd.Timestamp | None = None) -> int:
        """Inserts the rows; those whose key is there overwrite it. Returns how many rows were given.

        `updated_at`, where the table has it, becomes the given instant, or now.
        """
        rows = _prepared(table, data, None, updated_at)
        if not rows.num_rows:
            return 0
        target = metadata.tables[table.full_name]

        def write(cursor: adbc.Cursor) -> int:
            insert = insert_from(table, target, staged(cursor, table, target, rows))
            others = {name: insert.excluded[name] for name in table.column_names if name not in table.key}
            if not others:
                run_statement(cursor, insert.on_conflict_do_nothing(index_elements=table.key))
            else:
                run_statement(cursor, insert.on_conflict_do_update(index_elements=table.key, set_=others))
            return rows.num_rows

        return self._in_transaction(f"Writing {table.full_name}", [advisory_key(table.full_name)], write)

    def read(self, sql: str, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The rows of any query (`:name` for parameters), in the dictionary's dtypes: decimals exact."""
        # without parameters the driver wraps the query into COPY, which refuses SHOW and EXPLAIN
        return typed_frame(self._fetch(sql, params or {}, use_copy=False))

    def read_partition(
        self, table: Table, days: Sequence[dt.date], where: str = "true", params: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """The rows of these days in the table's order, conforming to the dictionary.

        `where` is a further condition in SQL, with `:name` for parameters.
        """
        column = _partition(table)
        if not days:
            return empty_frame(table)
        return self._select(table, f"{dated(table, column, days)} AND ({where})", params or {})

    def read_partition_arrow(self, table: Table, days: Sequence[dt.date]) -> pa.Table:
        """The rows of these days in the table's Arrow schema, in any order: 0.5 ms less than a frame of few rows."""
        query, _ = select_of(table)
        found = self._fetch(f"{query} WHERE {dated(table, _partition(table), days)}", {}, use_copy=True)
        return without_extensions(found).cast(arrow_schema(table))

    def read_dated(self, table: Table, column: str, dates: Sequence[dt.date]) -> pd.DataFrame:
        """The rows that have one of these dates in a column, in the table's order, conforming to the dictionary."""
        if not dates:
            return empty_frame(table)
        return self._select(table, dated(table, column, dates), {})

    def read_table(self, table: Table) -> pd.DataFrame:
        """All rows in the table's order, conforming to the dictionary."""
        return self._select(table, "true", {})

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Runs one statement in a transaction of its own; returns the number of rows that it touched."""
        with sentences("A statement"), engine_of(self.url).begin() as connection:
            return connection.execute(sa.text(sql), dict(params or {})).rowcount

    def _select(self, table: Table, condition: str, params: Mapping[str, Any]) -> pd.DataFrame:
        query, order = select_of(table)
        found = self._fetch(f"{query} WHERE {condition} ORDER BY {order}", params, use_copy=not params)
        return from_arrow(without_extensions(found), table)

    def _fetch(self, sql: str, params: Mapping[str, Any], *, use_copy: bool) -> pa.Table:
        compiled = sa.text(sql).bindparams(**params).compile(dialect=DIALECT)
        values = [compiled.params[name] for name in compiled.positiontup or ()]
        with sentences("A query"), adbc_connection(self.url) as connection, connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": str(use_copy).lower()})
            cursor.execute(compiled.string, values or None)
            return cursor.fetch_arrow_table()

    @contextmanager
    def _locked(self, doing: str, keys: Sequence[int]) -> Iterator[None]:
        with self._transaction(doing) as cursor:
            _lock(cursor, keys)
            yield

    def _in_transaction(self, doing: str, locks: Sequence[int], write: Callable[[adbc.Cursor], _T]) -> _T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._transaction(doing) as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                    _lock(cursor, locks)  # sorted by day everywhere, so that two writers cannot hold each other up
                    return write(cursor)
            except RetryableError:
                if attempt == _ATTEMPTS:
                    raise
                time.sleep(0.2 * 2**attempt * random.random())  # noqa: S311
        raise AssertionError("unreachable")

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[adbc.Cursor]:
        with sentences(doing), adbc_connection(self.url) as connection:
            with connection.cursor() as cursor:
                yield cursor
            connection.commit()


def _lock(cursor: adbc.Cursor, keys: Sequence[int]) -> None:
    for key in keys:
        cursor.execute(f"SELECT pg_advisory_xact_lock({key})")
        cursor.fetchall()


def _partition(table: Table) -> str:
    if table.partition is None:
        raise PermanentError(f"{table.full_name} has no partition: read it whole.")
    return table.partition


def _prepared(
    table: Table, data: pd.DataFrame | pa.Table, run_id: str | None, updated_at: pd.Timestamp | None = None
) -> pa.Table:
    """The rows in the table's Arrow schema, with `run_id` and `updated_at` filled; keys are unique."""
    frame = typed_frame(data) if isinstance(data, pa.Table) else data
    filled: dict[str, object] = {}
    if run_id is not None and "run_id" in table.column_names:
        filled["run_id"] = run_id
    if "updated_at" in table.column_names:
        filled["updated_at"] = updated_at or pd.Timestamp.now("UTC")
    try:
        rows = to_arrow(frame.assign(**filled), table)
    except ValueError as error:
        raise PermanentError(f"{error}; nothing was written.") from error
    surplus = rows.num_rows - rows.group_by(list(table.key)).aggregate([]).num_rows if table.key else 0
    if surplus:
        raise PermanentError(
            f"{table.full_name}: {surplus} rows repeat the key ({', '.join(table.key)}) of another row; "
            "nothing was written."
        )
    return rows


def _free_keys(
    cursor: adbc.Cursor, table: Table, target: sa.Table, stage: sa.Table, frozen: sa.ColumnElement[bool]
) -> tuple[int, int]:
    """Delete staged rows whose key a frozen row has, then rows of other partitions under a staged key.

    Returns the number of deleted rows of the target, and of the stage.
    """
    # No such key is ever null. IS NOT DISTINCT FROM uses no index and compares each row with each: a day of
    # 3,000 rows took 6.5 s beside twenty days of them, and takes 0.07 s beside sixty.
    same = sa.and_(*(target.c[name] == stage.c[name] for name in table.key))
    for method in _JOINS_OF_WHOLE_TABLES:
        cursor.execute(f"SET LOCAL {method} = off")
    skipped = run_statement(cursor, sa.delete(stage).where(same, frozen))
    moved = run_statement(cursor, sa.delete(target).where(same))
    for method in _JOINS_OF_WHOLE_TABLES:
        cursor.execute(f"SET LOCAL {method} = on")
    return moved, skipped


def _require_days(table: Table, rows: pa.Table, days: Sequence[dt.date]) -> None:
    inside = pc.is_in(rows.column(table.partition), pa.array(days, pa.date32()))
    outside = pc.unique(rows.column(table.partition).filter(pc.invert(inside)))
    if len(outside):
        raise PermanentError(
            f"{table.full_name}: rows of {_listed(outside.to_pylist())} in a write of "
            f"{_listed(days)}; nothing was written."
        )


def _listed(days: Sequence[dt.date]) -> str:
    ordered = [day.isoformat() for day in sorted(days)]
    return ", ".join(ordered) if len(ordered) <= 3 else f"{len(ordered)} days from {ordered[0]} to {ordered[-1]}"


def _require_count(table: Table, given: int, found: int) -> None:
    if given != found:
        raise PermanentError(
            f"{table.full_name}: {given} rows were given but {found} would stand there; nothing was written."
        )
