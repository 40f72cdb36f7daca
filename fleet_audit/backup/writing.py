"""Writes a backup: dumps of the databases first, then the files of the lake, and the manifest last.

In this order the lake may have more than the warehouse knows, never less. Restoring is in `restoring`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from fleet_audit.backup.database_dump import dump_database
from fleet_audit.backup.instance_storage import copy_file, instance_files, postgres_url, unfinished_runs
from fleet_audit.backup.manifest import Manifest, StoredFile, object_path, write_manifest
from fleet_audit.closing.code import code_version
from fleet_audit.errors import RetryableError
from fleet_audit.storage.lake_files import LakeFiles
from fleet_audit.storage.migrate import recorded_revision

WAREHOUSE_DUMP, DAGSTER_DUMP = "warehouse", "dagster"
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class Parts:
    """What a backup consists of, opened: URL of the warehouse, lake, Dagster instance and the instance's folder."""

    warehouse_url: str
    lake: LakeFiles
    instance: dg.DagsterInstance
    instance_folder: Path


def write_backup(parts: Parts, place: LakeFiles, progress: Callable[[str], None], *, is_live: bool) -> str:
    """Backs up an installation to a place and returns the backup's name; files that the place has are not sent again.

    Raises RetryableError while a run lasts, unless `is_live`: days that a run writes meanwhile have to run again
    after a restore. The manifest names such runs.
    """
    unfinished = unfinished_runs(parts.instance)
    if unfinished and not is_live:
        raise RetryableError(
            f"Run {unfinished[0]} has not ended: back up after it, or with --live (the days that it writes then have "
            "to run again after a restore)."
        )
    manifest = Manifest(
        dt.datetime.now(dt.UTC).isoformat(),
        code_version(),
        recorded_revision(parts.warehouse_url),
        unfinished_runs=unfinished,
    )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        progress("warehouse")
        dump_database(parts.warehouse_url, copy)
        manifest.dumps[WAREHOUSE_DUMP] = _store_file(place, copy)
        progress("Dagster instance")
        url = postgres_url(parts.instance)
        if url:
            dump_database(url, copy)
            manifest.dumps[DAGSTER_DUMP] = _store_file(place, copy)
        for path in [] if url else instance_files(parts.instance_folder):
            copy.unlink(missing_ok=True)
            copy_file(path, copy)
            manifest.instance[path.relative_to(parts.instance_folder).as_posix()] = _store_file(place, copy)
    for name in parts.lake.list():
        manifest.lake[name] = _store_bytes(place, parts.lake.get_bytes(name))
    progress(f"lake: {len(manifest.lake)} files")
    manifest.unfinished_runs = sorted({*unfinished, *unfinished_runs(parts.instance)})
    return write_manifest(place, manifest)


def _store_file(place: LakeFiles, path: Path) -> StoredFile:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
            digest.update(chunk)
        target = object_path(digest.hexdigest())
        if not place.exists(target):
            file.seek(0)
            place.put_chunks(target, iter(lambda: file.read(_CHUNK_BYTES), b""))
    return StoredFile(digest.hexdigest(), path.stat().st_size)


def _store_bytes(place: LakeFiles, content: bytes) -> StoredFile:
    digest = hashlib.sha256(content).hexdigest()
    if not place.exists(object_path(digest)):
        place.put_bytes(object_path(digest), content)
    return StoredFile(digest, len(content))
