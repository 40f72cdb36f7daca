"""Restores a backup into an installation: everything is compared with its digest before anything is replaced.

Writing backups is in `writing`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from fleet_audit.backup.database_dump import has_tables, restore_database
from fleet_audit.backup.instance_storage import postgres_url, unfinished_runs
from fleet_audit.backup.manifest import Manifest, object_path
from fleet_audit.backup.writing import DAGSTER_DUMP, WAREHOUSE_DUMP, Parts, write_chunks
from fleet_audit.errors import PermanentError
from fleet_audit.storage.lake_files import LakeFiles
from fleet_audit.storage.migrate import upgrade


def verify(place: LakeFiles, manifest: Manifest) -> None:
    """Compares every file of the backup with its digest. Raises PermanentError that names the first damaged one."""
    for name, file in manifest.files().items():
        stored = object_path(file.sha256)
        if not place.exists(stored):
            raise PermanentError(
                f"{place.url(stored)} is missing, so {name} cannot be restored: choose another --name."
            )
        if place.sha256(stored) != file.sha256:
            raise PermanentError(
                f"{place.url(stored)} is damaged, so {name} cannot be restored: choose another --name."
            )


def refuse_unless_empty(parts: Parts) -> None:
    """Raises PermanentError with the reason when a restore would replace a warehouse, a lake or Dagster's runs."""
    if has_tables(parts.warehouse_url):
        raise PermanentError("The warehouse has tables: restore into an empty database, or with --replace.")
    if parts.lake.list():
        raise PermanentError(f"{parts.lake.uri} has files: restore into an empty lake, or with --replace.")
    if parts.instance.get_runs_count():
        raise PermanentError("The Dagster instance has runs: restore into an empty one, or with --replace.")


def restore_backup(parts: Parts, place: LakeFiles, manifest: Manifest, progress: Callable[[str], None]) -> None:
    """Replaces warehouse, Dagster instance and lake by those of the backup, and migrates the warehouse.

    Files of the lake that the backup lacks are removed. An instance with SQLite is replaced by `restore_instance`.
    Raises PermanentError when the backup is damaged or a run has not ended; then nothing was changed.
    """
    unfinished = unfinished_runs(parts.instance)
    if unfinished:
        raise PermanentError(
            f"Run {unfinished[0]} has not ended: end it, and stop webserver and daemon, before a restore."
        )
    verify(place, manifest)
    progress("verified")
    url = postgres_url(parts.instance)
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "dump"
        for name, target in ((WAREHOUSE_DUMP, parts.warehouse_url), (DAGSTER_DUMP, url)):
            if target and name in manifest.dumps:
                write_chunks(dump, place.get_chunks(object_path(manifest.dumps[name].sha256)))
                restore_database(target, dump)
                progress(f"database of the {name}")
    upgrade(parts.warehouse_url)  # also sets the rights, which a dump is restored without
    for path, file in manifest.lake.items():
        if parts.lake.sha256(path) != file.sha256:
            parts.lake.put_chunks(path, place.get_chunks(object_path(file.sha256)))
    for path in parts.lake.list():
        if path not in manifest.lake:
            parts.lake.delete(path)
    progress(f"lake: {len(manifest.lake)} files")


def restore_instance(folder: Path, place: LakeFiles, manifest: Manifest) -> None:
    """Replaces the databases of a Dagster instance with SQLite; no process may have them open."""
    for old in ("history", "schedules"):
        shutil.rmtree(folder / old, ignore_errors=True)
    for path, file in manifest.instance.items():
        target = (folder / path).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise PermanentError(f"The backup has the file {path!r}, which is outside of the Dagster instance.")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_chunks(target, place.get_chunks(object_path(file.sha256)))
