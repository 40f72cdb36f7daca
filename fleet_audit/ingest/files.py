"""The inbox, read once: every new file is archived as received, parsed, and recorded in `ops.ingested_files`.

A bad file is refused whole and kept; it never stops the others. Which rows of which version count is in `staging`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from fleet_audit.errors import PermanentError
from fleet_audit.formats.parsed import Limits, ParsedFile, RejectedFile
from fleet_audit.formats.read import parse_file
from fleet_audit.logic.identity import driver_pseudonym
from fleet_audit.schema.facts import INGESTED_FILES, REJECTED_ROWS
from fleet_audit.schema.lake import (
    PARSED_COVERAGE,
    PARSED_DECLARED_RUNS,
    PARSED_NOTES,
    PARSED_POSITIONS,
    PARSED_VISIT_LEGS,
)
from fleet_audit.schema.model import Table
from fleet_audit.schema.reference import DRIVERS
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import Inbox, InboxFile
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

PARSED_TABLES: dict[str, Table] = {
    "visit_report": PARSED_VISIT_LEGS,
    "bulletin": PARSED_DECLARED_RUNS,
    "telemetry": PARSED_POSITIONS,
}

_NONE, _DAY = dt.timedelta(0), dt.timedelta(days=1)
_REACH = {"visit_report": (_NONE, _NONE), "bulletin": (_NONE, _DAY), "telemetry": (_DAY, _NONE)}


@dataclass(frozen=True)
class IngestSummary:
    """What one reading of the inbox did: rows of `ops.ingested_files` of the new files, and what was left aside."""

    files: pd.DataFrame
    ignored: Sequence[str]


def ingest_inbox(
    inbox: Inbox, lake: Lake, warehouse: Warehouse, settings: Settings, *, now: dt.datetime, run_id: str
) -> IngestSummary:
    """Read every file of the inbox that was not read before (by name and SHA-256).

    Raises PermanentError or RetryableError when the inbox itself cannot be listed.
    """
    seen = warehouse.read("select file_sha256, file_name, kind, status from ops.ingested_files", {})
    names = set(zip(seen["file_sha256"], seen["file_name"], strict=True))
    used = seen[seen["status"].isin(("accepted", "partial"))]
    contents = set(zip(used["file_sha256"], used["kind"], strict=True))
    records = []
    for file in inbox.files():
        try:
            content = inbox.read(file)
        except PermanentError:
            continue  # gone since it was listed: the next reading tells
        sha256 = hashlib.sha256(content).hexdigest()
        if (sha256, file.name) in names:
            continue
        reader = _FileReader(lake, warehouse, settings, now, run_id)
        record = reader.read(file, content, sha256, is_known=(sha256, file.kind) in contents)
        if record["status"] in ("accepted", "partial"):
            contents.add((sha256, file.kind))  # a refused file may be right in another folder
        records.append(record)
    return IngestSummary(pd.DataFrame(records, columns=INGESTED_FILES.column_names), inbox.ignored)


@dataclass(frozen=True)
class _FileReader:
    lake: Lake
    warehouse: Warehouse
    settings: Settings
    now: dt.datetime
    run_id: str

    def read(self, file: InboxFile, content: bytes, sha256: str, *, is_known: bool) -> dict[str, object]:
        """Archive, parse and record one file; returns its row of `ops.ingested_files`."""
        path = f"raw/{file.kind}/{sha256}/{safe_name(file.name)}"
        self.lake.put_bytes(path, content)
        record: dict[str, object] = {
            "file_sha256": sha256,
            "file_name": file.name,
            "kind": file.kind,
            "size_bytes": len(content),
            "received_at": self.now,
            "archive_path": path,
            "run_id": self.run_id,
            "rows_read": 0,
            "rows_accepted": 0,
            "rows_rejected": 0,
            "rows_duplicate": 0,
            "first_date": None,
            "last_date": None,
        }
        if is_known:
            record |= {
                "status": "duplicate",
                "message": "The same bytes arrived before under another name; nothing changed.",
            }
        else:
            try:
                record |= self._store(file, parse_inbox_file(file, content, self.settings, self.now), sha256)
            except RejectedFile as error:
                record |= {"status": "rejected", "message": str(error)}
        self.warehouse.upsert(INGESTED_FILES, pd.DataFrame([record]))
        return record

    def _remember_drivers(self, drivers: pd.DataFrame) -> None:
        """Names that a source gives, in the only table that has names; what the reference file says of them stays."""
        known = set(self.warehouse.read("select driver_id from ref.drivers", {})["driver_id"])
        new = drivers[~drivers["driver_id"].isin(known)]
        if len(new):
            self.warehouse.upsert(DRIVERS, new)

    def _store(self, file: InboxFile, parsed: ParsedFile, sha256: str) -> dict[str, object]:
        if file.kind == "reference":
            table = reference_table(file.name)
            self.lake.write_table(parsed_path(table, sha256), parsed.rows, table)
        else:
            table = PARSED_TABLES[file.kind]
            for each, frame in (
                (table, parsed.rows),
                (PARSED_NOTES, parsed.notes),
                (PARSED_COVERAGE, _coverage(parsed)),
            ):
                self.lake.write_table(parsed_path(each, sha256), frame, each)
            self._remember_drivers(parsed.drivers)
        if len(parsed.rejected):
            self.warehouse.upsert(
                REJECTED_ROWS,
                parsed.rejected.assign(
                    file_sha256=sha256, file_name=file.name, source_kind=file.kind, run_id=self.run_id
                ),
            )
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


def parse_inbox_file(file: InboxFile, content: bytes, settings: Settings, now: dt.datetime) -> ParsedFile:
    """The file, parsed under the settings' limits. Raises RejectedFile when it is refused whole."""
    limits = Limits(int(settings.max_file_mb * 1024 * 1024), settings.max_file_rows)
    return parse_file(
        file.kind,
        file.name,
        content,
        received_at=now,
        limits=limits,
        driver_key=settings.pseudonym_key.get_secret_value().encode(),
    )


def days_of_file(
    file: InboxFile, content: bytes, settings: Settings, now: dt.datetime
) -> tuple[dt.date, dt.date] | None:
    """First and last operational day whose results a file can change; None for reference and refused files.

    A night shift's bulletin names the day before, and the first positions of a day are the tail of the day before.
    """
    if file.kind == "reference":
        return None
    try:
        parsed = parse_inbox_file(file, content, settings, now)
    except RejectedFile:
        return None
    if parsed.first_date is None or parsed.last_date is None:
        return None
    before, after = _REACH[file.kind]
    return parsed.first_date - before, parsed.last_date + after


def is_done(warehouse: Warehouse, sha256: str, name: str, span: tuple[dt.date, dt.date]) -> bool:
    """Whether the file was read, and every day that it touches was computed after that."""
    found = warehouse.read(
        "select count(*) as days from (select operational_date from fact.vehicle_day_coverage "
        "where operational_date between :first and :last group by operational_date having min(updated_at) > "
        "(select received_at from ops.ingested_files where file_sha256 = :sha256 and file_name = :name)) as computed",
        {"first": span[0], "last": span[1], "sha256": sha256, "name": name},
    )
    return bool(found["days"].iloc[0] == (span[1] - span[0]).days + 1)


def _coverage(parsed: ParsedFile) -> pd.DataFrame:
    return parsed.covered.rename(columns={"plate": "owner", "device_id": "owner"})[["owner", "date"]]


def reference_table(file_name: str) -> Table:
    """The reference table that a file name means."""
    from fleet_audit.schema.registry import table

    return table(f"ref.{PurePosixPath(file_name).stem}")


def parsed_path(table: Table, sha256: str) -> str:
    """Where the parsed rows of a file are, inside the lake."""
    return f"parsed/{table.name}/{sha256}.parquet"


def safe_name(name: str) -> str:
    """A file name from outside as one harmless path component; the true name is in `ops.ingested_files`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", PurePosixPath(name).name).lstrip(".")[-120:] or "file"


def with_pseudonyms(drivers: pd.DataFrame, key: bytes) -> pd.DataFrame:
    """`ref.drivers` rows of the reference file, and for each name the pseudonym that stands for it in other sources.

    So that a driver registered as maintenance is one in a visit report too, which knows names and no ids.
    """
    named = drivers[drivers["name"].notna()]
    aliases = named.assign(driver_id=[driver_pseudonym(name, key) for name in named["name"]])
    return pd.concat([drivers, aliases], ignore_index=True).drop_duplicates("driver_id", keep="first")
