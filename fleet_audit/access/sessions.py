"""A request's transaction with its user's rights, the tokens that name the user, and signing in.

What is read in the transaction belongs to `pages` and `report_files`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import jwt
import sqlalchemy as sa

from fleet_audit.access.accounts.company_tokens import CompanyTokens
from fleet_audit.access.accounts.passwords import is_password
from fleet_audit.access.problems import Problem

TOKEN_S = 900  # the user's rights are looked up with every request, so that a longer one would see no more
MAX_LOGINS_PER_MIN = 20  # of one client address; an account is locked after fewer
_LEEWAY_S = 5  # between the clock of the database, which dates a token, and this one
_ALGORITHM = "HS256"
_WRONG = "The login or the password is wrong, or the account is locked or disabled."
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_BEGIN = sa.text(  # materialized, so evaluated first: the profile's role may not call auth.role_of
    "with found as materialized (select auth.role_of(:user_id, :issued_at) as role) "
    "select role, set_config('app.user_id', :user_id, true), set_config('statement_timeout', '30s', true), "
    "set_config('role', coalesce(role, 'none'), true) from found"
)


@dataclass(frozen=True)
class Session:
    """A transaction that reads with a user's rights."""

    connection: sa.Connection
    profile: str

    def sees_all(self) -> bool:
        """Whether the user's scope is the whole company."""
        return bool(self.connection.scalar(sa.text("select auth.sees_all(null)")))


class Sessions:
    """Opens transactions for tokens, and tokens for passwords, on connections of the role without grants."""

    def __init__(self, engine: sa.Engine, secret: str, company: CompanyTokens | None = None) -> None:
        """`secret` signs the tokens of this service; those of the company are taken too, if there are any."""
        self._engine, self._secret, self._company = engine, secret, company
        self._attempts: dict[str, deque[float]] = {}
        self._lock = Lock()

    @contextmanager
    def begin(self, token: str | None) -> Iterator[Session]:
        """A transaction with the rights of the token's user. Raises Problem 401 for a token that does not count."""
        with self.begin_as(*self._read(token)) as session:
            yield session

    @contextmanager
    def begin_as(self, user_id: str, issued_at: float) -> Iterator[Session]:
        """A transaction with the rights of a user who signed in at that second. Raises Problem 401 once they ended."""
        with self._engine.begin() as connection:
            role = connection.execute(_BEGIN, {"user_id": user_id, "issued_at": issued_at}).scalar_one()
            if role is None:
                raise Problem(401, "This token has ended: sign in again.", _CHALLENGE)
            yield Session(connection, role.removeprefix("fleet_"))

    def sign_in(self, login: str, password: str, address: str) -> str:
        """A token of TOKEN_S seconds. Raises what `authenticate` does."""
        user_id, issued_at = self.authenticate(login, password, address)
        claims = {"sub": user_id, "iat": issued_at, "exp": int(issued_at) + TOKEN_S}
        return jwt.encode(claims, self._secret, _ALGORITHM)

    def authenticate(self, login: str, password: str, address: str) -> tuple[str, float]:
        """The user's id and the second of signing in, by the database's clock.

        Raises Problem 401 with the same sentence whatever is wrong, 429 if the address tries too often.
        """
        self._count(address)
        with self._engine.begin() as connection:
            query = sa.text("select * from auth.login_candidate(:login)")
            found = connection.execute(query, {"login": login}).first()
        is_right = is_password(password, found.password_hash if found else None)
        is_success = bool(is_right and found and found.is_open)
        with self._engine.begin() as connection:
            record = sa.text("select auth.record_login(:login, :is_success, :address)")
            values = {"login": login, "is_success": is_success, "address": address}
            issued_at = connection.execute(record, values).scalar_one()
        if not is_success or found is None:
            raise Problem(401, _WRONG, _CHALLENGE)
        return str(found.user_id), float(issued_at)

    def is_healthy(self) -> bool:
        """Whether the database answers."""
        try:
            with self._engine.connect() as connection:
                return connection.scalar(sa.select(sa.literal(1))) == 1
        except sa.exc.SQLAlchemyError:
            return False

    def _read(self, token: str | None) -> tuple[str, float]:
        if not token:
            raise Problem(401, "Send a token: Authorization: Bearer …, from POST /v1/login.", _CHALLENGE)
        try:
            if self._company and jwt.get_unverified_header(token).get("alg") != _ALGORITHM:
                login, issued_at = self._company.read(token, _LEEWAY_S)
                return self._user_of(login), issued_at
            claims = jwt.decode(
                token, self._secret, [_ALGORITHM], options={"require": ["sub", "iat", "exp"]}, leeway=_LEEWAY_S
            )
            return str(claims["sub"]).replace("\0", ""), float(claims["iat"])
        except jwt.ExpiredSignatureError:
            raise Problem(401, "This token has ended: sign in again.", _CHALLENGE) from None
        except (jwt.InvalidTokenError, ValueError, TypeError):
            raise Problem(401, "This is not a token of this service: sign in again.", _CHALLENGE) from None

    def _user_of(self, login: str) -> str:
        with self._engine.begin() as connection:
            found = connection.execute(sa.text("select * from auth.login_candidate(:login)"), {"login": login}).first()
        if found is None:
            raise Problem(401, "Your login is not known here: ask an administrator to add it.", _CHALLENGE)
        return str(found.user_id)

    def _count(self, address: str) -> None:
        now = time.monotonic()
        with self._lock:
            for known in [one for one, times in self._attempts.items() if times[-1] < now - 60]:
                del self._attempts[known]
            times = self._attempts.setdefault(address, deque(maxlen=MAX_LOGINS_PER_MIN + 1))
            while times and times[0] < now - 60:
                times.popleft()
            times.append(now)
            if len(times) > MAX_LOGINS_PER_MIN:
                raise Problem(429, "Too many sign-ins from this address: wait a minute.", {"Retry-After": "60"})
