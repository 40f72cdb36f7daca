"""Metrics of an installation: the last day's numbers, what waits, and sources that do not answer."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._daemon.types import DaemonHeartbeat
from prometheus_client import CollectorRegistry

from fleet_audit.observability.metrics import FleetCollector, lateness_s
from fleet_audit.schema.facts import COMPUTED_DAYS, FINDINGS, INGESTED_FILES, TRIP_COSTS, TRIPS
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.dagster_instance import dagster_instance
from fleet_audit_tests.storage.rows import sample

DAY = dt.date(2025, 6, 10)


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(tmp_path) as instance:
        yield instance


def _samples(warehouse: Warehouse, instance: dg.DagsterInstance) -> dict[tuple[str, ...], float]:
    """Every sample by name and label values."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(lambda: warehouse, instance))
    return {
        (sample.name.removeprefix("fleet_audit_"), *sample.labels.values()): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }


def test_numbers_of_the_last_computed_day(postgres_url, instance):
    warehouse = Warehouse(postgres_url)
    for table, count in ((TRIPS, 3), (FINDINGS, 2), (COMPUTED_DAYS, 1)):
        warehouse.replace_partition(table, [DAY], sample(table, DAY, count), "run")
    costs = sample(TRIP_COSTS, DAY, 2).assign(variable_cost_brl=None)
    warehouse.replace_partition(TRIP_COSTS, [DAY], costs, "run")
    found = _samples(warehouse, instance)
    assert found["last_day_timestamp_seconds",] == dt.datetime(2025, 6, 10, 3, tzinfo=dt.UTC).timestamp()
    assert found["last_day_trips",] == 3
    assert found["last_day_km", "km_measured"] == pytest.approx(0.03)
    assert (found["last_day_findings", "C"], found["last_day_findings", "H"]) == (2, 0)
    assert found["source_up", "warehouse"] == found["source_up", "dagster"] == 1
    assert ("last_day_brl", "brl_variable") not in found, "no price is known: R$ is unknown, not zero"


def test_queue_and_heartbeat_of_dagster(postgres_url, instance):
    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("fleet_audit"), "__repository__").get_job_origin("day")
    instance.add_run(dg.DagsterRun("day", status=dg.DagsterRunStatus.QUEUED, remote_job_origin=origin))
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - 60, "SENSOR", None, []))
    found = _samples(Warehouse(postgres_url), instance)
    assert found["runs", "queued"] == 1
    assert found["queue_oldest_seconds",] >= 0
    assert time.time() - found["daemon_heartbeat_timestamp_seconds", "sensor"] >= 60
    assert found["failed_days",] == 0


def test_a_warehouse_that_is_down_costs_only_its_own_metrics(instance):
    found = _samples(Warehouse("postgresql://nobody@127.0.0.1:9/none"), instance)
    assert found["source_up", "warehouse"] == 0
    assert found["source_up", "dagster"] == 1
    assert ("runs", "queued") in found
    assert not [name for name in found if name[0].startswith("last_day")]


@pytest.mark.parametrize(
    ("now", "hours"),
    [((2025, 6, 12, 7, 59), 0), ((2025, 6, 12, 9, 0), 1), ((2025, 6, 13, 8, 0), 24)],
)
def test_lateness_counts_from_eight_on_the_day_after_the_first_missing_day(now, hours):
    local = dt.datetime(*now, tzinfo=ZoneInfo("America/Sao_Paulo"))
    assert lateness_s(DAY, local.astimezone(dt.UTC)) == hours * 3600


def test_refused_files_are_counted_by_the_code_of_their_newest_refusal(postgres_url, instance):
    rows = sample(INGESTED_FILES, DAY, 4).assign(
        file_name=["a.csv", "a.csv", "b.csv", "c.csv"],
        file_sha256=["1", "2", "3", "4"],
        status="rejected",
        reason_code=["no_header", "too_large", "too_large", None],
        received_at=pd.date_range("2025-06-11", periods=4, tz="UTC"),
    )
    warehouse = Warehouse(postgres_url)
    warehouse.upsert(INGESTED_FILES, rows)
    found = _samples(warehouse, instance)
    counted = {name[1]: count for name, count in found.items() if name[0] == "refused_files_by_reason"}
    assert counted == {"too_large": 2, "contradicts_other_tables": 1}
    assert found["refused_files",] == 3
