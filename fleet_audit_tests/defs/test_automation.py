"""Which partition each schedule asks for, and when: yesterday at 05:30, the cycle at 06:00, in São Paulo."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

ZONE = ZoneInfo("America/Sao_Paulo")


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
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


def test_the_day_is_asked_for_at_half_past_five_local_time(definitions):
    schedule = _schedule(definitions, "yesterday")
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
    assert asked("yesterday", at) == [day]


def test_before_the_first_day_nothing_is_asked_for(asked):
    assert asked("yesterday", dt.datetime(2024, 1, 1, 5, 30, tzinfo=ZONE)) == []


def test_one_day_is_asked_for_once(definitions, repository, instance):
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=dt.datetime(2025, 6, 11, 5, 30, tzinfo=ZONE),
        repository_def=repository,
    )  # fmt: skip
    (request,) = _schedule(definitions, "yesterday").evaluate_tick(context).run_requests
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
