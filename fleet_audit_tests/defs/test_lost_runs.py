"""Runs whose process was killed are ended by a sensor, and only those; PostgreSQL knows who still lives."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from fleet_audit.defs import lost_runs
from fleet_audit.defs.resources import FleetResource
from fleet_audit.storage import run_locks
from fleet_audit.storage.postgres import engine_of
from fleet_audit.storage.run_locks import has_process, process_lock
from fleet_audit_tests.waiting import wait_until

_LONG_RUN = """
import sys, time
import dagster as dg
from fleet_audit.defs.resources import FleetResource, run_resources

@dg.asset
def long() -> None:
    print("started", flush=True)
    time.sleep(600)

folder, url = sys.argv[1:]
with dg.DagsterInstance.local_temp(folder) as instance:
    dg.materialize([long], instance=instance, resources=run_resources(FleetResource(warehouse_url=url)))
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "dagster").mkdir()
    return tmp_path / "dagster"


@pytest.fixture
def instance(folder) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        yield instance


def test_a_run_is_ended_when_its_process_was_killed_and_not_before(
    instance, folder, postgres_url, definitions, monkeypatch
):
    monkeypatch.setattr(lost_runs, "MIN_SILENCE", dt.timedelta(0))
    sensor = next(one for one in definitions.sensors if one.name == "lost_runs")
    fleet = {"fleet": FleetResource(warehouse_url=postgres_url)}

    def tick(cursor: str | None = None) -> tuple[str | None, str | None]:
        found = sensor.evaluate_tick(dg.build_sensor_context(instance, cursor, resources=fleet))
        return found.skip_message, found.cursor

    command = [sys.executable, "-c", _LONG_RUN, str(folder), postgres_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout.readline() == "started\n"
            (run,) = instance.get_runs()
            wait_until(lambda: has_process(postgres_url, run.run_id), "the process")
            assert tick() == ("Every started run has its process.", "{}")
            assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED
        finally:
            process.kill()
    wait_until(lambda: not has_process(postgres_url, run.run_id), "the end of the process")
    message, cursor = tick()
    assert message == "Runs whose process is looked for once more: 1."
    assert tick(cursor)[0] == message  # less than a minute later
    a_minute_ago = {run_id: at - 60 for run_id, at in json.loads(cursor).items()}
    assert tick(json.dumps(a_minute_ago))[0] == "Runs ended: 1."
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    assert any("was killed" in (entry.message or "") for entry in instance.all_logs(run.run_id))


def test_a_living_run_is_not_ended_while_it_takes_its_lock_again(instance, postgres_url, definitions, monkeypatch):
    monkeypatch.setattr(lost_runs, "MIN_SILENCE", dt.timedelta(0))
    run = instance.create_run_for_job(
        dg.GraphDefinition(name="day", node_defs=[]).to_job(), status=dg.DagsterRunStatus.STARTED
    )
    sensor = next(one for one in definitions.sensors if one.name == "lost_runs")
    fleet = {"fleet": FleetResource(warehouse_url=postgres_url)}
    absent_before = json.dumps({run.run_id: time.time() - 60})
    with process_lock(lambda: postgres_url, run.run_id):
        wait_until(lambda: has_process(postgres_url, run.run_id), "the process")
        tick = sensor.evaluate_tick(dg.build_sensor_context(instance, absent_before, resources=fleet))
    assert tick.cursor == "{}"
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED


def test_a_process_shows_itself_again_after_an_error_of_the_operating_system(postgres_url, monkeypatch):
    monkeypatch.setattr(run_locks, "_RETRY_S", 0.05)
    answers = [OSError("no file descriptors are left"), ValueError("of a library")]

    def url() -> str:
        if answers:
            raise answers.pop()
        return postgres_url

    with process_lock(url, "run"):
        wait_until(lambda: has_process(postgres_url, "run"), "the process")


def test_a_process_shows_itself_again_after_a_restart_of_postgresql(postgres_url, monkeypatch):
    monkeypatch.setattr(run_locks, "_LOOK_S", 0.1)
    monkeypatch.setattr(run_locks, "_RETRY_S", 0.1)
    with process_lock(lambda: postgres_url, "run"):
        wait_until(lambda: has_process(postgres_url, "run"), "the process")
        with engine_of(postgres_url).connect() as connection:
            ended = "select count(pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory' and granted"
            assert connection.execute(sa.text(ended)).scalar_one() == 1
        wait_until(lambda: has_process(postgres_url, "run"), "the process")
    wait_until(lambda: not has_process(postgres_url, "run"), "the end of the process")


def test_while_postgresql_is_down_no_run_is_ended(instance, definitions, monkeypatch):
    monkeypatch.setattr(lost_runs, "MIN_SILENCE", dt.timedelta(0))
    job = dg.GraphDefinition(name="day", node_defs=[]).to_job()
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    sensor = next(one for one in definitions.sensors if one.name == "lost_runs")
    fleet = {"fleet": FleetResource(warehouse_url="postgresql://u:p@127.0.0.1:9/db")}
    time.sleep(0.01)
    tick = sensor.evaluate_tick(dg.build_sensor_context(instance, None, resources=fleet))
    assert "Looking for the process of a run failed" in tick.skip_message
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED
