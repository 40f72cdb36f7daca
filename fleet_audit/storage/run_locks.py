"""Locks that whole runs hold in PostgreSQL: of their days, of what one run may use at a time, and of their process.

Locks of single tables are in `warehouse`. These belong to a connection, so that a killed process holds nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from fleet_audit.errors import RetryableError
from fleet_audit.storage.postgres import advisory_key, engine_of, sentences

_RETRY_S = 1.0
# How often a holder looks after its connection: a PostgreSQL that restarted has forgotten its locks. A run takes longer
# than this, so that none comes and goes between two looks.
_LOOK_S = 5.0
_TRY_ALL = sa.text("select bool_and(pg_try_advisory_lock(key)) from unnest(cast(:keys as bigint[])) as wanted (key)")
_RELEASE = sa.text("select pg_advisory_unlock_all()")
_SHARE = sa.text("select pg_advisory_lock_shared(:key)")  # shared: a run may have a process per step
_TRY_ONE = sa.text("select pg_try_advisory_xact_lock(:key)")
_LOST = (
    "Another run took days of this run while PostgreSQL was away, so this run ends before it writes beside the other: "
    "its days are requested again within minutes; run older days, and cycles, again."
)


class _Lock:
    """Locks on a connection of their own, which are taken again when the connection ended."""

    def __init__(self, url: Callable[[], str], try_lock: Callable[[sa.Connection], bool]) -> None:
        """`try_lock` takes all locks on a connection, or none and returns False. Nothing is taken yet."""
        self._url, self._try_lock = url, try_lock
        self._connection: sa.Connection | None = None
        self._is_lost = False
        self._mutex = threading.Lock()

    def take(self) -> bool:
        """Whether the locks are held now, after a look at the connection; takes them where they are not.

        Raises RetryableError while the database cannot be reached.
        """
        with self._mutex:
            if self._connection is not None:
                with suppress(sa.exc.SQLAlchemyError):
                    self._connection.execute(sa.text("select 1"))
                    return True
                self._release()
            with sentences("Locking the days of the run"):
                connection = engine_of(self._url()).execution_options(isolation_level="AUTOCOMMIT").connect()
                try:
                    if self._try_lock(connection):
                        self._connection = connection
                finally:
                    if self._connection is None:
                        connection.close()
                return self._connection is not None

    def require(self) -> None:
        """Returns while the locks are held. Raises RetryableError when another run took one, or nobody can know.

        A lock that was lost once stays lost: what the run has read may be older than what the other run wrote.
        """
        self._is_lost = self._is_lost or not self.take()
        if self._is_lost:
            raise RetryableError(_LOST)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Looks after the locks in a thread, and releases them at the end; the block never waits for PostgreSQL."""
        is_over = threading.Event()
        holder = threading.Thread(target=self._keep, args=(is_over,), daemon=True)
        holder.start()
        try:
            yield
        finally:
            is_over.set()
            holder.join(timeout=_RETRY_S)

    def _keep(self, is_over: threading.Event) -> None:
        while not is_over.is_set():
            wait_s = _RETRY_S
            # any error: a thread that ended for one of the operating system would let the sensor end a living run
            with suppress(Exception):
                self.require()
                wait_s = _LOOK_S
            is_over.wait(wait_s)
        with self._mutex:
            self._release()

    def _release(self) -> None:
        """Ends the connection, which releases its locks, also where it is broken."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


class RunLock(_Lock):
    """Exclusive locks of a run on days or other things.

    All are taken or none, so that runs over overlapping ranges never wait for each other in a circle.
    """

    def __init__(self, url: Callable[[], str], what: Sequence[object]) -> None:
        """Nothing is taken yet."""
        keys = sorted({advisory_key("run", one) for one in what})
        super().__init__(url, lambda connection: _all_taken(connection, keys))

    def acquire(self, waiting: Callable[[], None]) -> None:
        """Takes the locks; calls `waiting` once when another run has one of them.

        Raises RetryableError when the database cannot be reached at first; who has begun to wait waits on.
        """
        if self.take():
            return
        waiting()
        is_taken = False
        while not is_taken:
            time.sleep(_RETRY_S)
            with suppress(RetryableError):
                is_taken = self.take()


@contextmanager
def run_lock(url: str, what: Sequence[object], waiting: Callable[[], None]) -> Iterator[RunLock]:
    """Holds a lock on each of these things; errors and `waiting` as in `RunLock.acquire`."""
    lock = RunLock(lambda: url, what)
    lock.acquire(waiting)
    with lock.kept():
        yield lock


def _all_taken(connection: sa.Connection, keys: Sequence[int]) -> bool:
    if connection.execute(_TRY_ALL, {"keys": keys}).scalar_one():
        return True
    connection.execute(_RELEASE)
    return False


@contextmanager
def process_lock(url: Callable[[], str], run_id: str) -> Iterator[None]:
    """Holds a lock that shows that a process of the run is there, whatever machine it is on.

    A thread takes it, and takes it again where the database was away; the run itself never waits for it.
    """

    def share(connection: sa.Connection) -> bool:
        connection.execute(_SHARE, {"key": _process_key(run_id)})
        return True

    with _Lock(url, share).kept():
        yield


def has_process(url: str, run_id: str) -> bool:
    """Whether a process holds the `process_lock` of the run. Raises RetryableError while nobody can know."""
    with sentences("Looking for the process of a run"), engine_of(url).begin() as connection:
        return not connection.execute(_TRY_ONE, {"key": _process_key(run_id)}).scalar_one()


def _process_key(run_id: str) -> int:
    return advisory_key("process of run", run_id)
