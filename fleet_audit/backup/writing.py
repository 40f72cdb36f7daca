"""Writes a backup: dumps of the databases first, then the files of the lake, and the manifest last.

In this order the lake may have more than the warehouse knows, never less. Restoring is in `restoring`.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from fleet_audit.backup.database_dump import dump_database
from fleet_audit.backup.instance_storage import copy_file, instance_files, postgres_url, unfinished_runs
from fleet_audit.backup.manifest import OBJECTS, Manifest, StoredFile, object_path, write_manifest
from fleet_audit.closing.code import code_version
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.api.parsed_pages import PARSED_PAGES_FOLDER
from fleet_audit.storage.lake_files import LakeFiles, sha256_of
from fleet_audit.storage.migrate import recorded_revision

WAREHOUSE_DUMP, DAGSTER_DUMP = "warehouse", "dagster"
_CHUNK_BYTES = 1 << 22
_CACHE = f"{PARSED_PAGES_FOLDER}/"  # the next staging of a day parses its pages again
_COMPUTED = ("staging/", "trips/", "parsed/", "reports/")  # a run of the day computes what it removed there again


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
    present = place.sizes(OBJECTS)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        progress("warehouse")
        dump_database(parts.warehouse_url, copy)
        manifest.dumps[WAREHOUSE_DUMP] = _store(place, copy, present)
        progress("Dagster instance")
        url = postgres_url(parts.instance)
        if url:
            dump_database(url, copy)
            manifest.dumps[DAGSTER_DUMP] = _store(place, copy, present)
        for path in [] if url else instance_files(parts.instance_folder):
            copy.unlink(missing_ok=True)
            copy_file(path, copy)
            manifest.instance[path.relative_to(parts.instance_folder).as_posix()] = _store(place, copy, present)
        listed = [name for name in parts.lake.list() if not name.startswith(_CACHE)]
        for name in listed:
            if _is_copied(parts.lake, name, copy):  # its digest is known before it is sent
                manifest.lake[name] = _store(place, copy, present)
    gone = len(listed) - len(manifest.lake)
    progress(f"lake: {len(manifest.lake)} files" + (f", and {gone} that a run removed meanwhile" if gone else ""))
    _require_all(place, manifest)
    manifest.unfinished_runs = sorted({*unfinished, *unfinished_runs(parts.instance)})
    return write_manifest(place, manifest)


def write_chunks(target: Path, chunks: Iterator[bytes]) -> None:
    """Writes content that arrives in pieces to a local file, which it replaces."""
    with target.open("wb") as file:
        file.writelines(chunks)


def _is_copied(lake: LakeFiles, name: str, target: Path) -> bool:
    """Copies a file of the lake; False when a run has removed it since it was listed, and runs compute it again.

    Raises RetryableError when it is gone and nothing computes it again.
    """
    try:
        write_chunks(target, lake.get_chunks(name))
    except PermanentError as error:
        if lake.exists(name):
            raise
        if name.startswith(_COMPUTED):
            return False
        raise RetryableError(f"{lake.url(name)} was removed while the backup ran: back up again.") from error
    return True


def _store(place: LakeFiles, path: Path, present: dict[str, int]) -> StoredFile:
    """Sends a file unless the place has an object of its digest and size; an object cut short is replaced."""
    stored = StoredFile(sha256_of(_chunks(path)), path.stat().st_size)
    target = object_path(stored.sha256)
    if present.get(target) != stored.size:
        place.put_chunks(target, _chunks(path))
        present[target] = stored.size
    return stored


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _require_all(place: LakeFiles, manifest: Manifest) -> None:
    """Raises RetryableError when an object of the backup is gone: another backup may have pruned it meanwhile."""
    present = place.sizes(OBJECTS)
    for name, file in manifest.files().items():
        if present.get(object_path(file.sha256)) != file.size:
            raise RetryableError(f"{name} is no longer in {place.uri}: another backup removed it; back up again.")
