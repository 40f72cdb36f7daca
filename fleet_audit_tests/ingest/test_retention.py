"""Retention of the lake: what can be computed again or has had its time goes, what a close needs stays."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from fleet_audit.ingest.api.pages import asked_rows
from fleet_audit.ingest.journal import row_batches
from fleet_audit.ingest.retention import expired_pages, expired_staging, months_before, remove, remove_pages
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import API_REQUESTS, CYCLE_CLOSES
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

CLOSING_DAY = 16
CLOSED, LATER = dt.date(2022, 5, 16), dt.date(2022, 6, 16)
LIMIT = dt.date(2023, 1, 1)


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(Settings(home=tmp_path, lake_url=None))


@pytest.fixture
def warehouse(postgres_url) -> Warehouse:
    return Warehouse(postgres_url)


def _close(warehouse: Warehouse, start: dt.date, closed: dt.date, status: str = "final") -> None:
    row = {column.name: "x" for column in CYCLE_CLOSES.columns} | {
        "cycle_start": start, "cycle_end": start + dt.timedelta(days=30), "status": status,
        "closed_at": pd.Timestamp(closed, tz="UTC"), "total_km": None, "total_variable_brl": None,
        "total_fixed_brl": None,
    }  # fmt: skip
    warehouse.upsert(CYCLE_CLOSES, conform(pd.DataFrame([row]), CYCLE_CLOSES))


def _staged(lake: Lake, *days: str) -> None:
    for day in days:
        lake.put_bytes(f"staging/positions/date={day}/part-0.parquet", b"12345")
        lake.put_bytes(f"trips/legs/date={day}/part-0.parquet", b"123")


def test_days_of_closed_cycles_go_with_their_neighbours_closed_too(lake, warehouse):
    _close(warehouse, CLOSED, dt.date(2022, 6, 20))
    _staged(lake, "2022-05-16", "2022-05-20", "2022-06-15", "2022-06-16", "2023-01-02")
    lake.put_bytes("reports/d1/date=2022-05-20/d1.csv", b"kept")
    found = expired_staging(lake, warehouse, LIMIT, CLOSING_DAY)
    # 16 May and 15 June are in windows of cycles that are not closed
    assert found.days == [dt.date(2022, 5, 20)]
    assert found.kept_days == [dt.date(2022, 5, 16), dt.date(2022, 6, 15), dt.date(2022, 6, 16)]
    assert (len(found.files), found.bytes, found.total_bytes) == (2, 8, 40)
    remove(lake, found)
    assert lake.list("trips") == [f"trips/legs/date={day}/part-0.parquet" for day in
                                  ("2022-05-16", "2022-06-15", "2022-06-16", "2023-01-02")]  # fmt: skip
    assert lake.exists("reports/d1/date=2022-05-20/d1.csv")


@pytest.mark.parametrize(("closed", "status"), [(dt.date(2023, 1, 5), "final"), (dt.date(2022, 6, 17), "provisional")])
def test_a_cycle_closed_lately_or_provisionally_keeps_its_days(lake, warehouse, closed, status):
    _close(warehouse, CLOSED, closed, status)
    _staged(lake, "2022-05-20")
    assert expired_staging(lake, warehouse, LIMIT, CLOSING_DAY).days == []


def test_a_removed_page_is_on_record_as_removed_in_postgres_and_journal(lake, warehouse):
    _close(warehouse, CLOSED, dt.date(2022, 6, 20))
    day, page = dt.date(2022, 5, 20), "raw/positions/date=2022-05-20/page.json.zst"
    lake.put_bytes(page, b"page")
    lake.put_bytes("raw/bulletin/abc/boletim.csv", b"file")
    row = {
        "request_id": "r1", "partition_date": day, "window_from": pd.Timestamp("2022-05-20T03:00Z"),
        "window_to": pd.Timestamp("2022-05-20T04:00Z"), "page_number": 1, "window_attempt": 1, "status": 200,
        "tries": 1, "latency_ms": 5, "rows_read": 7, "size_bytes": 4, "body_sha256": "page", "archive_path": page,
        "server_request_id": None, "message": None, "answered_at": pd.Timestamp("2022-05-20T05:00Z"), "run_id": "run",
    }  # fmt: skip
    warehouse.upsert(API_REQUESTS, conform(pd.DataFrame([row]), API_REQUESTS))
    found = expired_pages(lake, warehouse, LIMIT, CLOSING_DAY)
    assert list(found.files) == [page]
    remove_pages(lake, warehouse, found)
    assert lake.list("raw/positions") == []
    assert lake.exists("raw/bulletin/abc/boletim.csv")
    assert asked_rows(warehouse, day) == {}  # a run of the day takes no page for lost
    assert "Removed by retention" in row_batches(lake, API_REQUESTS)[0]["message"].iloc[0]


def test_a_limit_is_a_first_day_of_a_month():
    assert months_before(dt.date(2026, 1, 31), 6) == dt.date(2025, 7, 1)
    assert months_before(dt.date(2026, 11, 28), 24) == dt.date(2024, 11, 1)
