"""Database addresses as people write them: passwords with reserved characters, encoded or not, become one sound URL.

Connections belong to `storage.postgres`.
"""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qs, quote, unquote

_SCHEME = re.compile(r"^postgres(?:ql)?://", re.IGNORECASE)
_ESCAPES = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLACE = re.compile(r"^(?P<hosts>[^/?#\s]*)(?:/(?P<database>[^/?#]*))?(?:\?(?P<options>[^#\s]*))?$")
_HOST = re.compile(r"^(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::(\d{1,5}))?$")
_SOCKET = ".s.PGSQL.5432"
_SOCKET_MAX_BYTES = 107  # sun_path on Linux: 108 with the terminating zero


def database_url(text: str) -> str:
    """The URL with user, password and database percent-encoded, whatever characters they contain.

    The last @ ends the password. A % that is followed by two hexadecimal digits everywhere is an encoding; where one is
    not, no % is. Raises ValueError, which never contains the password, when it is not an address of PostgreSQL.
    """
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise ValueError("must start with postgresql://")
    rest = text[scheme.end() :]
    account, at, place = rest.rpartition("@")
    found = _PLACE.match(place)
    if found is None:
        raise ValueError("must be postgresql://user:password@host:port/database")
    for host in found["hosts"].split(","):
        parts = _HOST.match(host)
        if parts is None or (parts[2] and not 0 < int(parts[2]) < 65_536):
            raise ValueError(
                "must have a host and a port from 1 to 65535: postgresql://user:password@host:5432/database"
            )
    for host in parse_qs(found["options"] or "").get("host", []):
        if host.startswith("/") and len(os.fsencode(f"{host}/{_SOCKET}")) > _SOCKET_MAX_BYTES:
            raise ValueError(
                f"names a socket folder whose path is too long ({len(os.fsencode(host))} bytes): link it to a shorter "
                f"path, at most {_SOCKET_MAX_BYTES - len(_SOCKET) - 1} bytes"
            )
    user, colon, password = account.partition(":")
    options = f"?{found['options']}" if found["options"] else ""
    database = "" if found["database"] is None else f"/{_encoded(found['database'])}"
    return f"postgresql://{_encoded(user)}{colon}{_encoded(password)}{at}{found['hosts']}{database}{options}"


def _encoded(part: str) -> str:
    return quote(part if _ESCAPES.search(part) else unquote(part), safe="")
