"""The lake: rows of tables as Parquet files, one per day, and other files beside them.

How a file is put, listed and removed is in `lake_files`; the meaning of rows is in the column dictionary (`schema`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from fleet_audit.errors import PermanentError
from fleet_audit.schema.derive import arrow_schema, from_arrow, to_arrow
from fleet_audit.schema.model import Table
from fleet_audit.storage.lake_files import LakeFiles
from fleet_audit.storage.results import typed_frame

_HIVE_KEY = "date"  # partition folders are date=YYYY-MM-DD, whatever the table calls its partition column
_ROW_GROUP = 131_072  # rows; sorted by vehicle, so that a reader of few vehicles skips most groups
_FIRST_ROWS = 20  # of an encoded day
_READ_ATTEMPTS = 3


@dataclass(frozen=True)
class EncodedDay:
    """The bytes of a day's file, which another process may have encoded, with what is shown of it.

    Attributes:
        content: Parquet; `sha256` is that of these bytes.
        rows: number of rows.
        first: the first rows, a few more than are shown.
    """

    content: pa.Buffer
    rows: int
    sha256: str
    first: pa.Table

    def head(self, rows: int) -> pd.DataFrame:
        """The first rows."""
        return self.first.slice(0, rows).to_pandas()


def encoded_day(table: Table, parts: Iterable[pa.Table]) -> EncodedDay:
    """The file of a day of rows in parts, each in the table's schema and order, one part in memory.

    It has the same bytes as `Lake.write_day` writes of all rows.
    """
    stored = arrow_schema(table)
    if table.partition == _HIVE_KEY:
        stored = stored.remove(stored.get_field_index(_HIVE_KEY))
    sink, count, first = pa.BufferOutputStream(), 0, arrow_schema(table).empty_table()
    with pq.ParquetWriter(sink, stored, compression="zstd") as writer:

        def narrowed() -> Iterator[pa.Table]:
            nonlocal first
            for part in parts:
                first = first if first.num_rows else part.slice(0, _FIRST_ROWS).combine_chunks()
                yield part.select(stored.names).cast(stored)

        for group in _row_groups(narrowed()):
            writer.write_table(group, row_group_size=_ROW_GROUP)
            count += group.num_rows
        if not count:
            writer.write_table(stored.empty_table())
    content = sink.getvalue()
    return EncodedDay(content, count, hashlib.sha256(content).hexdigest(), first)


@dataclass(frozen=True)
class TextFilter:
    """The rows whose column is one of these texts, which are sorted."""

    column: str
    texts: pa.Array


def one_of(column: str, texts: Iterable[str]) -> pc.Expression:
    """Whether a column has one of these texts, of which there may be none: Arrow takes no list without a type."""
    return pc.field(column).isin(pa.array(sorted(texts), pa.string()))


class Lake(LakeFiles):
    """The files of one installation, with the tables that Parquet files hold."""

    def partition_path(self, table: Table, day: dt.date) -> str:
        """Path of one day of a table, e.g. `staging/positions/date=2025-06-10/part.parquet`."""
        return f"{table.schema}/{table.name}/{_HIVE_KEY}={day.isoformat()}/part.parquet"

    def write_day(self, table: Table, day: dt.date, data: pd.DataFrame | pa.Table) -> int:
        """Replaces one day of a table; no rows make an empty typed file. Returns the number of rows.

        The file excludes a partition column named `date`, because readers take it from the folder's name.
        Raises PermanentError when a row belongs to another day or does not fit the table.
        """
        rows = _conforming(table, data)
        if table.partition is None:
            raise PermanentError(f"{table.full_name} has no days: use write_table.")
        if rows.num_rows and pc.unique(rows.column(table.partition)).to_pylist() != [day]:
            raise PermanentError(f"{table.full_name}: the rows for {day} have other values of {table.partition}.")
        stored = rows.drop_columns([_HIVE_KEY]) if table.partition == _HIVE_KEY else rows
        self.put_bytes(self.partition_path(table, day), _parquet(stored))
        return rows.num_rows

    def write_encoded(self, table: Table, day: dt.date, encoded: EncodedDay) -> int:
        """Replaces one day of a table by the file that `encoded_day` made of it. Returns the number of rows."""
        self.put_bytes(self.partition_path(table, day), encoded.content)
        return encoded.rows

    def read_days(
        self,
        table: Table,
        days: Sequence[dt.date],
        columns: Sequence[str] | None = None,
        filter: pc.Expression | TextFilter | None = None,
    ) -> pd.DataFrame:
        """The rows of these days in the order given, in the dictionary's dtypes; a day without a file has no rows.

        `columns` names the columns wanted (all); `filter` is an Arrow expression over any other column than the
        partition's, which is applied to whole row groups before they are read, or a `TextFilter` of a wanted column.
        """
        wanted = _narrowed(table, columns)
        return from_arrow(self._read_days(table, days, arrow_schema(wanted), filter), wanted)

    def read_arrow(
        self, table: Table, days: Sequence[dt.date], columns: Sequence[str], filter: TextFilter | None = None
    ) -> pa.Table:
        """The rows of `read_days` as an Arrow table: nulls stay null, text columns are dictionary-encoded."""
        schema = arrow_schema(_narrowed(table, columns))
        for at, field in enumerate(schema):
            if pa.types.is_string(field.type):
                schema = schema.set(at, field.with_type(pa.dictionary(pa.int32(), field.type)))
        return self._read_days(table, days, schema, filter)

    def first_rows(self, table: Table, day: dt.date, rows: int) -> tuple[int, pd.DataFrame]:
        """The number of rows of a day, and the first of them; nothing else of its file is read."""
        path = self.partition_path(table, day)
        with self._translating_errors("read", path), self._filesystem.open_input_file(self._full(path)) as source:
            file = pq.ParquetFile(source)
            head = next(file.iter_batches(batch_size=rows), None)
            return file.metadata.num_rows, pd.DataFrame() if head is None else head.to_pandas()

    def has_day(self, table: Table, day: dt.date) -> bool:
        """Whether the day was ever written, also when it has no rows."""
        return self.exists(self.partition_path(table, day))

    def write_table(self, path: str, data: pd.DataFrame | pa.Table, table: Table) -> int:
        """Replaces one Parquet file of a table's rows, e.g. one parsed file. Returns the number of rows."""
        rows = _conforming(table, data)
        self.put_bytes(path, _parquet(rows))
        return rows.num_rows

    def read_table(self, path: str, table: Table, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The rows of a file that `write_table` wrote; a nullable column that an older file lacks is null.

        Raises PermanentError that names a missing file, or a column that every row must have and the file lacks.
        """
        wanted = _narrowed(table, columns)
        with self._translating_errors("read", path):
            rows = _with_added_columns(self._read_parquet(path, wanted.column_names, None), arrow_schema(wanted))
        lacking = sorted({*wanted.column_names} - {*rows.column_names})
        if lacking:
            raise PermanentError(
                f"{self.url(path)} lacks {', '.join(lacking)} of {table.full_name}. Restore it from a backup."
            )
        return from_arrow(rows, wanted)

    def _read_days(
        self, table: Table, days: Sequence[dt.date], schema: pa.Schema, filter: pc.Expression | TextFilter | None = None
    ) -> pa.Table:
        parts = [part for day in days if (part := self._read_day(table, day, schema, filter)) is not None]
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def _read_day(
        self, table: Table, day: dt.date, schema: pa.Schema, filter: pc.Expression | TextFilter | None
    ) -> pa.Table | None:
        stored = [name for name in schema.names if not (name == _HIVE_KEY == table.partition)]
        encoded = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        path = self.partition_path(table, day)
        try:
            with self._translating_errors("read", path, missing=FileNotFoundError):
                rows = self._read_parquet(path, stored, filter, encoded)
        except FileNotFoundError:
            return None
        rows = _with_added_columns(rows, pa.schema([schema.field(name) for name in stored]))
        if len(stored) < len(schema):
            column = pa.repeat(pa.scalar(day, pa.date32()), rows.num_rows)
            rows = rows.append_column(_HIVE_KEY, column)
        return rows.select(schema.names).cast(schema)

    def _read_parquet(
        self, path: str, columns: Sequence[str], filter: pc.Expression | TextFilter | None, encoded: Sequence[str] = ()
    ) -> pa.Table:
        """Reads one version of a Parquet file, while other processes may replace it.

        A column that the file lacks is missing in the result. Given the path, Arrow opens the file twice, and it may be
        replaced in between.
        """
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                if isinstance(filter, TextFilter):
                    return self._read_filtered(path, columns, filter, encoded)
                with self._filesystem.open_input_file(self._full(path)) as file:
                    # ranges of an object can be of different versions, one whole get is not
                    source = (
                        file if isinstance(self._filesystem, pafs.LocalFileSystem) else pa.BufferReader(file.read())
                    )
                    held = set(pq.read_schema(source).names)  # an older file lacks columns that a later version added
                    return pq.read_table(
                        source,
                        columns=[name for name in columns if name in held],
                        filters=filter,
                        partitioning=None,
                        read_dictionary=[*encoded],
                    )
            except FileNotFoundError:
                raise
            except (pa.ArrowInvalid, OSError):  # replaced by a longer one between asking for its size and getting it
                if attempt == _READ_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _read_filtered(self, path: str, columns: Sequence[str], wanted: TextFilter, encoded: Sequence[str]) -> pa.Table:
        """The rows that a filter wants, by ranges: a whole day of a large fleet is too much for each of its chunks.

        Raises ArrowInvalid when the file was replaced meanwhile, because ranges of an object can be of two versions.
        """
        before = self._filesystem.get_file_info(self._full(path))
        with self._filesystem.open_input_file(self._full(path)) as source:
            file = pq.ParquetFile(source, read_dictionary=[*encoded])
            held = set(file.schema_arrow.names)
            rows = _rows_of_groups(file, [name for name in columns if name in held], wanted)
        after = self._filesystem.get_file_info(self._full(path))
        if (before.size, before.mtime_ns) != (after.size, after.mtime_ns):
            raise pa.ArrowInvalid(f"{path} was replaced while it was read")
        return rows


def _with_added_columns(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows, with nulls in nullable columns of the schema that were added after their file was written."""
    for field in schema:
        if field.name not in rows.column_names and field.nullable:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows


def _narrowed(table: Table, columns: Sequence[str] | None) -> Table:
    if columns is None:
        return table
    return replace(table, columns=tuple(table.column(name) for name in columns), key=(), sort=())


def _conforming(table: Table, data: pd.DataFrame | pa.Table) -> pa.Table:
    try:
        return to_arrow(typed_frame(data) if isinstance(data, pa.Table) else data, table)
    except ValueError as error:
        raise PermanentError(f"{error}; nothing was written.") from error


def _parquet(rows: pa.Table) -> pa.Buffer:
    """The rows as Parquet; the same rows give the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd", row_group_size=_ROW_GROUP)
    return sink.getvalue()


def _row_groups(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows of the parts in tables of exactly one row group, the last one shorter."""
    waiting: list[pa.Table] = []
    for part in parts:
        waiting.append(part)
        while sum(one.num_rows for one in waiting) >= _ROW_GROUP:
            rows = pa.concat_tables(waiting)
            yield rows.slice(0, _ROW_GROUP).combine_chunks()
            waiting = [rows.slice(_ROW_GROUP)]
    if sum(one.num_rows for one in waiting):
        yield pa.concat_tables(waiting).combine_chunks()


def _rows_of_groups(file: pq.ParquetFile, columns: Sequence[str], wanted: TextFilter) -> pa.Table:
    """These columns, the filter's among them, of the rows that it wants, in their order.

    Row groups are chosen here: of 10 million positions, Arrow's own filter took 0.6 s of processor time for 100,000
    rows that this takes 0.02 s for.
    """
    at = file.schema_arrow.get_field_index(wanted.column)
    texts = wanted.texts.to_numpy(zero_copy_only=False)
    groups = [group for group in range(file.num_row_groups) if _may_have(file, group, at, texts)]
    rows = file.read_row_groups(groups, columns=list(columns))
    return rows.filter(pc.is_in(rows[wanted.column], wanted.texts))


def _may_have(file: pq.ParquetFile, group: int, column: int, texts: np.ndarray) -> bool:
    statistics = file.metadata.row_group(group).column(column).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    first = np.searchsorted(texts, statistics.min)
    return bool(first < len(texts) and texts[first] <= statistics.max)
