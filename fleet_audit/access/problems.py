"""Errors as RFC 9457 problems: one plain sentence each, never a value that was sent, never an internal name.

Which error a request ends with is decided where it is raised; here it gets its form.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

_TITLES = {
    400: "The request cannot be read",
    401: "Sign in first",
    403: "Not for your profile",
    404: "Not found",
    405: "Not possible here",
    409: "Not possible in this state",
    413: "Too large",
    422: "The request cannot be read",
    429: "Too many attempts",
    500: "An error of the service",
    503: "The service is busy",
}
_FAILED = "The service failed; the operator finds the reason in its log."
_REFUSALS = {  # of the database, by what `status_of` returns
    400: "A value has the wrong form: see the parameter's type at /docs.",
    403: "Your profile does not read this resource.",
    500: _FAILED,
    503: "The database is busy: try again with a narrower filter.",
}
_log = logging.getLogger(__name__)

PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong and what to do, in one sentence"},
    },
}


class Problem(HTTPException):
    """A request that ends with a status and a sentence."""

    def __init__(
        self, status: int, detail: str, headers: dict[str, str] | None = None, kind: str | None = None
    ) -> None:
        """`detail` is shown to the client; `kind` is a stable name, by which a page finds its own words."""
        super().__init__(status, detail, headers)
        self.kind = kind


def problem_response(
    status: int, detail: str, headers: dict[str, str] | None = None, kind: str | None = None
) -> JSONResponse:
    """The answer in the form of RFC 9457."""
    name = f"urn:fleet-audit:problem:{kind}" if kind else "about:blank"
    body = {"type": name, "title": _TITLES.get(status, "Error"), "status": status, "detail": detail}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def status_of(error: sa.exc.SQLAlchemyError) -> int:
    """The HTTP status of an error of the database: a missing right, a value of a wrong form, or no answer in time."""
    state = state_of(error)
    if state == "42501":
        return 403
    if state.startswith("22"):
        return 400
    is_busy = state in ("57014", "57P01", "53300", "") or state.startswith("08")
    return 503 if is_busy else 500


def state_of(error: sa.exc.SQLAlchemyError) -> str:
    """The SQLSTATE of an error of the database; empty where it has none."""
    return getattr(getattr(error, "orig", None), "pgcode", None) or ""


def add_handlers(app: FastAPI) -> None:
    """Makes every error of the application a problem."""

    @app.exception_handler(HTTPException)
    def expected(_: Request, error: HTTPException) -> JSONResponse:
        details = {404: "Nothing is at this address.", 405: "This address does not take this method."}
        detail = error.detail if isinstance(error, Problem) else details.get(error.status_code, str(error.detail))
        return problem_response(error.status_code, detail, dict(error.headers or {}), getattr(error, "kind", None))

    @app.exception_handler(RequestValidationError)
    def unreadable(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = " ".join(str(part) for part in first["loc"] if isinstance(part, str))
        return problem_response(422, f"{place}: {first['msg']}.")

    @app.exception_handler(sa.exc.DBAPIError)
    def refused(_: Request, error: sa.exc.DBAPIError) -> JSONResponse:
        status = status_of(error)
        if status == 500:
            _log.error("the database refused a statement: SQLSTATE %s", state_of(error))
        return problem_response(status, _REFUSALS[status], {"Retry-After": "5"} if status == 503 else None)

    @app.exception_handler(sa.exc.TimeoutError)
    def exhausted(_: Request, error: sa.exc.TimeoutError) -> JSONResponse:
        """All connections are in use."""
        return problem_response(503, "The service is busy: try again.", {"Retry-After": "5"})

    @app.exception_handler(Exception)
    def unforeseen(_: Request, error: Exception) -> JSONResponse:
        _log.error("a request failed: %s", type(error).__name__)
        return problem_response(500, _FAILED)
