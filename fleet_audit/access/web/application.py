"""The page as an application that is mounted beside the read API, and signing in to it and out of it.

Each other page is in the module of its subject.
"""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import FastAPI, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from fleet_audit.access.contests import MAX_ATTACHMENT_BYTES
from fleet_audit.access.problems import Problem
from fleet_audit.access.sessions import Sessions
from fleet_audit.access.uploads import Intake
from fleet_audit.access.web.analysis_pages import add_analysis_pages
from fleet_audit.access.web.contest_pages import add_contest_pages
from fleet_audit.access.web.day_pages import add_day_pages
from fleet_audit.access.web.file_pages import add_file_pages
from fleet_audit.access.web.finding_pages import add_finding_pages
from fleet_audit.access.web.identity import Cookies
from fleet_audit.access.web.note_pages import add_note_pages
from fleet_audit.access.web.rows import Relations
from fleet_audit.access.web.site import ROOT, Site, add_error_pages, add_headers, safe_target, static_files
from fleet_audit.access.web.upload_pages import add_upload_pages
from fleet_audit.reporting.layout import load_layout

_FORM_BYTES = 4 * 1024 * 1024  # beside the file; one of up to twice its limit gets the sentence about its size
_WRONG = {
    401: "O login ou a senha não confere, ou a conta está bloqueada ou desativada.",
    429: "Houve muitas tentativas deste endereço: espere um minuto.",
}


def mount_page(app: FastAPI, engine: sa.Engine, sessions: Sessions, secret: str, intake: Intake) -> None:
    """Mounts the page at /portal, and leads there from /."""
    settings = intake.settings
    site = Site(
        sessions,
        Cookies(secret, is_secure=settings.serve_secure_cookies),
        Relations(engine),
        intake.lake,
        settings.closing_day,
        load_layout(settings.report_layout).company,
        2 * max(intake.max_bytes, MAX_ATTACHMENT_BYTES) + _FORM_BYTES,
    )
    page = FastAPI(title="fleet_audit", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    add_headers(page, site)
    add_error_pages(page, site)
    _add_static_files(page)
    _add_sign_in(page, site)
    add_day_pages(page, site)
    add_finding_pages(page, site)
    add_contest_pages(page, site)
    add_note_pages(page, site)
    add_analysis_pages(page, site, intake)
    add_file_pages(page, site)
    add_upload_pages(page, site, intake)
    app.mount(ROOT, page)

    @app.get("/", include_in_schema=False)
    @app.get(ROOT, include_in_schema=False)
    def first() -> Response:
        return RedirectResponse(f"{ROOT}/dias", 303)


def _add_static_files(page: FastAPI) -> None:
    files = static_files()

    @page.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in files:
            raise Problem(404, "No such file.")
        content, kind = files[name]
        # the address changes with the content
        return Response(content, media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})


def _add_sign_in(page: FastAPI, site: Site) -> None:
    def form(request: Request, target: str, status: int = 200, login: str = "") -> Response:
        values = {
            "target": target,
            "login": login,
            "error": _WRONG.get(status),
            "form_token": site.cookies.form_token(site.cookies.form_name(request)),
        }
        response = site.plain_page(request, "sign_in.html.j2", status, values)
        site.cookies.open_form(request, response)
        return response

    @page.get("/")
    def first() -> Response:
        return RedirectResponse(f"{ROOT}/dias", 303)

    @page.get("/entrar")
    def sign_in_form(request: Request, volta: Annotated[str, Query(max_length=500)] = "") -> Response:
        return form(request, safe_target(volta))

    @page.post("/entrar")
    def sign_in(
        request: Request,
        form_token: Annotated[str, Form(max_length=200)],
        login: Annotated[str, Form(max_length=200)] = "",
        senha: Annotated[str, Form(max_length=1000)] = "",
        volta: Annotated[str, Form(max_length=500)] = "",
    ) -> Response:
        site.cookies.check(request, site.cookies.form_name(request), form_token)
        login = login.strip().lower().replace("\0", "")  # as PostgreSQL stores it: pages compare it with `opened_by`
        address = request.client.host if request.client else "unknown"
        try:
            user_id, signed_in_at = site.sessions.authenticate(login, senha, address)
        except Problem as problem:
            if problem.status_code not in _WRONG:
                raise
            return form(request, safe_target(volta), problem.status_code, login)
        response = RedirectResponse(safe_target(volta), 303)
        site.cookies.sign_in(response, user_id, login, signed_in_at)
        return response

    @page.post("/sair")
    def sign_out(request: Request, form_token: Annotated[str, Form(max_length=200)]) -> Response:
        visitor = site.cookies.visitor(request)
        if visitor is not None:
            site.cookies.check(request, visitor.session, form_token)
        response = RedirectResponse(f"{ROOT}/entrar", 303)
        site.cookies.sign_out(response)
        return response
