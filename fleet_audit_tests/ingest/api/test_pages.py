"""Pages of the API are archived as received, and what the API did not answer is a gap of its day."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from fleet_audit.formats.adapter import CONTRACT
from fleet_audit.ingest.api.page_fetcher import FetchedDay, PageFetcher, failure_sentence
from fleet_audit.ingest.api.pages import (
    PAGES_FOLDER,
    archive_page,
    archived_pages,
    compressed,
    page_sha256,
    read_page,
    set_aside_page,
)
from fleet_audit.ingest.api.staged_positions import StagePositions
from fleet_audit.ingest.api.windows import api_gaps, windows_as_of
from fleet_audit.ingest.freshness import day_sources
from fleet_audit.ingest.staging import Stage
from fleet_audit.logic.primitives.window import partition_day_bounds
from fleet_audit.schema.facts import API_REQUESTS
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.fleet import POSITIONS
from fleet_audit.sources.telemetry_api import TelemetryApi
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.ingest.staged_frame import staged_frame
from fleet_audit_tests.sources.small_server import answering

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


def test_a_day_is_requested_up_to_now_and_not_before_it_began(fetch, lake):
    fetched = fetch(now=dt.datetime(2025, 6, 10, 12, 0, tzinfo=dt.UTC))
    assert [one.day for one in fetched] == [DAY]
    assert _instants(lake, DAY) == INSTANTS[1:2]


def test_a_failure_is_a_sentence_and_ends_the_requests(fetch, lake, postgres_url):
    fetched = fetch(token="expired-7")
    assert [one.day for one in fetched] == DAYS
    assert "2025-06-10, 2025-06-11" in failure_sentence(fetched)
    assert "FLEET_API_TOKEN" in fetched[0].error
    assert lake.list(PAGES_FOLDER) == []
    recorded = Warehouse(postgres_url).read_table(API_REQUESTS)
    assert "FLEET_API_TOKEN" in recorded["message"].iloc[0]
    assert recorded["body_sha256"].isna().all()
    assert "expired-7" not in recorded.to_csv()


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


def test_a_window_that_fails_leaves_a_gap_and_the_others_are_read(server, lake, postgres_url):
    """One quarter of the day always fails: its hours are unknown, and every other position is there."""

    def answer(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        query = parse_qs(urlsplit(request.path).query)
        if query["from"][0].endswith("T09:00:00Z"):
            return 503, {}, b""
        reply = requests.get(server.url + request.path, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
        return reply.status_code, {}, reply.content

    warehouse = Warehouse(postgres_url)
    with answering(answer) as url:
        api = TelemetryApi(url, TOKEN, backoff_s=0.001, max_attempts=2)
        fetched = PageFetcher(api, lake, warehouse, "a-run").fetch_days([DAY], LATER)
    assert "for 2025-06-10; 2025-06-10 stays incomplete until it is run again" in str(failure_sentence(fetched))
    gaps = api_gaps(warehouse, DAY, DAY)
    assert gaps[["operational_date", "source", "started_at", "ended_at"]].values.tolist() == [
        [DAY, "api", pd.Timestamp("2025-06-10T09:00Z"), pd.Timestamp("2025-06-10T15:00Z")]
    ]
    assert "status 503" in gaps["message"].iloc[0]
    assert _instants(lake, DAY) == INSTANTS[1:3]


def test_days_without_an_answer_are_listed_once():
    fetched = [FetchedDay(day, error="No answer.", has_gap=True) for day in (DAY, DAY + dt.timedelta(days=1))]
    sentence = "for 2025-06-10, 2025-06-11; all of them stay incomplete until they are run again: No answer."
    assert str(failure_sentence(fetched)).endswith(sentence)


def test_windows_that_are_answered_by_no_content_are_complete_and_have_no_page(server, lake, postgres_url):
    """204 beside pages of rows: the request ended with an error, and the run with it."""

    def answer(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        reply = requests.get(server.url + request.path, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
        return (200, {}, reply.content) if reply.json()["data"] else (204, {}, b"")

    warehouse = Warehouse(postgres_url)
    for _ in range(2):  # asked again, it is the same
        with answering(answer) as url:
            (day,) = PageFetcher(TelemetryApi(url, TOKEN), lake, warehouse, "a-run").fetch_days([DAY], LATER)
        assert (day.error, day.rows, len(archived_pages(lake, DAY))) == (None, 2, 2)
        assert api_gaps(warehouse, DAY, DAY).empty
        asked = warehouse.read_table(API_REQUESTS)
        assert asked["archive_path"].isna().tolist() == (asked["status"] == 204).tolist()
        assert (asked["status"] == 204).sum() == 2


def test_items_beside_an_error_are_kept_and_the_error_is_reported(lake, postgres_url):
    item = {"device_id": "1", "timestamp": "2025-06-10T12:00:00Z"}
    body = json.dumps({"data": [item], "next_cursor": None, "meta": {"error": "shard 2 is down"}}).encode()
    with answering(lambda _: (200, {}, body)) as url:
        fetcher = PageFetcher(TelemetryApi(url, TOKEN), lake, Warehouse(postgres_url), "a-run")
        (day,) = fetcher.fetch_days([DAY], LATER)
    assert (day.error, day.rows) == (None, 4)
    (path,) = archived_pages(lake, DAY)
    (sentence,) = fetcher.warnings
    assert path in sentence
    assert "names an error ('meta.error')" in sentence


def test_a_run_that_is_killed_leaves_gaps_until_the_day_is_answered(fetch, lake, postgres_url, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TelemetryApi, "pages", killed)
    with pytest.raises(KeyboardInterrupt):
        fetch()
    warehouse = Warehouse(postgres_url)
    assert len(api_gaps(warehouse, *DAYS)) == 8
    assert api_gaps(warehouse, *DAYS)["message"].str.contains("interrupted").all()
    monkeypatch.undo()
    fetch()
    assert api_gaps(warehouse, *DAYS).empty


def test_an_answered_window_stays_answered_when_a_later_request_fails(fetch, postgres_url):
    fetch()
    fetched = fetch(token="expired-7")
    assert api_gaps(Warehouse(postgres_url), *DAYS).empty
    assert "for 2025-06-10, 2025-06-11; only late positions can be missing" in failure_sentence(fetched)


def test_a_day_that_was_answered_in_part_is_a_gap_from_there(fetch, postgres_url):
    """Asked at noon, and in vain after its end."""
    fetch(now=dt.datetime(2025, 6, 10, 12, 0, tzinfo=dt.UTC))
    assert api_gaps(Warehouse(postgres_url), DAY, DAY).empty
    fetch(token="expired-7")
    gaps = api_gaps(Warehouse(postgres_url), DAY, DAY)
    assert gaps["started_at"].min() == pd.Timestamp("2025-06-10T12:00Z")
    assert gaps["ended_at"].max() == pd.Timestamp("2025-06-11T03:00Z")


@pytest.mark.parametrize("damage", ["truncated", "empty", "another"])
def test_a_damaged_page_is_set_aside_and_fetched_again(server, lake, postgres_url, damage):
    fetcher = PageFetcher(TelemetryApi(server.url, TOKEN), lake, Warehouse(postgres_url), "a-run")
    fetcher.fetch_days([DAY], LATER)
    before = {path: lake.get_bytes(path) for path in archived_pages(lake, DAY)}
    path, content = max(before.items(), key=lambda item: len(item[1]))
    wrong = {"truncated": content[:-9], "empty": b"", "another": bytes(compressed(b'{"data":[],"next_cursor":"x"}'))}
    lake.put_bytes(path, wrong[damage])
    fetcher.fetch_days([DAY], LATER)
    assert [path in sentence for sentence in fetcher.set_aside] == [True]
    assert {path: lake.get_bytes(path) for path in archived_pages(lake, DAY)} == before
    assert [lake.get_bytes(one) for one in lake.list("quarantine")] == [wrong[damage]]
    assert api_gaps(Warehouse(postgres_url), DAY, DAY).empty


def test_a_page_that_another_run_sets_aside_first_stops_neither_the_requests_nor_staging(
    server, lake, postgres_url, monkeypatch
):
    """Both have listed it; the second one failed because the file was gone."""
    warehouse = Warehouse(postgres_url)
    fetcher = PageFetcher(TelemetryApi(server.url, TOKEN), lake, warehouse, "a-run")
    fetcher.fetch_days([DAY], LATER)
    path = next(path for path in archived_pages(lake, DAY) if b"T03:00:00" in read_page(lake, path))
    whole, stage = lake.get_bytes(path), Stage(lake, warehouse, "another-run", b"key")
    arrivals = stage.position_arrivals(DAY)
    lake.put_bytes(path, b"damaged")
    set_aside_page(lake, warehouse, path, "It is damaged.", "another-run")
    monkeypatch.setattr("fleet_audit.ingest.api.page_fetcher.archived_pages", lambda *_: list(arrivals.listed.pages))
    fetcher.fetch_days([DAY], LATER)
    assert [path in sentence for sentence in fetcher.set_aside] == [True]
    assert lake.get_bytes(path) == whole
    assert [lake.get_bytes(one) for one in lake.list("quarantine")] == [b"damaged"]
    lake.delete(path)
    staged = StagePositions(lake, CONTRACT, b"key")(arrivals)
    stage.record_positions(DAY, staged)
    assert (staged.file.rows, list(staged.damaged)) == (1, [path])


def test_a_damaged_page_that_staging_meets_makes_its_hours_a_gap(server, lake, postgres_url):
    """Without an API that could give it again the other pages are still staged, and no row is missed as lost (Q03)."""
    warehouse = Warehouse(postgres_url)
    PageFetcher(TelemetryApi(server.url, TOKEN), lake, warehouse, "a-run").fetch_days([DAY], LATER)
    path = next(path for path in archived_pages(lake, DAY) if b"T03:00:00" in read_page(lake, path))
    lake.put_bytes(path, lake.get_bytes(path)[:-9])
    staged = staged_frame(Stage(lake, warehouse, "a-run", b"key"), DAY)
    assert list(staged["recorded_at"]) == [pd.Timestamp(INSTANTS[2])]
    gaps = api_gaps(warehouse, DAY, DAY)
    assert gaps["started_at"].tolist() == [pd.Timestamp("2025-06-10T03:00Z")]
    assert path in gaps["message"].iloc[0]
    counts = warehouse.read("select * from ops.stage_counts where source = 'positions'").iloc[0]
    assert (counts["rows_read"], counts["rows_accepted"]) == (1, 1)


@pytest.mark.parametrize(
    ("shift", "code"),
    [
        (dt.timedelta(weeks=-1024), "gps_week_rollover"),
        (dt.timedelta(weeks=1024), "gps_week_rollover"),
        (dt.timedelta(days=40), "outside_window"),
    ],
)
def test_positions_of_another_time_are_refused_with_their_own_reason(lake, postgres_url, shift, code):
    at = dt.datetime(2025, 6, 10, 12, tzinfo=dt.UTC)
    items = [{"device_id": "1", "timestamp": one.isoformat()} for one in (at, at + shift)]
    body = json.dumps({"data": items, "next_cursor": None}).encode()
    archive_page(lake, DAY, body, hashlib.sha256(body).hexdigest())
    warehouse = Warehouse(postgres_url)
    assert list(staged_frame(Stage(lake, warehouse, "a-run", b"key"), DAY)["recorded_at"]) == [pd.Timestamp(at)]
    refused = warehouse.read("select row_number, reason_code, reason from ops.rejected_rows")
    assert refused[["row_number", "reason_code"]].values.tolist() == [[2, code]]


def test_a_position_ahead_of_its_arrival_is_refused(lake, postgres_url):
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    today = now.astimezone(ZoneInfo("America/Sao_Paulo")).date()
    _, end = partition_day_bounds(today)
    ahead = min(now + dt.timedelta(hours=1), end.to_pydatetime() - dt.timedelta(seconds=1))
    if ahead <= now + dt.timedelta(minutes=6):
        pytest.skip("too close to midnight")
    items = [{"device_id": "1", "timestamp": one.isoformat()} for one in (now, now + dt.timedelta(minutes=4), ahead)]
    body = json.dumps({"data": items, "next_cursor": None}).encode()
    archive_page(lake, today, body, hashlib.sha256(body).hexdigest())
    warehouse = Warehouse(postgres_url)
    assert len(staged_frame(Stage(lake, warehouse, "a-run", b"key"), today)) == 2
    assert list(warehouse.read("select reason_code from ops.rejected_rows")["reason_code"]) == ["future_timestamp"]


def test_the_gaps_of_an_instant_are_known_later(fetch, lake):
    """A replay does not test what could not be tested then, whatever the API has answered since."""
    fetch(token="expired-7")
    then = dt.datetime.now(dt.UTC)
    fetch()
    assert windows_as_of(lake, then)["answered_to"].isna().all()
    assert windows_as_of(lake, dt.datetime.now(dt.UTC))["answered_to"].notna().all()
