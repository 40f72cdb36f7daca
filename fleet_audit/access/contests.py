"""What people do about findings: contest, decide, annotate, and exceptions that one requests and another approves.

The functions of `storage.auth.disputes` check profile, scope, deadlines and that two persons act; here they are
called, for the read API and for the page alike. Rows are read through `pages`.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from fleet_audit.access.database_errors import refusals
from fleet_audit.access.problems import Problem
from fleet_audit.access.sessions import Session
from fleet_audit.access.uploads import plain_name
from fleet_audit.logic.audit.rules.registry import RULES
from fleet_audit.schema.reference import EXCEPTIONS

MAX_ATTACHMENT_BYTES = 10 * 1024 * 1024
_BEGINNINGS = {
    ".pdf": (b"%PDF-",),
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".xlsx": (b"PK\x03\x04",),
}
_EXCEPTION = "rule_id", "plate", "carrier_code", "unit_code", "route_code", "date_from", "date_to", "reason"


def open_contest(session: Session, finding_id: str, text: str) -> str:
    """Contest a finding; returns the contest_id.

    Raises Problem 404 for a finding that does not exist or is out of scope, 409 when it is contested or excepted or the
    deadline is over, 403 for profiles other than carrier and finance, 422 for a text of under 10 characters.
    """
    return str(_call(session, "auth.contest_finding(:id, :text)", id=finding_id, text=text))


def decide_contest(session: Session, contest_id: str, decision: str, text: str) -> None:
    """Decide a contest: `upheld` (the finding stands) or `reversed` (it was wrong), with reasons; final.

    Raises Problem 404, 409 when it is decided already or the same person contested, 403 for profiles other than finance
    and auditor, 422.
    """
    _call(session, "auth.decide_contest(:id, :decision, :text)", id=contest_id, decision=decision, text=text)


def annotate_finding(session: Session, finding_id: str, text: str, *, is_internal: bool) -> str:
    """Write a note on a finding; an internal one is not shown to the carrier. Returns the note_id. Raises Problem."""
    return str(
        _call(session, "auth.annotate_finding(:id, :text, :internal)", id=finding_id, text=text, internal=is_internal)
    )


def attach_file(session: Session, contest_id: str, name: str, content: bytes) -> tuple[str, str]:
    """Record a file of a contest; returns its SHA-256 and the path in the lake where its bytes belong.

    Of a path in the name only the last part counts. Raises Problem 404, 409, 403, 422 for a bad name or a file that is
    not a PDF, PNG, JPEG or XLSX, and 413 for one that is too large.
    """
    name = plain_name(name)
    ending = "." + name.rpartition(".")[2].lower()
    if not content.startswith(_BEGINNINGS.get(ending, ())):
        raise Problem(422, "The file is not a PDF, PNG, JPEG or XLSX: attach one of these.", kind="file_type")
    if len(content) > MAX_ATTACHMENT_BYTES:
        raise attachment_too_large()
    sha256 = hashlib.sha256(content).hexdigest()
    call = "auth.attach_contest_file(:id, :name, :sha256, :size)"
    return sha256, str(_call(session, call, id=contest_id, name=name, sha256=sha256, size=len(content)))


def attachment_too_large() -> Problem:
    """The refusal of a file with more bytes than one that is attached may have."""
    sentence = f"The file has more than {MAX_ATTACHMENT_BYTES:,} bytes: attach a smaller one."
    return Problem(413, sentence, kind="file_size")


def attachment(session: Session, file_id: str) -> tuple[str, str]:
    """Name of an attached file, and its path in the lake. Raises Problem 404 for one out of scope as for no file."""
    query = sa.text("select file_name, contest_id, file_sha256 from auth.attachments where file_id = :id")
    found = session.connection.execute(query, {"id": file_id}).first()
    if found is None:
        raise Problem(404, "No row of attachments has this id.")
    return found.file_name, f"contests/{found.contest_id}/{found.file_sha256}"


def approved_file(exception_id: str) -> str:
    """Path inside the inbox of the table that an approval delivers."""
    return f"reference/approved/{exception_id}/exceptions.csv"


def request_exception(session: Session, values: Mapping[str, Any]) -> str:
    """Request an exception (columns of ref.exceptions without id and approver); returns the exception_id.

    Raises Problem 422 for a scope beyond the user's own, dates in the wrong order or a reason of under 10 characters.
    """
    if values.get("rule_id") not in (None, *(rule.rule_id for rule in RULES)):
        raise Problem(422, "rule_id names no rule: GET /v1/rules lists them.", kind="rule")
    call = f"auth.request_exception({', '.join(f':{name}' for name in _EXCEPTION)})"
    return str(_call(session, call, **{name: values.get(name) for name in _EXCEPTION}))


def decide_exception(session: Session, exception_id: str, *, is_approved: bool) -> bytes | None:
    """Approve or refuse an exception; returns the content of reference/exceptions.csv with all approved ones.

    The file has those of the last delivery too, because a delivery replaces the table. None for a refusal. Raises
    Problem 404, 403 for profiles other than finance and auditor, 409 for who requested it or when it was refused.
    """
    _call(session, "auth.decide_exception(:id, :is_approved)", id=exception_id, is_approved=is_approved)
    if not is_approved:
        return None
    with refusals():
        rows = session.connection.execute(sa.text("select * from auth.exceptions_in_force()")).mappings().all()
    text = io.StringIO()
    writer = csv.DictWriter(text, EXCEPTIONS.column_names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(dict(row) for row in rows)
    return text.getvalue().encode()


def _call(session: Session, call: str, **values: Any) -> Any:
    with refusals():
        return session.connection.scalar(sa.text(f"select {call}"), values)
