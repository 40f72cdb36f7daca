"""What was found about the columns of SQL models, kept in a file of the package's cache folder.

Parsing and qualifying the models takes sqlglot 0.7 s of processor time, its import 0.15 s, of every process that loads
the code location. How a query is analysed belongs to `queries`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleet_audit.marts.cache_files import CACHE_FOLDER, write_cache_file
from fleet_audit.marts.model import Lineage, Relation, Tables

CACHE_FILE = CACHE_FOLDER / "lineage.json"
_MOST_KEPT = 500  # queries; the folder has some twenty, and each that is changed leaves its former one
_ANALYSIS = Path(__file__).with_name("queries.py")


class LineageCache:
    """Lineage of queries by a digest of all that it depends on; only that of valid queries is kept."""

    def __init__(self, path: Path = CACHE_FILE) -> None:
        """Read the file; one that is missing or damaged is an empty cache."""
        self._path = path
        self._known = _read(path)
        self._used: dict[str, Any] = {}
        self._version = f"{importlib.metadata.version('sqlglot')} {hashlib.sha256(_ANALYSIS.read_bytes()).hexdigest()}"

    def trace_columns(self, sql: str, path: Path, reads: Iterable[Relation], tables: Tables) -> Lineage:
        """As `queries.trace_columns`, which is called where the cache does not have the answer."""
        reads = sorted(set(reads), key=str)
        columns = [[str(relation), *tables[relation]] for relation in reads]
        digest = hashlib.sha256(json.dumps([self._version, sql, columns]).encode()).hexdigest()
        if digest not in self._known:
            from fleet_audit.marts.queries import trace_columns

            lineage = trace_columns(sql, path, reads, tables)
            self._known[digest] = [
                [name, [[relation.schema, relation.name, column] for relation, column in origins]]
                for name, origins in lineage.items()
            ]
        self._used[digest] = self._known[digest]
        return {
            name: [(Relation(schema, table), column) for schema, table, column in origins]
            for name, origins in self._used[digest]
        }

    def save(self) -> None:
        """Write the file, whole or not at all, unless it has all that was used; a read-only folder stays as it is."""
        if self._used.keys() <= _read(self._path).keys():
            return
        kept = self._known if len(self._known) <= _MOST_KEPT else self._used
        write_cache_file(self._path, json.dumps(kept).encode())


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    return {}
