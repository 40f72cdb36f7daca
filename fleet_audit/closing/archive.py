"""Closes in the archive's journal: the record, the manifest and, of a final close, the frozen rows themselves.

Frozen rows never change, so they are copied here and never computed again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fleet_audit.closing.frozen_rows import ROWS_OF_A_CYCLE, day_rows, rows_of_cycle
from fleet_audit.errors import PermanentError
from fleet_audit.ingest.journal import FOLDER
from fleet_audit.logic.closing.manifest import LATER_KEYS
from fleet_audit.logic.primitives.identity import stable_ids
from fleet_audit.schema import facts
from fleet_audit.schema.model import Table
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

_CLOSES = f"{FOLDER}/closes"
_OF_DAYS = (*facts.FACTS, facts.RULES_NOT_TESTED)
_OF_CYCLES = (*((table, column) for _, table, column in ROWS_OF_A_CYCLE), (facts.CYCLE_RULES_NOT_TESTED, "cycle_start"))
_RECORD, _MANIFEST = "record.parquet", "manifest.json"


def archive_close(
    lake: Lake, warehouse: Warehouse, record: dict[str, Any], manifest: bytes, days: Sequence[dt.date]
) -> None:
    """Copy a close into the archive; the record is written last, so that a close with a record is complete.

    Args:
        lake: the archive; warehouse: has the rows to freeze.
        record: the row of `ops.cycle_closes`; manifest: its bytes.
        days: the days of the cycle that can be run.
    """
    folder = _folder(record)
    lake.put_bytes(manifest_copy(record), manifest)
    if record["status"] == "final":
        for table, rows in _frozen(warehouse, record["cycle_start"], json.loads(manifest), days):
            lake.write_table(_rows_path(folder, table), rows, table)
    lake.write_table(f"{folder}/{_RECORD}", pd.DataFrame([record]), facts.CYCLE_CLOSES)


def archive_missing_closes(lake: Lake, warehouse: Warehouse) -> list[str]:
    """Copy the closes that PostgreSQL has and the archive does not: those from before there was a journal.

    Returns:
        A sentence for each close that cannot be copied, because its manifest is lost: no day waits for it.
    """
    lost = []
    archived = set(lake.list(_CLOSES))  # one request, however many closes there are
    for record in warehouse.read_table(facts.CYCLE_CLOSES).to_dict("records"):
        if f"{_folder(record)}/{_RECORD}" in archived:
            continue
        if not lake.exists(record["manifest_path"]):
            lost.append(
                f"The close of the cycle of {record['cycle_start']} is not in the archive, and cannot be copied into "
                f"it: {lake.url(record['manifest_path'])} does not exist. Restore that file from a backup."
            )
        else:
            manifest = lake.get_bytes(record["manifest_path"])
            archive_close(lake, warehouse, record, manifest, days_of(json.loads(manifest)))
    return lost


def days_of(manifest: Mapping[str, Any]) -> list[dt.date]:
    """The days that a manifest freezes, in order."""
    return sorted(dt.date.fromisoformat(day) for day in manifest["outputs"][facts.TRIPS.full_name]["days"])


def manifest_copy(record: Mapping[str, Any]) -> str:
    """Path of the archive's copy of a close's manifest; the other one is at `manifest_path`."""
    return f"{_folder(record)}/{_MANIFEST}"


def is_manifest_of(content: bytes, record: Mapping[str, Any]) -> bool:
    """Whether these are the bytes that a close was recorded with."""
    return hashlib.sha256(content).hexdigest() == record["manifest_sha256"]


def archived_tables(record: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """Path and table of each Parquet file that the archive has of a close: its record; of a final one, frozen rows."""
    folder = _folder(record)
    frozen = frozen_tables() if record["status"] == "final" else []
    return [(f"{folder}/{_RECORD}", facts.CYCLE_CLOSES), *((_rows_path(folder, table), table) for table in frozen)]


def restore_closes(lake: Lake, warehouse: Warehouse) -> list[dict[str, Any]]:
    """Write all archived closes into an empty warehouse, and their manifests into the lake; returns the manifests.

    Raises PermanentError that names a manifest whose bytes are not those of the close.
    """
    manifests = []
    for path in lake.list(_CLOSES):
        if path.endswith(f"/{_RECORD}"):
            folder = path.removesuffix(f"/{_RECORD}")
            (record,) = lake.read_table(path, facts.CYCLE_CLOSES).to_dict("records")
            content = _whole_manifest(lake, record)
            lake.put_bytes(record["manifest_path"], content)
            for table in frozen_tables() if record["status"] == "final" else ():
                if lake.exists(_rows_path(folder, table)):  # closed before the table existed
                    warehouse.upsert(table, _frozen_rows(lake, _rows_path(folder, table), table))
            warehouse.upsert(facts.CYCLE_CLOSES, pd.DataFrame([record]))
            manifests.append(json.loads(content))
    return manifests


def _frozen_rows(lake: Lake, path: str, table: Table) -> pd.DataFrame:
    """The rows of a close; a key that those of an older one lack is computed again."""
    if table.full_name not in LATER_KEYS:
        return lake.read_table(path, table)
    name, columns = LATER_KEYS[table.full_name]
    rows = lake.read_table(path, table, [column for column in table.column_names if column != name])
    return rows.assign(**{name: stable_ids(rows, [*columns])})


def _whole_manifest(lake: Lake, record: Mapping[str, Any]) -> bytes:
    content = lake.get_bytes(manifest_copy(record))
    if not is_manifest_of(content, record):
        raise PermanentError(
            f"{lake.url(manifest_copy(record))} is damaged: its SHA-256 is not the {record['manifest_sha256']} of the "
            "close. Restore it from a backup; where the PostgreSQL of the close still runs, retention/journal "
            "restores it too."
        )
    return content


def _frozen(
    warehouse: Warehouse, start: dt.date, manifest: dict[str, Any], days: Sequence[dt.date]
) -> list[tuple[Table, pd.DataFrame]]:
    versions = {manifest["parameters"]["version"], *manifest["parameters"]["days"].values()}
    parameters = warehouse.read_table(facts.PARAMETER_VERSIONS)
    return [
        *((table, day_rows(warehouse, table, days)) for table in _OF_DAYS),
        *((table, rows_of_cycle(warehouse, table, column, start)) for table, column in _OF_CYCLES),
        (facts.PARAMETER_VERSIONS, parameters[parameters["parameters_version"].isin(versions)]),
    ]


def frozen_tables() -> list[Table]:
    """The tables whose rows a final close copies into the archive."""
    return [*_OF_DAYS, *(table for table, _ in _OF_CYCLES), facts.PARAMETER_VERSIONS]


def _folder(record: Mapping[str, Any]) -> str:
    return f"{_CLOSES}/start={record['cycle_start']}/{record['status']}"


def _rows_path(folder: str, table: Table) -> str:
    return f"{folder}/{table.address}.parquet"
