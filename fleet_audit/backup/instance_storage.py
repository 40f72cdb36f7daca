"""Where a Dagster instance keeps its runs and events: a PostgreSQL database, or SQLite files under its folder.

Only copying and replacing them belongs here; what is in them is Dagster's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg

# locks and journals belong to living processes; a copied database has none
_EXCLUDED = (".lock", "-wal", "-shm", "-journal")


def postgres_url(instance: dg.DagsterInstance) -> str | None:
    """The URL of the instance's PostgreSQL; None for SQLite."""
    return getattr(instance.run_storage, "postgres_url", None)


def unfinished_runs(instance: dg.DagsterInstance) -> list[str]:
    """Ids of the runs that may be writing now, in order."""
    statuses = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    return sorted(run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=statuses)))


def instance_files(folder: Path) -> Iterator[Path]:
    """Files of an instance with SQLite, sorted: databases, `dagster.yaml` and logs of computations."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(_EXCLUDED) and ".telemetry" not in path.parts:
            yield path


def copy_file(path: Path, target: Path) -> None:
    """Copies a file of an instance; a database as it is at one instant, also while it is written."""
    if path.suffix != ".db":
        target.write_bytes(path.read_bytes())
        return
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
