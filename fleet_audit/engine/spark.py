"""The engine of a cluster: work on items by Spark's workers, a map without a shuffle.

A worker needs this package and the lake. Its memory, processors and the encryption of its network are Spark's own
configuration. The keys of a lake on S3 are not: where the settings have them, they travel inside the pickled work.
"""

from __future__ import annotations

import os
import pickle
import re
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.logic.primitives.workers.pools import sendable_error
from fleet_audit.logic.primitives.workers.threads import threads_limited_to

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_AHEAD = 2  # items per slot of the cluster that are computed before results are taken: bounds the driver's memory
_FIELDS = "number long, output string, rows binary, error binary"
_RESULTS = pa.schema([("number", pa.int64()), ("output", pa.string()), ("rows", pa.binary()), ("error", pa.binary())])
_RAISED = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(\S.*)")
_LASTING = re.compile(r"ModuleNotFoundError|ImportError|.*PYTHON_VERSION_MISMATCH")
_INSTALL = "Install the run's version of fleet_audit on every worker, under the same minor version of Python."
_Work = Callable[[Any], Mapping[str, pa.Table]]


@dataclass(frozen=True)
class SparkCluster:
    """The cluster that a master's address names, such as `spark://host:7077` or `local-cluster[2,1,1024]`."""

    master: str

    def map(self, work: _Work, items: Iterable[Any]) -> Generator[Mapping[str, pa.Table], None, None]:
        """Returns `work(item)` of each item in the order of the items, one task per item.

        `work` and items must be picklable. What an item raises is raised here, in its place among the results. Raises
        PermanentError without pyspark or Java, RetryableError when the cluster is unreachable or a task is lost.
        """
        remaining = iter(items)
        with _session(self.master) as session:
            size = _AHEAD * session.sparkContext.defaultParallelism
            while wave := list(islice(remaining, size)):
                with _one_sentence(self.master, "the computation of some vehicles of a day failed there"):
                    results = mapped(session, work, wave).toArrow()
                yield from _unpacked(results, len(wave))


def mapped(session: SparkSession, work: _Work, items: list[Any]) -> DataFrame:
    """Spark's plan of the work on items: each is a partition of its own from the beginning."""
    session.conf.set("spark.sql.leafNodeDefaultParallelism", str(len(items)))
    packed = pa.table({"number": range(len(items)), "item": [pickle.dumps(item) for item in items]})
    return session.createDataFrame(packed).mapInArrow(_Task(pickle.dumps(work)), _FIELDS)


@dataclass(frozen=True)
class _Task:
    """Work on the items of a partition, in a Python process of a worker.

    `work` is pickled: Spark would unpickle it where nothing is caught, and try a missing module four times.
    """

    work: bytes

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with threads_limited_to(1):  # Spark gives each task of a worker one processor
            for batch in batches:
                for number, item in zip(batch["number"].to_pylist(), batch["item"].to_pylist(), strict=True):
                    yield from self._rows(number, item)

    def _rows(self, number: int, item: bytes) -> Iterator[pa.RecordBatch]:
        """A row per table of the result, or one with what was raised: Spark would try the task again, and print it."""
        try:
            result = _unpickled(self.work)(_unpickled(item))
        except Exception as error:
            yield _row(number, "", None, pickle.dumps(sendable_error(error)))
            return
        for output, table in result.items():
            yield _row(number, output, _packed(table), None)


def _unpickled(packed: bytes) -> Any:
    try:
        return pickle.loads(packed)  # noqa: S301
    except Exception as error:
        raise PermanentError(f"A worker of Spark cannot load its task: {_named(error)}. {_INSTALL}") from error


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".")


def _row(number: int, output: str, rows: bytes | None, error: bytes | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array([value], kind) for value, kind in zip((number, output, rows, error), _RESULTS.types, strict=True)],
        schema=_RESULTS,
    )


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _unpacked(results: pa.Table, count: int) -> Iterator[Mapping[str, pa.Table]]:
    tables: list[dict[str, pa.Table]] = [{} for _ in range(count)]
    errors: dict[int, bytes] = {}
    for row in results.to_pylist():
        if row["error"] is not None:
            errors[row["number"]] = row["error"]
        else:
            tables[row["number"]][row["output"]] = pa.ipc.open_stream(row["rows"]).read_all()
    for number in range(count):
        if number in errors:
            raise pickle.loads(errors[number])  # noqa: S301
        yield tables[number]


@contextmanager
def _session(master: str) -> Iterator[SparkSession]:
    """A session on the cluster, which ends with the block and gives its workers back."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise PermanentError(
            "FLEET_ENGINE is spark, but pyspark is not installed: install fleet_audit[spark] with pip, or set "
            "FLEET_ENGINE to local."
        ) from None
    if master.startswith("local"):  # its workers are processes of this machine; elsewhere Spark's settings name Python
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")  # of frames: only Arrow is used
        with _one_sentence(master, "no session can be opened there"):
            builder = SparkSession.builder.master(master).appName("fleet_audit")
            session = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
        try:
            yield session
        finally:
            session.stop()


@contextmanager
def _one_sentence(master: str, what: str) -> Iterator[None]:
    """Raises Spark's errors, whose texts are pages long, as one of our two kinds."""
    try:
        yield
    except Exception as error:
        if not (isinstance(error, OSError) or type(error).__module__.startswith(("pyspark.", "py4j."))):
            raise
        if getattr(error, "getCondition", lambda: None)() == "JAVA_GATEWAY_EXITED":
            raise PermanentError(
                "FLEET_ENGINE is spark, but Java cannot be started: install a JRE of version 17 or later "
                "(apt-get install openjdk-17-jre-headless), or set FLEET_ENGINE to local."
            ) from error
        where, reason = f"FLEET_SPARK_MASTER is {master}, and {what}", _reason(error)
        if _LASTING.match(reason):
            raise PermanentError(f"{where}: {reason.rstrip('.')}. {_INSTALL}") from error
        raise RetryableError(f"{where}: {reason}") from error


def _reason(error: Exception) -> str:
    """What Python raised on a worker, which Spark repeats after its traceback; else the first line of Spark's text."""
    text = str(error).strip()
    if raised := _RAISED.findall(text):
        return str(raised[-1])
    return (text.splitlines() or [type(error).__name__])[0]
