"""What all addresses share: the token, headers, an answer with its ETag, and the problems in the document.

Which address answers what is in `app` and `actions`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from fleet_audit.access.pages import etag_of
from fleet_audit.access.problems import PROBLEM_SCHEMA

TEXT = r"^[^\x00-\x1f]*$"
Key = Annotated[str, Path(max_length=200, pattern=TEXT)]
HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
DOWNLOAD = {**HEADERS, "X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
_bearer = HTTPBearer(auto_error=False, description="The access_token of POST /v1/login")
Token = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
_WORDS = {
    400: "Bad request",
    401: "No valid token",
    403: "Not for this profile",
    404: "Not found",
    409: "Not possible in this state",
    413: "Too large",
    422: "A parameter is wrong",
    429: "Too many attempts",
    503: "Busy",
}


def token_of(credentials: HTTPAuthorizationCredentials | None) -> str | None:
    """The token of a request."""
    return credentials.credentials if credentials else None


def answer(request: Request, body: str, status: int = 200) -> Response:
    """JSON with its ETag; 304 without a body for one that the client has."""
    tag = etag_of(body)
    headers = {**HEADERS, "ETag": tag}
    if request.method == "GET" and tag in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, status, media_type="application/json", headers=headers)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of an address in the document."""
    content = {"application/problem+json": {"schema": PROBLEM_SCHEMA}}
    return {status: {"description": _WORDS[status], "content": content} for status in statuses}
