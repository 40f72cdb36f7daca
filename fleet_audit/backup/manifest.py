"""The manifest of a backup: which files it has, each with the SHA-256 and the size of its bytes.

Files are stored by their digest, once for all backups of one place; writing and reading them is in `writing` and
`restoring`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import asdict, dataclass, field

from fleet_audit.errors import PermanentError
from fleet_audit.storage.lake_files import LakeFiles

FORMAT = 1
FOLDER, OBJECTS = "backups", "objects"
_SUFFIX = ".json"


@dataclass(frozen=True)
class StoredFile:
    """A file's SHA-256 and its size in bytes."""

    sha256: str
    size: int


@dataclass
class Manifest:
    """What a backup has: dumps by name, files of the Dagster instance and of the lake by their relative path."""

    created_at: str
    code_version: str
    revision: str | None
    dumps: dict[str, StoredFile] = field(default_factory=dict)
    instance: dict[str, StoredFile] = field(default_factory=dict)
    lake: dict[str, StoredFile] = field(default_factory=dict)
    unfinished_runs: list[str] = field(default_factory=list)
    format: int = FORMAT

    def files(self) -> dict[str, StoredFile]:
        """All files, by a name that says where they belong."""
        parts = {"dump": self.dumps, "dagster": self.instance, "lake": self.lake}
        return {f"{part}/{path}": file for part, files in parts.items() for path, file in files.items()}


def object_path(sha256: str) -> str:
    """Where a backup place keeps the bytes with this digest."""
    return f"{OBJECTS}/{sha256[:2]}/{sha256}"


def write_manifest(place: LakeFiles, manifest: Manifest) -> str:
    """Writes the manifest, after which the backup exists; returns its name, e.g. `20250612T030000Z-1a2b3c4d`.

    The name ends with the manifest's own digest.
    """
    content = json.dumps(asdict(manifest), indent=1, sort_keys=True).encode()
    stamp = dt.datetime.fromisoformat(manifest.created_at).strftime("%Y%m%dT%H%M%SZ")
    name = f"{stamp}-{hashlib.sha256(content).hexdigest()[:16]}"
    place.put_bytes(f"{FOLDER}/{name}{_SUFFIX}", content)
    return name


def backup_names(place: LakeFiles) -> list[str]:
    """Names of the backups of a place, the oldest first."""
    return [path.rpartition("/")[2].removesuffix(_SUFFIX) for path in place.list(FOLDER) if path.endswith(_SUFFIX)]


def remove_manifest(place: LakeFiles, name: str) -> None:
    """Removes a backup from the list; its objects stay."""
    place.delete(f"{FOLDER}/{name}{_SUFFIX}")


def read_manifest(place: LakeFiles, name: str | None = None) -> Manifest:
    """The backup of this name, or the newest one.

    Raises PermanentError when there is none, its bytes are not those that its name promises, or a newer version of the
    program wrote it.
    """
    names = backup_names(place)
    if not names or (name and name not in names):
        found = f"; it has {', '.join(names)}" if names else ""
        raise PermanentError(f"{place.uri} has no backup {name or ''}".rstrip() + f"{found}.")
    return load_manifest(place, name or max(names))


def load_manifest(place: LakeFiles, name: str) -> Manifest:
    """The backup of a name that the place lists; raises what `read_manifest` raises of its bytes."""
    content = place.get_bytes(f"{FOLDER}/{name}{_SUFFIX}")
    if not name.endswith(hashlib.sha256(content).hexdigest()[:16]):
        raise PermanentError(f"The manifest of backup {name} in {place.uri} is damaged: choose another --name.")
    values = json.loads(content)
    if values["format"] > FORMAT:
        raise PermanentError(f"Backup {name} was written by a newer fleet_audit: install that version.")
    for part in ("dumps", "instance", "lake"):
        values[part] = {path: StoredFile(**file) for path, file in values[part].items()}
    return Manifest(**values)
