"""The largest body of a request to the read API other than a file: read no further than that, however it is sent.

Files have limits of their own in `actions`; the forms of the page in `web.site`.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet_audit.access.problems import Problem

MAX_BODY_BYTES = 64 * 1024  # a text of 10,000 characters that JSON writes with 6 bytes each, and its fields
_FILES = re.compile(r"/v1/(uploads/[^/]+|contests/[^/]+/attachments)")


class BodyLimit:
    """ASGI middleware next to the routes: whoever reads a longer body there gets Problem 413."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` are the routes, with the handler that answers a Problem."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        is_limited = scope["type"] == "http" and scope["path"].startswith("/v1/")
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                raise Problem(413, f"The body has more than {MAX_BODY_BYTES:,} bytes: send a shorter one.")
            return message

        await self._app(scope, counted if is_limited and not _FILES.fullmatch(scope["path"]) else receive, send)
