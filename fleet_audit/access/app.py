"""The read API: addresses, parameters and answers over HTTP, for the resources of `resources`.

What a user sees is decided by PostgreSQL in the transaction that `sessions` opens; nothing here filters for rights.
"""

from __future__ import annotations

import datetime as dt
import inspect
import json
import time
from collections.abc import Callable
from threading import Lock
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Body, FastAPI, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from pydantic import BaseModel, Field

from fleet_audit import __version__
from fleet_audit.access.actions import add_actions
from fleet_audit.access.answers import DOWNLOAD, HEADERS, TEXT, Key, Token, answer, problems, token_of
from fleet_audit.access.body_limit import BodyLimit
from fleet_audit.access.company_tokens import CompanyTokens
from fleet_audit.access.exports import export_csv, export_parquet
from fleet_audit.access.filters import Wanted, linked_filters
from fleet_audit.access.pages import MAX_PAGE, SORTABLE, read_page, read_row, read_rows
from fleet_audit.access.problems import Problem, add_handlers, problem_response
from fleet_audit.access.report_files import Files, listed_reports, report_content
from fleet_audit.access.resources import RESOURCES, Column, Resource, described_resources, example_row, row_schema
from fleet_audit.access.sessions import TOKEN_S, Sessions
from fleet_audit.access.uploads import Intake
from fleet_audit.access.web.application import mount_page

_DESCRIPTION = """Kilometres, money and findings of a contracted bus fleet, and what people do about them.

Sign in with `POST /v1/login`, then send `Authorization: Bearer <access_token>`. Each user sees the rows and columns of
their profile and grants; an id out of scope is answered like one that does not exist. Pages follow `next_cursor` with
the same filters. `format=csv` and `format=parquet` have all rows. Times are UTC, decimals are JSON numbers with their
own digits, null is unknown."""
_PARQUET = "application/vnd.apache.parquet"
_EXPORTS = {"csv": (export_csv, "text/csv"), "parquet": (export_parquet, _PARQUET)}
_TYPES = {"date": dt.date, "boolean": bool, "bigint": int, "integer": int}


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
        _add_resource(app, sessions, resource)
    _add_evidence(app, sessions, resources)
    _add_catalogue(app, sessions)
    _add_reports(app, sessions, files)
    add_actions(app, sessions, resources, intake)
    if intake is not None:
        mount_page(app, engine, sessions, secret, intake)
    return app


def _add_resource(app: FastAPI, sessions: Sessions, resource: Resource) -> None:
    _add_list(app, sessions, resource)
    if resource.item:
        _add_item(app, sessions, resource, resource.item)


def _add_later_resources(app: FastAPI, engine: sa.Engine, sessions: Sessions, known: dict[str, Resource]) -> None:
    """Add a mart that the first day publishes while the service runs, when it is first asked for."""
    missing = {resource.name for resource in RESOURCES} - known.keys()
    lock = Lock()

    def add_published() -> None:
        with lock, engine.connect() as connection:
            for name, resource in described_resources(connection).items():
                if name in missing:
                    missing.remove(name)
                    _add_resource(app, sessions, resource)
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
            raise Problem(503, "The database does not answer.")
        return {"status": "ok"}

    @app.post("/v1/login", tags=["service"], summary="Sign in", responses=problems(429))
    def login(request: Request, given: Annotated[Login, Body()]) -> Grant:
        address = request.client.host if request.client else "unknown"
        token = sessions.sign_in(given.login, given.password, address)
        return Grant(access_token=token, expires_in=TOKEN_S)


def _add_list(app: FastAPI, sessions: Sessions, resource: Resource) -> None:
    def endpoint(request: Request, **given: Any) -> Response:
        _refuse_unknown(request, names)
        paging = ("token", "cursor", "limit", "order", "format", "sort")
        token, cursor, limit, order, form, sort = (given.pop(one) for one in paging)
        wanted = Wanted(given, order == "desc", cursor, limit, sort)
        with sessions.begin(token_of(token)) as session:
            if form != "json":
                export, kind = _EXPORTS[form]
                headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{resource.name}.{form}"'}
                return StreamingResponse(export(session, resource, wanted), media_type=kind, headers=headers)
            body = read_page(session, resource, wanted)
        return answer(request, body)

    parameters = _parameters(resource)
    names = {one.name for one in parameters}
    _set_signature(endpoint, parameters)
    page = {
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": {"type": "array", "items": row_schema(resource)},
            "next_cursor": {"type": ["string", "null"], "description": "Give it as `cursor` for the next page"},
        },
    }
    shown = {"schema": page, "example": {"data": [example_row(resource)], "next_cursor": None}}
    responses: dict[int | str, dict[str, Any]] = {
        200: {"description": "A page", "content": {"application/json": shown, "text/csv": {}, _PARQUET: {}}}
    }
    app.get(
        f"/v1/{resource.name}",
        tags=["resources"],
        summary=resource.summary,
        operation_id=f"list_{resource.name}",
        responses={**responses, **problems(400, 403)},
        response_class=Response,
    )(endpoint)


def _add_item(app: FastAPI, sessions: Sessions, resource: Resource, key: str) -> None:
    def endpoint(request: Request, token: Token, key: Key) -> Response:
        with sessions.begin(token_of(token)) as session:
            return answer(request, read_row(session, resource, key))

    responses: dict[int | str, dict[str, Any]] = {
        200: {"description": "The row", "content": {"application/json": {"schema": row_schema(resource)}}}
    }
    app.get(
        f"/v1/{resource.name}/{{key}}",
        tags=["resources"],
        summary=f"{resource.summary}: one by {key}",
        operation_id=f"get_{resource.name}",
        responses={**responses, **problems(403, 404)},
        response_class=Response,
    )(endpoint)


def _add_evidence(app: FastAPI, sessions: Sessions, resources: dict[str, Resource]) -> None:
    related = (
        ("trip", "trips", "trip_id"),
        ("cost", "costs", "trip_id"),
        ("declared_run", "declared-runs", "declared_run_id"),
    )

    @app.get(
        "/v1/findings/{key}/evidence",
        tags=["resources"],
        summary="A finding with its trip, the trip's cost and its declared run, as far as the user sees them",
        responses=problems(403, 404),
    )
    def evidence(request: Request, token: Token, key: Key) -> Response:
        with sessions.begin(token_of(token)) as session:
            finding = read_row(session, resources["findings"], key)
            ids = json.loads(finding)
            parts = [f'"finding":{finding}']
            for name, resource, column in related:
                rows = read_rows(session, resources[resource], column, ids[column]) if ids.get(column) else []
                parts.append(f'"{name}":{rows[0] if rows else "null"}')
        return answer(request, f"{{{','.join(parts)}}}")


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


def _parameters(resource: Resource) -> list[inspect.Parameter]:
    """The query parameters of a list: paging, days, and the filters that its columns allow."""
    found: dict[str, Any] = {
        "token": Token,
        "cursor": Annotated[str | None, Query(max_length=2000, description="next_cursor of the page before")],
        "limit": Annotated[int, Query(ge=1, le=MAX_PAGE, description="Rows of a page")],
        "order": Annotated[Literal["asc", "desc"], Query(description=f"By {', '.join(resource.order)}")],
        "format": Annotated[Literal["json", "csv", "parquet"], Query(description="csv and parquet have all rows")],
        "sort": Annotated[_sortable(resource), Query(description="Column of the order; its nulls are last")],
    }
    defaults: dict[str, Any] = {"limit": 100, "order": "asc", "format": "json", "token": inspect.Parameter.empty}
    if resource.day:
        for name, words in (("date_from", "First"), ("date_to", "Last")):
            query = Query(description=f"{words} {resource.day}, inclusive", examples=["2025-06-10"])
            found[name] = Annotated[dt.date | None, query]
    for column in resource.filters:
        found[column.name] = _filter(column)
    for name, one in linked_filters(resource).items():
        query = Query(max_length=200, pattern=TEXT, description=one.description, examples=[one.example])
        found[name] = Annotated[str | None, query]
    if any(column.name == "difference_pct" for column in resource.columns):
        query = Query(ge=0, le=1_000_000, description="Differences above this, in either direction, %")
        found["difference_above_pct"] = Annotated[float | None, query]
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=defaults.get(name))
        for name, kind in found.items()
    ]


def _sortable(resource: Resource) -> Any:
    names = [column.name for column in resource.columns if column.type in SORTABLE]
    return Literal[tuple(names)] | None  # type: ignore[return-value]


def _filter(column: Column) -> Any:
    if column.type in _TYPES:
        return Annotated[_TYPES[column.type] | None, Query(description=column.description)]
    return Annotated[str | None, Query(max_length=200, pattern=TEXT, description=column.description)]


def _set_signature(endpoint: Callable[..., Response], parameters: list[inspect.Parameter]) -> None:
    request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)
    endpoint.__signature__ = inspect.Signature([request, *parameters])  # type: ignore[attr-defined]


def _refuse_unknown(request: Request, names: set[str]) -> None:
    """A misspelt filter would be answered with rows that it was to exclude."""
    if not set(request.query_params) <= names - {"token"}:
        known = ", ".join(sorted(names - {"token"}))
        raise Problem(400, f"A parameter is unknown here; the known ones are {known}.")
