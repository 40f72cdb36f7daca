"""Damaged or lost files of closes: manifests are restored from their other copy, archived rows from PostgreSQL.

Every manifest is kept twice, in `closes/` and in the archive's journal; how a close is archived is in `archive`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fleet_audit.closing.archive import archive_close, archived_tables, manifest_copy
from fleet_audit.closing.replay import days_of, verify_frozen
from fleet_audit.errors import PermanentError
from fleet_audit.ingest.healing import QUARANTINE, quarantine_file
from fleet_audit.logic.primitives.threads import map_in_threads
from fleet_audit.schema import facts
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse


def restore_manifests(lake: Lake, warehouse: Warehouse) -> list[str]:
    """Replaces each copy of a manifest that is damaged or lost by the other; returns one sentence per such close."""
    records = warehouse.read_table(facts.CYCLE_CLOSES).to_dict("records")
    return [sentence for sentence in map_in_threads(lambda record: _restore(lake, record), records) if sentence]


def repair_archived_closes(lake: Lake, warehouse: Warehouse) -> list[str]:
    """Archives each close again whose archived record or rows cannot be read, from rows that are those of its manifest.

    Returns:
        One sentence per close; where its rows in PostgreSQL were changed too, what to restore from a backup.
    """
    sentences = restore_manifests(lake, warehouse)
    for record in warehouse.read_table(facts.CYCLE_CLOSES).to_dict("records"):
        problems = _unreadable(lake, record)
        if problems:
            sentences.append(f"{' '.join(problems)} {_archive_again(lake, warehouse, record)}")
    return sentences


def _restore(lake: Lake, record: Mapping[str, Any]) -> str | None:
    copies = [str(record["manifest_path"]), manifest_copy(record)]
    contents = [lake.get_bytes(path) if lake.exists(path) else None for path in copies]
    is_whole = [_is_manifest_of(content, record) for content in contents]
    if all(is_whole):
        return None
    names = " and ".join(lake.url(path) for path, whole in zip(copies, is_whole, strict=True) if not whole)
    if not any(is_whole):
        return f"{names} are damaged or lost: restore one of them, SHA-256 {record['manifest_sha256']}, from a backup."
    content = contents[is_whole.index(True)]
    assert content is not None
    damaged = copies[is_whole.index(False)]
    moved = f"was damaged and moved to {QUARANTINE}/" if quarantine_file(lake, damaged) else "was lost"
    lake.put_bytes(damaged, content)
    return f"{names} {moved}; the other copy of the manifest replaced it."


def _is_manifest_of(content: bytes | None, record: Mapping[str, Any]) -> bool:
    return content is not None and hashlib.sha256(content).hexdigest() == record["manifest_sha256"]


def _unreadable(lake: Lake, record: Mapping[str, Any]) -> list[str]:
    """Sentences on files of a close in the archive that are damaged, and moved to quarantine, or lost."""
    problems = []
    for path, table in archived_tables(record):
        try:
            lake.read_table(path, table)
        except PermanentError as error:
            quarantine_file(lake, path)
            problems.append(str(error))
    return problems


def _archive_again(lake: Lake, warehouse: Warehouse, record: dict[str, Any]) -> str:
    content = lake.get_bytes(manifest_copy(record))
    if not _is_manifest_of(content, record):
        return "It was not archived again, because its manifest is damaged."
    manifest = json.loads(content)
    changed = verify_frozen(manifest, warehouse, None)
    if changed:
        return f"It was not archived again, because its rows were changed: {' '.join(changed)}"
    archive_close(lake, warehouse, record, content, days_of(manifest))
    return "The close was archived again from PostgreSQL."
