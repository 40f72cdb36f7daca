"""All rows of a resource as a file: CSV for spreadsheets, Parquet with the database's types.

Rows are read before the first part is sent: the transaction is over by then. Which rows is decided in `filters`.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from fleet_audit.access.filters import Wanted
from fleet_audit.access.pages import ordered_rows
from fleet_audit.access.resources import Column, Resource
from fleet_audit.access.sessions import Session
from fleet_audit.logic.primitives.text_cells import safe_text

_SPOOLED_BYTES = 8_000_000
_PART_BYTES = 65_536
_PART_ROWS = 5_000
_NUMBERS = ("numeric", "bigint", "integer", "double precision")
_UNSCALED = pa.decimal128(38, 6)  # of a computed column, which has no scale of its own
_ARROW = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "timestamp without time zone": pa.timestamp("us"),
    "text[]": pa.list_(pa.string()),
}


def export_csv(session: Session, resource: Resource, wanted: Wanted) -> Iterator[bytes]:
    """All rows as CSV in parts: UTF-8, numbers and times as PostgreSQL writes them, no cell that is a formula."""
    columns, query = _rows(session, resource, wanted)
    texts = [sa.cast(query.selected_columns[column.name], sa.Text).label(column.name) for column in columns]
    is_number = [column.type in _NUMBERS for column in columns]
    spool = _spool()
    text = io.TextIOWrapper(spool, "utf-8", newline="", write_through=True)  # type: ignore[arg-type]
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.name for column in columns])
    for part in _partitions(session, query.with_only_columns(*texts)):
        writer.writerows(
            [
                "" if cell is None else cell if number else safe_text(cell)
                for cell, number in zip(row, is_number, strict=True)
            ]
            for row in part
        )
    text.detach()
    return _parts(spool)


def export_parquet(session: Session, resource: Resource, wanted: Wanted) -> Iterator[bytes]:
    """All rows as Parquet in parts (zstd): decimals exact, times in UTC, JSON as text."""
    columns, query = _rows(session, resource, wanted)
    schema = pa.schema([pa.field(column.name, _arrow_type(column)) for column in columns])
    selected = [
        sa.cast(query.selected_columns[column.name], sa.Text).label(column.name)
        if pa.types.is_string(schema.field(column.name).type)
        else query.selected_columns[column.name]
        for column in columns
    ]
    spool = _spool()
    with pq.ParquetWriter(spool, schema, compression="zstd") as writer:
        for part in _partitions(session, query.with_only_columns(*selected)):
            arrays = [
                pa.array([row[place] for row in part], field.type, from_pandas=False)
                for place, field in enumerate(schema)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return _parts(spool)


def _rows(session: Session, resource: Resource, wanted: Wanted) -> tuple[list[Column], sa.Select]:
    query = ordered_rows(session, resource, wanted)
    names = {column.name: column for column in resource.columns}
    return [names[column.name] for column in query.selected_columns], query


def _arrow_type(column: Column) -> pa.DataType:
    if column.type == "numeric":
        return pa.decimal128(column.precision, column.scale) if column.precision else _UNSCALED
    return _ARROW.get(column.type, pa.string())


def _partitions(session: Session, query: sa.Select) -> Iterator[Any]:
    return session.connection.execute(query.execution_options(yield_per=_PART_ROWS)).partitions()


def _spool() -> Any:
    return tempfile.SpooledTemporaryFile(_SPOOLED_BYTES)  # closed when the last part is sent


def _parts(spool: Any) -> Iterator[bytes]:
    spool.seek(0)
    with spool:
        while part := spool.read(_PART_BYTES):
            yield part
