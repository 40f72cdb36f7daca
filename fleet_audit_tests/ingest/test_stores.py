"""Every source ends in the same staging, whether the inbox and the lake are folders or S3 prefixes."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import uuid
from dataclasses import replace

import pytest

from fleet_audit.ingest.api.page_fetcher import PageFetcher, failure_sentence
from fleet_audit.ingest.api.pages import archived_pages, page_sha256
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.sources.inbox import Inbox
from fleet_audit.sources.telemetry_api import TelemetryApi
from fleet_audit_tests.conftest import S3Server
from fleet_audit_tests.ingest.conftest import Arrivals
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    PAID,
    SEEN_TWICE,
    bulletin,
    drive,
    run_row,
    telemetry,
    to_work,
    visit_report,
)
from fleet_audit_tests.sources.small_server import answering

PAGE = json.dumps({
    "data": [{"device_id": "7", "timestamp": f"{DAY}T12:{n:02}:00Z", "odometer_km": n} for n in range(9)],
    "next_cursor": None,
}).encode()  # fmt: skip
EMPTY = b'{"data":[],"next_cursor":null}'
FILES = {
    "visit_reports/a.csv": visit_report({PAID: [to_work()], SEEN_TWICE: [to_work()]}),
    "bulletins/b.csv": bulletin(run_row(1, PAID, "06:30", "06:45", 11)),
    "telemetry/t.csv": telemetry(drive(PAID, "06:30")),
    "telemetry/t.csv.gz": gzip.compress(telemetry(drive(SEEN_TWICE, "06:30")), mtime=0),
}


@pytest.mark.parametrize("lake_store", ["folder", "s3"])
@pytest.mark.parametrize("inbox_store", ["folder", "s3"])
def test_every_source_through_every_store(
    arrivals: Arrivals, request: pytest.FixtureRequest, inbox_store: str, lake_store: str
) -> None:
    """The API with a lake on S3 never worked: each page was compressed twice, and no run could read it."""
    server: S3Server | None = request.getfixturevalue("seaweed") if "s3" in (inbox_store, lake_store) else None
    prefix, changed = uuid.uuid4().hex, dict(server.settings()) if server else {}
    if inbox_store == "s3":
        changed["inbox_url"] = f"s3://{server.bucket}/{prefix}/in"
    if lake_store == "s3":
        changed["lake_url"] = f"s3://{server.bucket}/{prefix}/lake"
    arrivals = replace(arrivals, settings=type(arrivals.settings)(_env_file=None, **{
        **arrivals.settings.model_dump(include={"home", "inbox_url"}), **changed,
    }))  # fmt: skip
    for name, content in FILES.items():
        if inbox_store == "s3":
            with server.filesystem().open_output_stream(f"{server.bucket}/{prefix}/in/{name}", compression=None) as out:
                out.write(content)
        else:
            arrivals.drop(name, content)
    arrivals.now = dt.datetime.now(dt.UTC)
    found = arrivals.read(Inbox(str(arrivals.settings.inbox_url), arrivals.settings)).files.set_index("file_name")
    assert dict(found["status"]) == {
        "visit_reports/a.csv": "accepted", "bulletins/b.csv": "accepted", "telemetry/t.csv": "accepted",
        "telemetry/t.csv.gz": found.loc["telemetry/t.csv.gz", "status"],
    }  # fmt: skip
    for name, content in FILES.items():
        assert arrivals.lake.get_bytes(found.loc[name, "archive_path"]) == content

    with answering(lambda one: (200, {}, PAGE if f"{DAY}T09" in one.path else EMPTY)) as url:
        fetcher = PageFetcher(TelemetryApi(url, "token"), arrivals.lake, arrivals.warehouse, "a-run")
        assert failure_sentence(fetcher.fetch_days([DAY], dt.datetime.now(dt.UTC))) is None
        again = PageFetcher(TelemetryApi(url, "token"), arrivals.lake, arrivals.warehouse, "b-run")
        again.fetch_days([DAY], dt.datetime.now(dt.UTC))
    assert again.set_aside == []
    pages = {hashlib.sha256(body).hexdigest() for body in (PAGE, EMPTY)}
    assert {page_sha256(path) for path in archived_pages(arrivals.lake, DAY)} == pages

    stage = arrivals.stage()
    arrivals.lake.write_encoded(STAGING_POSITIONS, DAY, stage.staged_positions(DAY))
    sources = arrivals.lake.read_days(STAGING_POSITIONS, [DAY])["source"].value_counts().to_dict()
    assert sources["api"] == 9
    assert sources["file"] >= len(telemetry(drive(PAID, "06:30")).splitlines()) - 1
    assert len(stage.visit_legs(DAY)) == 2
    assert len(stage.declared_runs(DAY)) == 1
