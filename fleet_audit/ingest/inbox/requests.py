"""Memory of the inbox sensor: the files with known days, and the days without a requested run.

Days are collected over as many ticks as a drop of files needs, so that each is requested once. Looking at files and
requesting runs is the sensor's work.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fleet_audit.ingest.inbox.file_days import Span
from fleet_audit.ingest.inbox.known_files import names_with_stamp
from fleet_audit.schema.facts import INBOX_REQUESTS
from fleet_audit.sources.inbox import InboxFile
from fleet_audit.storage.warehouse import Warehouse


@dataclass(frozen=True)
class FileRequest:
    """A file, the hash of its content, and the spans of days that it can change; none when they were computed since."""

    file: InboxFile
    content: str
    spans: Sequence[Span]


_NAMED_FILES = 50  # a cursor stays small for a drop of any size


@dataclass(frozen=True)
class Collection:
    """The cursor of the sensor.

    Attributes:
        rows: rows of `ops.inbox_requests` of the last tick, which the next tick writes: only then the daemon has
            certainly kept this cursor.
        spans: days that no run was requested for yet, few however many files name them.
        digest: hash of the content of all files that named them.
        since: when the first of them was looked at.
        files: name, first and last day of the first files that named them.
    """

    rows: Sequence[dict[str, str | None]] = ()
    spans: Sequence[Span] = ()
    digest: str = ""
    since: dt.datetime | None = None
    files: Sequence[tuple[str, str, str]] = ()

    @classmethod
    def of_cursor(cls, cursor: str | None) -> Collection:
        """The collection that `cursor` wrote; an empty one for an older version's: its files are looked at again."""
        found = json.loads(cursor) if cursor else {}
        if not isinstance(found, dict) or "rows" not in found:
            return cls()
        spans = [(dt.date.fromisoformat(first), dt.date.fromisoformat(last)) for first, last in found["spans"]]
        since = dt.datetime.fromisoformat(found["since"]) if found["since"] else None
        files = [(name, first, last) for name, first, last in found.get("files", [])]
        return cls(found["rows"], spans, found["digest"], since, files)

    def cursor(self) -> str:
        """The collection as text."""
        return json.dumps(
            {
                "rows": self.rows,
                "spans": [[first.isoformat(), last.isoformat()] for first, last in self.spans],
                "digest": self.digest,
                "since": self.since and self.since.isoformat(),
                "files": self.files,
            }
        )

    def with_files(self, requests: Sequence[FileRequest], now: dt.datetime, spans: Sequence[Span]) -> Collection:
        """The collection after a tick: `spans` are the days of these files and of the ticks before."""
        contents = sorted(request.content for request in requests if request.spans)
        digest = hashlib.sha256(" ".join([self.digest, *contents]).encode()).hexdigest() if contents else self.digest
        since = (self.since or now) if spans else None
        new = [
            (request.file.name, min(request.spans)[0].isoformat(), max(span[1] for span in request.spans).isoformat())
            for request in requests
            if request.spans
        ]
        rows = [_row(request, now) for request in requests]
        return Collection(rows, spans, digest, since, [*self.files, *new][:_NAMED_FILES])

    def files_between(self, first: dt.date, last: dt.date) -> list[str]:
        """Names of the collected files that touch these days."""
        return [name for name, start, end in self.files if start <= last.isoformat() and end >= first.isoformat()]

    def requested(self) -> Collection:
        """The collection once runs of its days are requested."""
        return Collection(self.rows)


def unseen_files(warehouse: Warehouse, collection: Collection, listed: Sequence[InboxFile]) -> list[InboxFile]:
    """The listed files that are new or changed since their days were known; the last tick's rows are written first."""
    _remember(warehouse, collection.rows)
    seen = names_with_stamp(warehouse, INBOX_REQUESTS, listed)
    return [file for file in listed if file.name not in seen]


def settle_files(warehouse: Warehouse, files: Sequence[InboxFile], now: dt.datetime) -> None:
    """Record that these files request no run until they change: a person chose which of their days to run."""
    _remember(warehouse, [_row(FileRequest(file, "", ()), now) for file in files])


def _remember(warehouse: Warehouse, rows: Sequence[dict[str, str | None]]) -> None:
    if not rows:
        return
    frame = pd.DataFrame(list(rows), columns=INBOX_REQUESTS.column_names)
    for name in ("first_date", "last_date"):
        frame[name] = pd.to_datetime(frame[name]).dt.date
    warehouse.upsert(INBOX_REQUESTS, frame.assign(requested_at=pd.to_datetime(frame["requested_at"])))


def _row(request: FileRequest, now: dt.datetime) -> dict[str, str | None]:
    spans = request.spans
    return {
        "file_name": request.file.name,
        "stamp": request.file.stamp,
        "first_date": min(span[0] for span in spans).isoformat() if spans else None,
        "last_date": max(span[1] for span in spans).isoformat() if spans else None,
        "requested_at": now.isoformat(),
    }
