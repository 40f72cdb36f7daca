"""What is notified although no run failed: failed checks, a late D-1 report, Dagster standing still."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

from fleet_audit.defs import watching
from fleet_audit.defs.evaluations import partition_results
from fleet_audit.defs.partitions import daily_partitions
from fleet_audit.defs.reports.lateness import lateness_min
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.run_tags import range_tags
from fleet_audit.defs.table_checks import check_spec
from fleet_audit.defs.tables import key_of
from fleet_audit.defs.watching import QUEUED_TOO_LONG, REPORT, SILENT_TOO_LONG, dagster_problems, late_day, newly_failed
from fleet_audit.schema.facts import DAY_ACCEPTANCE
from fleet_audit_tests.dagster_instance import dagster_instance
from fleet_audit_tests.defs.test_notices import Inboxes

ORIGIN = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("fleet_audit"), "__repository__").get_job_origin("day")
ZONE = ZoneInfo("America/Sao_Paulo")
DAYS = [dt.date(2025, 6, 10), dt.date(2025, 6, 11)]


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(tmp_path) as instance:
        yield instance


@pytest.fixture
def inboxes() -> Iterator[Inboxes]:
    service = Inboxes()
    yield service
    service.server.shutdown()
    service.server.server_close()


def _run(instance: dg.DagsterInstance, found: dict[dt.date, list[str]]) -> str:
    """A run of job `day` over two days, whose check finds these sentences."""
    spec = check_spec(DAY_ACCEPTANCE, "enough_was_accepted", "Enough.", blocking=False)

    @dg.asset(
        key=key_of(DAY_ACCEPTANCE),
        partitions_def=daily_partitions,
        check_specs=[spec],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def acceptance(context):
        yield dg.MaterializeResult()
        sentences = {day.isoformat(): found.get(day, []) for day in DAYS}
        yield from partition_results(context, spec, sentences, severity=dg.AssetCheckSeverity.WARN)

    job = dg.Definitions(
        [acceptance], jobs=[dg.define_asset_job("day", [acceptance])], executor=dg.in_process_executor
    ).resolve_job_def("day")
    result = job.execute_in_process(instance=instance, tags=range_tags(*DAYS))
    assert result.success
    return result.run_id


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
def test_a_check_that_fails_is_news_until_it_passes(instance):
    low = {DAYS[0]: ["too little"]}
    news = [newly_failed(instance, _run(instance, found)) for found in (low, low, {}, low, {DAYS[0]: ["even less"]})]
    table = ("ops/day_acceptance", "enough_was_accepted")
    first_day = {table: [DAYS[0].isoformat()]}
    assert news == [first_day, {}, {}, first_day, first_day]


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
def test_a_failed_check_of_a_run_that_succeeded_is_notified(instance, definitions, inboxes, monkeypatch, postgres_url):
    monkeypatch.setenv("FLEET_NOTIFY_URLS", f"{inboxes.address}/x")
    (sensor,) = (one for one in definitions.sensors if one.name == "notify_checks")
    fleet = {"fleet": FleetResource(warehouse_url=postgres_url)}
    cursor = sensor.evaluate_tick(dg.build_sensor_context(instance, None, resources=fleet)).cursor
    _run(instance, {day: ["Maria drove"] for day in DAYS})
    sensor.evaluate_tick(dg.build_sensor_context(instance, cursor, resources=fleet))
    (message,) = inboxes.received
    assert message["title"] == "Verificações com problema: day, 10/06/2025 a 11/06/2025"
    assert message["message"].startswith("ops/day_acceptance, enough_was_accepted: 2 dias\n")
    assert "Maria" not in str(message)


def test_a_report_is_late_from_half_past_seven_and_missing_from_eight_until_it_is_written(instance):
    at = [dt.datetime(2025, 6, 11, hour, minute, tzinfo=ZONE) for hour, minute in ((7, 29), (7, 30), (7, 59), (8, 0))]
    titles = [notice and notice.title for notice in (late_day(instance, one) for one in at)]
    late, missing = "D-1 de 10/06/2025 ainda não está pronto às 07:30", "D-1 de 10/06/2025 atrasado"
    assert titles == [None, late, late, missing]
    instance.report_runless_asset_event(dg.AssetMaterialization(["reports", "d1"], partition="2025-06-10"))
    assert [late_day(instance, one) for one in at] == [None] * 4


def test_the_lateness_of_a_report_is_that_of_its_first_writing_and_a_backfill_has_none(instance):
    today = dt.datetime.now(ZONE).date()
    yesterday, due = today - dt.timedelta(days=1), dt.datetime.combine(today, dt.time(8), ZONE)
    now = (dt.datetime.now(ZONE) - due).total_seconds() / 60
    found = lateness_min(instance, REPORT, [yesterday, today - dt.timedelta(days=30)])
    assert found == {yesterday: pytest.approx(now, abs=1)}
    instance.report_runless_asset_event(dg.AssetMaterialization(REPORT, partition=str(yesterday)))
    first = lateness_min(instance, REPORT, [yesterday])
    time.sleep(0.3)
    instance.report_runless_asset_event(dg.AssetMaterialization(REPORT, partition=str(yesterday)))
    assert lateness_min(instance, REPORT, [yesterday]) == first


def test_a_late_and_a_missing_report_are_notified_once_each(instance, definitions, inboxes, monkeypatch, postgres_url):
    monkeypatch.setenv("FLEET_NOTIFY_URLS", f"{inboxes.address}/x")
    (sensor,) = (one for one in definitions.sensors if one.name == "notify_late_day")
    cursor = None
    for hour, minute in ((7, 35), (7, 40), (8, 0), (9, 0)):
        now = dt.datetime.now(ZONE).replace(hour=hour, minute=minute)
        monkeypatch.setattr(watching, "dt", SimpleNamespace(datetime=SimpleNamespace(now=lambda _, at=now: at)))
        fleet = FleetResource(warehouse_url=postgres_url)
        context = dg.build_sensor_context(instance, cursor, resources={"fleet": fleet})
        cursor = sensor.evaluate_tick(context).cursor or cursor
    yesterday = dt.datetime.now(ZONE).date() - dt.timedelta(days=1)
    titles = [one["title"].removeprefix(f"D-1 de {yesterday:%d/%m/%Y} ") for one in inboxes.received]
    assert titles == ["ainda não está pronto às 07:30", "atrasado"]


def test_a_queue_and_a_run_that_stand_still_are_problems(instance):
    job = dg.GraphDefinition(name="day", node_defs=[]).to_job()
    now = dt.datetime.now(dt.UTC)
    assert list(dagster_problems(instance, now)) == []
    for status in (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED):
        instance.create_run_for_job(job, status=status, remote_job_origin=ORIGIN)
    time.sleep(0.01)
    assert list(dagster_problems(instance, now)) == []
    later = now + max(QUEUED_TOO_LONG, SILENT_TOO_LONG) + dt.timedelta(minutes=1)
    keys = [key.split()[0] for key, _ in dagster_problems(instance, later)]
    assert keys == ["queue", "run"]
