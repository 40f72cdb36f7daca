"""Events of Dagster in databases that stay open: the same files as Dagster's own, few of them, none after a wipe."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

import fleet_audit
from fleet_audit.cli.environment import dagster_home
from fleet_audit.settings import load_settings
from fleet_audit.storage.event_log import OpenEventLogStorage

_USED = {"_connect", "_initdb", "path_for_shard", "conn_string_for_shard", "store_event", "wipe", "dispose"}


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def written() -> None: ...


@pytest.fixture
def instance(tmp_path, monkeypatch) -> Iterator[dg.DagsterInstance]:
    """The instance of an embedded installation."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    dagster_home(load_settings(home=str(tmp_path)))
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_dagster_reads_what_was_written_and_few_databases_stay_open(instance):
    storage = instance.event_log_storage
    assert isinstance(storage, OpenEventLogStorage)
    runs = [dg.materialize([written], partition_key=key, instance=instance).run_id for key in "abababababab"]
    folder = Path(instance.root_directory) / "history" / "runs"
    own = SqliteEventLogStorage(str(folder))
    for run_id in runs:
        assert [entry.message for entry in own.get_logs_for_run(run_id)] == [
            entry.message for entry in storage.get_logs_for_run(run_id)
        ]
    assert own.get_materialized_partitions(written.key) == {"a", "b"}
    assert len(list(folder.glob("*.db-wal"))) < len(runs)  # a database that is closed has no journal
    instance.wipe()
    assert {path.name for path in folder.glob("*.db")} == {"index.db"}
    assert dg.materialize([written], partition_key="a", instance=instance).success
    assert storage.get_materialized_partitions(written.key) == {"a"}


def test_who_watches_a_run_sees_it_while_it_goes_on(instance):
    """The run page of the UI: another process' storage, notified of each event and not only of the end."""
    ui, half_seen = OpenEventLogStorage(instance.root_directory), threading.Event()
    run = instance.create_run_for_job(dg.Definitions([written]).resolve_implicit_global_asset_job_def())

    def seen(entry: dg.EventLogEntry, _: str) -> None:
        if entry.message == "half way":
            half_seen.set()

    ui.watch(run.run_id, None, seen)
    instance.report_engine_event("half way", run)
    assert half_seen.wait(10)
    ui.end_watch(run.run_id, seen)
    ui.dispose()


def test_dagster_still_has_what_the_storage_builds_on():
    """Private to Dagster. When this fails read the new SqliteEventLogStorage before pyproject.toml's pin moves."""
    missing = sorted(_USED - set(dir(SqliteEventLogStorage)))
    assert missing == [], f"Dagster {dg.__version__} has no SqliteEventLogStorage.{missing}"
    assert list(inspect.signature(SqliteEventLogStorage.__init__).parameters) == ["self", "base_dir", "inst_data"]
    assert list(inspect.signature(SqliteEventLogStorage._connect).parameters) == ["self", "shard"]
    made = inspect.getsource(SqliteEventLogStorage.__init__)
    assert "self._initialized_dbs" in made
    assert "self._db_lock" in made


def test_only_these_names_are_private_to_dagster():
    """Evaluations per partition and the notice of failed checks have no public names for these."""
    package = Path(fleet_audit.__path__[0])
    found = {
        (path.name, name)
        for path in package.rglob("*.py")
        for name in re.findall(r"(?:from dagster\._\S+ import|import dagster\._)(.*)", path.read_text())
    }
    assert found == {
        ("dagster_history.py", " ASSET_CHECK_EVENTS, ASSET_EVENTS"),
        ("dagster_history.py", " AssetEventTagsTable, SqlEventLogStorageTable"),
        ("dagster_history.py", " SqlEventLogStorage"),
        ("dagster_history.py", " SqliteEventLogStorage"),
        ("definitions.py", " coerce_valid_log_level"),
        ("evaluations.py", " AssetCheckEvaluationTargetMaterializationData"),
        ("event_log.py", " ConfigurableClassData"),
        ("event_log.py", " EventLogEntry"),
        ("event_log.py", " SqliteEventLogStorage"),
        ("watching.py", " COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES"),
        ("watching.py", " PartitionKeyFilter"),
    }
