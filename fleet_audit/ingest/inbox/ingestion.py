"""One reading of the inbox: its new files, none of which stops the others.

What one file gives is in `file_reader`; which files are settled is in `settling`.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.inbox.file_reader import UNREADABLE_SHA256, FileReader, Outcome
from fleet_audit.ingest.inbox.known_files import KnownContents, names_with_stamp
from fleet_audit.ingest.inbox.settling import settled_names
from fleet_audit.schema.facts import INGESTED_FILES
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import Inbox, InboxFile
from fleet_audit.sources.inbox_entry import UnsettledFileError
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

SECOND_LOOK_AFTER_S = 5.0  # a transfer that pauses for longer is read as it is, and again once it has gone on
FILES_A_TRANSACTION = 200
UNANSWERED_IN_A_ROW = 3  # a storage that does not answer for so many files one after another is down


@dataclass(frozen=True)
class IngestSummary:
    """Result of one reading of the inbox.

    Attributes:
        files: rows of `ops.ingested_files` of the new files.
        reasons: file_name, reason_code, rows of what was refused of them; rows is null for a file refused whole.
        ignored: a sentence for each entry that was not read: outside of the sub-folders, or still being written.
    """

    files: pd.DataFrame
    reasons: pd.DataFrame
    ignored: Sequence[str]


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

    A file that was settled when it was read, and keeps its stamp, is not opened again. A run without an operator reads
    settled files only. Files that are not, and files that changed while they were read, are looked at once more after
    `SECOND_LOOK_AFTER_S`. A file that cannot be read is refused and stops no other.

    Raises PermanentError or RetryableError when the inbox itself cannot be listed, or stops answering.
    """
    reader = _InboxReader(FileReader(inbox, lake, warehouse, settings, now, run_id), KnownContents(warehouse))
    waiting = reader.read_new(inbox.files(), is_attended=is_attended)
    if waiting:
        time.sleep(SECOND_LOOK_AFTER_S)
        waiting = reader.read_new(inbox.files(), is_attended=False)
    records = [outcome.record for outcome in reader.outcomes]
    reader.files.forget_unreadable(
        str(record["file_name"]) for record in records if record["file_sha256"] == UNREADABLE_SHA256
    )
    left = [f"{name} is not read yet: {reason}" for name, reason in waiting.items()]
    return IngestSummary(
        pd.DataFrame(records, columns=INGESTED_FILES.column_names),
        pd.concat(
            [
                pd.DataFrame(columns=["file_name", "reason_code", "rows"]),
                *(
                    _counted(str(outcome.record["file_name"]), outcome.refused)
                    for outcome in reader.outcomes
                    if len(outcome.refused)
                ),
            ],
            ignore_index=True,
        ),
        [*inbox.ignored, *left],
    )


@dataclass(frozen=True)
class _InboxReader:
    """Reads what is new, file by file, and records it in transactions of `FILES_A_TRANSACTION` files.

    Attributes:
        files: reads and records single files.
        known: contents that were read before, or are read now.
        outcomes: what was read so far.
    """

    files: FileReader
    known: KnownContents
    outcomes: list[Outcome] = field(default_factory=list)

    def read_new(self, listed: Sequence[InboxFile], *, is_attended: bool) -> dict[str, str]:
        """Read the new files of a listing; returns name and reason of those that wait for another look."""
        unchanged = names_with_stamp(self.files.warehouse, INGESTED_FILES, listed)
        new = [file for file in listed if file.name not in unchanged]
        settled = settled_names(self.files.warehouse, new, self.files.now)
        waiting: dict[str, str] = {}
        unanswered, read = 0, _Read()
        for file in new:
            is_settled = file.name in settled or bool(file.problem)
            if not (is_attended or is_settled):
                waiting[file.name] = "it changed a moment ago and may still be written."
                continue
            try:
                self._read(file, is_settled, read)
                unanswered = 0
            except (UnsettledFileError, RetryableError) as error:
                unanswered = unanswered + 1 if isinstance(error, RetryableError) else 0
                if unanswered == UNANSWERED_IN_A_ROW:
                    raise
                waiting[file.name] = str(error)
            if len(read.outcomes) + len(read.stamps) >= FILES_A_TRANSACTION:
                self._record(read)
                read = _Read()
        self._record(read)
        return waiting

    def _read(self, file: InboxFile, is_settled: bool, read: _Read) -> None:
        """Read one file; what there is to record of it is added to `read`."""
        try:
            arrival = self.files.fetch(file)
        except UnsettledFileError:
            raise
        except PermanentError as error:
            read.outcomes.append(self.files.refuse_unread(file, error))
            return
        sha256, name, known = arrival.sha256, file.name, self.known
        known.look_up(sha256)
        is_known = (sha256, file.kind) in known.accepted
        if is_known or (sha256, name) in known.names:
            self.files.heal(arrival, known.archived[sha256])
        if (sha256, name) in known.names:
            if is_settled:
                read.stamps.append((sha256, name, file.stamp))
            return
        sequence = len(self.outcomes) + len(read.outcomes)
        self.files.archive(arrival, sequence, is_known=is_known, is_settled=is_settled)
        lost_at = known.lost.get((sha256, name))
        files = self.files if lost_at is None else replace(self.files, now=lost_at.to_pydatetime())
        outcome = files.read(arrival, is_known=is_known, is_settled=is_settled)
        known.add(sha256, name, str(outcome.record["archive_path"]))
        if outcome.parsed is not None:
            known.accepted.add((sha256, file.kind))  # a refused file may be right in another folder
        read.outcomes.append(outcome)

    def _record(self, read: _Read) -> None:
        """Write what was read; where a value does not fit, file by file, and the one that has it is refused."""
        try:
            self.files.record(read.outcomes)
        except PermanentError:
            for at, outcome in enumerate(read.outcomes):
                read.outcomes[at] = self._record_alone(outcome)
        self.files.record_stamps(read.stamps)
        self.outcomes.extend(read.outcomes)

    def _record_alone(self, outcome: Outcome) -> Outcome:
        try:
            self.files.record([outcome])
        except PermanentError as error:
            outcome = self.files.refuse(outcome.record, error)
            self.files.record([outcome])
        return outcome


@dataclass(frozen=True)
class _Read:
    """What one transaction records: new files, and (sha256, name, stamp) of known ones that were opened again."""

    outcomes: list[Outcome] = field(default_factory=list)
    stamps: list[tuple[str, str, str]] = field(default_factory=list)


def _counted(file_name: str, refused: pd.DataFrame) -> pd.DataFrame:
    counts = refused.groupby("reason_code")["row_number"].count().rename("rows").reset_index()
    return counts.assign(file_name=file_name)
