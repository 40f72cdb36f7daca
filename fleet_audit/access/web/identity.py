"""Who looks at a page: the signed cookie of a session, and the token that every form carries against forgery.

Rights are looked up in PostgreSQL with every request; the cookie only names the user and the second of signing in.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

import jwt
from fastapi import Request, Response

from fleet_audit.access.problems import Problem

IDLE_S = 1800  # without a request: OWASP's session guide asks for 15 to 30 minutes
LONGEST_S = 12 * 3600  # of one session, from signing in: a working day
_LEEWAY_S = 5  # between the clock of the database, which dates the sign-in, and this one
_AUDIENCE, _ALGORITHM = "page", "HS256"
_ORIGINS = ("same-origin", "none")


@dataclass(frozen=True)
class Visitor:
    """A user who signed in. `signed_in_at` is the second of it, `session` a random name of the session."""

    user_id: str
    login: str
    signed_in_at: float
    session: str


class Cookies:
    """Writes and reads the cookies of the page; `is_secure` sends them over HTTPS alone."""

    def __init__(self, secret: str, *, is_secure: bool) -> None:
        """`secret` signs the cookies and the forms."""
        self._secret, self._is_secure = secret, is_secure
        prefix = "__Host-" if is_secure else ""  # browsers then refuse one that another host of the domain sets
        self._session, self._form = f"{prefix}fleet_session", f"{prefix}fleet_form"

    def visitor(self, request: Request) -> Visitor | None:
        """The user whose session the request continues, None without one or after its end."""
        try:
            claims = jwt.decode(
                request.cookies.get(self._session, ""),
                self._secret,
                [_ALGORITHM],
                audience=_AUDIENCE,
                options={"require": ["sub", "iat", "exp"]},
                leeway=_LEEWAY_S,
            )
            return Visitor(str(claims["sub"]), str(claims["login"]), float(claims["iat"]), str(claims["session"]))
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
            return None

    def sign_in(self, response: Response, user_id: str, login: str, signed_in_at: float) -> None:
        """Begins a session; the name of the session is new, whatever cookie came before."""
        self.renew(response, Visitor(user_id, login, signed_in_at, secrets.token_urlsafe(16)))
        response.delete_cookie(self._form, path="/", secure=self._is_secure, httponly=True, samesite="lax")

    def renew(self, response: Response, visitor: Visitor) -> None:
        """Lets the session last from now on, up to its longest."""
        ends_at = min(time.time() + IDLE_S, visitor.signed_in_at + LONGEST_S)
        claims = {
            "sub": visitor.user_id,
            "login": visitor.login,
            "iat": visitor.signed_in_at,
            "session": visitor.session,
            "aud": _AUDIENCE,
            "exp": int(ends_at),
        }
        self._set(response, self._session, jwt.encode(claims, self._secret, _ALGORITHM))

    def sign_out(self, response: Response) -> None:
        """Ends the session in this browser."""
        response.delete_cookie(self._session, path="/", secure=self._is_secure, httponly=True, samesite="lax")

    def form_token(self, session: str) -> str:
        """The token that the forms of a session carry."""
        return hmac.new(self._secret.encode(), f"form:{session}".encode(), hashlib.sha256).hexdigest()

    def open_form(self, request: Request, response: Response) -> None:
        """Names the browser that is about to sign in, so that its form has a token too."""
        self._set(response, self._form, self.form_name(request))

    def form_name(self, request: Request) -> str:
        """The random name of a browser that has not signed in; a new one where it has none."""
        if not hasattr(request.state, "form_name"):
            request.state.form_name = request.cookies.get(self._form) or secrets.token_urlsafe(16)
        return str(request.state.form_name)

    def check(self, request: Request, session: str, token: str) -> None:
        """Raises Problem 403 for a form that another site sent, or that lacks the session's token."""
        is_ours = request.headers.get("Sec-Fetch-Site", "none") in _ORIGINS
        if not (is_ours and hmac.compare_digest(self.form_token(session).encode(), token.encode())):
            raise Problem(403, "The form does not belong to this session: load the page again.")

    def _set(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, path="/", secure=self._is_secure, httponly=True, samesite="lax")
