"""The lake: Parquet partitions and files under one root, a local folder or an S3 prefix; each file is replaced whole.

Only transport belongs here; the meaning of rows is in the column dictionary (`schema`).
"""

from __future__ import annotations

import datetime as dt
import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.schema.derive import arrow_schema, from_arrow, to_arrow
from fleet_audit.schema.model import Table
from fleet_audit.settings import Settings
from fleet_audit.storage.results import typed_frame

_HIVE_KEY = "date"  # partition folders are date=YYYY-MM-DD, whatever the table calls its partition column
_ROW_GROUP = 131_072  # rows; sorted by vehicle, so that a reader of few vehicles skips most groups
_READ_ATTEMPTS = 3
_ABANDONED_S = 3600  # a temporary file that old belongs to a writer that was killed
_LASTING_S3_ERRORS = re.compile(
    r"AWS Error (ACCESS_DENIED|NO_SUCH_BUCKET|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|INVALID_SIGNATURE|"
    r"INVALID_CLIENT_TOKEN_ID|MISSING_AUTHENTICATION_TOKEN)"
)


class Lake:
    """The files of one installation. Paths are relative to its root, with `/` between their parts."""

    def __init__(self, settings: Settings) -> None:
        """Opens the lake that the settings name; reads and writes nothing."""
        self.uri = settings.lake_root.rstrip("/")
        self._filesystem, self._root = _open(self.uri, settings)

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

    def write_day_parts(self, table: Table, day: dt.date, parts: Iterable[pa.Table]) -> int:
        """Replaces one day of a table by rows in parts, each in the table's schema and order, one part in memory.

        The file has the same bytes as `write_day` of all rows. Returns the number of rows.
        """
        stored = arrow_schema(table)
        if table.partition == _HIVE_KEY:
            stored = stored.remove(stored.get_field_index(_HIVE_KEY))
        sink, count = pa.BufferOutputStream(), 0
        with pq.ParquetWriter(sink, stored, compression="zstd") as writer:
            for group in _row_groups(part.select(stored.names).cast(stored) for part in parts):
                writer.write_table(group, row_group_size=_ROW_GROUP)
                count += group.num_rows
            if not count:
                writer.write_table(stored.empty_table())
        self.put_bytes(self.partition_path(table, day), sink.getvalue())
        return count

    def read_days(
        self,
        table: Table,
        days: Sequence[dt.date],
        columns: Sequence[str] | None = None,
        filter: pc.Expression | None = None,
    ) -> pd.DataFrame:
        """The rows of these days in the order given, in the dictionary's dtypes; a day without a file has no rows.

        `columns` names the columns wanted (all); `filter` is an Arrow expression over any other column than the
        partition's, which is applied to whole row groups before they are read.
        """
        wanted = _narrowed(table, columns)
        return from_arrow(self._read_days(table, days, arrow_schema(wanted), filter), wanted)

    def read_arrow(self, table: Table, days: Sequence[dt.date], columns: Sequence[str]) -> pa.Table:
        """The rows of `read_days` as an Arrow table: nulls stay null, text columns are dictionary-encoded."""
        schema = arrow_schema(_narrowed(table, columns))
        for at, field in enumerate(schema):
            if pa.types.is_string(field.type):
                schema = schema.set(at, field.with_type(pa.dictionary(pa.int32(), field.type)))
        return self._read_days(table, days, schema)

    def iter_days(
        self, table: Table, days: Sequence[dt.date], columns: Sequence[str] | None = None
    ) -> Iterator[tuple[dt.date, pd.DataFrame]]:
        """Yields each day with its rows, as `read_days` returns them; one day is in memory at a time."""
        for day in days:
            yield day, self.read_days(table, [day], columns)

    def has_day(self, table: Table, day: dt.date) -> bool:
        """Whether the day was ever written, also when it has no rows."""
        return self.exists(self.partition_path(table, day))

    def write_table(self, path: str, data: pd.DataFrame | pa.Table, table: Table) -> int:
        """Replaces one Parquet file of a table's rows, e.g. one parsed file. Returns the number of rows."""
        rows = _conforming(table, data)
        self.put_bytes(path, _parquet(rows))
        return rows.num_rows

    def read_table(self, path: str, table: Table, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The rows of a file that `write_table` wrote. Raises PermanentError that names a missing file."""
        wanted = _narrowed(table, columns)
        with self._translating_errors("read", path):
            return from_arrow(self._read_parquet(path, wanted.column_names, None), wanted)

    def put_bytes(self, path: str, content: bytes | pa.Buffer) -> None:
        """Replaces a file as a whole: no reader sees a part of it, and a killed writer leaves the old one."""
        self.put_chunks(path, [content])

    def put_chunks(self, path: str, chunks: Iterable[bytes | pa.Buffer]) -> None:
        """Replaces a file by content that arrives in pieces, because it is too large for the memory."""
        with self._translating_errors("write", path):
            if isinstance(self._filesystem, pafs.LocalFileSystem):
                _replace_local(Path(self._full(path)), chunks)
            else:
                # in a thread: an interrupt between opening and writing would close, and so put, an empty file
                with ThreadPoolExecutor(1) as thread:
                    thread.submit(_put_object, self._filesystem, self._full(path), chunks).result()

    def take_over(self, source: Lake, path: str) -> None:
        """Links or copies a file of another lake to the same path.

        It is linked where both lakes are folders of one disk. Files are replaced and never written into, so neither
        lake sees later changes of the other.
        """
        if isinstance(self._filesystem, pafs.LocalFileSystem) and isinstance(source._filesystem, pafs.LocalFileSystem):
            target = Path(self._full(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):
                os.link(source._full(path), target)
        if not self.exists(path):
            self.put_bytes(path, source.get_bytes(path))

    def get_bytes(self, path: str) -> bytes:
        """The content of a file. Raises PermanentError that names a missing file."""
        with self._translating_errors("read", path), self._filesystem.open_input_file(self._full(path)) as file:
            return file.read()

    def exists(self, path: str) -> bool:
        """Whether a file has this path."""
        with self._translating_errors("look for", path):
            return self._filesystem.get_file_info(self._full(path)).type == pafs.FileType.File

    def list(self, prefix: str = "") -> list[str]:
        """Paths of all files in a folder and below, sorted, without hidden files such as unfinished ones."""
        return sorted(self.modified(prefix))

    def modified(self, prefix: str = "") -> dict[str, dt.datetime]:
        """Paths of all files in a folder and below, each with the time at which it was written."""
        selector = pafs.FileSelector(self._full(prefix), allow_not_found=True, recursive=True)
        with self._translating_errors("list", prefix):
            found = self._filesystem.get_file_info(selector)
        start = len(self._root) + 1
        return {
            info.path[start:]: info.mtime.astimezone(dt.UTC)
            for info in found
            if info.type == pafs.FileType.File
            and not any(part.startswith(".") for part in info.path[start:].split("/"))
        }

    def delete(self, path: str) -> None:
        """Removes a file; a missing one is not an error."""
        with self._translating_errors("remove", path):
            if self.exists(path):
                self._filesystem.delete_file(self._full(path))

    def url(self, path: str) -> str:
        """The full address of a file, for people and other programs."""
        return f"{self.uri}/{path}"

    def _full(self, path: str) -> str:
        if ".." in path.split("/") or path.startswith("/"):
            raise PermanentError(f"{path!r} is not a path inside the lake.")
        return f"{self._root}/{path}".rstrip("/")

    def _read_days(
        self, table: Table, days: Sequence[dt.date], schema: pa.Schema, filter: pc.Expression | None = None
    ) -> pa.Table:
        parts = [part for day in days if (part := self._read_day(table, day, schema, filter)) is not None]
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def _read_day(self, table: Table, day: dt.date, schema: pa.Schema, filter: pc.Expression | None) -> pa.Table | None:
        stored = [name for name in schema.names if not (name == _HIVE_KEY == table.partition)]
        encoded = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        path = self.partition_path(table, day)
        try:
            with self._translating_errors("read", path, missing=FileNotFoundError):
                rows = self._read_parquet(path, stored, filter, encoded)
        except FileNotFoundError:
            return None
        for field in schema:
            if field.name not in rows.column_names and field.name in stored and field.nullable:
                rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
        if len(stored) < len(schema):
            column = pa.repeat(pa.scalar(day, pa.date32()), rows.num_rows)
            rows = rows.append_column(_HIVE_KEY, column)
        return rows.select(schema.names).cast(schema)

    def _read_parquet(
        self, path: str, columns: Sequence[str], filter: pc.Expression | None, encoded: Sequence[str] = ()
    ) -> pa.Table:
        """Reads one version of a Parquet file, while other processes may replace it.

        A column that the file lacks is missing in the result. Given the path, Arrow opens the file twice, and it may be
        replaced in between.
        """
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
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

    @contextmanager
    def _translating_errors(self, doing: str, path: str, missing: type[Exception] = PermanentError) -> Iterator[None]:
        """Raises the file system's errors as one of our two kinds, in one sentence that names the file."""
        try:
            yield
        except FileNotFoundError as error:
            raise missing(f"{self.url(path)} does not exist.") from error
        except pa.ArrowInvalid as error:
            raise PermanentError(f"{self.url(path)} cannot be read as Parquet of this table: {error}") from error
        except OSError as error:
            reason = " ".join(str(error).split())
            if isinstance(error, PermissionError) or _LASTING_S3_ERRORS.search(reason):
                raise PermanentError(
                    f"Cannot {doing} {self.url(path)}: {reason}. Check FLEET_LAKE_URL, the AWS_* "
                    "settings and the permissions."
                ) from error
            raise RetryableError(f"Cannot {doing} {self.url(path)}: {reason}") from error


def _open(uri: str, settings: Settings) -> tuple[pafs.FileSystem, str]:
    parts = urlsplit(uri)
    if parts.scheme != "s3":
        folder = Path(parts.path if parts.scheme == "file" else uri).expanduser().resolve()
        return pafs.LocalFileSystem(), str(folder)
    key, secret, token = settings.aws_access_key_id, settings.aws_secret_access_key, settings.aws_session_token
    options = {
        "access_key": key.get_secret_value() if key else None,
        "secret_key": secret.get_secret_value() if secret else None,
        "session_token": token.get_secret_value() if token else None,
        "region": settings.aws_region or ("us-east-1" if settings.aws_endpoint_url else None),
        "endpoint_override": settings.aws_endpoint_url,
    }
    given = {name: value for name, value in options.items() if value}
    return pafs.S3FileSystem(**given), f"{parts.netloc}{parts.path}".rstrip("/")


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


def _put_object(filesystem: pafs.FileSystem, path: str, chunks: Iterable[bytes | pa.Buffer]) -> None:
    """Writes one S3 object with exactly these bytes.

    Without `compression=None` Arrow compresses again what a name ending in .zst or .gz holds already.
    """
    stream = filesystem.open_output_stream(path, compression=None)
    for chunk in chunks:
        stream.write(chunk)
    stream.close()


def _replace_local(path: Path, chunks: Iterable[bytes | pa.Buffer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    with temporary.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        if leftover.exists() and time.time() - leftover.stat().st_mtime > _ABANDONED_S:
            leftover.unlink(missing_ok=True)
