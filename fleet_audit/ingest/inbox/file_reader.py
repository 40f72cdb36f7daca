"""One file that arrived: archived as received, parsed or refused, and recorded in `ops.ingested_files`.

Which files are new is in `ingestion`, which days they touch in `file_days`, paths and parsing in `ingest.files`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fleet_audit.errors import PermanentError
from fleet_audit.formats.parsed import ParsedFile, RejectedFile, empty_rejected, too_large
from fleet_audit.formats.rejection_report import NAME as REPORT_NAME
from fleet_audit.formats.rejection_report import refusal, rejection_report
from fleet_audit.ingest.driver_names import remember_drivers
from fleet_audit.ingest.files import archived_bytes, file_limits, parse_inbox_file, safe_name, write_parsed
from fleet_audit.ingest.journal import record_arrival
from fleet_audit.schema.facts import FILE_DAYS, INGESTED_FILES, REJECTED_ROWS
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import Inbox, InboxFile
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.lake_files import sha256_of
from fleet_audit.storage.warehouse import Warehouse

_SET_STAMPS = """
update ops.ingested_files as file set stamp = seen.stamp
from unnest(cast(:sha256s as text[]), cast(:names as text[]), cast(:stamps as text[])) as seen (sha256, name, stamp)
where file.file_sha256 = seen.sha256 and file.file_name = seen.name
"""

UNREADABLE_SHA256 = ""  # of an entry whose bytes could not be read
_NO_ROWS: dict[str, object] = {
    **dict.fromkeys(("rows_read", "rows_accepted", "rows_rejected", "rows_duplicate"), 0),
    **dict.fromkeys(("first_date", "last_date")),
}


@dataclass(frozen=True)
class Arrival:
    """A file with the hash of its bytes, and the bytes unless they are more than may be read."""

    file: InboxFile
    sha256: str
    content: bytes | None


@dataclass(frozen=True)
class Outcome:
    """What the reading of one file gives to the warehouse.

    Attributes:
        record: its row of `ops.ingested_files`.
        refused: what the report for its sender lists.
        parsed: its rows, None when it was refused whole or is known.
    """

    record: dict[str, object]
    refused: pd.DataFrame
    parsed: ParsedFile | None = None


@dataclass(frozen=True)
class FileReader:
    """Archives and parses single files, and writes what that gives to the warehouse.

    Attributes:
        inbox: where the files are.
        lake, warehouse, settings: of the installation.
        now: instant of arrival.
        run_id: run that reads.
    """

    inbox: Inbox
    lake: Lake
    warehouse: Warehouse
    settings: Settings
    now: dt.datetime
    run_id: str

    def fetch(self, file: InboxFile) -> Arrival:
        """The bytes of a file with their hash; only the hash when there are more than may be read.

        Raises what `Inbox.read` raises.
        """
        if file.size <= file_limits(self.settings).max_bytes:
            content = self.inbox.read(file)
            return Arrival(file, hashlib.sha256(content).hexdigest(), content)
        return Arrival(file, sha256_of(self.inbox.chunks(file)), None)

    def archive(self, arrival: Arrival, sequence: int, *, is_known: bool, is_settled: bool = True) -> None:
        """Put the bytes into the archive, and their arrival into its journal, before PostgreSQL has a row of them.

        Args:
            arrival: the file.
            sequence: position of the file among those that the same look at the inbox found.
            is_known, is_settled: see `read`.
        """
        record = self._unread(arrival, is_settled=is_settled)
        self._put(arrival, str(record["archive_path"]))
        record_arrival(self.lake, record, sequence, is_duplicate=is_known)

    def heal(self, arrival: Arrival, paths: Iterable[str]) -> None:
        """Put known bytes again under each of their paths in the archive where they are lost or damaged."""
        for path in paths:
            found = self.lake.find_bytes(path)
            if found is None or hashlib.sha256(found).hexdigest() != arrival.sha256:
                self._put(arrival, path)

    def read(self, arrival: Arrival, *, is_known: bool, is_settled: bool = True) -> Outcome:
        """Parse one archived file.

        Args:
            arrival: the file.
            is_known: the same bytes were accepted before, under another name.
            is_settled: it need not be opened again while it keeps its stamp.
        """
        file, content = arrival.file, arrival.content
        record = self._unread(arrival, is_settled=is_settled)
        if is_known:
            message = "The same bytes arrived before under another name; nothing changed."
            return Outcome(record | {"status": "duplicate", "message": message}, empty_rejected())
        try:
            if content is None:
                raise too_large(file.size, file_limits(self.settings))
            parsed = parse_inbox_file(file, content, self.settings, self.now)
            write_parsed(self.lake, file, parsed, arrival.sha256)
        except PermanentError as error:
            return self.refuse(record, error)
        if len(parsed.rejected):
            record["report_path"] = self._report(record, parsed.rejected)
        return Outcome(record | _counts(parsed), parsed.rejected, parsed)

    def refuse(self, record: dict[str, object], error: PermanentError) -> Outcome:
        """A file that is refused whole: its row, and the report for its sender beside the archived bytes."""
        code = error.code if isinstance(error, RejectedFile) else "unreadable"
        refused = refusal(code, str(error))
        refusing = {"status": "rejected", "message": str(error), "reason_code": code} | _NO_ROWS
        if record["archive_path"] is not None:
            refusing["report_path"] = self._report(record, refused)
        return Outcome(record | refusing, refused)

    def refuse_unread(self, file: InboxFile, error: PermanentError) -> Outcome:
        """An entry whose bytes cannot be read: it is on record by its name until it can be."""
        record = self._unread(Arrival(file, UNREADABLE_SHA256, None), is_settled=False)
        return self.refuse(record | {"archive_path": None}, error)

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Write what reading gave: drivers, refused rows, days, and last the files themselves.

        Raises PermanentError when a value of a file does not fit the warehouse; nothing of the files is recorded then.
        """
        if not outcomes:
            return
        rejected, days, drivers = [], [], []
        for outcome in outcomes:
            parsed = outcome.parsed
            if parsed is None:
                continue
            where = {name: outcome.record[name] for name in ("file_sha256", "file_name")}
            if len(parsed.rejected):
                kind = outcome.record["kind"]
                rejected.append(parsed.rejected.assign(**where, source_kind=kind, run_id=self.run_id))
            if len(parsed.days):
                days.append(parsed.days.assign(**where))
            if len(parsed.drivers):
                drivers.append(parsed.drivers)
        if drivers:
            remember_drivers(self.warehouse, pd.concat(drivers, ignore_index=True))
        for table, frames in ((REJECTED_ROWS, rejected), (FILE_DAYS, days)):
            if frames:
                self.warehouse.upsert(table, pd.concat(frames, ignore_index=True))
        self.warehouse.upsert(INGESTED_FILES, pd.DataFrame([outcome.record for outcome in outcomes]))

    def record_stamps(self, stamps: Sequence[tuple[str, str, str]]) -> None:
        """Record (sha256, name, stamp) of known files, so that they are not opened again."""
        if stamps:
            # of arrays PostgreSQL knows the length; of a set of JSON rows it expects so many that it reads all files
            columns = dict(zip(("sha256s", "names", "stamps"), map(list, zip(*stamps, strict=True)), strict=True))
            self.warehouse.execute(_SET_STAMPS, columns)

    def forget_unreadable(self, but: Iterable[str]) -> None:
        """Remove the rows of unreadable entries, but those of these names: the others were read, or are gone."""
        self.warehouse.execute(
            "delete from ops.ingested_files where file_sha256 = :unreadable "
            "and file_name not in (select json_array_elements_text(cast(:names as json)))",
            {"unreadable": UNREADABLE_SHA256, "names": json.dumps(sorted(but))},
        )

    def _put(self, arrival: Arrival, path: str) -> None:
        content = arrival.content
        self.lake.put_chunks(path, self.inbox.chunks(arrival.file) if content is None else [content])

    def _unread(self, arrival: Arrival, *, is_settled: bool) -> dict[str, object]:
        """The row of a file of which nothing was read yet."""
        file = arrival.file
        return {
            "file_sha256": arrival.sha256,
            "file_name": file.name,
            "kind": file.kind,
            "size_bytes": file.size,
            "received_at": self.now,
            "archive_path": f"raw/{file.kind}/{arrival.sha256}/{safe_name(file.name)}",
            "run_id": self.run_id,
            "reason_code": None,
            "report_path": None,
            "stamp": file.stamp if is_settled else None,
            "has_lost_rows": None,
            **_NO_ROWS,
        }

    def _report(self, record: dict[str, object], refused: pd.DataFrame) -> str:
        path = f"{str(record['archive_path']).rsplit('/', 1)[0]}/{REPORT_NAME}"
        self.lake.put_bytes(path, rejection_report(str(record["file_name"]), refused))
        return path


def _counts(parsed: ParsedFile) -> dict[str, object]:
    return {
        "status": parsed.status,
        "message": parsed.message,
        "rows_read": parsed.rows_read,
        "rows_accepted": len(parsed.rows),
        "rows_rejected": parsed.rows_rejected,
        "rows_duplicate": parsed.rows_duplicate,
        "has_lost_rows": parsed.has_lost_rows,
        "first_date": parsed.first_date,
        "last_date": parsed.last_date,
    }


def ingest_archived(
    lake: Lake, warehouse: Warehouse, settings: Settings, kind: str, name: str, content: bytes, received_at: dt.datetime
) -> None:
    """Archive, parse and record a file as when it was first received, in another installation."""
    arrival = Arrival(InboxFile(kind, name, len(content), received_at), hashlib.sha256(content).hexdigest(), content)
    reader = _archive_reader(lake, warehouse, settings, received_at)
    reader.archive(arrival, 0, is_known=False)
    reader.record([reader.read(arrival, is_known=False)])


def ingest_again(lake: Lake, warehouse: Warehouse, settings: Settings, entry: Mapping[str, Any]) -> None:
    """Parse and record an archived file as when it arrived.

    Args:
        lake: the archive that has its bytes; warehouse, settings: of the installation.
        entry: its arrival, as `journal.arrivals` returns it.

    Raises PermanentError when the archived bytes are missing or are not those that arrived.
    """
    received_at, stamp, size = entry["received_at"], entry["stamp"], entry["size_bytes"]
    file = InboxFile(entry["kind"], entry["file_name"], size, received_at, stamp or "")
    is_read = size <= file_limits(settings).max_bytes
    content = archived_bytes(lake, entry["archive_path"], entry["file_sha256"]) if is_read else None
    arrival = Arrival(file, entry["file_sha256"], content)
    reader = _archive_reader(lake, warehouse, settings, received_at)
    reader.record([reader.read(arrival, is_known=entry["is_duplicate"], is_settled=stamp is not None)])


def _archive_reader(lake: Lake, warehouse: Warehouse, settings: Settings, received_at: dt.datetime) -> FileReader:
    """A reader of archived files: it reads nothing from its inbox."""
    return FileReader(Inbox(str(settings.home), settings), lake, warehouse, settings, received_at, "archive")
