"""The secret, the password, the tokens and the session cookies of the tests' users."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import jwt
from fastapi import Response
from fastapi.testclient import TestClient

from fleet_audit.access.web.identity import Cookies, Visitor

SECRET = "a secret of the tests, longer than 32 bytes"
PASSWORD = "uma senha bem comprida"
Visiting = Callable[..., TestClient]


def signed(
    login: str, *, secret: str = SECRET, age_s: float = 0, lasts_s: float = 900, **claims: Any
) -> dict[str, str]:
    """The header of a token, as the service makes it unless the arguments say otherwise."""
    now = dt.datetime.now(dt.UTC).timestamp() - age_s
    token = jwt.encode({"sub": login, "iat": now, "exp": int(now + lasts_s), **claims}, secret, "HS256")
    return {"Authorization": f"Bearer {token}"}


def session_cookie(login: str, age_s: float = 0) -> dict[str, str]:
    """The session cookie of a user, as signing in sets it."""
    response = Response()
    Cookies(SECRET, is_secure=True).renew(response, Visitor(login, login, time.time() - age_s, f"session of {login}"))
    name, value = response.headers["set-cookie"].split(";")[0].split("=", 1)
    return {name: value}
