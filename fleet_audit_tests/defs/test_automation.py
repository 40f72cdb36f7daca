"""Which partition each schedule asks for, and when: yesterday, the cycle, its closes, in São Paulo."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.run_tags import CLOSE_TAG, range_tags
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.dagster_instance import dagster_instance

ZONE = ZoneInfo("America/Sao_Paulo")


@pytest.fixture(scope="module")
def instance(tmp_path_factory) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(tmp_path_factory.mktemp("dagster")) as instance:
        yield instance


@pytest.fixture
def asked(definitions, repository, instance):
    """The partitions that a schedule asks for at an instant, evaluated as the daemon does."""

    def ask(name: str, at: dt.datetime) -> list[str | None]:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at, repository_def=repository)
        return [request.partition_key for request in _schedule(definitions, name).evaluate_tick(context).run_requests]

    return ask


def _schedule(definitions: dg.Definitions, name: str) -> dg.ScheduleDefinition:
    (found,) = (one for one in definitions.schedules if one.name == name)
    assert isinstance(found, dg.ScheduleDefinition)
    return found


def test_the_day_is_requested_at_half_past_five_local_time(definitions):
    schedule = _schedule(definitions, "daily_run")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 5 * * *", "America/Sao_Paulo")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "day"


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (dt.datetime(2025, 6, 11, 5, 30, tzinfo=ZONE), "2025-06-10"),
        (dt.datetime(2025, 6, 11, 8, 30, tzinfo=dt.UTC), "2025-06-10"),  # the same tick
        (dt.datetime(2025, 6, 11, 1, 0, tzinfo=dt.UTC), "2025-06-09"),  # still the evening of the 10th there
        (dt.datetime(2025, 6, 11, 3, 0, tzinfo=dt.UTC), "2025-06-10"),  # local midnight
        (dt.datetime(2024, 3, 1, 5, 30, tzinfo=ZONE), "2024-02-29"),
        (dt.datetime(2024, 1, 2, 5, 30, tzinfo=ZONE), "2024-01-01"),  # the first day that can be run
    ],
)
def test_yesterday_is_the_day_before_the_local_day(asked, at, day):
    assert asked("daily_run", at) == [day]


def test_before_the_first_day_nothing_is_requested(asked):
    assert asked("daily_run", dt.datetime(2024, 1, 1, 5, 30, tzinfo=ZONE)) == []


def test_one_day_is_requested_once(definitions, repository, instance):
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=dt.datetime(2025, 6, 11, 5, 30, tzinfo=ZONE),
        repository_def=repository,
    )  # fmt: skip
    (request,) = _schedule(definitions, "daily_run").evaluate_tick(context).run_requests
    assert request.run_key == "day-2025-06-10"


@pytest.mark.parametrize(
    ("today", "cycles"),
    [
        ((2025, 6, 10), ["2025-05-16"]),
        ((2025, 6, 16), ["2025-05-16"]),  # the morning after the last day: its provisional report
        ((2025, 6, 17), ["2025-05-16", "2025-06-16"]),  # a new cycle has a first day
        ((2025, 6, 18), ["2025-05-16", "2025-06-16"]),  # D+3 of the old one
        ((2025, 6, 19), ["2025-06-16"]),
        ((2024, 1, 2), ["2023-12-16"]),  # the first day lies in a cycle that began before it
    ],
)
def test_the_cycle_of_yesterday_and_for_three_days_the_one_that_ended(asked, today, cycles):
    assert asked("open_cycle", dt.datetime(*today, 6, 0, tzinfo=ZONE)) == cycles


def test_the_cycle_follows_the_day(definitions):
    schedule = _schedule(definitions, "open_cycle")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * *", "America/Sao_Paulo")
    assert schedule.job_name == "cycle"


@pytest.fixture
def closing(definitions, repository, instance, postgres_url):
    """The run requests of a closing schedule on a morning, and why there are none."""
    fleet = FleetResource(warehouse_url=postgres_url)

    def ask(name: str, *today: int) -> tuple[list[dg.RunRequest], str | None]:
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=dt.datetime(*today, 6, 20, tzinfo=ZONE),
            repository_def=repository, resources={"fleet": fleet},
        )  # fmt: skip
        tick = _schedule(definitions, name).evaluate_tick(context)
        return list(tick.run_requests or []), tick.skip_message

    return ask


@pytest.mark.parametrize(
    ("today", "start"),
    [
        ((2025, 6, 15), None),  # the last day of the cycle
        ((2025, 6, 16), "2025-05-16"),
        ((2025, 6, 17), "2025-05-16"),
        ((2025, 6, 18), None),  # D+3: for good
        ((2025, 1, 16), "2024-12-16"),
        ((2024, 3, 16), "2024-02-16"),
        ((2024, 1, 16), "2023-12-16"),  # a cycle whose first days cannot be run
    ],
)
def test_the_ended_cycle_is_closed_provisionally_on_two_mornings(closing, today, start):
    requests, why = closing("provisional_close", *today)
    assert [request.partition_key for request in requests] == ([start] if start else [])
    if start is None:
        assert "not between its end and its final close" in why
    else:
        assert "is_final" not in json.dumps(dict(requests[0].run_config))


@pytest.mark.parametrize(
    ("today", "span"),
    [
        ((2025, 6, 17), None),
        ((2025, 6, 18), ("2025-05-16", "2025-06-15")),
        ((2025, 6, 24), ("2025-05-16", "2025-06-15")),  # the seventh morning
        ((2025, 6, 25), None),
        ((2025, 1, 18), ("2024-12-16", "2025-01-15")),
        ((2024, 3, 18), ("2024-02-16", "2024-03-15")),
        ((2025, 3, 18), ("2025-02-16", "2025-03-15")),
        ((2024, 1, 18), ("2024-01-01", "2024-01-15")),
    ],
)
def test_on_the_third_day_the_cycle_s_days_run_once_more_to_be_closed(closing, today, span):
    requests, why = closing("final_recompute", *today)
    if span is None:
        assert requests == []
        assert "can be closed for good from 2025-06-18" in why or "has to be closed by a person" in why
        return
    (request,) = requests
    first, last = map(dt.date.fromisoformat, span)
    assert dict(request.tags).items() >= range_tags(first, last).items()
    start = "2023-12-16" if first == dt.date(2024, 1, 1) else first.isoformat()
    assert request.tags[CLOSE_TAG] == start
    assert request.run_key == f"final-recompute-{start}-{dt.date(*today)}"


def test_a_cycle_that_is_closed_for_good_is_not_looked_at_again(closing, postgres_url):
    Warehouse(postgres_url).execute(
        "insert into ops.cycle_closes (cycle_start, cycle_end, status, closed_at, manifest_sha256, manifest_path, "
        "code_version, parameters_version, run_id) values "
        "('2025-05-16', '2025-06-15', 'final', now(), '', '', '', '', '')"
    )
    requests, why = closing("final_recompute", 2025, 6, 19)
    assert requests == []
    assert "closed for good" in why


def test_the_final_recompute_requests_the_final_close_and_other_runs_none(repository, instance):
    sensor = repository.get_sensor_def("final_close")

    @dg.op
    def step() -> None: ...

    job = dg.GraphDefinition(name="day", node_defs=[step]).to_job()
    for tags in ({CLOSE_TAG: "2025-05-16"}, {}):
        result = job.execute_in_process(instance=instance, tags=tags)
        context = dg.build_run_status_sensor_context("final_close", result.all_events[-1], instance, result.dagster_run)
        asked = sensor(context)
        if not tags:
            assert isinstance(asked, dg.SkipReason)
            continue
        assert asked.partition_key == "2025-05-16"
        assert asked.run_config == {"ops": {"ops__cycle_closes": {"config": {"is_final": True}}}}


_TICKS = """
import datetime as dt, json, sys
import dagster as dg
from zoneinfo import ZoneInfo
from fleet_audit.definitions import build_definitions
from fleet_audit.defs.resources import FleetResource
definitions, url = build_definitions(), sys.argv[1]
schedules = {one.name: one for one in definitions.schedules}
with dg.DagsterInstance.ephemeral() as instance:
    for text in sys.argv[2:]:
        name, today = text.split("@")
        context = dg.build_schedule_context(
            instance=instance, repository_def=definitions.get_repository_def(),
            scheduled_execution_time=dt.datetime.fromisoformat(today).replace(tzinfo=ZoneInfo("America/Sao_Paulo")),
            resources={"fleet": FleetResource(warehouse_url=url)},
        )
        requests = schedules[name].evaluate_tick(context).run_requests or []
        days = [sorted(value for name, value in each.tags.items() if "partition" in name or name == "fleet/close")
                for each in requests]
        print(json.dumps([each.partition_key or tagged for each, tagged in zip(requests, days)]))
"""


def test_where_cycles_are_calendar_months_they_are_closed_as_such(postgres_url, tmp_path):
    """Closing day 1, over a year's end and a leap February; in a process of its own, since partitions are made once."""
    expected = {
        "provisional_close@2025-01-01T06:10": ["2024-12-01"],
        "provisional_close@2024-03-02T06:10": ["2024-02-01"],
        "provisional_close@2024-03-03T06:10": [],
        "final_recompute@2024-03-03T06:20": [["2024-02-01", "2024-02-01", "2024-02-29"]],
        "final_recompute@2025-03-03T06:20": [["2025-02-01", "2025-02-01", "2025-02-28"]],
        "final_recompute@2025-01-03T06:20": [["2024-12-01", "2024-12-01", "2024-12-31"]],
        "open_cycle@2025-01-01T06:00": ["2024-12-01"],
        "open_cycle@2025-01-02T06:00": ["2024-12-01", "2025-01-01"],
    }
    environment = {**os.environ, "FLEET_CLOSING_DAY": "1", "FLEET_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _TICKS, postgres_url, *expected],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert dict(zip(expected, map(json.loads, done.stdout.splitlines()), strict=True)) == expected


def test_the_weekly_retention_removes_what_can_be_computed_again_and_only_reports_pages(definitions):
    at = dt.datetime(2025, 6, 15, 13, tzinfo=ZONE)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at)
        (request,) = _schedule(definitions, "weekly_retention").evaluate_tick(context).run_requests
    config = dg.validate_run_config(definitions.resolve_job_def("retention"), request.run_config)["ops"]
    assert {step.removeprefix("retention__"): (one["config"] or {}).get("dry_run") for step, one in config.items()} == {
        "dagster_history": False, "staging": False, "api_pages": True, "journal": None,
    }  # fmt: skip
