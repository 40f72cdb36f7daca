"""Notes of people on a finding: shown on its page, written there; an internal one is not shown to the carrier.

Who may write is checked by PostgreSQL's functions (`access.contests`).
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request, Response

from fleet_audit.access import contests
from fleet_audit.access.answers import Key
from fleet_audit.access.web.contest_pages import FormText
from fleet_audit.access.web.site import TEXT_LENGTH, Site, Visit

_SENTENCES = {"text": f"Escreva de {TEXT_LENGTH}."}


def notes_context(site: Site, visit: Visit, finding_id: str) -> dict[str, Any]:
    """What the page of a finding shows of its notes."""
    notes = site.relations.rows(visit.session, "notes", lambda c: (c.finding_id == finding_id,))
    return {"notes": notes, "is_carrier": visit.session.profile == "carrier"}


def add_note_pages(app: FastAPI, site: Site) -> None:
    """`/achados/{id}/notas`: the form to write one."""

    @app.get("/achados/{key}/notas")
    def note_form(request: Request, key: Key) -> Response:
        return _form(site, request, key)

    @app.post("/achados/{key}/notas")
    def annotate(
        request: Request,
        key: Key,
        form_token: Annotated[str, Form(max_length=200)],
        texto: FormText = "",
        interna: Annotated[str, Form(max_length=10)] = "",
    ) -> Response:
        def annotate_finding(visit: Visit) -> str:
            contests.annotate_finding(visit.session, key, texto, is_internal=interna == "sim")
            return f"/achados/{key}#notas"

        form = partial(_form, site, request, key, texto)
        return site.submit(request, form_token, annotate_finding, form, _SENTENCES)


def _form(
    site: Site, request: Request, key: str, text: str = "", error: str | None = None, status: int = 200
) -> Response:
    with site.visit(request) as visit:
        finding = site.relations.row(visit.session, "findings", "finding_id", key)
        return site.page(
            visit, "note.html.j2", status, finding=finding, text=text, error=error,
            **notes_context(site, visit, key),
        )  # fmt: skip
