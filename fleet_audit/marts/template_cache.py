"""Compiled Jinja templates, kept in files of the package's cache folder.

Compiling them took 0.06 s of each process that loads the code location. How they are rendered belongs to `rendering`.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

from fleet_audit.marts.cache_files import CACHE_FOLDER, write_cache_file

_MOST_KEPT = 500  # templates; the folder has some 150, and each that is changed leaves its former one
_PREFIX = f"jinja-{jinja2.__version__}-"  # Jinja's own check covers the text and the version of Python


class TemplateCache(jinja2.BytecodeCache):
    """A file per template; one that is missing, cut short, damaged or not readable is as good as none."""

    def __init__(self, folder: Path = CACHE_FOLDER) -> None:
        """Reads nothing yet."""
        self._folder = folder

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fills the bucket with what is kept of its template, if that is of the same text."""
        with suppress(Exception):  # what a damaged file raises depends on the byte: unpickling and marshal name no list
            bucket.bytecode_from_string(self._file(bucket).read_bytes())

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keeps the template, and removes the oldest files where there are too many."""
        write_cache_file(self._file(bucket), bucket.bytecode_to_string())
        with suppress(OSError):  # another process removes them too
            kept = sorted(self._folder.glob("jinja-*.cache"), key=lambda path: path.stat().st_mtime_ns)
            for path in kept[:-_MOST_KEPT]:
                path.unlink(missing_ok=True)

    def _file(self, bucket: Bucket) -> Path:
        return self._folder / f"{_PREFIX}{bucket.key}.cache"
