"""The archive's journal in `raw/journal`: what PostgreSQL records of arrivals and no archived byte contains.

Here belong its paths, and how its entries are written and read; `rebuild` applies them to an empty warehouse.
Entries are only added: no entry is ever changed, except that a provisional close replaces the provisional close before.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from fleet_audit.errors import PermanentError
from fleet_audit.logic.primitives.identity import stable_id
from fleet_audit.schema import facts
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.model import Table
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

FOLDER = "raw/journal"
# Tables whose rows depend on when something happened, so that they cannot be computed again.
ROW_TABLES = (
    facts.REFERENCE_HISTORY,
    facts.REFERENCE_CHANGES,
    facts.REFERENCE_DELTAS,
    facts.API_REQUESTS,
    facts.API_WINDOWS,
)
_JSON_FOLDERS = tuple(f"{FOLDER}/{name}" for name in ("arrivals", "refusals", "forgotten_drivers"))
_INSTANT_NAME = "%Y%m%dT%H%M%S.%fZ"
_BACKFILLED = f"{FOLDER}/backfilled.json"
_ARRIVAL_FIELDS = ("file_sha256", "file_name", "kind", "size_bytes", "archive_path", "stamp", "run_id")


def record_arrival(lake: Lake, record: Mapping[str, Any], sequence: int, *, is_duplicate: bool) -> None:
    """Add the arrival of a file, before PostgreSQL has it; the first arrival of a name and content stays.

    Args:
        lake: the archive.
        record: a row of `ops.ingested_files`.
        sequence: position of the file among those that the same look at the inbox found.
        is_duplicate: the same bytes were accepted before under another name.
    """
    path = _arrival_path(record["file_sha256"], record["file_name"])
    if not lake.exists(path):
        entry = {name: record[name] for name in _ARRIVAL_FIELDS}
        received_at = record["received_at"].isoformat()
        _put_json(lake, path, entry | {"received_at": received_at, "sequence": sequence, "is_duplicate": is_duplicate})


def record_refusal(lake: Lake, sha256: str, name: str, message: str) -> None:
    """Add that a version of a reference table was refused when it was compared with the other tables."""
    entry = {"file_sha256": sha256, "file_name": name, "message": message}
    _put_json(lake, f"{FOLDER}/refusals/{stable_id(sha256, name)}.json", entry)


def write_rows(lake: Lake, warehouse: Warehouse, table: Table, rows: pd.DataFrame) -> None:
    """Add rows of one of `ROW_TABLES` to the journal, and then to PostgreSQL."""
    if len(rows):
        with warehouse.holding_journal(table):
            record_rows(lake, table, rows)
            warehouse.upsert(table, rows)


def record_rows(lake: Lake, table: Table, rows: pd.DataFrame) -> None:
    """Add rows of one of `ROW_TABLES`, as PostgreSQL has them while the caller holds `Warehouse.holding_journal`.

    Without it rows that another run has replaced meanwhile would be the newest of the journal.
    """
    if len(rows):
        instant = dt.datetime.now(dt.UTC).strftime(_INSTANT_NAME)
        lake.write_table(f"{FOLDER}/{table.name}/{instant}-{uuid.uuid4().hex[:8]}.parquet", rows, table)


def record_computed_day(lake: Lake, day: dt.date) -> None:
    """Add that a day was computed to the end: a rebuild runs these days."""
    path = f"{FOLDER}/computed_days/{day.isoformat()}.json"
    if not lake.exists(path):
        _put_json(lake, path, {"operational_date": day.isoformat()})


def arrivals(lake: Lake) -> list[dict[str, Any]]:
    """Every arrival in its order: fields of `ops.ingested_files`, sequence, is_duplicate; received_at is an instant."""
    entries = [read_entry(lake, path) for path in lake.list(f"{FOLDER}/arrivals")]
    for entry in entries:
        entry["received_at"] = dt.datetime.fromisoformat(entry["received_at"])
    return sorted(entries, key=lambda entry: (entry["received_at"], entry["sequence"], entry["file_name"]))


def refusals(lake: Lake) -> list[dict[str, Any]]:
    """file_sha256, file_name and message of each refused version of a reference table."""
    return [read_entry(lake, path) for path in lake.list(f"{FOLDER}/refusals")]


def row_batches(lake: Lake, table: Table, until: dt.datetime | None = None) -> list[pd.DataFrame]:
    """The rows of one of `ROW_TABLES` in the batches and in the order in which they were written, up to an instant."""
    last = until.astimezone(dt.UTC).strftime(_INSTANT_NAME) if until else "~"
    paths = lake.list(f"{FOLDER}/{table.name}")
    return [lake.read_table(path, table) for path in paths if path.rsplit("/", 1)[1].split("-")[0] <= last]


def computed_days(lake: Lake) -> list[dt.date]:
    """The days that were computed to the end, in order."""
    paths = lake.list(f"{FOLDER}/computed_days")
    return [dt.date.fromisoformat(path.rsplit("/", 1)[1].removesuffix(".json")) for path in paths]


def backfill(lake: Lake, warehouse: Warehouse) -> bool:
    """Add what PostgreSQL recorded before there was a journal; returns whether it did so now: once per archive."""
    if lake.exists(_BACKFILLED):
        return False
    files = write_entries(lake, warehouse)
    for table in ROW_TABLES:
        with warehouse.holding_journal(table):
            record_rows(lake, table, warehouse.read_table(table))
    _put_json(lake, _BACKFILLED, {"files": files})
    return bool(files)


def write_entries(lake: Lake, warehouse: Warehouse) -> int:
    """Add each arrival, refusal and computed day that PostgreSQL has and the journal lacks; returns the arrivals known.

    Files of one look at the inbox are in the order of their names: PostgreSQL does not know the order of the look.
    """
    files = warehouse.read_table(facts.INGESTED_FILES).dropna(subset="archive_path")
    files = files.sort_values(["received_at", "file_name"])
    files["sequence"] = files.groupby("received_at").cumcount()
    for row in files.astype(object).where(files.notna(), None).to_dict("records"):
        record_arrival(lake, row, row["sequence"], is_duplicate=row["status"] == "duplicate")
    for row in files[_was_refused_later(files)].itertuples():
        record_refusal(lake, row.file_sha256, row.file_name, row.message)
    for day in warehouse.read("select operational_date from ops.computed_days", {})["operational_date"]:
        record_computed_day(lake, day)
    return len(files)


def damaged_entries(lake: Lake) -> dict[str, str]:
    """One sentence per JSON entry, by its path, that cannot be read; those of computed days are not read."""
    damaged = {}
    for path in (path for folder in _JSON_FOLDERS for path in lake.list(folder)):
        try:
            read_entry(lake, path)
        except PermanentError as error:
            damaged[path] = f"{error} It was moved to quarantine/."
    return damaged


@dataclass
class Batches:
    """The batches of one of `ROW_TABLES` by their paths: the rows of whole ones, a sentence on each damaged one."""

    table: Table
    rows: dict[str, pd.DataFrame] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)

    def read_new(self, lake: Lake) -> None:
        """Reads the batches that were added since the last time, or all of them at first."""
        for path in lake.list(f"{FOLDER}/{self.table.name}"):
            if path not in self.rows and path not in self.damaged:
                try:
                    self.rows[path] = lake.read_table(path, self.table)
                except PermanentError as error:
                    self.damaged[path] = f"{error} It was moved to quarantine/."

    def newest(self) -> pd.DataFrame:
        """The newest version of each row in the whole batches."""
        rows = pd.concat([empty_frame(self.table), *(self.rows[path] for path in sorted(self.rows))], ignore_index=True)
        return rows.drop_duplicates([*self.table.key], keep="last")


def unrecorded(lake: Lake, kinds: Sequence[str]) -> list[str]:
    """Paths of archived files of these kinds whose arrival the journal does not have."""
    recorded = {entry["archive_path"].rsplit("/", 1)[0] for entry in arrivals(lake)}
    archived = [path for kind in kinds for path in lake.list(f"raw/{kind}")]
    return [path for path in archived if path.rsplit("/", 1)[0] not in recorded]


def _was_refused_later(files: pd.DataFrame) -> pd.Series:
    """Which rows of `ops.ingested_files` were refused by `reference.publish`: it leaves no reason_code."""
    return files["kind"].eq("reference") & files["status"].eq("rejected") & files["reason_code"].isna()


def _arrival_path(sha256: str, name: str) -> str:
    return f"{FOLDER}/arrivals/{stable_id(sha256, name)}.json"


def _put_json(lake: Lake, path: str, entry: Mapping[str, Any]) -> None:
    lake.put_bytes(path, json.dumps(entry, ensure_ascii=False, indent=1, sort_keys=True).encode())


def read_entry(lake: Lake, path: str) -> dict[str, Any]:
    """The content of a JSON entry. Raises PermanentError that names it when it is damaged."""
    try:
        found: dict[str, Any] = json.loads(lake.get_bytes(path))
    except ValueError as error:  # not UTF-8, or no JSON
        raise PermanentError(
            f"{lake.url(path)} is damaged: it is not the JSON that was written. Materialize retention/journal, which "
            "writes it again from PostgreSQL, or restore it from a backup."
        ) from error
    return found
