"""Addresses of what users do: contests and their files, notes, exceptions, uploads, and a driver's name for a reason.

What each does is in `contests` and `uploads`; here it has its address, body and answer.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Body, Depends, FastAPI, Query, Request, Response
from pydantic import BaseModel, Field

from fleet_audit.access import contests
from fleet_audit.access.answers import DOWNLOAD, TEXT, Key, Token, answer, problems, token_of
from fleet_audit.access.pages import read_row
from fleet_audit.access.problems import Problem
from fleet_audit.access.resources import Resource, row_schema
from fleet_audit.access.sessions import Sessions
from fleet_audit.access.uploads import Intake, receive_file, rejection_csv, rejections
from fleet_audit.storage.auth.disputes import MAX_TEXT

_ANY_FILE = {
    "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"format": "binary"}}}}
}
FileName = Annotated[
    str, Query(max_length=500, pattern=TEXT, description="The file's name", examples=["boletim-junho.xlsx"])
]
Kind = Literal["bulletins", "visit_reports", "telemetry", "reference"]


class Reasons(BaseModel):
    """A text of a person."""

    text: str = Field(
        max_length=MAX_TEXT, pattern=r"^[^\x00]*$", examples=["A viagem foi feita; o rastreador estava em manutenção."]
    )


class Decision(Reasons):
    """How a contest ends."""

    decision: Literal["upheld", "reversed"] = Field(description="upheld: the finding stands; reversed: it was wrong")


class Note(Reasons):
    """A note on a finding."""

    is_internal: bool = Field(True, description="Not shown to the carrier")


class WantedException(BaseModel):
    """What is to be excepted, until when, and why; an empty field covers any."""

    rule_id: str | None = Field(None, max_length=20, pattern=TEXT, examples=["G07"])
    plate: str | None = Field(None, max_length=20, pattern=TEXT)
    carrier_code: str | None = Field(None, max_length=100, pattern=TEXT)
    unit_code: str | None = Field(None, max_length=100, pattern=TEXT)
    route_code: str | None = Field(None, max_length=100, pattern=TEXT)
    date_from: dt.date | None = None
    date_to: dt.date = Field(examples=["2025-06-30"])
    reason: str = Field(max_length=MAX_TEXT, pattern=TEXT, examples=["Parada para obras na ponte do km 12"])


class Approval(BaseModel):
    """Whether an exception is approved; by another person than who requested it."""

    is_approved: bool


class Reason(BaseModel):
    """Why a name is needed."""

    reason: str = Field(max_length=1000, pattern=TEXT, examples=["defesa no processo 12/2025"])


def _signed_in(request: Request, token: Token) -> None:
    """Refuse a wrong token before the body of the request is read."""
    with request.app.state.sessions.begin(token_of(token)):
        pass


async def _read_upload(request: Request, _: Annotated[None, Depends(_signed_in)]) -> bytes:
    """The body, and no more of it than a file of the inbox may have."""
    most = _require(request.app.state.intake).max_bytes
    sentence = f"The file has more than {most:,} bytes: split it and send the parts."
    return await _body(request, most, Problem(413, sentence, kind="file_size"))


async def _read_attachment(request: Request, _: Annotated[None, Depends(_signed_in)]) -> bytes:
    """The body, and no more of it than an attached file may have."""
    return await _body(request, contests.MAX_ATTACHMENT_BYTES, contests.attachment_too_large())


async def _body(request: Request, most: int, too_large: Problem) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise too_large
    return bytes(content)


def add_actions(app: FastAPI, sessions: Sessions, resources: Mapping[str, Resource], intake: Intake | None) -> None:
    """Adds the addresses; without an intake those of files answer 503."""
    app.state.sessions, app.state.intake = sessions, intake
    _add_contests(app, sessions, resources)
    _add_exceptions(app, sessions, resources, intake)
    _add_driver_names(app, sessions)
    _add_files(app, sessions, resources, intake)


def _add_contests(app: FastAPI, sessions: Sessions, resources: Mapping[str, Resource]) -> None:
    @app.post(
        "/v1/findings/{key}/contest", tags=["actions"], summary="Contest a finding", status_code=201,
        responses=_row(resources["contests"], 403, 404, 409), response_class=Response,
    )  # fmt: skip
    def contest(request: Request, token: Token, key: Key, given: Annotated[Reasons, Body()]) -> Response:
        with sessions.begin(token_of(token)) as session:
            contest_id = contests.open_contest(session, key, given.text)
            return answer(request, read_row(session, resources["contests"], contest_id), 201)

    @app.post(
        "/v1/contests/{key}/decision", tags=["actions"], summary="Decide a contest, with reasons", 
        responses=_row(resources["contests"], 403, 404, 409), response_class=Response,
    )  # fmt: skip
    def decide(request: Request, token: Token, key: Key, given: Annotated[Decision, Body()]) -> Response:
        with sessions.begin(token_of(token)) as session:
            contests.decide_contest(session, key, given.decision, given.text)
            return answer(request, read_row(session, resources["contests"], key))

    @app.post(
        "/v1/findings/{key}/notes", tags=["actions"], summary="Write a note on a finding", status_code=201,
        responses=_row(resources["notes"], 403, 404), response_class=Response,
    )  # fmt: skip
    def annotate(request: Request, token: Token, key: Key, given: Annotated[Note, Body()]) -> Response:
        with sessions.begin(token_of(token)) as session:
            note_id = contests.annotate_finding(session, key, given.text, is_internal=given.is_internal)
            return answer(request, read_row(session, resources["notes"], note_id), 201)


def _add_exceptions(app: FastAPI, sessions: Sessions, resources: Mapping[str, Resource], intake: Intake | None) -> None:
    @app.post(
        "/v1/exceptions", tags=["actions"], summary="Request an exception", status_code=201,
        responses=_row(resources["exceptions"], 403), response_class=Response,
    )  # fmt: skip
    def request_exception(request: Request, token: Token, given: Annotated[WantedException, Body()]) -> Response:
        with sessions.begin(token_of(token)) as session:
            exception_id = contests.request_exception(session, given.model_dump())
            return answer(request, read_row(session, resources["exceptions"], exception_id), 201)

    @app.post(
        "/v1/exceptions/{key}/decision", tags=["actions"], response_class=Response,
        summary="Approve or refuse an exception that another person requested; an approved one goes into the inbox",
        responses=_row(resources["exceptions"], 403, 404, 409),
    )  # fmt: skip
    def decide(request: Request, token: Token, key: Key, given: Annotated[Approval, Body()]) -> Response:
        with sessions.begin(token_of(token)) as session:
            content = contests.decide_exception(session, key, is_approved=given.is_approved)
            if content is not None:
                _require(intake).put_into_inbox(contests.approved_file(key), content)
            return answer(request, read_row(session, resources["exceptions"], key))


def _add_driver_names(app: FastAPI, sessions: Sessions) -> None:
    @app.post(
        "/v1/drivers/{key}/name", tags=["actions"], responses=problems(403, 404),
        summary="A driver's name, for auditors and for a reason that is logged",
    )  # fmt: skip
    def reveal(token: Token, key: Key, given: Annotated[Reason, Body()]) -> dict[str, str]:
        with sessions.begin(token_of(token)) as session:
            query = sa.text("select auth.reveal_driver(:driver, :reason)")
            if session.profile != "auditor" or len(given.reason.strip()) < 10:
                raise Problem(403, "A name is given to auditors, for a reason of 10 characters or more.")
            name = session.connection.scalar(query, {"driver": key, "reason": given.reason})
            if name is None:
                raise Problem(404, "No driver has this id.")
            return {"driver_id": key, "name": name}


def _add_files(app: FastAPI, sessions: Sessions, resources: Mapping[str, Resource], intake: Intake | None) -> None:
    @app.post(
        "/v1/contests/{key}/attachments", tags=["actions"], status_code=201, openapi_extra=_ANY_FILE,
        summary="Attach a PDF, PNG, JPEG or XLSX to a contest",
        responses=problems(403, 404, 409, 413), 
    )  # fmt: skip
    def attach(
        token: Token, key: Key, name: FileName, content: Annotated[bytes, Depends(_read_attachment)]
    ) -> dict[str, str]:
        with sessions.begin(token_of(token)) as session:
            sha256, path = contests.attach_file(session, key, name, content)
            _require(intake).lake.put_bytes(path, content)
            return {"contest_id": key, "file_sha256": sha256}

    @app.get(
        "/v1/attachments/{key}", tags=["actions"], summary="An attached file", response_class=Response,
        responses={200: {"description": "The file", "content": {"application/octet-stream": {}}}, **problems(404)},
    )  # fmt: skip
    def attachment(token: Token, key: Key) -> Response:
        with sessions.begin(token_of(token)) as session:
            _, path = contests.attachment(session, key)
            content = _require(intake).lake.get_bytes(path)
        return Response(content, media_type="application/octet-stream", headers=DOWNLOAD)

    @app.post(
        "/v1/uploads/{kind}", tags=["actions"], summary="Send a file into the inbox", status_code=201,
        openapi_extra=_ANY_FILE, responses=_row(resources["uploads"], 403, 413, 429), response_class=Response,
    )  # fmt: skip
    def upload(
        request: Request, token: Token, kind: Kind, name: FileName, content: Annotated[bytes, Depends(_read_upload)]
    ) -> Response:
        with sessions.begin(token_of(token)) as session:
            row = receive_file(session, _require(intake), kind, name, content)
            return answer(request, json.dumps(row, default=str, ensure_ascii=False), 201)

    @app.get(
        "/v1/uploads/{key}/rejections", tags=["actions"], summary="The rejected rows of an upload, one by one",
        responses=problems(404), response_class=Response,
    )  # fmt: skip
    def report(
        request: Request, token: Token, key: Key, format: Annotated[Literal["json", "csv"], Query()] = "json"
    ) -> Response:
        with sessions.begin(token_of(token)) as session:
            if format == "csv":
                return Response(rejection_csv(session, _require(intake), key), media_type="text/csv", headers=DOWNLOAD)
            rows = rejections(session, _require(intake), key)
        return answer(request, json.dumps({"data": rows, "next_cursor": None}, ensure_ascii=False))


def _require(intake: Intake | None) -> Intake:
    if intake is None:
        raise Problem(503, "This service takes no files: ask the operator.", kind="no_inbox")
    return intake


def _row(resource: Resource, *statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": row_schema(resource)}}
    return {201: {"description": "The row", "content": content}, **problems(*statuses)}
