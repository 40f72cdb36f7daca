"""The addresses of resources: a list with its parameters, one row by its key, and a finding with its evidence.

Which resources there are is in `resources`, how a page of rows is read in `pages`.
"""

from __future__ import annotations

import datetime as dt
import inspect
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import StreamingResponse

from fleet_audit.access.answers import HEADERS, TEXT, Key, Token, answer, problems, token_of
from fleet_audit.access.exports import export_csv, export_parquet
from fleet_audit.access.filters import Wanted, linked_filters
from fleet_audit.access.pages import MAX_PAGE, SORTABLE, read_page, read_row, read_rows
from fleet_audit.access.problems import Problem
from fleet_audit.access.resources import Column, Resource, example_row, row_schema
from fleet_audit.access.sessions import Sessions

_PARQUET = "application/vnd.apache.parquet"
_EXPORTS = {"csv": (export_csv, "text/csv"), "parquet": (export_parquet, _PARQUET)}
_TYPES = {"date": dt.date, "boolean": bool, "bigint": int, "integer": int}


def add_resource(app: FastAPI, sessions: Sessions, resource: Resource) -> None:
    """Add the list of a resource and, where it has a key, its single rows."""
    _add_list(app, sessions, resource)
    if resource.item:
        _add_item(app, sessions, resource, resource.item)


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


def add_evidence(app: FastAPI, sessions: Sessions, resources: dict[str, Resource]) -> None:
    """Add the address of a finding with its trip, cost and declared run."""
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
