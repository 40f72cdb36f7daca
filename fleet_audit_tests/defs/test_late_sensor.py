"""The sensor of late positions, on a real instance: computed days that were left behind run again, no others."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator

import dagster as dg
import pytest
import sqlalchemy as sa

from fleet_audit.defs.partitions import daily_partitions
from fleet_audit.defs.resources import FleetResource
from fleet_audit.ingest.api.pages import page_folder
from fleet_audit.ingest.staging import Stage
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.dagster_instance import dagster_instance

DAY = dt.date(2025, 6, 10)
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dg.asset(key=["fact", "trips"], partitions_def=daily_partitions)
def trips() -> None:
    """Stands for all that computes a day: the sensor asks only when and by which run."""


class Site:
    """A lake, a warehouse and an instance; what `computed` says was computed from what was staged until then."""

    def __init__(self, settings, url: str, repository: dg.RepositoryDefinition, instance: dg.DagsterInstance) -> None:
        self.settings, self.url, self.instance = settings, url, instance
        self.sensor = repository.get_sensor_def("late_positions")
        self.repository = repository
        self.cursor: str | None = None

    def arrive(self, *instants: str, run_id: str = "another-run") -> None:
        """A page with these instants is archived, and the days that it touches are staged."""
        lake = Lake(self.settings)
        items = [{"device_id": "1", "timestamp": instant, "odometer_km": 7.0} for instant in instants]
        body = json.dumps({"data": items, "next_cursor": None}).encode()
        lake.put_bytes(f"{page_folder(DAY)}/{hashlib.sha256(body).hexdigest()}.json", body)
        Stage(lake, Warehouse(self.url), run_id, b"key").staged_positions(DAY)

    def compute(self, *days: int) -> None:
        for day in days:
            assert dg.materialize([trips], partition_key=f"2025-06-{day:02}", instance=self.instance).success

    def changed(self, days_ago: int, hour: str) -> None:
        """An hour became what it is so many days ago."""
        sql = "update ops.position_hours set changed_at = now() - :ago * interval '1 day' where hour_at = :hour"
        Warehouse(self.url).execute(sql, {"ago": days_ago, "hour": hour})

    def tick(self) -> list[dg.RunRequest]:
        fleet = FleetResource(warehouse_url=self.url)
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor, repository_def=self.repository, resources={"fleet": fleet}
        )
        result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        return list(result.run_requests or [])


@pytest.fixture
def site(settings, postgres_url, repository, tmp_path) -> Iterator[Site]:
    with dagster_instance(tmp_path / "instance") as instance:
        yield Site(settings, postgres_url, repository, instance)


def _spans(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    return [(request.tags[START], request.tags[END]) for request in requests]


def test_a_late_position_re_runs_the_computed_days_whose_window_holds_it(site):
    site.arrive("2025-06-10T09:00:00Z")
    site.compute(8, 9, 10, 11, 12)
    assert site.tick() == []
    site.arrive("2025-06-10T09:00:10Z")  # 06:00 in São Paulo: before the noon from which the 12th looks back
    requests = site.tick()
    assert _spans(requests) == [("2025-06-09", "2025-06-11")]
    assert site.tick() == []
    site.cursor = None  # a tick that died before its cursor was kept
    assert [request.run_key for request in site.tick()] == [request.run_key for request in requests]
    site.compute(9, 10, 11)
    site.cursor = None
    assert site.tick() == []


def test_a_day_whose_late_run_failed_is_asked_for_again_by_new_data_alone(site):
    site.arrive("2025-06-10T09:00:00Z", "2025-06-10T16:00:00Z")
    site.compute(10)
    site.arrive("2025-06-10T09:00:10Z")
    (request,) = site.tick()
    site.changed(50, "2025-06-10T16:00Z")  # an hour that makes no day outdated grows old
    assert site.tick() == []
    site.cursor = None
    assert [one.run_key for one in site.tick()] == [request.run_key]
    site.arrive("2025-06-10T09:00:20Z")
    (again,) = site.tick()
    assert again.run_key != request.run_key


def test_what_changed_while_the_sensor_was_stopped_for_a_quarter_is_looked_at(site):
    site.arrive("2025-06-10T09:00:00Z")
    site.compute(10)
    with site.instance.run_storage.connect() as connection:
        connection.execute(sa.text("update runs set start_time = start_time - 100 * 86400"))
    site.changed(110, "2025-06-10T09:00Z")
    assert site.tick() == []
    site.arrive("2025-06-10T09:00:10Z")
    site.changed(90, "2025-06-10T09:00Z")
    assert _spans(site.tick()) == [("2025-06-10", "2025-06-10")]


def test_what_a_run_commits_after_a_tick_is_looked_at_by_the_next(site):
    site.arrive("2025-06-10T09:00:00Z")
    site.compute(10, 12)

    @dg.asset
    def lasting() -> None:
        site.arrive("2025-06-10T16:00:00Z")
        move = "update ops.position_hours set changed_at = changed_at + :days * interval '1 day' where hour_at > :hour"
        Warehouse(site.url).execute(move, {"days": -1, "hour": "2025-06-10T15:00Z"})  # not to be seen yet
        site.arrive("2025-06-10T09:00:10Z")
        assert _spans(site.tick()) == [("2025-06-10", "2025-06-10")]
        Warehouse(site.url).execute(move, {"days": 1, "hour": "2025-06-10T15:00Z"})  # committed after the tick

    assert dg.materialize([lasting], instance=site.instance).success
    assert _spans(site.tick()) == [("2025-06-10", "2025-06-12")]


def test_an_afternoon_reaches_two_days_on(site):
    site.arrive("2025-06-10T09:00:00Z")
    site.compute(12)
    site.arrive("2025-06-10T16:00:00Z")
    assert _spans(site.tick()) == [("2025-06-12", "2025-06-12")]


def test_the_same_rows_in_another_page_re_run_nothing(site):
    site.arrive("2025-06-10T09:00:00Z", "2025-06-10T09:00:10Z")
    site.compute(10)
    site.arrive("2025-06-10T09:00:10Z", "2025-06-10T09:00:00Z")
    assert site.tick() == []


def test_a_day_that_was_never_computed_is_not_requested(site):
    site.arrive("2025-06-10T09:00:00Z")
    assert site.tick() == []
