"""Dagster's event log in SQLite, its databases kept open: what `dagster.yaml` of an embedded installation names.

Only the connections belong here; content and tables are Dagster's.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import dagster as dg
import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

from fleet_audit.storage.embedded.dagster_databases import has_tables

_OPEN_DATABASES = 8  # each run has one; a daemon reads many
_TIMEOUT_S = 20
_RECORD = "record"
_READS_OF_ASSET = 50  # per asset: a daemon asks for other partitions each time


class OpenEventLogStorage(SqliteEventLogStorage):
    """The same files as `SqliteEventLogStorage`.

    That one makes an engine and a connection for each event, and the close of a database's last connection writes its
    journal back: 10 ms of processor time an event against 3 ms measured here, and several times that of waiting for the
    disk. A range has 150 events per day. A commit is not forced to the disk (WAL, synchronous NORMAL): a power
    cut may take the last events, never the database.

    An event of an asset or a check is several statements in two databases: they are one transaction in each, as are the
    events that Dagster gives in one batch. Which tables and columns there are is asked of a database once, not for each
    event (1,036 events of one day on a busy machine: 3.2 s of processor time before, 1.6 s now).

    Before each step Dagster asks for the newest events of its inputs, for their versions: of one day 381 times for 85
    assets. They are kept until an event of the asset is stored, or the database of all runs changes in any other way.
    """

    def __init__(self, home: str, inst_data: ConfigurableClassData | None = None) -> None:
        """`home` is the Dagster instance's folder; logs are where Dagster puts them by default."""
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._transactions: dict[str, sa.Connection] | None = None
        self._present: set[str] = set()
        self._kept_reads: dict[dg.AssetKey, dict[object, Any]] = {}
        self._read_from: tuple[object, int] | None = None  # the connection, and SQLite's count of others' changes
        super().__init__(str(Path(home) / "history" / "runs"), inst_data)
        self._db_lock = threading.RLock()  # type: ignore[assignment]  # one thread stores an event in several steps

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """What `dagster.yaml` gives."""
        return {"home": dg.StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """The storage that `dagster.yaml` asks for."""
        return cls(config_value["home"], inst_data)

    def dispose(self) -> None:
        """Close everything."""
        super().dispose()
        self._close(keep=0)

    def wipe(self) -> None:
        """Delete all events; no database of a run is left open."""
        self._close(keep=0)
        super().wipe()

    def remove_run(self, run_id: str) -> None:
        """Delete the database of a run; its events of assets are in the database of all runs too, and stay."""
        with self._db_lock:
            if (engine := self._engines.pop(run_id, None)) is not None:
                engine.dispose()
            self._initialized_dbs.discard(run_id)
            path = Path(self.path_for_shard(run_id))
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    def store_event(self, event: EventLogEntry) -> None:
        """Store it and wake the watchers of the run: the UI looks for changes of the file, which a journal delays."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events, all or none of each database, and wake the watchers of their runs."""
        with self._one_transaction():
            for event in events:
                super().store_event(event)
                if event.dagster_event is not None and event.dagster_event.asset_key is not None:
                    self._kept_reads.pop(event.dagster_event.asset_key, None)
        for run_id in {event.run_id for event in events}:
            os.utime(self.path_for_shard(run_id))

    def get_asset_records(self, asset_keys: Sequence[dg.AssetKey] | None = None) -> Sequence[Any]:
        """Records of assets in the order of their keys; without keys those of all assets."""
        if asset_keys is None:
            return super().get_asset_records()
        with self._db_lock:
            self._drop_outdated_reads()
            unread = [key for key in asset_keys if _RECORD not in self._kept_reads.get(key, {})]
            found = {one.asset_entry.asset_key: one for one in super().get_asset_records(unread)} if unread else {}
            for key in unread:
                self._kept_reads.setdefault(key, {})[_RECORD] = found.get(key)
            records = [self._kept_reads[key][_RECORD] for key in sorted(set(asset_keys), key=dg.AssetKey.to_string)]
            return [record for record in records if record is not None]

    def get_latest_tags_by_partition(
        self,
        asset_key: dg.AssetKey,
        event_type: dg.DagsterEventType,
        tag_keys: Sequence[str],
        asset_partitions: Sequence[str] | None = None,
        before_cursor: int | None = None,
        after_cursor: int | None = None,
    ) -> Mapping[str, Mapping[str, str]]:
        """Tags of the newest event of each partition."""
        partitions = None if asset_partitions is None else tuple(asset_partitions)
        asked = (event_type, tuple(tag_keys), partitions, before_cursor, after_cursor)
        with self._db_lock:
            self._drop_outdated_reads()
            reads = self._kept_reads.setdefault(asset_key, {})
            if asked not in reads:
                if len(reads) >= _READS_OF_ASSET:
                    reads.clear()
                reads[asked] = super().get_latest_tags_by_partition(asset_key, *asked)
            return reads[asked]

    def _drop_outdated_reads(self) -> None:
        """Forget what was read before another connection changed the database of all runs."""
        with self.index_connection() as connection:
            raw = _sqlite(connection)
            state = (raw, raw.execute("PRAGMA data_version").fetchone()[0])
        if state != self._read_from:
            self._kept_reads.clear()
            self._read_from = state

    def has_table(self, table_name: str) -> bool:
        """Whether the database of all runs has the table; one that is there is not asked for again."""
        if table_name not in self._present and super().has_table(table_name):
            self._present.add(table_name)
        return table_name in self._present

    def _has_asset_key_col_on_connection(self, conn: sa.Connection, column_name: str) -> bool:
        name = f"asset_keys.{column_name}"
        if name not in self._present and super()._has_asset_key_col_on_connection(conn, column_name):
            self._present.add(name)
        return name in self._present

    @contextmanager
    def _one_transaction(self) -> Iterator[None]:
        """Make what is stored inside one transaction in each database that it touches."""
        with self._db_lock, ExitStack() as ends:
            self._transactions, self._ends = {}, ends
            try:
                yield
            finally:
                self._transactions = None

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            if self._transactions is None:
                with self._engine(shard).begin() as connection:
                    changes = _sqlite(connection).total_changes
                    yield connection
                    if _sqlite(connection).total_changes != changes:
                        self._kept_reads.clear()
                return
            if shard not in self._transactions:
                self._transactions[shard] = self._ends.enter_context(self._engine(shard).begin())
            yield self._transactions[shard]

    def _engine(self, shard: str) -> sa.Engine:
        engine = self._engines.pop(shard, None)
        if engine is None:
            engine = sa.create_engine(self.conn_string_for_shard(shard), connect_args={"timeout": _TIMEOUT_S})
            sa.event.listen(engine, "connect", _relax)
            if shard not in self._initialized_dbs:
                if not has_tables(Path(self.path_for_shard(shard))):
                    self._initdb(engine)
                self._initialized_dbs.add(shard)
            self._close(keep=_OPEN_DATABASES - 1)
        self._engines[shard] = engine
        return engine

    def _close(self, keep: int) -> None:
        while len(self._engines) > keep:
            _, engine = self._engines.popitem(last=False)
            engine.dispose()


def _sqlite(connection: sa.Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _relax(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
