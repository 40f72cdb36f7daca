"""Report files of the lake: which of them a user may download.

Files hold rows of the whole company, so they are for those who see all of it with its amounts; a carrier gets the
copies that were made for it. Rows are protected by PostgreSQL, see `pages`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

import sqlalchemy as sa

from fleet_audit.access.problems import Problem
from fleet_audit.access.sessions import Session
from fleet_audit.reporting.documents.carrier_copy import carrier_folder

_COPY = re.compile(r"reports/cycle/start=[\d-]{10}/carriers/([^/]+)/[^/]+")
_ROOT = "reports"


class Files(Protocol):
    """What is asked of the lake."""

    def list(self, prefix: str = "") -> list[str]:
        """Paths below a folder."""

    def exists(self, path: str) -> bool:
        """Whether a file has this path."""

    def get_bytes(self, path: str) -> bytes:
        """A file's content."""


def listed_reports(session: Session, files: Files) -> list[str]:
    """Paths of the report files that the user may download, sorted."""
    may_read = _rule(session)
    return [path for path in files.list(_ROOT) if may_read(path)]


def report_content(session: Session, files: Files, path: str) -> bytes:
    """A report file. Raises Problem 404 for one that does not exist and for one of others alike."""
    full = f"{_ROOT}/{path}"
    is_plain = ".." not in path.split("/") and not path.startswith("/") and "\0" not in path and "\\" not in path
    if not is_plain or not _rule(session)(full) or not files.exists(full):
        raise Problem(404, "No report has this path: GET /v1/reports lists them.")
    return files.get_bytes(full)


def _rule(session: Session) -> Callable[[str], bool]:
    """Whether the user may download a path; a carrier within a unit gets no copy, which holds its other units too."""
    if session.profile in ("auditor", "finance"):
        sees_all = session.sees_all()
        return lambda path: sees_all
    if session.profile == "carrier":
        codes = session.connection.scalar(sa.text("select auth.whole_carriers('carrier')")) or []
        own = {carrier_folder(code) for code in codes}
        return lambda path: (found := _COPY.fullmatch(path)) is not None and found[1] in own
    return lambda path: False
