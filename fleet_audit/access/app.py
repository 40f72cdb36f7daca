"""The read API over HTTP: the application with its sign-in, rules, report files, metrics, and all addresses of others.

What a user sees is decided by PostgreSQL in the transaction that `sessions` opens; nothing here filters for rights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from threading import Lock
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Body, FastAPI, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from pydantic import BaseModel, Field

from fleet_audit import __version__
from fleet_audit.access.accounts.company_tokens import CompanyTokens
from fleet_audit.access.actions import add_actions
from fleet_audit.access.answers import DOWNLOAD, TEXT, Token, answer, problems, token_of
from fleet_audit.access.body_limit import BodyLimit
from fleet_audit.access.problems import Problem, add_handlers, problem_response
from fleet_audit.access.report_files import Files, listed_reports, report_content
from fleet_audit.access.resource_addresses import add_evidence, add_resource
from fleet_audit.access.resources import RESOURCES, Resource, described_resources
from fleet_audit.access.sessions import TOKEN_S, Sessions
from fleet_audit.access.uploads import Intake
from fleet_audit.access.web.application import mount_page

_DESCRIPTION = """Kilometres, money and findings of a contracted bus fleet, and what people do about them.

Sign in with `POST /v1/login`, then send `Authorization: Bearer <access_token>`. Each user sees the rows and columns of
their profile and grants; an id out of scope is answered like one that does not exist. Pages follow `next_cursor` with
the same filters. `format=csv` and `format=parquet` have all rows. Times are UTC, decimals are JSON numbers with their
own digits, null is unknown."""


class Login(BaseModel):
    """Who signs in."""

    login: str = Field(max_length=200, pattern=TEXT, examples=["maria"])
    password: str = Field(max_length=1000, examples=["uma senha bem comprida"])


class Grant(BaseModel):
    """A token and how long it lasts."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int = Field(description="Seconds", examples=[TOKEN_S])


def create_app(
    engine: sa.Engine, secret: str, files: Files, intake: Intake | None = None, company: CompanyTokens | None = None
) -> FastAPI:
    """The application on connections of the role `fleet_api`; resources whose relations exist are served.

    Args:
        engine: connections of the role without grants.
        secret: signs the tokens.
        files: the lake with the reports.
        intake: where uploads and attachments go, and the page is served; None: neither is.
        company: verifies tokens of the company's identity provider; None: only those of this service count.
    """
    app = FastAPI(
        title="fleet_audit", version=__version__, description=_DESCRIPTION, responses=problems(401, 422, 503),
        redirect_slashes=False,  # such a redirect repeats the Host header, which a cache may keep for others
    )  # fmt: skip
    add_handlers(app)
    app.add_middleware(BodyLimit)  # the first one added is next to the routes
    sessions = Sessions(engine, secret, company)
    with engine.connect() as connection:
        resources = described_resources(connection)
    _add_later_resources(app, engine, sessions, resources)
    _add_metrics(app)
    _add_service(app, sessions)
    for resource in resources.values():
        add_resource(app, sessions, resource)
    add_evidence(app, sessions, resources)
    _add_catalogue(app, sessions)
    _add_reports(app, sessions, files)
    add_actions(app, sessions, resources, intake)
    if intake is not None:
        mount_page(app, engine, sessions, secret, intake)
    return app


def _add_later_resources(app: FastAPI, engine: sa.Engine, sessions: Sessions, known: dict[str, Resource]) -> None:
    """Add a mart that the first day publishes while the service runs, when it is first asked for."""
    missing = {resource.name for resource in RESOURCES} - known.keys()
    lock = Lock()

    def add_published() -> None:
        with lock, engine.connect() as connection:
            for name, resource in described_resources(connection).items():
                if name in missing:
                    missing.remove(name)
                    add_resource(app, sessions, resource)
                    app.openapi_schema = None

    @app.middleware("http")
    async def later(request: Request, call_next: Callable[..., Any]) -> Response:
        name = request.url.path.removeprefix("/v1/").split("/")[0]
        if name in missing:
            await run_in_threadpool(add_published)
            if name in missing:
                return problem_response(404, "No day was run yet: the first one publishes this resource.")
        answered: Response = await call_next(request)
        return answered


def _add_service(app: FastAPI, sessions: Sessions) -> None:
    @app.get("/health", tags=["service"], summary="Whether the service and its database answer")
    def health() -> dict[str, str]:
        if not sessions.is_healthy():
            raise Problem(503, "The database does not answer: try again later.")
        return {"status": "ok"}

    @app.post("/v1/login", tags=["service"], summary="Sign in", responses=problems(429))
    def login(request: Request, given: Annotated[Login, Body()]) -> Grant:
        address = request.client.host if request.client else "unknown"
        token = sessions.sign_in(given.login, given.password, address)
        return Grant(access_token=token, expires_in=TOKEN_S)


def _add_catalogue(app: FastAPI, sessions: Sessions) -> None:
    @app.get("/v1/rules", tags=["resources"], summary="The rules of the audit")
    def rules(request: Request, token: Token) -> Response:
        from fleet_audit.logic.audit.rules.registry import RULES

        with sessions.begin(token_of(token)):
            names = ("rule_id", "scope", "version", "severity", "title_pt", "proves_pt", "sources", "amount")
            rows = [{name: getattr(rule, name) for name in names} for rule in RULES]
        rows.sort(key=lambda row: (row["rule_id"], row["scope"]))
        return answer(request, json.dumps({"data": rows, "next_cursor": None}, ensure_ascii=False))


def _add_reports(app: FastAPI, sessions: Sessions, files: Files) -> None:
    @app.get("/v1/reports", tags=["reports"], summary="Paths of the report files that the user may download")
    def reports(request: Request, token: Token) -> Response:
        with sessions.begin(token_of(token)) as session:
            paths = [path.removeprefix("reports/") for path in listed_reports(session, files)]
        return answer(request, json.dumps({"data": paths, "next_cursor": None}))

    @app.get(
        "/v1/reports/{path:path}",
        tags=["reports"],
        summary="A report file",
        responses={200: {"description": "The file", "content": {"application/octet-stream": {}}}, **problems(404)},
        response_class=Response,
    )
    def report(token: Token, path: Annotated[str, Path(max_length=500)]) -> Response:
        with sessions.begin(token_of(token)) as session:
            content = report_content(session, files, path)
        # an HTML report is downloaded, never shown as a page of this address
        return Response(content, media_type="application/octet-stream", headers=DOWNLOAD)


def _add_metrics(app: FastAPI) -> None:
    registry = CollectorRegistry()
    labels = ["path", "status"]
    requests = Counter("fleet_api_requests", "Requests by address template and status", labels, registry=registry)
    seconds = Histogram("fleet_api_request_seconds", "Time until the answer", ["path"], registry=registry)

    @app.middleware("http")
    async def measured(request: Request, call_next: Callable[..., Any]) -> Response:
        start = time.perf_counter()
        response: Response = await call_next(request)
        path = getattr(request.scope.get("route"), "path", "other")
        requests.labels(path, str(response.status_code)).inc()
        seconds.labels(path).observe(time.perf_counter() - start)
        return response

    @app.get("/metrics", tags=["service"], summary="Counts and times for Prometheus", response_class=Response)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")
