"""Pages of the API in the lake: asked for by local day, kept as received, never replaced, and what fails is told."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleet_audit.ingest.pages import archived_pages, fetch_days
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.fleet import POSITIONS
from fleet_audit.sources.telemetry_api import TelemetryApi
from fleet_audit.storage.lake import Lake

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
def server(tmp_path) -> Iterator[ApiServer]:
    columns = {"device_id": ["1"] * len(INSTANTS), "timestamp": INSTANTS, "uploaded_at": INSTANTS}
    arrays = [pa.array(columns.get(field.name, [None] * len(INSTANTS)), field.type) for field in POSITIONS]
    pq.write_table(pa.Table.from_arrays(arrays, schema=POSITIONS), tmp_path / "positions.parquet")
    with ApiServer(tmp_path, token=TOKEN) as running:
        yield running


def _instants(lake: Lake, day: dt.date) -> list[dt.datetime]:
    bodies = [json.loads(lake.get_bytes(path)) for path in archived_pages(lake, day)]
    return [dt.datetime.fromisoformat(item["timestamp"]) for body in bodies for item in body["data"]]


def test_a_day_is_the_local_day_of_the_partition(server, lake):
    fetched = fetch_days(TelemetryApi(server.url, TOKEN), lake, DAYS, LATER)
    assert [(one.day, one.pages, one.rows, one.error) for one in fetched] == [
        (DAYS[0], 1, 2, None),
        (DAYS[1], 1, 1, None),
    ]
    assert _instants(lake, DAYS[0]) == INSTANTS[1:3]
    assert _instants(lake, DAYS[1]) == INSTANTS[3:]


def test_asking_again_keeps_what_is_there(server, lake):
    api = TelemetryApi(server.url, TOKEN)
    fetch_days(api, lake, DAYS, LATER)
    before = {path: lake.get_bytes(path) for path in lake.list("raw")}
    fetch_days(api, lake, DAYS, LATER)
    assert {path: lake.get_bytes(path) for path in lake.list("raw")} == before
    assert len(before) == 2


def test_a_day_is_asked_for_up_to_now_and_not_before_it_began(server, lake):
    now = dt.datetime(2025, 6, 10, 12, 0, tzinfo=dt.UTC)
    fetched = fetch_days(TelemetryApi(server.url, TOKEN), lake, DAYS, now)
    assert [one.day for one in fetched] == [DAY]
    assert _instants(lake, DAY) == INSTANTS[1:2]


def test_a_failure_is_a_sentence_and_ends_the_asking(server, lake):
    fetched = fetch_days(TelemetryApi(server.url, "wrong"), lake, DAYS, LATER)
    assert [one.day for one in fetched] == [DAY]
    assert "FLEET_API_TOKEN" in fetched[0].error
    assert lake.list("raw") == []
