"""The inbox, read once: every new file is archived as received, parsed, and recorded in `ops.ingested_files`.

A bad file is refused whole and kept; it never stops the others. Which rows of which version count is in `staging`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import pandas as pd

from fleet_audit.errors import PermanentError
from fleet_audit.formats.parsed import Limits, ParsedFile, RejectedFile, empty_rejected, too_large
from fleet_audit.formats.read import parse_file
from fleet_audit.formats.rejection_report import NAME as REPORT_NAME
from fleet_audit.formats.rejection_report import refusal, rejection_report
from fleet_audit.ingest.driver_names import remember_drivers
from fleet_audit.ingest.journal import record_arrival
from fleet_audit.logic.reference.pending_devices import days_let_go
from fleet_audit.schema.facts import FILE_DAYS, INGESTED_FILES, PENDING_DEVICES, REJECTED_ROWS
from fleet_audit.schema.lake import (
    PARSED_COVERAGE,
    PARSED_DECLARED_RUNS,
    PARSED_NOTES,
    PARSED_POSITIONS,
    PARSED_VISIT_LEGS,
)
from fleet_audit.schema.model import Table
from fleet_audit.schema.reference import DEVICES
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import SETTLED_AFTER, Inbox, InboxFile
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

PARSED_TABLES: dict[str, Table] = {
    "visit_report": PARSED_VISIT_LEGS,
    "bulletin": PARSED_DECLARED_RUNS,
    "telemetry": PARSED_POSITIONS,
}

# Each row of a file is on one of its days, as soon as one row names a day.
_LOST_ROWS = """
select file.file_name, rows_read, rows_accepted, rows_rejected, rows_duplicate, coalesce(day_rows, 0) as day_rows
from ops.ingested_files as file
left join (
    select file_sha256, file_name, cast(sum(rows_read) as bigint) as day_rows,
        cast(sum(rows_accepted) as bigint) as day_accepted, cast(sum(rows_rejected) as bigint) as day_rejected
    from ops.file_days group by file_sha256, file_name
) as days using (file_sha256, file_name)
where rows_read <> rows_accepted + rows_rejected + rows_duplicate
    or (day_rows, day_accepted, day_rejected) <> (rows_read, rows_accepted, rows_rejected)
order by file.file_name
"""

DAMAGED = "damaged_archive"  # reason code of a file whose archived bytes are lost; the same bytes sent again heal it

Span: TypeAlias = tuple[dt.date, dt.date]

_NONE, _DAY = dt.timedelta(0), dt.timedelta(days=1)
_REACH = {"visit_report": (_NONE, _NONE), "bulletin": (_NONE, _DAY), "telemetry": (_DAY, _NONE)}


@dataclass(frozen=True)
class IngestSummary:
    """What one reading of the inbox did.

    Attributes:
        files: rows of `ops.ingested_files` of the new files.
        reasons: file_name, reason_code, rows of what was refused of them; rows is null for a file refused whole.
        ignored: what was left aside.
    """

    files: pd.DataFrame
    reasons: pd.DataFrame
    ignored: Sequence[str]


@dataclass(frozen=True)
class _Arrival:
    """A file with the hash of its bytes, and the bytes unless they are more than may be read."""

    file: InboxFile
    sha256: str
    content: bytes | None


def ingest_inbox(
    inbox: Inbox,
    lake: Lake,
    warehouse: Warehouse,
    settings: Settings,
    *,
    now: dt.datetime,
    run_id: str,
    is_attended: bool = True,
) -> IngestSummary:
    """Read every file of the inbox that was not read before (by name and SHA-256).

    A file that was settled when it was read, and keeps its stamp, is not opened again. A run that nobody attends leaves
    a file that is not settled for the next one.

    Raises PermanentError or RetryableError when the inbox itself cannot be listed.
    """
    seen = warehouse.read(
        "select file_sha256, file_name, kind, status, stamp, received_at, reason_code from ops.ingested_files", {}
    )
    lost = seen[seen["reason_code"].eq(DAMAGED)]
    arrived_at = dict(zip(zip(lost["file_sha256"], lost["file_name"], strict=True), lost["received_at"], strict=True))
    seen = seen.drop(index=lost.index)
    stamped = seen.dropna(subset="stamp")
    stamps = set(zip(stamped["file_name"], stamped["stamp"], strict=True))
    names = set(zip(seen["file_sha256"], seen["file_name"], strict=True))
    used = seen[seen["status"].isin(("accepted", "partial"))]
    contents = set(zip(used["file_sha256"], used["kind"], strict=True))
    reader = _FileReader(inbox, lake, warehouse, settings, now, run_id)
    records: list[dict[str, object]] = []
    reasons = [pd.DataFrame(columns=["file_name", "reason_code", "rows"])]
    for file in inbox.files():
        if (file.name, file.stamp) in stamps or not (is_attended or file.is_settled(now)):
            continue
        try:
            arrival = reader.fetch(file)
        except PermanentError:
            continue  # gone or grown since it was listed: the next reading tells
        if (arrival.sha256, file.name) in names:
            reader.remember(arrival)
            continue
        is_known = (arrival.sha256, file.kind) in contents
        reader.archive(arrival, len(records), is_known=is_known)
        first_arrival = arrived_at.get((arrival.sha256, file.name))  # bytes that the archive lost keep their place
        reading = reader if first_arrival is None else replace(reader, now=first_arrival.to_pydatetime())
        record, refused = reading.read(arrival, is_known=is_known)
        if record["status"] in ("accepted", "partial"):
            contents.add((arrival.sha256, file.kind))  # a refused file may be right in another folder
        records.append(record)
        reasons.append(_counted(file.name, refused))
    return IngestSummary(
        pd.DataFrame(records, columns=INGESTED_FILES.column_names),
        pd.concat(reasons, ignore_index=True),
        inbox.ignored,
    )


def _counted(file_name: str, refused: pd.DataFrame) -> pd.DataFrame:
    counts = refused.groupby("reason_code")["row_number"].count().rename("rows").reset_index()
    return counts.assign(file_name=file_name)


@dataclass(frozen=True)
class _FileReader:
    inbox: Inbox
    lake: Lake
    warehouse: Warehouse
    settings: Settings
    now: dt.datetime
    run_id: str

    def fetch(self, file: InboxFile) -> _Arrival:
        """The bytes, or only their hash when there are too many. Raises PermanentError when the file went away."""
        if file.size <= file_limits(self.settings).max_bytes:
            content = self.inbox.read(file)
            return _Arrival(file, hashlib.sha256(content).hexdigest(), content)
        digest = hashlib.sha256()
        for chunk in self.inbox.chunks(file):
            digest.update(chunk)
        return _Arrival(file, digest.hexdigest(), None)

    def remember(self, arrival: _Arrival) -> None:
        """Known bytes under a known name, put there anew: next time it is not opened."""
        self.warehouse.execute(
            "update ops.ingested_files set stamp = :stamp where file_sha256 = :sha256 and file_name = :name",
            {"stamp": self._stamp(arrival.file), "sha256": arrival.sha256, "name": arrival.file.name},
        )

    def archive(self, arrival: _Arrival, sequence: int, *, is_known: bool) -> None:
        """Put the bytes into the archive, and their arrival into its journal, before PostgreSQL has a row of them."""
        content, record = arrival.content, self._unread(arrival)
        chunks = self.inbox.chunks(arrival.file) if content is None else [content]
        self.lake.put_chunks(str(record["archive_path"]), chunks)
        record_arrival(self.lake, record, sequence, is_duplicate=is_known)

    def read(self, arrival: _Arrival, *, is_known: bool) -> tuple[dict[str, object], pd.DataFrame]:
        """Parse and record one archived file; returns its row of `ops.ingested_files` and what was refused of it."""
        file, sha256, content = arrival.file, arrival.sha256, arrival.content
        folder = _archive_folder(arrival)
        record, refused = self._unread(arrival), empty_rejected()
        if is_known:
            record |= {
                "status": "duplicate",
                "message": "The same bytes arrived before under another name; nothing changed.",
            }
        else:
            try:
                if content is None:
                    raise too_large(file.size, file_limits(self.settings))
                parsed = parse_inbox_file(file, content, self.settings, self.now)
                refused = parsed.rejected
                record |= self._store(file, parsed, sha256)
            except RejectedFile as error:
                refused = refusal(error.code, str(error))
                record |= {"status": "rejected", "message": str(error), "reason_code": error.code}
        if len(refused):
            record["report_path"] = f"{folder}/{REPORT_NAME}"
            self.lake.put_bytes(f"{folder}/{REPORT_NAME}", rejection_report(file.name, refused))
        self.warehouse.upsert(INGESTED_FILES, pd.DataFrame([record]))
        return record, refused

    def _unread(self, arrival: _Arrival) -> dict[str, object]:
        """The row of a file of which nothing was read yet."""
        return {
            "file_sha256": arrival.sha256,
            "file_name": arrival.file.name,
            "kind": arrival.file.kind,
            "size_bytes": arrival.file.size,
            "received_at": self.now,
            "archive_path": f"{_archive_folder(arrival)}/{safe_name(arrival.file.name)}",
            "run_id": self.run_id,
            "rows_read": 0,
            "rows_accepted": 0,
            "rows_rejected": 0,
            "rows_duplicate": 0,
            "first_date": None,
            "last_date": None,
            "reason_code": None,
            "report_path": None,
            "stamp": self._stamp(arrival.file),
        }

    def _stamp(self, file: InboxFile) -> str | None:
        return file.stamp if file.is_settled(self.now) else None

    def _store(self, file: InboxFile, parsed: ParsedFile, sha256: str) -> dict[str, object]:
        write_parsed(self.lake, file, parsed, sha256)
        remember_drivers(self.warehouse, parsed.drivers)
        where = {"file_sha256": sha256, "file_name": file.name}
        if len(parsed.rejected):
            self.warehouse.upsert(
                REJECTED_ROWS, parsed.rejected.assign(**where, source_kind=file.kind, run_id=self.run_id)
            )
        if len(parsed.days):
            self.warehouse.upsert(FILE_DAYS, parsed.days.assign(**where))
        return {
            "status": parsed.status,
            "message": parsed.message,
            "rows_read": parsed.rows_read,
            "rows_accepted": len(parsed.rows),
            "rows_rejected": parsed.rows_rejected,
            "rows_duplicate": parsed.rows_duplicate,
            "first_date": parsed.first_date,
            "last_date": parsed.last_date,
        }


def lost_rows(warehouse: Warehouse) -> list[str]:
    """A sentence for each file whose counts do not reconcile, as a whole or summed over its days."""
    found = warehouse.read(_LOST_ROWS, {})
    return [
        f"{row.file_name}: {row.rows_read} rows were read, but {row.rows_accepted} accepted, {row.rows_rejected} "
        f"rejected and {row.rows_duplicate} duplicate, {row.day_rows} on its days: rows were lost."
        for row in found.itertuples()
    ]


def ingest_archived(
    lake: Lake, warehouse: Warehouse, settings: Settings, kind: str, name: str, content: bytes, received_at: dt.datetime
) -> None:
    """Archive, parse and record a file as when it was first received, in another installation."""
    arrival = _Arrival(InboxFile(kind, name, len(content), received_at), hashlib.sha256(content).hexdigest(), content)
    reader = _archive_reader(lake, warehouse, settings, received_at)
    reader.archive(arrival, 0, is_known=False)
    reader.read(arrival, is_known=False)


def ingest_again(lake: Lake, warehouse: Warehouse, settings: Settings, entry: Mapping[str, Any]) -> None:
    """Parse and record an archived file as when it arrived.

    Args:
        lake: the archive that has its bytes; warehouse, settings: of the installation.
        entry: its arrival, as `journal.arrivals` returns it.

    Raises PermanentError when the archived bytes are missing or are not those that arrived.
    """
    received_at, stamp, size = entry["received_at"], entry["stamp"], entry["size_bytes"]
    modified_at = received_at if stamp is None else received_at - SETTLED_AFTER
    file = InboxFile(entry["kind"], entry["file_name"], size, modified_at, stamp or "")
    is_read = size <= file_limits(settings).max_bytes
    content = archived_bytes(lake, entry["archive_path"], entry["file_sha256"]) if is_read else None
    arrival = _Arrival(file, entry["file_sha256"], content)
    _archive_reader(lake, warehouse, settings, received_at).read(arrival, is_known=entry["is_duplicate"])


def archived_bytes(lake: Lake, path: str, sha256: str) -> bytes:
    """An archived file. Raises PermanentError when it is missing, or its bytes are not those that were received."""
    content = lake.get_bytes(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PermanentError(
            f"{lake.url(path)} is damaged: its SHA-256 is not the {sha256} that was received. Send the file again, or "
            "restore the archive from a backup."
        )
    return content


def _archive_reader(lake: Lake, warehouse: Warehouse, settings: Settings, received_at: dt.datetime) -> _FileReader:
    """A reader of archived files: it reads nothing from its inbox."""
    return _FileReader(Inbox(str(settings.home), settings), lake, warehouse, settings, received_at, "archive")


def parse_inbox_file(file: InboxFile, content: bytes, settings: Settings, now: dt.datetime) -> ParsedFile:
    """The file, parsed under the settings' limits. Raises RejectedFile when it is refused whole."""
    return parse_file(
        file.kind,
        file.name,
        content,
        received_at=now,
        limits=file_limits(settings),
        driver_key=settings.pseudonym_key.get_secret_value().encode(),
    )


def file_limits(settings: Settings) -> Limits:
    """How much of a file is read, as the settings say."""
    return Limits(int(settings.max_file_mb * 1024 * 1024), settings.max_file_rows)


def days_of_file(file: InboxFile, content: bytes, settings: Settings, now: dt.datetime) -> list[Span]:
    """Operational days whose results a file can change, as spans in order; none when it is refused or reference.

    A night shift's bulletin names the day before, and the first positions of a day are the tail of the day before.
    """
    if file.kind == "reference":
        return []
    try:
        parsed = parse_inbox_file(file, content, settings, now)
    except RejectedFile:
        return []
    before, after = _REACH[file.kind]
    days = {*parsed.covered["date"], *parsed.days["date"]}
    return spans_of(day + offset for day in days for offset in {-before, _NONE, after})


def days_of_registration(file: InboxFile, content: bytes, warehouse: Warehouse, settings: Settings) -> list[Span]:
    """Days on which positions wait for a device that this version of `reference/devices` registers."""
    if PurePosixPath(file.name).stem != DEVICES.name:
        return []
    try:
        registered = parse_inbox_file(file, content, settings, dt.datetime.now(dt.UTC)).rows
    except RejectedFile:
        return []
    before, _ = _REACH["telemetry"]
    days = days_let_go(warehouse.read_table(PENDING_DEVICES), registered)
    return spans_of(day - offset for day in days for offset in (_NONE, before))


def spans_of(days: Iterable[dt.date]) -> list[Span]:
    """The days as first and last of each uninterrupted stretch, in order."""
    spans: list[Span] = []
    for day in sorted(set(days)):
        if spans and day - spans[-1][1] == _DAY:
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return spans


def is_done(warehouse: Warehouse, sha256: str, name: str, span: Span) -> bool:
    """Whether the file was read, and every day that it touches was computed after that."""
    found = warehouse.read(
        "select count(*) as days from (select operational_date from fact.vehicle_day_coverage "
        "where operational_date between :first and :last group by operational_date having min(updated_at) > "
        "(select received_at from ops.ingested_files where file_sha256 = :sha256 and file_name = :name "
        "and reason_code is distinct from :damaged)) as computed",
        {"first": span[0], "last": span[1], "sha256": sha256, "name": name, "damaged": DAMAGED},
    )
    return bool(found["days"].iloc[0] == (span[1] - span[0]).days + 1)


def write_parsed(lake: Lake, file: InboxFile, parsed: ParsedFile, sha256: str) -> None:
    """Write the parsed rows of a file into the lake, with notes and covered days where its kind has these."""
    if file.kind == "reference":
        table = reference_table(file.name)
        lake.write_table(parsed_path(table, sha256), parsed.rows, table)
        return
    for table, frame in (
        (PARSED_TABLES[file.kind], parsed.rows),
        (PARSED_NOTES, parsed.notes),
        (PARSED_COVERAGE, _coverage(parsed)),
    ):
        lake.write_table(parsed_path(table, sha256), frame, table)


def _coverage(parsed: ParsedFile) -> pd.DataFrame:
    return parsed.covered.rename(columns={"plate": "owner", "device_id": "owner"})[["owner", "date"]]


def reference_table(file_name: str) -> Table:
    """The reference table that a file name means."""
    from fleet_audit.schema.registry import table

    return table(f"ref.{PurePosixPath(file_name).stem}")


def _archive_folder(arrival: _Arrival) -> str:
    return f"raw/{arrival.file.kind}/{arrival.sha256}"


def parsed_path(table: Table, sha256: str) -> str:
    """Where the parsed rows of a file are, inside the lake."""
    return f"parsed/{table.name}/{sha256}.parquet"


def safe_name(name: str) -> str:
    """A file name from outside as one harmless path component; the true name is in `ops.ingested_files`."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", PurePosixPath(name).name).lstrip(".")[-110:] or "file"
    return f"received_{safe}" if safe == REPORT_NAME else safe  # the report of what was refused stands beside it
