"""The archive of API pages: bytes as received, under the day of America/Sao_Paulo that they were asked for.

Content-addressed: an answer that comes again adds only what is new, and nothing that arrived is replaced or deleted. A
damaged page is moved to `quarantine/`. Requests are in `page_fetcher`; what pages mean is read in `positions`.
"""

from __future__ import annotations

import datetime as dt
import hashlib

import pyarrow as pa

from fleet_audit.errors import PermanentError
from fleet_audit.ingest.api.windows import journal_windows, record_damage
from fleet_audit.ingest.files import QUARANTINE
from fleet_audit.ingest.journal import write_rows
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import API_REQUESTS
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

PAGES_FOLDER = "raw/positions"


class DamagedPageError(PermanentError):
    """An archived page does not hold the bytes that were received; the message names it."""


def page_folder(day: dt.date) -> str:
    """Folder of a day's pages, inside the lake."""
    return f"{PAGES_FOLDER}/date={day.isoformat()}"


def archived_pages(lake: Lake, day: dt.date) -> list[str]:
    """Paths of the day's pages, sorted."""
    return sorted(page_arrivals(lake, day))


def page_arrivals(lake: Lake, day: dt.date) -> dict[str, dt.datetime]:
    """Paths of the day's pages, each with the time at which it was first received."""
    return lake.modified(page_folder(day))


def page_sha256(path: str) -> str:
    """SHA-256 of the bytes as received, which is the page's name."""
    return path.rsplit("/", 1)[1].split(".")[0]


def archive_page(lake: Lake, day: dt.date, body: bytes, sha256: str) -> str:
    """Archives an answer once, and returns its path: its time of writing is the time of its first arrival."""
    path = f"{page_folder(day)}/{sha256}.json.zst"
    if not lake.exists(path):
        lake.put_bytes(path, compressed(body))
    return path


def read_page(lake: Lake, path: str) -> bytes:
    """The page's bytes as received.

    Raises DamagedPageError: they cannot be decompressed, their SHA-256 is not the page's name, or the page was removed
    after it was listed.
    """
    if (content := lake.find_bytes(path)) is None:
        raise DamagedPageError(
            f"{lake.url(path)} no longer exists: another run or a person removed it after it was listed. Run the day "
            "again, or restore the page from a backup."
        )
    try:
        body = pa.CompressedInputStream(pa.BufferReader(content), "zstd").read() if path.endswith(".zst") else content
    except (OSError, pa.ArrowException):
        body = b""
    if hashlib.sha256(body).hexdigest() != page_sha256(path):
        raise DamagedPageError(
            f"{lake.url(path)} is not what was received: its SHA-256 should be {page_sha256(path)}. Run the day again "
            "to set it aside and ask the API for it, or restore it from a backup."
        )
    return body


def set_aside_page(lake: Lake, warehouse: Warehouse, path: str, reason: str, run_id: str) -> str | None:
    """Moves a damaged page to `quarantine/`, and records its window as not answered; returns the new path.

    The copy is written first and the page removed last: an interruption leaves the page where it is, or twice. None is
    returned, and nothing recorded, when the page is gone: another run has moved it and recorded that.
    """
    if (content := lake.find_bytes(path)) is None:
        return None
    folder, digest = path.rsplit("/", 1)[0], hashlib.sha256(content).hexdigest()
    new_path = f"{QUARANTINE}/{folder}/{page_sha256(path)}.{digest[:12]}.damaged"
    lake.put_bytes(new_path, content)
    day = dt.date.fromisoformat(path.rsplit("/", 2)[1].removeprefix("date="))
    requests = warehouse.read(
        "select * from ops.api_requests where partition_date = :day and archive_path = :path",
        {"day": day, "path": path},
    )
    if len(requests):
        rows = conform(requests.assign(archive_path=new_path, message=reason), API_REQUESTS)
        write_rows(lake, warehouse, API_REQUESTS, rows)
    record_damage(warehouse, day, set(requests["window_from"]), reason, run_id)
    journal_windows(lake, warehouse, [day])
    lake.delete(path)
    return new_path


def asked_rows(warehouse: Warehouse, day: dt.date) -> dict[str, int]:
    """Path of each page of a day, with the number of its items as counted when it was archived."""
    rows = warehouse.read(
        "select distinct archive_path, rows_read from ops.api_requests "
        "where partition_date = :day and archive_path is not null and message is null",
        {"day": day},
    )
    return dict(zip(rows["archive_path"], map(int, rows["rows_read"]), strict=True))


def compressed(body: bytes) -> pa.Buffer:
    """The bytes as one zstd frame, which `zstd -d` reads."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(body)
    return sink.getvalue()
