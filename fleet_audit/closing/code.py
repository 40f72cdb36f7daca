"""Version of the code that computed a row, and of the libraries under it.

It does not depend on version control or on how the package was installed.
"""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zoneinfo import TZPATH

from fleet_audit import __version__

_PACKAGE = Path(__file__).resolve().parents[1]
_SOURCES = ("*.py", "*.sql", "*.yml")
VERSION_SEPARATOR = ", "
_LIBRARIES = ("msgspec", "numba", "numpy", "pandas", "pyarrow", "shapely")  # those that days are computed with


@cache
def code_version() -> str:
    """The package's version and a hash over its sources and SQL models, e.g. `0.1.0+3f9c0a7d21be`.

    `definitions` asks for it when it is loaded: a deployment into the same folder, later in the run, replaces the
    sources of modules that stay loaded.
    """
    digest = hashlib.sha256()
    for folder in (_PACKAGE, _PACKAGE.parent / "dbt_like_sql"):
        files = {path for pattern in _SOURCES for path in folder.rglob(pattern)}
        for path in sorted(files):
            digest.update(f"{folder.name}/{path.relative_to(folder).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


@cache
def computing_versions() -> str:
    """`code_version`, and the versions of Python, of the libraries that days are computed with, and of the time zones.

    An upgrade of any can change what comes of the same inputs.
    """
    libraries = (f"{name} {version(name)}" for name in _LIBRARIES)
    zones = f"time zones {_time_zones()}"
    return VERSION_SEPARATOR.join((code_version(), f"Python {platform.python_version()}", *libraries, zones))


def _time_zones() -> str:
    """Version of the rules that `zoneinfo` reads: of the operating system's where it has any, else of the package."""
    for folder in TZPATH:
        rules = Path(folder) / "tzdata.zi"
        if rules.is_file():
            with rules.open(encoding="utf-8") as lines:
                return lines.readline().strip()
    try:
        return version("tzdata")
    except PackageNotFoundError:  # a system with neither has no zones at all, or does not say of which version
        return "of an unknown version"
