"""Dagster's empty SQLite databases, made once at install and copied into each new home, and for each new run.

Keeping and copying them belongs here; `dagster_template` makes them, `event_log` fills them. To make one costs 0.1 s of
processor time, and a day's run in a new home needs five. Without a template Dagster makes them.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import uuid
from contextlib import closing, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

TEMPLATES = Path(__file__).parent / "__pycache__"
_PREFIX = "dagster-"
_FOLDERS = ("history", "schedules")  # of an instance, as Dagster names them
_RUN = "run"


def copy_databases(home: Path) -> None:
    """Give the folder of a new Dagster instance empty databases; one that has any keeps its own."""
    template = _template()
    if not template.is_dir() or any((home / name).exists() for name in _FOLDERS):
        return
    with suppress(OSError, shutil.Error), tempfile.TemporaryDirectory(dir=home) as folder:
        for name in _FOLDERS:  # moved whole: another process may open the instance at this moment
            ignored = shutil.ignore_patterns(f"{_RUN}.db")
            copy = shutil.copytree(template / name, Path(folder) / name, ignore=ignored, copy_function=shutil.copyfile)
            Path(copy).rename(home / name)


def has_tables(path: Path) -> bool:
    """Whether the event database at the path has the tables of this version of Dagster.

    A missing one is made as a copy of the template. False without a template, or of another version's database.
    """
    template = _template() / "history" / "runs" / f"{_RUN}.db"
    wanted = _revision(template)
    if wanted is None:
        return False
    if not path.exists() and not _copy(template, path):
        return False
    return _read_revision(path) == wanted


def save_template(home: Path, run_id: str) -> None:
    """Keep the databases of an instance, in place of those of other versions; that of the run is the one of new runs.

    Nothing is kept where the package's folder is read-only.
    """
    template = _template()
    with suppress(OSError, shutil.Error):
        template.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=template.parent) as folder:
            new = Path(folder) / template.name
            for path in (path for name in _FOLDERS for path in (home / name).rglob("*.db")):
                name = f"{_RUN}.db" if path.stem == run_id else path.name
                _back_up(path, new / path.parent.relative_to(home) / name)
            for former in template.parent.glob(f"{_PREFIX}*"):
                shutil.rmtree(former)
            new.rename(template)
    _revision.cache_clear()


def _template() -> Path:
    return TEMPLATES / f"{_PREFIX}{version('dagster')}"


def _back_up(path: Path, target: Path) -> None:
    """Copy a database with what its journal still holds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def _copy(template: Path, path: Path) -> bool:
    """Whether the database is there now: copied under another name and linked, which replaces no other process' one."""
    # threads share a process id, and so do processes of containers that share the folder
    new = path.with_name(f"{path.name}.{uuid.uuid4()}")
    try:
        shutil.copyfile(template, new)
        with suppress(FileExistsError):
            os.link(new, path)
    except OSError:  # a file system without links
        return False
    finally:
        new.unlink(missing_ok=True)
    return True


@cache
def _revision(template: Path) -> str | None:
    return _read_revision(template) if template.exists() else None


def _read_revision(path: Path) -> str | None:
    """The revision that a database of Dagster records; None while another process makes its tables."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            row = connection.execute("select version_num from alembic_version").fetchone()
        except sqlite3.Error:
            return None
    return row[0] if row else None
