"""The one way in: a file of the inbox, by the folder that it lies in, to a `ParsedFile`.

The inbox is listed in `sources`, what was read is recorded in `ingest`; each kind's format is in its own module.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import PurePosixPath

from fleet_audit.formats.bulletin import bulletin_days, parse_bulletin
from fleet_audit.formats.named_days import NamedDays
from fleet_audit.formats.parsed import Limits, ParsedFile
from fleet_audit.formats.reference.reference_file import parse_reference
from fleet_audit.formats.telemetry_file import parse_telemetry, telemetry_days
from fleet_audit.formats.visit_report.movements import parse_visit_report
from fleet_audit.schema.partition import partition_day


def parse_file(
    kind: str, file_name: str, content: bytes, *, received_at: dt.datetime, limits: Limits, driver_key: bytes
) -> ParsedFile:
    """Reads a file.

    Args:
        kind: `visit_report`, `bulletin`, `telemetry` or `reference` (the table is the stem of the file's name).
        file_name: name inside its inbox folder; it goes into the rows.
        content: the bytes as received.
        received_at: when it arrived, with a time zone; telemetry may be at most 5 minutes after it, and the
            days of other files not after its day.
        limits: largest size and most data rows.
        driver_key: key of the drivers' pseudonyms.

    Raises:
        RejectedFile: the whole file is refused; the message gives the reason and what to do. Nothing else is raised,
            whatever the bytes are.
        ValueError: `kind` is not one of the four.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    today = partition_day(received_at)
    if kind == "visit_report":
        return parse_visit_report(sha256, file_name, content, today, limits, driver_key)
    if kind == "bulletin":
        return parse_bulletin(sha256, file_name, content, today, limits)
    if kind == "telemetry":
        return parse_telemetry(sha256, file_name, content, received_at, limits)
    if kind == "reference":
        return parse_reference(PurePosixPath(file_name).stem, file_name, content, limits)
    raise ValueError(f"{kind!r} is not a kind of file.")


def days_of(
    kind: str, file_name: str, content: bytes, *, received_at: dt.datetime, limits: Limits, driver_key: bytes
) -> NamedDays:
    """The local days of a visit report, a bulletin or a telemetry file; parameters and errors as of `parse_file`.

    Of a bulletin or a telemetry file only the columns of time are read: a tenth of what parsing the whole file takes.
    """
    today = partition_day(received_at)
    if kind == "bulletin":
        return bulletin_days(content, today, limits)
    if kind == "telemetry":
        return telemetry_days(content, received_at, limits)
    parsed = parse_file(kind, file_name, content, received_at=received_at, limits=limits, driver_key=driver_key)
    return NamedDays(frozenset({*parsed.named_days, *parsed.days["date"]}))
