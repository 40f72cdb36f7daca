"""Retention of Dagster's storage, in SQLite as embedded and in PostgreSQL as deployed: what the UI shows stays."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from fleet_audit.cli.environment import dagster_home
from fleet_audit.settings import load_settings
from fleet_audit.storage.dagster_history import history_bytes, trim_history

AFTER = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def written(context: dg.AssetExecutionContext) -> None:
    context.log.info("a line of the log")
    print("a line of the compute log")


@pytest.fixture(params=["sqlite", "postgres"])
def instance(request, tmp_path, monkeypatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", "")
    home = dagster_home(load_settings(home=str(tmp_path)))
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg2://")
        (home / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": url}}}))
    with dg.DagsterInstance.get() as instance:
        yield instance


def _compute_log(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.storage_directory(), run_id, "compute_logs", "step.out")


def test_logs_and_superseded_events_go_and_what_the_ui_shows_stays(instance):
    first, second, other = (
        dg.materialize([written], partition_key=key, instance=instance).run_id for key in ("a", "a", "b")
    )
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    assert trim_history(instance, before, before, is_dry_run=False).log_events == 0
    assert _compute_log(instance, second).parent.exists()
    foreseen = trim_history(instance, AFTER, AFTER, is_dry_run=True)
    assert foreseen.runs == 3
    assert foreseen.log_events > 30
    assert foreseen.asset_events >= 2  # planned and materialized, of the first run of `a`
    assert len(instance.all_logs(first)) > 10
    assert trim_history(instance, AFTER, AFTER, is_dry_run=False) == foreseen
    assert not _compute_log(instance, second).parent.exists()
    assert not [entry for entry in instance.all_logs(second) if "a line of the log" in entry.message]
    assert {run.run_id for run in instance.get_runs()} == {first, second, other}
    assert instance.get_materialized_partitions(written.key) == {"a", "b"}
    records = instance.fetch_materializations(written.key, limit=10).records
    assert [record.run_id for record in records] == [other, second]
    later = _compute_log(instance, first)
    later.parent.mkdir(parents=True)
    later.write_text("written since")
    again = trim_history(instance, AFTER, AFTER, is_dry_run=False)
    assert (again.runs, again.log_events, again.asset_events) == (0, 0, 0)
    assert later.exists(), "on S3 each run that was trimmed years ago would be listed again every week"
    assert history_bytes(instance) > 0
    assert dg.materialize([written], partition_key="a", instance=instance).success
