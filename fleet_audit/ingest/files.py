"""Files of the inbox: parsing by the settings, paths of their bytes and rows.

Archiving and recording a file that arrives is in `inbox.file_reader`, which rows count in `staging`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from fleet_audit.errors import PermanentError
from fleet_audit.formats.legible import LegibleText, read_legible
from fleet_audit.formats.named_days import NamedDays
from fleet_audit.formats.parsed import Limits, ParsedFile, RejectedFile
from fleet_audit.formats.read import days_of, parse_file
from fleet_audit.formats.rejection_report import NAME as REPORT_NAME
from fleet_audit.schema.lake import (
    PARSED_COVERAGE,
    PARSED_DECLARED_RUNS,
    PARSED_NOTES,
    PARSED_POSITIONS,
    PARSED_VISIT_LEGS,
)
from fleet_audit.schema.model import Table
from fleet_audit.schema.partition import partition_day
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import InboxFile
from fleet_audit.storage.lake import Lake

PARSED_TABLES: dict[str, Table] = {
    "visit_report": PARSED_VISIT_LEGS,
    "bulletin": PARSED_DECLARED_RUNS,
    "telemetry": PARSED_POSITIONS,
}

QUARANTINE = "quarantine"  # folder of the lake for what is left of damaged files and pages
DAMAGED = "damaged_archive"  # reason code of a file whose archived bytes are lost; the same bytes sent again heal it


def archived_bytes(lake: Lake, path: str, sha256: str) -> bytes:
    """An archived file. Raises PermanentError when it is missing, or its bytes are not those that were received."""
    content = lake.get_bytes(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PermanentError(
            f"{lake.url(path)} is damaged: its SHA-256 is not the {sha256} that was received. Send the file again, or "
            "restore the archive from a backup."
        )
    return content


def parse_inbox_file(file: InboxFile, content: bytes, settings: Settings, now: dt.datetime) -> ParsedFile:
    """The file, parsed under the settings' limits.

    Raises RejectedFile when it is refused whole, and nothing else whatever its bytes are: an error that no format
    foresaw is a refusal too, so that one file never stops the others.
    """
    with _refusing_unforeseen():
        return parse_file(file.kind, file.name, content, **_reading(settings, now))


def days_of_inbox_file(file: InboxFile, content: bytes, settings: Settings, now: dt.datetime) -> NamedDays:
    """The local days that a file names, without parsing what is not needed for it; raises as `parse_inbox_file`."""
    with _refusing_unforeseen():
        return days_of(file.kind, file.name, content, **_reading(settings, now))


def legible_text(
    kind: str,
    content: bytes,
    settings: Settings,
    received_at: dt.datetime,
    known: Mapping[str, str],
    carriers: Mapping[str, str],
) -> LegibleText:
    """Days and names of a file of which nothing is accepted; arguments as of `read_legible`. Raises nothing."""
    today = partition_day(received_at)
    try:
        with _refusing_unforeseen():
            return read_legible(kind, content, today, file_limits(settings), known, carriers)
    except RejectedFile:
        return LegibleText()


def _reading(settings: Settings, now: dt.datetime) -> dict[str, Any]:
    key = settings.pseudonym_key.get_secret_value().encode()
    return {"received_at": now, "limits": file_limits(settings), "driver_key": key}


@contextmanager
def _refusing_unforeseen() -> Iterator[None]:
    try:
        yield
    except RejectedFile:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise RejectedFile(
            f"The file cannot be read ({reason}); it is kept. Save it again as CSV or XLSX and send it again."
        ) from error


def file_limits(settings: Settings) -> Limits:
    """Limits of reading a file, from the settings."""
    return Limits(int(settings.max_file_mb * 1024 * 1024), settings.max_file_rows)


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


def parsed_path(table: Table, sha256: str) -> str:
    """Where the parsed rows of a file are, inside the lake."""
    return f"parsed/{table.name}/{sha256}.parquet"


def safe_name(name: str) -> str:
    """A file name from outside as one harmless path component; the true name is in `ops.ingested_files`."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", PurePosixPath(name).name).lstrip(".")[-110:] or "file"
    return f"received_{safe}" if safe == REPORT_NAME else safe  # the report of what was refused stands beside it
