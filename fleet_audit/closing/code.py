"""Version of the code that computed a row: the package's version and a hash over its sources and SQL models.

It does not depend on version control or on how the package was installed.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from fleet_audit import __version__

_PACKAGE = Path(__file__).resolve().parents[1]
_SOURCES = ("*.py", "*.sql", "*.yml")


@cache
def code_version() -> str:
    """E.g. `0.1.0+3f9c0a7d21be`: the same sources give the same."""
    digest = hashlib.sha256()
    for folder in (_PACKAGE, _PACKAGE.parent / "dbt_like_sql"):
        files = {path for pattern in _SOURCES for path in folder.rglob(pattern)}
        for path in sorted(files):
            digest.update(f"{folder.name}/{path.relative_to(folder).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"
