"""The same tables from a Spark cluster of two workers; where pyspark or Java is missing it says so."""

from __future__ import annotations

import importlib.util
import pickle
import shutil

import pyarrow as pa
import pytest

from fleet_audit.engine import spark
from fleet_audit.engine.spark import SparkCluster
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit_tests.engine.fleet import computed, stage

MASTER = "local-cluster[2,1,1024]"
HAS_PYSPARK = importlib.util.find_spec("pyspark") is not None
needs_spark = pytest.mark.skipif(
    not HAS_PYSPARK or shutil.which("java") is None, reason="needs pyspark (the extra spark) and Java: make test-spark"
)


@pytest.fixture(params=["folder", "s3"])
def settings(request, tmp_path) -> Settings:
    """A lake that the workers read, and the cluster."""
    engine = {"_env_file": None, "engine": "spark", "spark_master": MASTER, "chunk_vehicles": 2}
    if request.param == "folder":
        return Settings(**engine, lake_url=str(tmp_path / "lake"))
    server = request.getfixturevalue("seaweed")
    return Settings(**engine, **server.settings(lake_url=f"s3://{server.bucket}/{tmp_path.name}/lake"))


@needs_spark
def test_the_tables_of_a_cluster_are_those_of_the_undivided_fleet(settings):
    store = Lake(settings)
    fleet = stage(store)
    whole = computed(store, fleet, Settings(_env_file=None, chunk_vehicles=500, day_processes=1))
    cut = computed(store, fleet, settings)
    assert [where for where, table in whole.items() if not cut[where].equals(table)] == []


@needs_spark
def test_an_item_is_a_task_without_a_shuffle_and_its_error_comes_as_it_was_raised():
    with spark._session(MASTER) as session:
        plan = spark.mapped(session, refused, [1, 2, 3])
        assert plan.rdd.getNumPartitions() == 3
        assert "Exchange" not in plan._jdf.queryExecution().toString()
    with pytest.raises(PermanentError, match=r"^Item 2 is refused\.$"):
        list(SparkCluster(MASTER).map(refused, [1, 2, 3]))


def worked(work: bytes) -> list:
    """The results of one item, as a worker gives them to the run."""
    items = pa.RecordBatch.from_pydict({"number": [0], "item": [pickle.dumps(1)]})
    return list(spark._unpacked(pa.Table.from_batches(spark._Task(work)(iter([items]))), 1))


def test_work_of_a_module_that_a_worker_lacks_names_it_and_the_cure():
    with pytest.raises(PermanentError, match=r"No module named 'newer'\. Install the run's version"):
        worked(b"cnewer\nwork\n.")


def test_an_error_that_cannot_be_pickled_comes_by_its_text():
    with pytest.raises(RuntimeError, match="LateError: day 1: no data") as raised:
        worked(pickle.dumps(late))
    assert raised.value.__notes__ == ["The day was 1."]


@pytest.mark.parametrize(
    ("last", "kind"),
    [("ModuleNotFoundError: No module named 'fleet_audit'", PermanentError), ("OSError: disk full", RetryableError)],
)
def test_what_python_raised_on_a_worker_is_shown_instead_of_the_head_of_sparks_text(last, kind):
    text = f"Job aborted: failed 4 times: Traceback (most recent call last):\n  File x\n    y\n{last}\n\n\tat org"
    failed = pytest.raises(kind, match=f"FLEET_SPARK_MASTER is spark://m:7077, and it failed: {last}")
    with failed, spark._one_sentence("spark://m:7077", "it failed"):
        raise type("PythonException", (Exception,), {"__module__": "pyspark.errors"})(text)


@pytest.mark.skipif(HAS_PYSPARK, reason="pyspark is installed")
def test_without_pyspark_one_sentence_names_the_extra():
    with pytest.raises(PermanentError, match=r"FLEET_ENGINE is spark, but pyspark is not installed: .*\[spark\]"):
        list(SparkCluster(MASTER).map(refused, [1]))


class LateError(Exception):
    """One that cannot be unpickled: it takes more than its arguments hold."""

    def __init__(self, day: int, reason: str) -> None:
        super().__init__(f"day {day}: {reason}")


def late(item: int) -> dict:
    """Work that fails, with a note."""
    error = LateError(item, "no data")
    error.add_note(f"The day was {item}.")
    raise error


def refused(item: int) -> dict:
    """Work that refuses item 2."""
    if item == 2:
        raise PermanentError("Item 2 is refused.")
    return {}
