"""The pages on which a finding is contested and a contest is decided, with texts, files and deadlines of both sides.

Who may do what, and until when, is checked by PostgreSQL's functions (`access.contests`); here are their words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Request, Response, UploadFile

from fleet_audit.access import contests
from fleet_audit.access.answers import TEXT, Key
from fleet_audit.access.web.files import download
from fleet_audit.access.web.filters import names_of
from fleet_audit.access.web.formats import local
from fleet_audit.access.web.site import TEXT_LENGTH, Site, Visit
from fleet_audit.storage.auth.disputes import MAX_TEXT

CONTEST_STATUSES = {"contested": "Em contestação", "upheld": "Mantido", "reversed": "Revertido"}
CONTEST_FILTERS = {"contested": ("contested",), "decided": ("upheld", "reversed")}
_MAY_CONTEST, _MAY_DECIDE = ("carrier", "finance"), ("finance", "auditor")
_MAX_MB = contests.MAX_ATTACHMENT_BYTES // 1024 // 1024
_SENTENCES = {
    "excepted": "Uma exceção aprovada cobre este achado: não há o que contestar.",
    "late": "O ciclo deste achado está fechado e o prazo de contestação terminou.",
    "contested": "Este achado já foi contestado: acompanhe a contestação na página do achado.",
    "text": f"Escreva o motivo com {TEXT_LENGTH}.",
    "decided": "Esta contestação já foi decidida, e uma decisão não muda.",
    "decision": "Escolha se o achado é mantido ou revertido.",
    "same_person": "Quem contestou não decide: outra pessoa decide.",
    "name": "O nome do anexo não serve: use até 150 caracteres, sem pasta.",
    "file_type": "O anexo não é PDF, PNG, JPEG nem XLSX: envie um destes formatos.",
    "file_size": f"O anexo tem mais de {_MAX_MB} MB: envie um menor.",
    "many_files": "Esta contestação já tem 20 arquivos, o máximo.",
    "profile": "O seu perfil não pode fazer isto.",
}
FormText = Annotated[str, Form(max_length=4 * MAX_TEXT, pattern=r"^[^\x00]*$")]


def contest_context(site: Site, visit: Visit, finding: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """What the page of a finding shows of its contest, and what its reader may do now."""
    found = site.relations.rows(visit.session, "contests", lambda c: (c.finding_id == finding["finding_id"],))
    contest = found[0] if found else None
    profile = visit.session.profile
    until = finding["contest_until"] if contest is None else None
    today = local(dt.datetime.now(dt.UTC), zone)
    is_over = until is not None and today is not None and until < today.date()
    is_open = finding["status"] != "excepted" and contest is None
    return {
        "contest": contest,
        "contest_files": _files(site, visit, contest),
        "contest_statuses": CONTEST_STATUSES,
        "contest_until": until,
        "may_contest": is_open and not is_over and profile in _MAY_CONTEST,
        "is_over": is_over,
        "may_decide": contest is not None and contest["status"] == "contested" and profile in _MAY_DECIDE
        and contest["opened_by"] != visit.visitor.login,
    }  # fmt: skip


def add_contest_pages(app: FastAPI, site: Site) -> None:
    """`/achados/{id}/contestar`, `/achados/{id}/decidir` and the files of contests."""

    @app.get("/achados/{key}/contestar")
    def contest_form(request: Request, key: Key) -> Response:
        return _form(site, request, key)

    @app.post("/achados/{key}/contestar")
    def contest(
        request: Request,
        key: Key,
        form_token: Annotated[str, Form(max_length=200)],
        motivo: FormText = "",
        anexo: Annotated[UploadFile | None, File()] = None,
    ) -> Response:
        def open_contest(visit: Visit) -> str:
            contest_id = contests.open_contest(visit.session, key, motivo)
            if anexo is not None and anexo.filename:
                content = anexo.file.read(contests.MAX_ATTACHMENT_BYTES + 1)
                _, path = contests.attach_file(visit.session, contest_id, anexo.filename, content)
                site.lake.put_bytes(path, content)
            return f"/achados/{key}#contestacao"

        return site.submit(request, form_token, open_contest, partial(_form, site, request, key, motivo), _SENTENCES)

    @app.post("/achados/{key}/decidir")
    def decide(
        request: Request,
        key: Key,
        form_token: Annotated[str, Form(max_length=200)],
        contestacao: Annotated[str, Form(max_length=200, pattern=TEXT)],
        decisao: Annotated[str, Form(max_length=20, pattern=TEXT)] = "",
        motivo: FormText = "",
    ) -> Response:
        def decide_contest(visit: Visit) -> str:
            contests.decide_contest(visit.session, contestacao, decisao, motivo)
            return f"/achados/{key}#contestacao"

        return site.submit(request, form_token, decide_contest, partial(_form, site, request, key, motivo), _SENTENCES)

    @app.get("/contestacoes/arquivos/{file_id}")
    def attached_file(request: Request, file_id: Key) -> Response:
        with site.visit(request) as visit:
            name, path = contests.attachment(visit.session, file_id)
            return download(site.lake.get_bytes(path), name)


def _form(
    site: Site, request: Request, key: str, text: str = "", error: str | None = None, status: int = 200
) -> Response:
    """The form to contest or decide, with what was written and what was wrong with it."""
    with site.visit(request) as visit:
        finding = site.relations.row(visit.session, "findings", "finding_id", key)
        zone = names_of(site, visit).zone(finding["unit_code"])
        return site.page(
            visit, "contest.html.j2", status, finding=finding, text=text, max_mb=_MAX_MB, error=error,
            **contest_context(site, visit, finding, zone),
        )  # fmt: skip


def _files(site: Site, visit: Visit, contest: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if contest is None:
        return []
    return site.relations.rows(visit.session, "attachments", lambda c: (c.contest_id == contest["contest_id"],))
