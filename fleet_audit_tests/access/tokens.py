"""The secret, the password and the tokens of the tests' users."""

from __future__ import annotations

import datetime as dt
from typing import Any

import jwt

SECRET = "a secret of the tests, longer than 32 bytes"
PASSWORD = "uma senha bem comprida"


def signed(
    login: str, *, secret: str = SECRET, age_s: float = 0, lasts_s: float = 900, **claims: Any
) -> dict[str, str]:
    """The header of a token, as the service makes it unless the arguments say otherwise."""
    now = dt.datetime.now(dt.UTC).timestamp() - age_s
    token = jwt.encode({"sub": login, "iat": now, "exp": int(now + lasts_s), **claims}, secret, "HS256")
    return {"Authorization": f"Bearer {token}"}
