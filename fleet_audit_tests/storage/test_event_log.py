"""Events of Dagster in databases that stay open: the same files as Dagster's own, few of them, none after a wipe."""

from __future__ import annotations

import inspect
import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

import fleet_audit
from fleet_audit.cli.environment import dagster_home
from fleet_audit.settings import load_settings
from fleet_audit.storage.embedded import dagster_databases
from fleet_audit.storage.embedded.dagster_template import make_databases
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


def test_versions_of_inputs_are_those_of_the_last_change_whoever_made_it(instance):
    """Before a step Dagster asks for the newest events of its inputs; the answers are kept until they change."""
    storage, other = instance.event_log_storage, OpenEventLogStorage(instance.root_directory)

    def runs_of(asked: OpenEventLogStorage) -> list[str | None]:
        records = asked.get_asset_records([written.key, dg.AssetKey("never")])
        return [record.asset_entry.last_run_id for record in records]

    def versions(asked: OpenEventLogStorage) -> dict[str, str]:
        kind, tag = dg.DagsterEventType.ASSET_MATERIALIZATION, "dagster/data_version"
        found = asked.get_latest_tags_by_partition(written.key, kind, [tag], ["a", "b"])
        return {partition: tags[tag] for partition, tags in found.items()}

    assert runs_of(storage) == runs_of(other) == []
    first = dg.materialize([written], partition_key="a", instance=instance).run_id
    assert runs_of(storage) == runs_of(storage) == runs_of(other) == [first]
    assert versions(storage) == versions(storage) == versions(other)
    assert versions(storage).keys() == {"a"}
    last = dg.materialize([written], partition_key="b", instance=instance).run_id
    assert runs_of(storage) == runs_of(other) == [last]
    assert versions(storage) == versions(other)
    assert versions(storage).keys() == {"a", "b"}
    other.wipe_asset(written.key)
    assert runs_of(storage) == runs_of(other) == []
    assert versions(storage) == versions(other) == {}
    storage.dispose()
    other.dispose()


@pytest.mark.parametrize("is_prepared", [True, False])
def test_a_new_home_has_the_same_databases_with_and_without_those_of_the_install(is_prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(dagster_databases, "TEMPLATES", tmp_path / "installed")
    dagster_databases._revision.cache_clear()
    if is_prepared:
        make_databases()
        assert (tmp_path / "installed").exists()
    monkeypatch.setenv("DAGSTER_HOME", "")
    home = dagster_home(load_settings(home=str(tmp_path / "home")))
    assert (home / "history").exists() == is_prepared
    with dg.DagsterInstance.get() as instance:
        result = dg.materialize([written], partition_key="a", instance=instance)
        instance.event_log_storage.dispose()
    (tmp_path / "dagsters_own").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagsters_own")) as own:
        its_own = dg.materialize([written], partition_key="a", instance=own)
    named = {"history/runs.db": "history/runs.db", "schedules/schedules.db": "schedules/schedules.db",
             "history/runs/index.db": "history/runs/index.db",
             f"history/runs/{result.run_id}.db": f"history/runs/{its_own.run_id}.db"}  # fmt: skip
    for ours, dagsters in named.items():
        assert _described(home / ours) == _described(tmp_path / "dagsters_own" / dagsters), ours
    dagster_databases._revision.cache_clear()


def test_threads_that_make_the_database_of_a_run_at_once_do_not_remove_each_others_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(dagster_databases, "TEMPLATES", tmp_path / "installed")
    dagster_databases._revision.cache_clear()
    make_databases()
    path, copy, others = tmp_path / "run.db", shutil.copyfile, []

    def other_in_between(source: Path, target: Path) -> None:
        copy(source, target)
        if not others:
            others.append(target)
            assert dagster_databases.has_tables(path)

    monkeypatch.setattr(shutil, "copyfile", other_in_between)
    assert dagster_databases.has_tables(path)
    assert sorted(tmp_path.glob("run*")) == [path]
    dagster_databases._revision.cache_clear()


def _described(path: Path) -> tuple[object, ...]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("select type, name, sql from sqlite_master order by type, name").fetchall()
        revision = connection.execute("select version_num from alembic_version").fetchall()
        return connection.execute("pragma journal_mode").fetchall(), revision, tables


def test_who_watches_a_run_sees_it_while_it_goes_on(instance):
    """The run page of the UI: another process' storage, notified of each event and not only of the end."""
    ui, half_seen = OpenEventLogStorage(instance.root_directory), threading.Event()
    run = instance.create_run_for_job(dg.Definitions([written]).resolve_implicit_global_asset_job_def())

    def seen(entry: dg.EventLogEntry, _: str) -> None:
        if entry.message == "half way":
            half_seen.set()

    ui.watch(run.run_id, None, seen)
    instance.report_engine_event("half way", run)
    assert half_seen.wait(120)
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
