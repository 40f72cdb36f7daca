"""Pages of the API in the lake: asked for by local day, kept as received, never replaced, and what fails is told."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleet_audit.ingest.freshness import day_sources
from fleet_audit.ingest.page_fetcher import FetchedDay, PageFetcher, failure_sentence
from fleet_audit.ingest.pages import PAGES_FOLDER, archived_pages, page_sha256, read_page
from fleet_audit.schema.facts import API_REQUESTS
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.fleet import POSITIONS
from fleet_audit.sources.telemetry_api import TelemetryApi
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

DAY = dt.date(2025, 6, 10)
DAYS = [DAY, DAY + dt.timedelta(days=1)]
LATER = dt.datetime(2025, 6, 20, tzinfo=dt.UTC)
TOKEN = "secret"
INSTANTS = [
    dt.datetime(2025, 6, 10, 2, 59, 59, tzinfo=dt.UTC),  # the evening before, there
    dt.datetime(2025, 6, 10, 3, 0, tzinfo=dt.UTC),
    dt.datetime(2025, 6, 11, 2, 59, 59, tzinfo=dt.UTC),
    dt.datetime(2025, 6, 11, 3, 0, tzinfo=dt.UTC),
]


@pytest.fixture
def lake(settings) -> Lake:
    return Lake(settings)


@pytest.fixture
def fetch(lake, server, postgres_url) -> Callable[..., list[FetchedDay]]:
    def asked(now: dt.datetime = LATER, token: str = TOKEN) -> list[FetchedDay]:
        fetcher = PageFetcher(TelemetryApi(server.url, token), lake, Warehouse(postgres_url), "a-run")
        return fetcher.fetch_days(DAYS, now)

    return asked


@pytest.fixture
def server(tmp_path) -> Iterator[ApiServer]:
    columns = {"device_id": ["1"] * len(INSTANTS), "timestamp": INSTANTS, "uploaded_at": INSTANTS}
    arrays = [pa.array(columns.get(field.name, [None] * len(INSTANTS)), field.type) for field in POSITIONS]
    pq.write_table(pa.Table.from_arrays(arrays, schema=POSITIONS), tmp_path / "positions.parquet")
    with ApiServer(tmp_path, token=TOKEN) as running:
        yield running


def _instants(lake: Lake, day: dt.date) -> list[dt.datetime]:
    bodies = [json.loads(read_page(lake, path)) for path in archived_pages(lake, day)]
    return sorted(dt.datetime.fromisoformat(item["timestamp"]) for body in bodies for item in body["data"])


def test_a_day_is_the_local_day_of_the_partition(fetch, lake):
    fetched = fetch()
    assert [(one.day, one.pages, one.rows, one.error) for one in fetched] == [
        (DAYS[0], 4, 2, None),
        (DAYS[1], 4, 1, None),
    ]
    assert _instants(lake, DAYS[0]) == INSTANTS[1:3]
    assert _instants(lake, DAYS[1]) == INSTANTS[3:]


def test_asking_again_keeps_what_is_there(fetch, lake):
    fetch()
    before = {path: lake.get_bytes(path) for path in lake.list(PAGES_FOLDER)}
    fetch()
    assert {path: lake.get_bytes(path) for path in lake.list(PAGES_FOLDER)} == before
    assert len(before) == 5  # of a day, pages without rows are the same whatever quarter they stand for


def test_a_page_is_archived_as_received_and_named_by_its_bytes(fetch, lake):
    fetch()
    for path in lake.list(PAGES_FOLDER):
        assert hashlib.sha256(read_page(lake, path)).hexdigest() == page_sha256(path)


def test_a_day_is_asked_for_up_to_now_and_not_before_it_began(fetch, lake):
    fetched = fetch(now=dt.datetime(2025, 6, 10, 12, 0, tzinfo=dt.UTC))
    assert [one.day for one in fetched] == [DAY]
    assert _instants(lake, DAY) == INSTANTS[1:2]


def test_a_failure_is_a_sentence_and_ends_the_asking(fetch, lake, postgres_url):
    fetched = fetch(token="expired-7")
    assert [one.day for one in fetched] == DAYS
    assert "2025-06-10, 2025-06-11" in failure_sentence(fetched)
    assert "FLEET_API_TOKEN" in fetched[0].error
    assert lake.list(PAGES_FOLDER) == []
    told = Warehouse(postgres_url).read_table(API_REQUESTS)
    assert "FLEET_API_TOKEN" in told["message"].iloc[0]
    assert told["body_sha256"].isna().all()
    assert "expired-7" not in told.to_csv()


def test_a_day_knows_that_the_api_did_not_answer_until_it_does(fetch, lake, postgres_url):
    def failed(day: dt.date) -> bool:
        sources = day_sources(lake, Warehouse(postgres_url), day).set_index("source")
        assert sources["failed_at"].drop("api").isna().all()
        return bool(pd.notna(sources.loc["api", "failed_at"]))

    assert not failed(DAY)
    fetch(token="expired-7")
    assert failed(DAY)
    assert failed(DAYS[1])  # never asked, because the day before failed
    fetch()
    assert not any(map(failed, DAYS))
    fetch(token="expired-7")
    assert failed(DAY)  # what came late was asked for in vain


def test_every_page_is_a_request_and_the_same_answer_the_same_one(fetch, lake, postgres_url):
    fetch()
    warehouse = Warehouse(postgres_url)
    first = warehouse.read_table(API_REQUESTS)
    fetch()
    again = warehouse.read_table(API_REQUESTS)
    assert list(first["request_id"]) == list(again["request_id"])
    assert (len(first), first["rows_read"].sum()) == (8, 3)
    assert set(first["archive_path"]) == set(lake.list(PAGES_FOLDER))
    assert (first["latency_ms"] >= 0).all()
    assert (first["tries"] == 1).all()
    spans = first[first["partition_date"] == DAY].sort_values("window_from")
    assert list(spans["window_to"][:-1]) == list(spans["window_from"][1:])
