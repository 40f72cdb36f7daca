"""Files as downloads: never shown as a page of this address, whatever they hold.

Which files a reader may have is decided where they are listed.
"""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Response


def download(content: bytes, name: str) -> Response:
    """An answer that the browser saves under a name."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._- ") else "_" for letter in name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return Response(content, media_type="application/octet-stream", headers=headers)
