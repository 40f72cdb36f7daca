"""Removes old backups of a place, and the objects that no remaining backup has.

When backups are too old is a setting; writing them is in `writing`.
"""

from __future__ import annotations

import datetime as dt

from fleet_audit.backup.manifest import OBJECTS, backup_names, load_manifest, object_path, remove_manifest
from fleet_audit.storage.lake_files import LakeFiles

# another backup may be sending objects that no manifest names yet
_UNNAMED_OBJECTS_STAY = dt.timedelta(days=1)


def prune_backups(place: LakeFiles, keep_days: int, now: dt.datetime) -> tuple[list[str], int]:
    """Removes backups older than `keep_days`; returns their names, and how many objects were removed.

    The newest backup always stays. Raises PermanentError that names a damaged manifest, before any object is removed:
    which objects that backup has is not known.
    """
    *older, _ = backup_names(place) or [""]
    oldest = (now - dt.timedelta(days=keep_days)).strftime("%Y%m%dT%H%M%SZ")
    pruned = [name for name in older if name < oldest]
    for name in pruned:
        remove_manifest(place, name)
    kept = [load_manifest(place, name) for name in backup_names(place)]
    named = {object_path(file.sha256) for manifest in kept for file in manifest.files().values()}
    unnamed = [
        path
        for path, written_at in place.modified(OBJECTS).items()
        if path not in named and now - written_at > _UNNAMED_OBJECTS_STAY
    ]
    for path in unnamed:
        place.delete(path)
    return pruned, len(unnamed)
