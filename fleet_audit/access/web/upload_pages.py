"""The pages on which a file is sent and its rejected rows are read, row by row.

What is accepted is decided by `access.uploads`, with the limits of the inbox.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Request, Response, UploadFile

from fleet_audit.access.answers import Key
from fleet_audit.access.problems import Problem
from fleet_audit.access.uploads import KINDS, Intake, receive_file, rejection_csv, rejections, upload
from fleet_audit.access.web.files import download
from fleet_audit.access.web.site import Site, Visit
from fleet_audit.reporting.locale import number

_LABELS = {
    "bulletins": "Boletim (km declarado)",
    "visit_reports": "Relatório de visita diário",
    "telemetry": "Telemetria por arquivo",
    "reference": "Tabela de cadastro",
}
_STATUSES = {"accepted": "Aceito", "partial": "Aceito em parte", "rejected": "Recusado"}
_A_PAGE, _MOST_ROWS = 50, 500
_FIELD = re.compile(r"(?P<column>[^']{1,60}) is '(?P<value>[^']{0,80})'")  # how the formats name a field and its value
_SENTENCES = {
    "name": "O nome do arquivo não serve: use até 150 caracteres, sem pasta.",
    "profile": "O seu perfil não envia arquivos deste tipo.",
    "exceptions": "Uma exceção é pedida por uma pessoa e aprovada por outra, na página Análise.",
    "no_inbox": "A caixa de entrada não está configurada: avise quem opera o serviço.",
    "too_many": "Você enviou 100 arquivos em uma hora: envie os outros mais tarde.",
    "no_file": "Escolha um arquivo CSV ou XLSX.",
}


def add_upload_pages(app: FastAPI, site: Site, intake: Intake) -> None:
    """`/envios`, `/envios/{id}` and its report as CSV."""

    @app.get("/envios")
    def uploads(request: Request) -> Response:
        return _list(site, intake, request)

    @app.post("/envios")
    def send(
        request: Request,
        form_token: Annotated[str, Form(max_length=200)],
        tipo: Annotated[str, Form(max_length=50)] = "",
        arquivo: Annotated[UploadFile | None, File()] = None,
    ) -> Response:
        def receive(visit: Visit) -> str:
            if arquivo is None or not arquivo.filename:
                raise Problem(422, "Choose a file.", kind="no_file")
            content = arquivo.file.read(intake.max_bytes + 1)
            row = receive_file(visit.session, intake, tipo, arquivo.filename, content)
            return f"/envios/{row['upload_id']}"

        return site.submit(request, form_token, receive, partial(_list, site, intake, request), _SENTENCES)

    @app.get("/envios/{key}")
    def one_upload(request: Request, key: Key) -> Response:
        with site.visit(request) as visit:
            row = _labelled(upload(visit.session, key))
            found = rejections(visit.session, intake, key)
            shown = [{**one, "field": _field(one["reason"])} for one in found[:_MOST_ROWS]]
            return site.page(visit, "upload.html.j2", upload=row, rejections=shown, count=len(found), labels=_LABELS)

    @app.get("/envios/{key}/recusas.csv")
    def report(request: Request, key: Key) -> Response:
        with site.visit(request) as visit:
            content = rejection_csv(visit.session, intake, key)
        return download(content, f"recusas_{key[:8]}.csv")


def _list(site: Site, intake: Intake, request: Request, error: str | None = None, status: int = 200) -> Response:
    largest = intake.settings.max_file_mb
    with site.visit(request) as visit:
        rows = site.relations.rows(
            visit.session, "received_uploads", order=lambda c: (c.uploaded_at.desc(),), limit=_A_PAGE
        )
        return site.page(
            visit, "uploads.html.j2", status,
            uploads=[_labelled(row) for row in rows], kinds=_kinds(visit), labels=_LABELS, error=error,
            max_mb=number(Decimal(str(largest)), 0 if largest == int(largest) else 1), max_rows=intake.max_rows,
        )  # fmt: skip


def _kinds(visit: Visit) -> list[tuple[str, str]]:
    """Kinds of files that the profile may send, with their labels."""
    return [(kind, _LABELS[kind]) for kind in KINDS.get(visit.session.profile, ())]


def _labelled(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "status_label": _STATUSES.get(row["status"], row["status"])}


def _field(reason: str) -> str:
    """`DATA: 31/02/2025` of a reason that names a field and its value; else empty."""
    match = _FIELD.match(reason)
    return f"{match['column']}: {match['value'] or 'vazio'}" if match else ""
