"""The sensor of recovery on a real instance, with a real API that fails first and answers later."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleet_audit.defs.partitions import daily_partitions
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.run_tags import TRIGGER_TAG
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest import recovery
from fleet_audit.ingest.api.windows import api_gaps
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.fleet import POSITIONS
from fleet_audit.storage import step_errors
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.dagster_instance import dagster_instance

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
TOKEN = "s3cret-token"
pytestmark = pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
_fails_with: list[Exception] = []


@dg.asset(key=["fact", "findings"], partitions_def=daily_partitions, backfill_policy=dg.BackfillPolicy.single_run())
@acts_on_errors
def findings() -> None:
    """Stands for all that computes a day, which fails while a cause is there."""
    for error in _fails_with:
        raise error


def _day(back: int) -> dt.date:
    """So many days before today."""
    return dt.datetime.now(ZoneInfo("America/Sao_Paulo")).date() - dt.timedelta(days=back)


def _job(asset: dg.AssetsDefinition) -> dg.JobDefinition:
    jobs = [dg.define_asset_job("day", dg.AssetSelection.assets(*asset.keys))]
    return dg.Definitions([asset], jobs=jobs).resolve_job_def("day")


class Site:
    """A lake, a warehouse, an instance, and the ticks of the sensor."""

    def __init__(self, url: str, repository: dg.RepositoryDefinition, instance: dg.DagsterInstance) -> None:
        self.warehouse, self.instance, self.repository = Warehouse(url), instance, repository
        self.fleet = FleetResource(warehouse_url=url)
        self.positions = repository.assets_defs_by_key[dg.AssetKey(["raw", "positions"])]

    def run(self, asset: dg.AssetsDefinition, first: int, last: int, **tags: str) -> bool:
        """Runs an asset from so many days back to so many."""
        job = _job(asset)
        tags = {START: _day(first).isoformat(), END: _day(last).isoformat(), **tags}
        return job.execute_in_process(instance=self.instance, tags=tags, raise_on_error=False).success

    def tick(self) -> tuple[list[dg.RunRequest], str | None]:
        context = dg.build_sensor_context(
            self.instance, repository_def=self.repository, resources={"fleet": self.fleet}
        )
        result = self.repository.get_sensor_def("unfinished_days").evaluate_tick(context)
        return list(result.run_requests or []), result.skip_message

    def obey(self, asset: dg.AssetsDefinition, request: dg.RunRequest) -> bool:
        """Runs what was requested."""
        back = [(_day(0) - dt.date.fromisoformat(request.tags[name])).days for name in (START, END)]
        return self.run(asset, *back, **{TRIGGER_TAG: request.tags[TRIGGER_TAG]})


@pytest.fixture
def site(settings, postgres_url, repository, tmp_path, monkeypatch) -> Iterator[Site]:
    _fails_with.clear()
    monkeypatch.setattr(recovery, "FIRST_WAIT", dt.timedelta(0))
    monkeypatch.setenv("FLEET_WAREHOUSE_URL", postgres_url)
    monkeypatch.setattr(step_errors, "RETRY_POLICY", dg.RetryPolicy(max_retries=0, delay=0))
    with dagster_instance(tmp_path / "instance") as instance:
        yield Site(postgres_url, repository, instance)


@pytest.fixture
def api(tmp_path: Path, monkeypatch) -> Iterator[ApiServer]:
    """An API without positions, whose token the installation knows."""
    pq.write_table(pa.Table.from_pylist([], schema=POSITIONS), tmp_path / "positions.parquet")
    with ApiServer(tmp_path / "positions.parquet", token=TOKEN) as server:
        monkeypatch.setenv("FLEET_API_URL", server.url)
        monkeypatch.setenv("FLEET_API_TOKEN", "expired")
        yield server


def _spans(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    return [(request.tags[START], request.tags[END]) for request in requests]


def test_days_that_the_api_did_not_answer_are_requested_when_it_answers_again(site, api, monkeypatch):
    assert site.run(site.positions, 4, 2)  # files are processed all the same
    assert len(api_gaps(site.warehouse, _day(4), _day(2)))
    requests, why = site.tick()
    assert requests == []
    assert "FLEET_API_URL" in why or "401" in why
    monkeypatch.setenv("FLEET_API_TOKEN", TOKEN)
    requests, _ = site.tick()
    assert _spans(requests) == [(_day(4).isoformat(), _day(2).isoformat())]
    assert [request.run_key for request in site.tick()[0]] == [request.run_key for request in requests]
    assert all(site.obey(site.positions, request) for request in requests)
    assert api_gaps(site.warehouse, _day(4), _day(1)).empty
    assert site.tick()[0] == []


def test_the_day_before_is_requested_for_the_tail_that_this_morning_lacks(site, api, monkeypatch):
    monkeypatch.setenv("FLEET_API_TOKEN", TOKEN)
    assert site.run(site.positions, 1, 1)
    site.warehouse.execute(
        "update ops.api_windows set answered_to = null, message = 'cut', failed_at = now() - interval '1 hour' "
        "where partition_date = :day",
        {"day": _day(0)},
    )
    assert _spans(site.tick()[0]) == [(_day(1).isoformat(), _day(1).isoformat())]


def test_a_day_whose_source_could_not_be_reached_is_requested_until_it_succeeds(site):
    _fails_with.append(RetryableError("PostgreSQL cannot be reached."))
    assert not site.run(findings, 5, 5)
    (first,), _ = site.tick()
    assert not site.obey(findings, first)
    (second,), _ = site.tick()
    assert second.run_key != first.run_key
    _fails_with.clear()
    assert site.obey(findings, second)
    assert site.tick()[0] == []


def test_days_that_failed_for_want_of_reference_data_are_requested_once_it_is_delivered(site):
    _fails_with.append(PermanentError("reference/contracts.csv is missing."))
    assert not site.run(findings, 6, 3)
    assert site.tick()[0] == []
    site.warehouse.execute(
        "insert into ops.ingested_files (file_sha256, file_name, kind, size_bytes, received_at, status, rows_read, "
        "rows_accepted, rows_rejected, rows_duplicate, run_id) values ('ab', 'reference/contracts.csv', "
        "'reference', 1, now(), 'accepted', 1, 1, 0, 0, 'another')"
    )
    (request,), _ = site.tick()
    assert _spans([request]) == [(_day(6).isoformat(), _day(3).isoformat())]
    assert not site.obey(findings, request)  # something else is missing, too
    assert site.tick()[0] == []


def test_while_a_requested_run_is_going_nothing_more_is_requested(site):
    _fails_with.append(RetryableError("S3 cannot be reached."))
    assert not site.run(findings, 5, 5)
    site.instance.create_run_for_job(
        _job(findings),
        status=dg.DagsterRunStatus.STARTED, tags={TRIGGER_TAG: "recovery", START: str(_day(5)), END: str(_day(5))},
    )  # fmt: skip
    assert site.tick()[0] == []
