"""A deployment as docs/production.md describes it, from an empty PostgreSQL to a restored backup, in order."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pyarrow.fs as pafs
import pytest

from fleet_audit.storage.auth.rights import ROLES_SQL
from fleet_audit_tests.conftest import S3Server
from fleet_audit_tests.integration import small_fleet
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    PAID,
    SEEN_TWICE,
    bulletin,
    drive,
    from_work,
    run_row,
    to_work,
)
from fleet_audit_tests.production.deployment import Deployment, debian_postgres, postgres_cluster
from fleet_audit_tests.waiting import wait_until

pytestmark = [
    pytest.mark.production,
    pytest.mark.skipif(debian_postgres() is None, reason="needs Debian's PostgreSQL: apt-get install postgresql"),
]
DAYS = [DAY, DAY + dt.timedelta(days=1)]
RUN_TIMEOUT_S = 1_500  # on a busy machine; a run takes half a minute on an idle one
MIGRATE = ("fleet-audit", "migrate", "--run-role", "fleet_run")
_JOB = {"repositoryName": "__repository__", "repositoryLocationName": "fleet_audit"}
_RUNS = "{runsOrError{... on Runs{results{runId status jobName tags{key value}}}}}"
_LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess {run {runId}} ... on UnauthorizedError {message} ... on PythonError {message}
  }
}
"""
_BACKFILL = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess {backfillId} ... on PythonError {message}
  }
}
"""
_BACKFILL_STATUS = """
query($id: String!) {partitionBackfillOrError(backfillId: $id) {... on PartitionBackfill {status}}}
"""
_DRY_RUN = """
mutation($selector: ScheduleSelector!, $at: Float) {
  scheduleDryRun(selectorData: $selector, timestamp: $at) {
    ... on DryRunInstigationTick {evaluationResult {runRequests {runKey} error {message}}} ... on PythonError {message}
  }
}
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory, seaweed: S3Server) -> Iterator[Deployment]:
    """A migrated deployment whose inbox has two days of files; its services run."""
    root = tmp_path_factory.mktemp("production")
    with postgres_cluster(root / "postgres") as port:
        made = Deployment(root, port, seaweed)
        made.sql_file("create-databases.sql", "admin", migrate_password="mi/grate", run_password="ru@n")
        made.admin(ROLES_SQL)
        made.write_instance()
        for command in (MIGRATE, ("dagster", "instance", "migrate")):
            done = made.command(*command, role="migrate")
            assert done.returncode == 0, done.stderr
        _fill_inbox(made)
        with made.services():
            yield made


def _fill_inbox(deployment: Deployment) -> None:
    folder = deployment.root / "inbox"
    files = {
        f"visit_reports/visit_{day}.csv": small_fleet.visit_report({PAID: [to_work(), from_work()]}, day)
        for day in DAYS
    }
    files |= {f"bulletins/{day}.csv": bulletin(run_row(1, PAID, "06:30", "06:45", 12, day)) for day in DAYS}
    files |= {f"telemetry/{day}.csv": small_fleet.telemetry(drive(SEEN_TWICE, "06:30", day)) for day in DAYS}
    small_fleet.write_inbox(folder, files)
    target = deployment.s3.filesystem()
    pafs.copy_files(str(folder), f"{deployment.s3.bucket}/inbox", pafs.LocalFileSystem(), target)


def _runs(deployment: Deployment) -> dict[str, dict[str, Any]]:
    return {run["runId"]: run for run in deployment.graphql(_RUNS)["runsOrError"]["results"]}


def _tags(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}


def _wait_for_run(deployment: Deployment, what: str, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The run that is wanted, once it is there and has succeeded."""

    def wanted() -> list[dict[str, Any]]:
        return [run for run in _runs(deployment).values() if is_wanted(run)]

    ended = ("SUCCESS", "FAILURE", "CANCELED")
    wait_until(lambda: wanted() and wanted()[0]["status"] in ended, what, RUN_TIMEOUT_S, pause_s=1)
    (run,) = wanted()
    assert run["status"] == "SUCCESS", run
    return run


def _rows(deployment: Deployment, sql: str, role: str = "run") -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(deployment.url(role))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _facts(deployment: Deployment) -> list[tuple[Any, ...]]:
    sql = "select * from fact.trips order by trip_id"
    return [*_rows(deployment, sql), *_rows(deployment, "select * from fact.trip_costs order by trip_id")]


def test_neither_role_is_a_superuser_and_services_cannot_change_tables(deployed):
    roles = _rows(deployed, "select rolname from pg_roles where rolsuper and rolname like 'fleet%'")
    assert roles == []
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        _rows(deployed, "alter table fact.trips add column other text")


def test_a_role_that_policies_apply_to_is_refused(deployed):
    deployed.admin("alter role fleet_run nobypassrls")
    refused = deployed.command("fleet-audit", "metrics", "--once")
    deployed.admin("alter role fleet_run bypassrls")
    assert 'source_up{source="warehouse"} 0.0' in refused.stdout


def test_the_sensor_runs_what_lies_in_the_inbox(deployed):
    # with the days before and after, whose windows these files touch
    days = f"{DAYS[0] - dt.timedelta(days=1)} to {DAYS[1] + dt.timedelta(days=1)}"
    run = _wait_for_run(deployed, "the run of the inbox's files", lambda run: _tags(run).get("fleet/days") == days)
    assert _tags(run)["fleet/trigger"] == "inbox"
    found = _rows(deployed, "select distinct operational_date from fact.trip_costs order by 1")
    assert [day for (day,) in found] == DAYS
    assert _rows(deployed, "select count(*) from mart.daily_kpis")[0][0] >= len(DAYS)


def test_files_and_logs_of_runs_are_on_s3(deployed):
    found = deployed.s3.filesystem().get_file_info(pafs.FileSelector(deployed.s3.bucket, recursive=True))
    paths = [info.path for info in found if info.type == pafs.FileType.File]
    assert any("/lake/reports/d1/" in path for path in paths)
    logs = [info for info in found if "/dagster-logs/" in info.path and info.path.endswith(".err")]
    assert logs
    assert all(info.size for info in logs)


def test_a_day_is_launched_by_graphql_and_only_by_the_full_webserver(deployed):
    params = {
        "selector": {**_JOB, "jobName": "day", "assetSelection": [{"path": ["fact", "trip_costs"]}]},
        "runConfigData": {},
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": DAY.isoformat()}]},
    }
    before = _facts(deployed)
    refused = deployed.graphql(_LAUNCH, "read_only", params=params)["launchRun"]
    assert refused["__typename"] == "UnauthorizedError"
    launched = deployed.graphql(_LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]
    _wait_for_run(deployed, "the launched run", lambda run: run["runId"] == run_id)
    assert len(_facts(deployed)) == len(before)
    writers = _rows(deployed, f"select distinct run_id from fact.trip_costs where operational_date = '{DAY}'")
    assert writers == [(run_id,)]


def test_two_days_are_backfilled(deployed):
    days = [day.isoformat() for day in DAYS]
    params = {"assetSelection": [{"path": ["reports", "d1"]}], "partitionNames": days}
    launched = deployed.graphql(_BACKFILL, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def is_done() -> bool:
        found = deployed.graphql(_BACKFILL_STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
        return found["status"] == "COMPLETED_SUCCESS"

    wait_until(is_done, "the backfill", RUN_TIMEOUT_S, pause_s=1)
    backfill = launched["backfillId"]
    _wait_for_run(deployed, "the backfill's one run", lambda run: _tags(run).get("dagster/backfill") == backfill)


def test_the_schedule_asks_for_the_day_before(deployed):
    at = dt.datetime(2025, 6, 12, 8, 30, tzinfo=dt.UTC).timestamp()  # 05:30 in Sao Paulo
    result = deployed.graphql(_DRY_RUN, selector={**_JOB, "scheduleName": "daily_run"}, at=at)["scheduleDryRun"]
    (request,) = result["evaluationResult"]["runRequests"]
    assert request["runKey"] == f"day-{DAYS[1]}"


def test_metrics_see_the_daemon_and_the_last_day(deployed):
    printed = deployed.command("fleet-audit", "metrics", "--once")
    assert printed.returncode == 0, printed.stderr
    values = dict(line.rsplit(" ", 1) for line in printed.stdout.splitlines() if not line.startswith("#"))
    assert (
        values['fleet_audit_source_up{source="warehouse"}']
        == values['fleet_audit_source_up{source="dagster"}']
        == "1.0"
    )
    beat = float(values['fleet_audit_daemon_heartbeat_timestamp_seconds{daemon="sensor"}'])
    assert time.time() - beat < 300
    assert float(values["fleet_audit_last_day_timestamp_seconds"]) > 0


def test_a_filled_database_is_upgraded_by_the_role_that_may(deployed):
    before = _facts(deployed)
    _rows(deployed, "comment on schema ops is 'descriptions of an older version'", "migrate")
    refused = deployed.command("fleet-audit", "psql", "-c", "select 1")
    assert refused.returncode == 2
    assert "run `fleet-audit migrate`" in refused.stderr
    migrated = deployed.command(*MIGRATE, role="migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert deployed.command("fleet-audit", "psql", "-c", "select 1").returncode == 0
    assert _facts(deployed) == before


def test_a_backup_on_s3_restores_the_same_rows(deployed):
    place = f"s3://{deployed.s3.bucket}/backup"
    before = _facts(deployed)
    made = deployed.command("fleet-audit", "backup", place, role="migrate")
    assert made.returncode == 0, made.stderr
    _rows(deployed, "delete from fact.trips")
    restored = deployed.command("fleet-audit", "restore", place, "--replace", role="migrate")
    assert restored.returncode == 0, restored.stderr
    assert deployed.command(*MIGRATE, role="migrate").returncode == 0
    assert _facts(deployed) == before
    assert deployed.command("fleet-audit", "psql", "-c", "select count(*) from mart.daily_kpis").returncode == 0
