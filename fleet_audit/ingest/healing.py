"""Lost and damaged files of the lake: parsed rows are computed again; a damaged archived file is fetched or set aside.

Staging and the windows of days need no function here: a run computes those that are lost or damaged again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from fleet_audit.errors import PermanentError
from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.ingest.files import DAMAGED, QUARANTINE, archived_bytes, parse_inbox_file, parsed_path, write_parsed
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.facts import INGESTED_FILES
from fleet_audit.schema.model import Table
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import Inbox, InboxFile
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse


@dataclass(frozen=True)
class ParsedFiles:
    """The parsed rows of archived files; what is lost or unreadable is parsed again. `warn` takes a sentence on it.

    `damaged` has a sentence per SHA-256 whose archived bytes are damaged as well, and gone from the inbox.
    """

    lake: Lake
    warehouse: Warehouse
    settings: Settings
    warn: Callable[[str], None]
    damaged: dict[str, str] = field(default_factory=dict)

    def read(self, table: Table, sha256: str) -> pd.DataFrame:
        """The parsed rows of a file in a table; no rows when its archived bytes are lost, and gone from the inbox."""
        path = parsed_path(table, sha256)
        try:
            return self.lake.read_table(path, table)
        except PermanentError as error:
            problem = str(error)
        files = self.warehouse.read(
            "select * from ops.ingested_files where file_sha256 = :sha256 and status in ('accepted', 'partial') "
            "order by received_at, file_name",
            {"sha256": sha256},
        )
        for entry in files.to_dict("records"):
            try:
                self._parse_again(entry)
            except PermanentError as error:
                set_aside(self.lake, self.warehouse, entry, str(error))
                self.warn(str(error))
                self.damaged[sha256] = str(error)
                return empty_frame(table)
            self.warn(f"{problem} It was computed again from {self.lake.url(entry['archive_path'])}.")
        return self.lake.read_table(path, table)

    def _parse_again(self, entry: Mapping[str, Any]) -> None:
        content = self._archived_bytes(entry)
        file = InboxFile(entry["kind"], entry["file_name"], len(content), entry["received_at"])
        try:
            parsed = parse_inbox_file(file, content, self.settings, entry["received_at"].to_pydatetime())
        except RejectedFile as error:
            # the code only: the sentence may quote the file, and a failed run's error is logged
            raise PermanentError(
                f"{entry['file_name']} was accepted once and is refused now for the reason {error.code} of "
                "docs/reasons.md: put a corrected file with that name into the inbox."
            ) from error
        write_parsed(self.lake, file, parsed, entry["file_sha256"])

    def _archived_bytes(self, entry: Mapping[str, Any]) -> bytes:
        """The archived file; when it is damaged, the same bytes from the inbox, which the archive gets back."""
        path = str(entry["archive_path"])
        try:
            return archived_bytes(self.lake, path, entry["file_sha256"])
        except PermanentError:
            content = self._inbox_bytes(entry)
            if content is None:
                raise
        left = self.lake.find_bytes(path)
        if left != content:  # else another run has replaced it meanwhile
            replaced = replace_damaged(self.lake, path, left, content)
            self.warn(f"{replaced}; {entry['file_name']} of the inbox has the same bytes and replaced it.")
        return content

    def _inbox_bytes(self, entry: Mapping[str, Any]) -> bytes | None:
        """The bytes that were received, where the inbox still has them under their name."""
        if self.settings.inbox_url is None:
            return None
        inbox = Inbox(self.settings.inbox_url, self.settings)
        try:
            for file in inbox.files():
                if (file.name, file.size) == (entry["file_name"], entry["size_bytes"]):
                    content = inbox.read(file)
                    return content if hashlib.sha256(content).hexdigest() == entry["file_sha256"] else None
        except PermanentError:  # the file, or the whole inbox, cannot be read: the archive alone had the bytes
            pass
        return None


def quarantine_file(lake: Lake, path: str) -> None:
    """Moves what is left of a file of the archive to `quarantine/`."""
    keep_in_quarantine(lake, path)
    lake.delete(path)


def keep_in_quarantine(lake: Lake, path: str) -> None:
    """Copies what is left of a file of the archive to `quarantine/`; another run may have removed it."""
    left = lake.find_bytes(path)
    if left is not None:
        lake.put_bytes(f"{QUARANTINE}/{path}", left)


def replace_damaged(lake: Lake, path: str, left: bytes | None, content: bytes) -> str:
    """Puts whole bytes over what is left of a file, which `quarantine/` gets first; returns a sentence's beginning.

    The file is never missing in between: another run that repairs the same one finds either bytes.
    """
    if left is not None:
        lake.put_bytes(f"{QUARANTINE}/{path}", left)
    lake.put_bytes(path, content)
    return f"{lake.url(path)} " + ("was lost" if left is None else f"was damaged and moved to {QUARANTINE}/")


def set_aside(lake: Lake, warehouse: Warehouse, entry: Mapping[str, Any], problem: str) -> None:
    """Move a damaged archived file to `quarantine/`, and record it as refused; no later run reads it.

    Args:
        lake, warehouse: of the installation.
        entry: file_sha256, file_name, kind, size_bytes, received_at and archive_path of the file.
        problem: one sentence that names the archived file and what to do.
    """
    quarantine_file(lake, str(entry["archive_path"]))
    counts = dict.fromkeys(("rows_read", "rows_accepted", "rows_rejected", "rows_duplicate"), 0)
    names = ("file_sha256", "file_name", "kind", "size_bytes", "archive_path", "run_id")
    row = {name: entry[name] for name in names} | counts
    received_at: dt.datetime = entry["received_at"]
    row |= {"received_at": received_at, "status": "rejected", "message": problem, "reason_code": DAMAGED}
    warehouse.execute(
        "delete from ops.file_days where file_sha256 = :sha256 and file_name = :name",
        {"sha256": entry["file_sha256"], "name": entry["file_name"]},
    )
    warehouse.upsert(INGESTED_FILES, pd.DataFrame([row]))
