"""Whatever network and server do, the staging of a day is the same bytes, and every row of every page is counted."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from fleet_audit.ingest.api.page_fetcher import PageFetcher
from fleet_audit.ingest.staging import Stage
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.settings import Settings
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.faults import FAULT_KINDS, Faults
from fleet_audit.simulation.fleet import simulate
from fleet_audit.sources.telemetry_api import TelemetryApi
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.migrate import upgrade
from fleet_audit.storage.warehouse import Warehouse

DAY = dt.date(2025, 6, 10)
LATER = dt.datetime(2025, 6, 20, tzinfo=dt.UTC)
TOKEN = "s3cret-token"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fleet")
    simulate(out, seed=3, vehicles=6, date_from=DAY, date_to=DAY + dt.timedelta(days=1))
    return out


def _fetch(lake: Lake, url: str, database: str) -> str | None:
    api = TelemetryApi(url, TOKEN, page_size=50, backoff_s=0.001, timeout_s=3, max_attempts=12)
    (day,) = PageFetcher(api, lake, Warehouse(database), "a-run").fetch_days([DAY], LATER)
    return day.error


def _staged(lake: Lake, database: str) -> bytes:
    staged = Stage(lake, Warehouse(database), "a-run", b"key").staged_positions(DAY)
    lake.write_encoded(STAGING_POSITIONS, DAY, staged)
    return lake.get_bytes(lake.partition_path(STAGING_POSITIONS, DAY))


def _lake(folder: Path) -> Lake:
    return Lake(Settings(_env_file=None, lake_url=str(folder)))


@pytest.fixture
def undisturbed(data, tmp_path_factory, empty_postgres_url) -> bytes:
    upgrade(empty_postgres_url)
    lake = _lake(tmp_path_factory.mktemp("lake"))
    with ApiServer(data, token=TOKEN) as server:
        assert _fetch(lake, server.url, empty_postgres_url) is None
    staged = _staged(lake, empty_postgres_url)
    assert len(lake.read_days(STAGING_POSITIONS, [DAY])) > 1_000
    return staged


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_harsh_faults_leave_the_same_bytes_and_lose_no_row(data, undisturbed, tmp_path, postgres_url, seed):
    """Half of all requests meet a fault; then the token expires, and the day is asked for again."""
    lake = _lake(tmp_path)
    rates = dict.fromkeys(FAULT_KINDS, 0.12) | {"timeout": 0.01}
    faults = Faults(seed=seed, **rates, retry_after_s=0, timeout_s=5, expires_after=20)  # type: ignore[arg-type]
    with ApiServer(data, token=TOKEN, faults=faults) as server:
        assert "FLEET_API_TOKEN" in str(_fetch(lake, server.url, postgres_url))
        faults.expires_after = None
        assert _fetch(lake, server.url, postgres_url) is None
    assert min(faults.served[kind] for kind in FAULT_KINDS if kind != "timeout") > 0, faults.served
    assert _staged(lake, postgres_url) == undisturbed
    counts = Warehouse(postgres_url).read("select * from ops.stage_counts where source = 'positions'").iloc[0]
    assert counts["rows_read"] == counts["rows_accepted"] + counts["rows_rejected"] + counts["rows_duplicate"]
    asked = Warehouse(postgres_url).read(
        "select sum(rows_read) as rows from (select distinct archive_path, rows_read from ops.api_requests) as pages"
    )
    assert counts["rows_read"] == asked["rows"].iloc[0]
    assert counts["rows_rejected"] > 0  # the poorer copies with wrong types


def test_a_page_that_was_lost_from_the_archive_is_missed(data, tmp_path, postgres_url):
    lake = _lake(tmp_path)
    with ApiServer(data, token=TOKEN) as server:
        _fetch(lake, server.url, postgres_url)
    fullest = max(lake.list("raw/positions"), key=lambda path: len(lake.get_bytes(path)))
    lake.delete(fullest)
    _staged(lake, postgres_url)
    counts = Warehouse(postgres_url).read("select * from ops.stage_counts where source = 'positions'").iloc[0]
    assert counts["rows_read"] > counts["rows_accepted"] + counts["rows_rejected"] + counts["rows_duplicate"]
