"""Damaged or lost files of closes: manifests are restored from their other copy, archived rows from PostgreSQL.

Every manifest is kept twice, in `closes/` and in the archive's journal; how a close is archived is in `archive`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fleet_audit.closing.archive import archive_close, archived_tables, days_of, is_manifest_of, manifest_copy
from fleet_audit.closing.freezing import existing_close
from fleet_audit.closing.replay import verify_frozen
from fleet_audit.errors import PermanentError
from fleet_audit.ingest.healing import keep_in_quarantine, replace_damaged
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.logic.primitives.workers.threads import map_in_threads
from fleet_audit.schema import facts
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

_RECENT_CLOSES = 3  # each run reads both copies of so many manifests; reading all took 144 requests after three years


def restore_recent_manifests(lake: Lake, warehouse: Warehouse) -> list[str]:
    """Replaces each copy of a manifest of the newest final closes that is damaged or lost by the other.

    The manifest of a provisional close may be that of the next one, which another run is writing: it is left to
    `repair_archived_closes`, as are those of older cycles.

    Returns:
        One sentence per close that had a damaged or lost copy.
    """
    sql = "select * from ops.cycle_closes where status = 'final' order by cycle_start desc limit :closes"
    records = warehouse.read(sql, {"closes": _RECENT_CLOSES}).to_dict("records")
    return [sentence for sentence in map_in_threads(lambda record: _restore(lake, record), records) if sentence]


def repair_archived_closes(lake: Lake, warehouse: Warehouse) -> list[str]:
    """Restores manifests of all closes, and archives each again whose archived record or rows cannot be read.

    Archived rows are written from rows that are those of the manifest. Who closes a cycle holds its days from before
    its manifest is written until its record is: what looks damaged is looked at again while this holds them.

    Returns:
        One sentence per close; where its rows in PostgreSQL were changed too, what to restore from a backup.
    """
    sentences = []
    for seen in warehouse.read_table(facts.CYCLE_CLOSES).to_dict("records"):
        if all(_are_whole(_copies(lake, seen), seen)) and not _unreadable(lake, seen):
            continue
        with warehouse.holding([facts.TRIPS], cycle_days(Cycle(seen["cycle_start"], seen["cycle_end"]))):
            record = existing_close(warehouse, seen["cycle_start"], seen["status"])
            sentences += _repair(lake, warehouse, record) if record else []
    return sentences


def _repair(lake: Lake, warehouse: Warehouse, record: dict[str, Any]) -> list[str]:
    restored = _restore(lake, record)
    sentences = [restored] if restored else []
    damaged = _unreadable(lake, record)
    for path in damaged:
        keep_in_quarantine(lake, path)
    if damaged:
        sentences.append(f"{' '.join(damaged.values())} {_archive_again(lake, warehouse, record)}")
    return sentences


def _restore(lake: Lake, record: Mapping[str, Any]) -> str | None:
    contents = _copies(lake, record)
    is_whole = _are_whole(contents, record)
    if all(is_whole):
        return None
    if not any(is_whole):
        names = " and ".join(lake.url(path) for path in contents)
        again = "" if record["status"] == "final" else ", or close the cycle provisionally again"
        return (
            f"{names} are damaged or lost: restore one of them, SHA-256 {record['manifest_sha256']}, from a "
            f"backup{again}."
        )
    whole, damaged = (list(contents)[is_whole.index(state)] for state in (True, False))
    content = contents[whole]
    assert content is not None
    return f"{replace_damaged(lake, damaged, contents[damaged], content)}; the other copy of the manifest replaced it."


def _copies(lake: Lake, record: Mapping[str, Any]) -> dict[str, bytes | None]:
    """The content of both copies of a manifest by their paths, None where one is lost."""
    return {path: lake.find_bytes(path) for path in (str(record["manifest_path"]), manifest_copy(record))}


def _are_whole(contents: Mapping[str, bytes | None], record: Mapping[str, Any]) -> list[bool]:
    return [content is not None and is_manifest_of(content, record) for content in contents.values()]


def _unreadable(lake: Lake, record: Mapping[str, Any]) -> dict[str, str]:
    """A sentence on each file of a close in the archive, by its path, that is damaged or lost."""
    problems = {}
    for path, table in archived_tables(record):
        try:
            lake.read_table(path, table)
        except PermanentError as error:
            problems[path] = str(error)
    return problems


def _archive_again(lake: Lake, warehouse: Warehouse, record: dict[str, Any]) -> str:
    content = lake.find_bytes(manifest_copy(record))
    if content is None or not is_manifest_of(content, record):
        return "It was not archived again, because its manifest is damaged or lost."
    manifest = json.loads(content)
    changed = verify_frozen(manifest, warehouse, None)
    if changed:
        return f"It was not archived again, because its rows were changed: {' '.join(changed)}"
    archive_close(lake, warehouse, record, content, days_of(manifest))
    return "The close was archived again from PostgreSQL."
