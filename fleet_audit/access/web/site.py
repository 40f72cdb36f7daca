"""What every page shares: the reader's transaction, templates, security headers, errors as pages.

The pages are in the modules of their subjects; `application` puts all together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException

from fleet_audit.access.problems import Problem, status_of
from fleet_audit.access.sessions import Session, Sessions
from fleet_audit.access.web import formats
from fleet_audit.access.web.identity import Cookies, Visitor
from fleet_audit.access.web.rows import Relations
from fleet_audit.reporting.labels import amount_basis
from fleet_audit.storage.auth.disputes import MAX_TEXT, MIN_TEXT
from fleet_audit.storage.lake import Lake

ROOT = "/portal"
TEXT_LENGTH = f"{MIN_TEXT} a {formats.whole(MAX_TEXT)} caracteres"
_FOLDER = Path(__file__).parent
_MAX_SIGN_IN_BYTES = 16 * 1024  # of who has not signed in
_HEADERS = {
    # style and script only from files of this address: no text of a page is ever run
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_SENTENCES = {
    400: "O endereço ou um valor do filtro não pode ser lido: volte e escolha de novo.",
    403: "Seu perfil não faz isto, ou o formulário expirou: carregue a página de novo.",
    404: "Não há nada neste endereço, ou não está entre o que o seu acesso permite ver.",
    405: "Este endereço não aceita esta ação.",
    409: "A situação mudou desde que a página foi aberta: carregue a página de novo.",
    411: "O envio não informa o seu tamanho: use o formulário da página.",
    413: "O arquivo é maior do que o permitido: divida-o em partes menores.",
    422: "Um campo está vazio ou tem um valor inválido: volte e corrija.",
    429: "Houve muitas tentativas em pouco tempo: espere um minuto e tente de novo.",
    503: "O serviço está ocupado: espere alguns segundos e tente de novo, se possível com um período menor.",
}
_FAILED = "O serviço falhou: tente de novo; se persistir, avise quem o opera."


@dataclass(frozen=True)
class Visit:
    """One request of a user who signed in, and the transaction with the user's rights."""

    request: Request
    visitor: Visitor
    session: Session

    @property
    def sees_money(self) -> bool:
        """Whether the profile reads amounts; PostgreSQL refuses them to the others."""
        return self.session.profile in ("finance", "auditor", "carrier")


@dataclass(frozen=True)
class Site:
    """What the pages are made with. `closing_day` is the first day of a cycle, `company` may be empty.

    `max_body_bytes` is the most that a form of a visitor may send, with its file.
    """

    sessions: Sessions
    cookies: Cookies
    relations: Relations
    lake: Lake
    closing_day: int
    company: str
    max_body_bytes: int

    @contextmanager
    def visit(self, request: Request) -> Iterator[Visit]:
        """The request with its reader's transaction. Raises Problem 401 for who has not signed in."""
        visitor = self.cookies.visitor(request)
        if visitor is None:
            raise Problem(401, "Sign in first.")
        with self.sessions.begin_as(visitor.user_id, visitor.signed_in_at) as session:
            yield Visit(request, visitor, session)

    @contextmanager
    def act(self, request: Request, form_token: str) -> Iterator[Visit]:
        """A request that changes something. Raises Problem 403 for a form that this session was not given."""
        visitor = self.cookies.visitor(request)
        if visitor is not None:
            self.cookies.check(request, visitor.session, form_token)
        with self.visit(request) as visit:
            yield visit

    def submit(
        self,
        request: Request,
        form_token: str,
        action: Callable[[Visit], str],
        form: Callable[[str, int], Response],
        sentences: Mapping[str, str],
    ) -> Response:
        """Does what a form asks for and sends the browser to the page that `action` returns.

        A Problem whose kind has a sentence shows the form again, by `form(sentence, status)`; others are raised.
        """
        try:
            with self.act(request, form_token) as visit:
                return self.redirect(visit, action(visit))
        except Problem as problem:
            sentence = sentences.get(problem.kind or "")
            if sentence is None:
                raise
            return form(sentence, problem.status_code)

    def page(self, visit: Visit, template: str, status: int = 200, **values: Any) -> Response:
        """A page for a visitor, whose session lasts from now on."""
        context = {
            "visitor": visit.visitor,
            "profile": visit.session.profile,
            "sees_money": visit.sees_money,
            "form_token": self.cookies.form_token(visit.visitor.session),
            **values,
        }
        response = self.plain_page(visit.request, template, status, context)
        self.cookies.renew(response, visit.visitor)
        return response

    def plain_page(
        self, request: Request, template: str, status: int = 200, values: Mapping[str, Any] | None = None
    ) -> Response:
        """A page for anybody. Nothing of it is kept by a browser's or proxy's cache."""
        path = request.url.path.removeprefix(ROOT)
        shared = {"root": ROOT, "company": self.company, "path": path, "visitor": None, "versions": asset_versions()}
        text = _templates().get_template(template).render({**shared, **(values or {})})
        return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})

    def redirect(self, visit: Visit, path: str) -> Response:
        """Sends the browser to a page of ours after an action."""
        response = RedirectResponse(f"{ROOT}{path}", 303)
        self.cookies.renew(response, visit.visitor)
        return response


def safe_target(given: str | None) -> str:
    """The page to return to after signing in: one of ours, else the first one."""
    is_ours = given is not None and given.startswith(f"{ROOT}/") and given.isprintable() and given.isascii()
    return given if given and is_ours and not set("\\") & set(given) and "//" not in given else f"{ROOT}/dias"


def static_files() -> Mapping[str, tuple[bytes, str]]:
    """Content and media type of the page's own style, script and icon, by name."""
    kinds = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
    paths = (_FOLDER / "static").iterdir()
    return {path.name: (path.read_bytes(), kinds[path.suffix]) for path in paths if path.suffix in kinds}


@lru_cache
def asset_versions() -> Mapping[str, str]:
    """The address of each static file, with a part that changes with its content."""
    return {
        name: f"{ROOT}/static/{name}?v={formats.short_hash(content)}" for name, (content, _) in static_files().items()
    }


@lru_cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(formats.FILTERS)
    environment.globals.update(min_text=MIN_TEXT, max_text=MAX_TEXT, amount_basis=amount_basis)
    return environment


def add_headers(app: FastAPI, site: Site) -> None:
    """Sets the security headers of every answer, and refuses a body that no form of ours sends to this visitor."""

    @app.middleware("http")
    async def guarded(request: Request, call_next: Callable[..., Any]) -> Response:
        size = request.headers.get("Content-Length", "")
        limit = site.max_body_bytes if site.cookies.visitor(request) else _MAX_SIGN_IN_BYTES
        if request.method not in ("GET", "HEAD") and not size.isdecimal():
            response: Response = HTMLResponse(_SENTENCES[411], 411)
        elif size.isdecimal() and int(size) > limit:
            response = HTMLResponse(_SENTENCES[413], 413, headers={"Connection": "close"})
        else:
            response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def add_error_pages(app: FastAPI, site: Site) -> None:
    """Makes every error a page in Portuguese; who has not signed in is sent to the form, and back after it."""

    def error_page(request: Request, status: int, headers: Mapping[str, str] | None = None) -> Response:
        sentence = _SENTENCES.get(status, _FAILED)
        response = site.plain_page(request, "error.html.j2", status, {"status": status, "sentence": sentence})
        if headers and "Retry-After" in headers:
            response.headers["Retry-After"] = headers["Retry-After"]
        return response

    @app.exception_handler(HTTPException)
    def expected(request: Request, error: HTTPException) -> Response:
        if error.status_code != 401:
            return error_page(request, error.status_code, error.headers)
        query = f"?{request.url.query}" if request.url.query else ""
        back = quote(request.url.path + query, safe="/") if request.method == "GET" else ""
        address = f"{ROOT}/entrar" + (f"?volta={back}" if back else "")
        if "HX-Request" in request.headers:  # a part of a page: the whole page goes to the form
            return Response(status_code=401, headers={"HX-Redirect": f"{ROOT}/entrar"})
        return RedirectResponse(address, 303)

    @app.exception_handler(RequestValidationError)
    def unreadable(request: Request, error: RequestValidationError) -> Response:
        return error_page(request, 422)

    @app.exception_handler(sa.exc.SQLAlchemyError)
    def refused(request: Request, error: sa.exc.SQLAlchemyError) -> Response:
        return error_page(request, status_of(error))

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        return error_page(request, 500)
