"""Files of the inbox that were read or listed before, looked up by name and stamp, or by content.

Each query asks for the files at hand and never for all that ever arrived. Reading new files is in `ingestion`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from fleet_audit.ingest.files import DAMAGED
from fleet_audit.schema.model import Table
from fleet_audit.sources.inbox import InboxFile
from fleet_audit.storage.warehouse import Warehouse

_STAMPED = """
select listed.file_name
from unnest(cast(:names as text[]), cast(:stamps as text[])) as listed (file_name, stamp)
where exists (
    select from {table} as known where known.file_name = listed.file_name and known.stamp = listed.stamp
)
"""
_OF_CONTENT = """
select file_name, kind, status, archive_path, received_at, reason_code
from ops.ingested_files where file_sha256 = :sha256
"""


def names_with_stamp(warehouse: Warehouse, table: Table, files: Sequence[InboxFile]) -> set[str]:
    """Names of the files that a table has under the stamp that they have now.

    Args:
        warehouse: where the table is.
        table: one with `file_name` and `stamp`.
        files: files of one listing.
    """
    if not files:
        return set()
    listed = {"names": [file.name for file in files], "stamps": [file.stamp for file in files]}
    return set(warehouse.read(_STAMPED.format(table=table.full_name), listed)["file_name"])


@dataclass(frozen=True)
class KnownContents:
    """What was read before of the contents that were asked for; what is read now is added.

    Attributes:
        warehouse: has what was recorded.
        names: (sha256, name) of what was read.
        accepted: (sha256, kind) of what was accepted, under any name.
        archived: paths in the archive by sha256.
        lost: first arrival by (sha256, name) of what the archive lost: sent again, it keeps its place.
    """

    warehouse: Warehouse
    names: set[tuple[str, str]] = field(default_factory=set)
    accepted: set[tuple[str, str]] = field(default_factory=set)
    archived: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    lost: dict[tuple[str, str], pd.Timestamp] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    def look_up(self, sha256: str) -> None:
        """Read what was recorded of a content, once."""
        if sha256 in self._asked:
            return
        self._asked.add(sha256)
        for row in self.warehouse.read(_OF_CONTENT, {"sha256": sha256}).itertuples():
            if row.reason_code == DAMAGED:
                self.lost[sha256, row.file_name] = row.received_at
            else:
                path = None if pd.isna(row.archive_path) else row.archive_path
                self.add(sha256, row.file_name, path)
                if row.status in ("accepted", "partial"):
                    self.accepted.add((sha256, row.kind))

    def add(self, sha256: str, name: str, archive_path: str | None) -> None:
        """Add a file that was read."""
        self.names.add((sha256, name))
        if archive_path is not None:
            self.archived[sha256].add(archive_path)
