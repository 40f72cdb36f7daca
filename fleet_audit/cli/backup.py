"""`fleet-audit backup` and `fleet-audit restore`: the parts of an installation opened, and the backup's place.

What a backup has, and the order of writing and restoring, is in `backup`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fleet_audit.backup.instance_storage import postgres_url
from fleet_audit.backup.manifest import Manifest, read_manifest
from fleet_audit.backup.pruning import prune_backups
from fleet_audit.backup.restoring import refuse_unless_empty, restore_backup, restore_instance
from fleet_audit.backup.writing import Parts, write_backup
from fleet_audit.cli.environment import instance_home
from fleet_audit.cli.run import opened_instance
from fleet_audit.errors import PermanentError
from fleet_audit.installation import Installation
from fleet_audit.settings import Settings, load_settings
from fleet_audit.storage.lake_files import LakeFiles

Progress = Callable[[str], None]


def back_up(settings: Settings, place: str, progress: Progress, *, is_live: bool) -> tuple[str, int, list[str]]:
    """Write a backup, then remove those that FLEET_BACKUP_KEEP_DAYS makes too old.

    Returns the backup's name, how many files it has, and the runs that had not ended meanwhile.
    """
    target = _place(settings, place)
    with _parts(settings) as parts:
        name = write_backup(parts, target, progress, is_live=is_live)
    manifest = read_manifest(target, name)
    if settings.backup_keep_days:
        pruned, objects = prune_backups(target, settings.backup_keep_days, dt.datetime.now(dt.UTC))
        progress(f"{len(pruned)} backups older than {settings.backup_keep_days} days removed, with {objects} objects")
    return name, len(manifest.files()), manifest.unfinished_runs


def restore_from(
    settings: Settings, place: str, name: str | None, progress: Progress, *, is_replaced: bool
) -> Manifest:
    """Restore a backup (the newest without a name) into the installation; returns its manifest.

    Raises PermanentError when the installation has data and is not to be replaced, or the backup is damaged.
    """
    source = _place(settings, place)
    manifest = read_manifest(source, name)
    with _parts(settings) as parts:
        if not is_replaced:
            refuse_unless_empty(parts)
        restore_backup(parts, source, manifest, progress)
        has_database = postgres_url(parts.instance) is not None
    if not has_database and manifest.instance:
        restore_instance(parts.instance_folder, source, manifest)
    elif has_database == bool(manifest.instance):
        progress("Dagster's runs are not restored: backup and installation keep them in different kinds of storage")
    return manifest


def _place(settings: Settings, place: str) -> LakeFiles:
    """The files of a backup's place, with the credentials of the lake.

    Raises PermanentError for a place inside the lake: it would be backed up too, and removed by a restore.
    """
    found, lake = LakeFiles(load_settings(home=str(settings.home), lake_url=place)), LakeFiles(settings)
    if f"{found.root}/".startswith(f"{lake.root}/"):
        raise PermanentError(f"{place} is inside the lake {lake.uri}: name another folder or prefix for backups.")
    return found


@contextmanager
def _parts(settings: Settings) -> Iterator[Parts]:
    installation = Installation(settings)
    folder = instance_home(settings)
    with opened_instance(folder) as instance:
        yield Parts(installation.database_url(), installation.lake(), instance, folder)
