"""Dagster's event log in SQLite, its databases kept open: what `dagster.yaml` of an embedded installation names.

Only the connections belong here; content and tables are Dagster's.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import dagster as dg
import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

_OPEN_DATABASES = 8  # each run has one; a daemon reads many
_TIMEOUT_S = 20


class OpenEventLogStorage(SqliteEventLogStorage):
    """The same files as `SqliteEventLogStorage`.

    That one makes an engine and a connection for each event, and the close of a database's last connection writes its
    journal back: 10 ms of processor time an event against 3 ms measured here, and several times that of waiting for the
    disk. A range of days has 150 events a day. A commit is not forced to the disk (WAL, synchronous NORMAL): a power
    cut may take the last events, never the database.
    """

    def __init__(self, home: str, inst_data: ConfigurableClassData | None = None) -> None:
        """`home` is the Dagster instance's folder; logs are where Dagster puts them by default."""
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        super().__init__(str(Path(home) / "history" / "runs"), inst_data)

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

    def store_event(self, event: EventLogEntry) -> None:
        """Store it and wake the watchers of the run: the UI looks for changes of the file, which a journal delays."""
        super().store_event(event)
        os.utime(self.path_for_shard(event.run_id))

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    def _engine(self, shard: str) -> sa.Engine:
        engine = self._engines.pop(shard, None)
        if engine is None:
            engine = sa.create_engine(self.conn_string_for_shard(shard), connect_args={"timeout": _TIMEOUT_S})
            sa.event.listen(engine, "connect", _relax)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            self._close(keep=_OPEN_DATABASES - 1)
        self._engines[shard] = engine
        return engine

    def _close(self, keep: int) -> None:
        while len(self._engines) > keep:
            _, engine = self._engines.popitem(last=False)
            engine.dispose()


def _relax(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
