"""Parsed pages of a day, kept in the lake so that the next staging of the day parses its new pages alone.

What a page's rows mean is in `formats.api_page`; which days need their pages again is decided in `staged_days`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
from collections.abc import Sequence
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.api.pages import page_sha256
from fleet_audit.ingest.day_digests import DayDigests
from fleet_audit.storage.lake import Lake

PARSED_PAGES_FOLDER = "parsed/api_pages"
COMPUTATION = "parsed/api_pages"
_PAGES = b"pages"  # in a file's metadata: SHA-256 of the page of each row group
_TEXTS = ["device_id", "driver_id"]  # numbers without a dictionary are written in half of the time


class KeptPages:
    """The rows of pages that an earlier staging of their day parsed, of the files that it recorded.

    A file that is lost, cannot be read, or does not have the bytes that were recorded, is as good as none.
    """

    def __init__(self, lake: Lake, paths: Sequence[str]) -> None:
        self._groups: dict[str, tuple[pq.ParquetFile, int]] = {}
        self._reading = threading.Lock()
        for path in paths:
            content = None
            with suppress(PermanentError, RetryableError):
                content = lake.find_bytes(path)
            if content is None or path != _file_path(path.rsplit("/", 1)[0], content):
                continue
            file = pq.ParquetFile(pa.BufferReader(content))
            pages = json.loads(file.metadata.metadata[_PAGES])
            self._groups |= {sha256: (file, group) for group, sha256 in enumerate(pages)}

    def rows(self, page: str) -> pa.Table | None:
        """The positions of a page, by device, as they were parsed; None when they were not kept."""
        if (found := self._groups.get(page_sha256(page))) is None:
            return None
        file, group = found
        with self._reading:
            return file.read_row_group(group, use_threads=False)


class ParsedPagesFile:
    """A Parquet file of parsed pages in memory: a row group per page."""

    def __init__(self) -> None:
        self._sink = pa.BufferOutputStream()
        self._writer: pq.ParquetWriter | None = None
        self._pages: list[str] = []

    def add(self, page: str, rows: pa.Table) -> None:
        """Add the positions of a page, which are some."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._sink, rows.schema, compression="zstd", use_dictionary=_TEXTS)
        self._writer.write_table(rows, row_group_size=rows.num_rows)
        self._pages.append(page_sha256(page))

    def finish(self) -> pa.Buffer | None:
        """The file's content; None when no page was added."""
        if self._writer is None:
            return None
        self._writer.add_key_value_metadata({_PAGES: json.dumps(self._pages)})
        self._writer.close()
        return self._sink.getvalue()


def kept_files(digests: DayDigests, day: dt.date, made_of: str) -> list[str]:
    """Paths of the day's files whose pages were parsed by what `made_of` is the digest of."""
    names = digests.content_of(day, made_of) or ""
    return [f"{_folder(day)}/{name}" for name in names.split()]


def keep_parsed(lake: Lake, digests: DayDigests, day: dt.date, made_of: str, content: pa.Buffer) -> None:
    """Write a file of new pages beside the day's others, record it, and remove files that are not recorded.

    To be called when the names of the drivers of those pages are recorded: files hold pseudonyms alone.
    """
    path = _file_path(_folder(day), content)
    lake.put_bytes(path, content)
    paths = sorted({*kept_files(digests, day, made_of), path})
    digests.record(day, made_of, " ".join(one.rsplit("/", 1)[1] for one in paths))
    for other in set(lake.list(_folder(day))) - set(paths):
        lake.delete(other)


def remove_parsed(lake: Lake, before: dt.date) -> None:
    """Remove the parsed pages of days before a date."""
    for path in lake.list(PARSED_PAGES_FOLDER):
        if path < _folder(before):
            lake.delete(path)


def _folder(day: dt.date) -> str:
    return f"{PARSED_PAGES_FOLDER}/date={day.isoformat()}"


def _file_path(folder: str, content: bytes | pa.Buffer) -> str:
    return f"{folder}/{hashlib.sha256(content).hexdigest()}.parquet"
