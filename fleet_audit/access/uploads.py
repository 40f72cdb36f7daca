"""Files that users send into the inbox: judged at once by the inbox's own formats and limits, recorded, and put there.

The run that reads the inbox reads them again like any other file; PostgreSQL records who sent what, and when.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import sqlalchemy as sa

from fleet_audit.access.database_errors import refusals
from fleet_audit.access.problems import Problem
from fleet_audit.access.sessions import Session
from fleet_audit.formats.parsed import ParsedFile, RejectedFile, too_large
from fleet_audit.formats.rejection_report import refusal, rejection_report
from fleet_audit.ingest.files import file_limits, parse_inbox_file, safe_name
from fleet_audit.logic.reference.plate_forms import other_form
from fleet_audit.schema.reference import EXCEPTIONS
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import FOLDERS, InboxFile
from fleet_audit.storage.lake import Lake

# Telemetry and visit reports measure a carrier: it does not send them itself. Reference data decides what is paid.
KINDS = {
    "carrier": ("bulletins",),
    "operations": ("bulletins", "visit_reports", "telemetry"),
    "finance": ("bulletins", "visit_reports", "telemetry", "reference"),
    "auditor": ("bulletins", "visit_reports", "telemetry", "reference"),
}
_REPORT_KEYS = ("file_name", "row_number", "reason_code", "meaning_pt", "reason", "raw")
_OF_OTHERS = "unknown_vehicle"
# Vehicles or devices in the user's scope, each with the days on which they are; row security excludes the others.
_OWN_PERIODS = {
    "plate": "select plate, valid_from, valid_to from ref.vehicles where plate = any(:asked)",
    "device_id": "select d.device_id, greatest(d.valid_from, v.valid_from), least(d.valid_to, v.valid_to) "
    "from ref.devices d join ref.vehicles v on v.plate = d.plate where d.device_id = any(:asked)",
}


@dataclass(frozen=True)
class Intake:
    """Where uploads go: the inbox, and the lake that keeps their reports and what was rejected whole."""

    settings: Settings
    lake: Lake

    @property
    def max_bytes(self) -> int:
        """Largest file that is taken."""
        return file_limits(self.settings).max_bytes

    @property
    def max_rows(self) -> int:
        """Most rows of a file that is taken."""
        return file_limits(self.settings).max_rows

    def put_into_inbox(self, name: str, content: bytes) -> None:
        """Put a file into the inbox as a whole, under a path inside it. Raises Problem 503 without an inbox."""
        inbox_url = self.settings.inbox_url
        if not inbox_url:
            raise Problem(503, "FLEET_INBOX_URL names no inbox: ask the operator to set it.", kind="no_inbox")
        Lake(self.settings.model_copy(update={"lake_url": inbox_url})).put_bytes(name, content)


@dataclass(frozen=True)
class _Judged:
    parsed: ParsedFile | None
    rejected: Any  # row_number, reason_code, reason, raw
    error: RejectedFile | None


def receive_file(session: Session, intake: Intake, kind: str, name: str, content: bytes) -> dict[str, Any]:
    """Judge, record and store a file; returns its row of `/v1/uploads`, whose status is accepted, partial or rejected.

    A file of which all or some rows are accepted goes into the inbox; one that is rejected whole is kept in the lake,
    with the reason. Rows of a vehicle on a day on which the user does not see it reject the whole file. A file with the
    name of an earlier one of the same user takes its place in the inbox; the same bytes as that one's return its row.

    Args:
        session: of the user who sends it.
        intake: where it goes.
        kind: a sub-folder of the inbox.
        name: file name as sent; of a path only the last part counts.
        content: its bytes.

    Raises Problem 403 for a kind or table that the profile does not send, 422 for a bad name, 429 after 100 files in
    an hour, 503 without an inbox.
    """
    name = plain_name(name)
    _require_may_send(session, kind, name)
    sha256 = hashlib.sha256(content).hexdigest()
    earlier = _earlier(session, kind, name, sha256)
    if earlier:
        return earlier
    if session.connection.scalar(sa.text("select auth.uploads_left()")) <= 0:
        raise Problem(
            429, "You sent 100 files within an hour: send the others later.", {"Retry-After": "600"}, kind="too_many"
        )
    file = InboxFile(FOLDERS[kind], f"{kind}/{name}", len(content), dt.datetime.now(dt.UTC))
    judged = _judge(session, intake, file, content)
    parsed = judged.parsed
    has_report = bool(len(judged.rejected))
    record: dict[str, Any] = {
        "kind": kind,
        "file_name": name,
        "file_sha256": sha256,
        "size_bytes": len(content),
        "status": parsed.status if parsed else "rejected",
        "reason_code": judged.error.code if judged.error else None,
        "message": parsed.message if parsed else str(judged.error),
        "rows_read": parsed.rows_read if parsed else 0,
        "rows_accepted": len(parsed.rows) if parsed else 0,
        "rows_rejected": parsed.rows_rejected if parsed else 0,
        "inbox_name": _inbox_name(kind, name) if parsed else None,
        "has_report": has_report,
    }
    with refusals():
        query = sa.text("select auth.record_upload(cast(:given as jsonb))")
        upload_id = session.connection.scalar(query, {"given": json.dumps(record)})
    row = upload(session, upload_id)
    if has_report:
        intake.lake.put_bytes(row["report_path"], rejection_report(name, judged.rejected))
    if parsed:
        intake.put_into_inbox(row["inbox_name"], content)
    else:
        intake.lake.put_bytes(f"uploads/{upload_id}/{safe_name(name)}", content)
    return row


def plain_name(name: str) -> str:
    """The name of a file that was sent: of a path its last part. Raises Problem 422 for one that a file cannot have."""
    last = re.split(r"[/\\]", name)[-1].strip()
    if not last or last.startswith((".", "~$")) or len(last) > 150 or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", last):
        raise Problem(422, "name is not a file's name of up to 150 characters: send one, without a path.", kind="name")
    return last


def upload(session: Session, upload_id: str) -> dict[str, Any]:
    """One row of `/v1/uploads`. Raises Problem 404 for an upload of another user as for none."""
    query = sa.text("select * from auth.received_uploads where upload_id = :id")
    found = session.connection.execute(query, {"id": upload_id}).mappings().first()
    if found is None:
        raise Problem(404, "No row of uploads has this id.")
    return dict(found)


def rejection_csv(session: Session, intake: Intake, upload_id: str) -> bytes:
    """The report of an upload's rejected rows as CSV for its sender; empty without any. Raises Problem 404."""
    path = upload(session, upload_id)["report_path"]
    return intake.lake.get_bytes(path) if path else b""


def rejections(session: Session, intake: Intake, upload_id: str) -> list[dict[str, Any]]:
    """The rejected rows of an upload: row_number (null: the whole file), reason_code, meaning_pt, reason, raw."""
    rows = csv.reader(io.StringIO(rejection_csv(session, intake, upload_id).decode("utf-8-sig")))
    found = [dict(zip(_REPORT_KEYS, row, strict=True)) for row in list(rows)[1:]]
    return [row | {"row_number": int(row["row_number"]) if row["row_number"] else None} for row in found]


def _require_may_send(session: Session, kind: str, name: str) -> None:
    if kind not in FOLDERS:
        raise Problem(404, f"Files are sent to one of {', '.join(FOLDERS)}.")
    is_allowed = kind in KINDS.get(session.profile, ())
    if is_allowed and kind == "reference":  # a delivery replaces the table of the whole company
        is_allowed = session.sees_all()
    if not is_allowed:
        raise Problem(403, "Your profile does not send files of this kind.", kind="profile")
    if kind == "reference" and PurePosixPath(name).stem == EXCEPTIONS.name:  # one person alone would put it in force
        raise Problem(
            403, "Exceptions need two persons: request each by POST /v1/exceptions, to be approved.", kind="exceptions"
        )


def _earlier(session: Session, kind: str, name: str, sha256: str) -> dict[str, Any] | None:
    """The user's file of this name in the inbox if it has these bytes; a rejected one is judged again."""
    query = sa.text(
        "select u.* from auth.received_uploads u where kind = :kind and file_name = :name and status <> 'rejected' "
        "and uploaded_by = auth.own_login() order by uploaded_at desc limit 1"
    )
    found = session.connection.execute(query, {"kind": kind, "name": name}).mappings().first()
    return dict(found) if found and found["file_sha256"] == sha256 else None


def _judge(session: Session, intake: Intake, file: InboxFile, content: bytes) -> _Judged:
    try:
        if file.size > intake.max_bytes:
            raise too_large(file.size, file_limits(intake.settings))
        parsed = parse_inbox_file(file, content, intake.settings, file.modified_at)
        _require_own_vehicles(session, parsed)
    except RejectedFile as error:
        return _Judged(None, refusal(error.code, str(error)), error)
    return _Judged(parsed, parsed.rejected, None)


def _require_own_vehicles(session: Session, parsed: ParsedFile) -> None:
    """Refuses a file with a vehicle or device on a day on which the user does not see it, whether it exists or not."""
    if parsed.kind == "reference" or session.sees_all():
        return
    column = "device_id" if parsed.kind == "telemetry" else "plate"
    named = sorted(set(parsed.covered[[column, "date"]].dropna().itertuples(index=False, name=None)))
    asked = [form for text in {text for text, _ in named} for form in (text, other_form(text)) if form]
    own = defaultdict(list)
    for text, first, last in session.connection.execute(sa.text(_OWN_PERIODS[column]), {"asked": asked}):
        for form in (text, other_form(text)):
            own[form].append((first or dt.date.min, last or dt.date.max))
    others = {text: day for text, day in reversed(named) if not any(first <= day <= last for first, last in own[text])}
    if others:
        text = min(others)
        raise RejectedFile(
            f"{column} {text} is none of yours on {others[text]}, or is not registered: remove its rows, or ask for "
            f"its registration{f' and that of {len(others) - 1} others' if len(others) > 1 else ''}.",
            _OF_OTHERS,
        )


def _inbox_name(kind: str, name: str) -> str:
    """A path that only the same name of the same user has; the table of a reference file is its name's stem."""
    safe = safe_name(name)
    digest = "" if safe == name else f"{hashlib.sha256(name.encode()).hexdigest()[:12]}/"  # two names, one safe name
    return f"{kind}/uploads/<user>/{digest}{safe}"
