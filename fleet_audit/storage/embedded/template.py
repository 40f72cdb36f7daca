"""The data folder that a new embedded PostgreSQL starts from: initialised and migrated once, at install.

Keeping and copying that folder belongs here; the server is in `server`, the tables in `migrate`. A new home costs
initdb and the migrations 3 s of processor time, a copy 0.2 s. Without a usable template a home is made by initdb.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

TEMPLATES = Path(__file__).parent / "__pycache__"
_PREFIX = "postgres-"
_MIGRATIONS = Path(__file__).parents[1] / "migrations" / "versions"
_NOT_COPIED = shutil.ignore_patterns("postmaster.pid", "postmaster.opts", "server.log", ".s.PGSQL.*")


def copy_template(version: int, settings: tuple[str, ...], folder: Path, account: pwd.struct_passwd | None) -> bool:
    """Fill an empty folder with the template of a PostgreSQL version and of initdb's arguments; False without one.

    The files belong to `account`, or to this process. A template that cannot be read whole leaves the folder empty.
    """
    try:
        shutil.copytree(_template(version, settings), folder, dirs_exist_ok=True)
    except (OSError, shutil.Error):  # none, or made by a user whose files this one may not read
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        return False
    if account:
        for root, _, files in os.walk(folder):
            for path in (root, *(f"{root}/{file}" for file in files)):
                os.chown(path, account.pw_uid, account.pw_gid)
    return True


def save_template(version: int, settings: tuple[str, ...], data: Path) -> None:
    """Keep the data folder of a stopped server as the template, in place of those of other versions.

    Nothing is kept where the package's folder is read-only.
    """
    template = _template(version, settings)
    with suppress(OSError, shutil.Error):
        template.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=template.parent) as folder:
            copy = shutil.copytree(data, Path(folder) / template.name, ignore=_NOT_COPIED)
            for former in template.parent.glob(f"{_PREFIX}*"):
                shutil.rmtree(former)
            copy.rename(template)


def _template(version: int, settings: tuple[str, ...]) -> Path:
    """Where the template of this program's migrations is: a newer program's tables would be refused."""
    digest = hashlib.sha256("\0".join([str(version), *settings]).encode())
    for path in sorted(_MIGRATIONS.glob("*.py")):
        digest.update(path.read_bytes())
    return TEMPLATES / f"{_PREFIX}{digest.hexdigest()[:16]}"
