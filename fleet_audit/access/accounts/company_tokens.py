"""Tokens of the company's identity provider (OpenID Connect): verified against the keys that it publishes.

Which user a login is, and what the user may see, is asked of PostgreSQL in `sessions`, as for the service's own tokens.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

import jwt
import requests

from fleet_audit.access.problems import Problem

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")  # signatures, no secrets
_TIMEOUT_S = 5
_MAX_BYTES = 1_000_000
_KEPT_S = 3600  # keys that were withdrawn are not used any longer than this
_REFETCH_S = 30  # a token with an unknown key asks for the keys again, but no more often, and not after a failure


@dataclass
class CompanyTokens:
    """Verifies tokens of one issuer.

    Attributes:
        issuer, audience: what `iss` and `aud` of a token must be.
        keys_url: where the issuer publishes its keys (JWKS).
        login_claim: the claim that is the user's login; one that users cannot change themselves.
    """

    issuer: str
    audience: str
    keys_url: str
    login_claim: str
    _keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    _read_at: float = -math.inf
    _failed_at: float = -math.inf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, token: str, leeway_s: float) -> tuple[str, float]:
        """The login and the second of issue of a token.

        Raises jwt.InvalidTokenError for a token that does not count, and Problem 503 when the keys cannot be read.
        """
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError("not a signature")
        key = self._key(str(header.get("kid")))
        claims = jwt.decode(
            token,
            key,
            list(ALGORITHMS),
            audience=self.audience,
            issuer=self.issuer,
            leeway=leeway_s,
            options={"require": ["iss", "aud", "exp", "iat", self.login_claim]},
        )
        login = claims[self.login_claim]
        if not isinstance(login, str) or not login.strip():
            raise jwt.InvalidTokenError("no login")
        return login.strip().lower().replace("\0", ""), float(claims["iat"])

    def _key(self, key_id: str) -> jwt.PyJWK:
        found = self._known(key_id)  # without the lock: a key server that hangs stops no token whose key is known
        if found is None:
            with self._lock:
                found = self._known(key_id) or self._read_again().get(key_id)
        if found is None:
            raise jwt.InvalidTokenError("not a key of the issuer")
        return found

    def _known(self, key_id: str) -> jwt.PyJWK | None:
        return self._keys.get(key_id) if time.monotonic() - self._read_at <= _KEPT_S else None

    def _read_again(self) -> dict[str, jwt.PyJWK]:
        if time.monotonic() - self._read_at > _REFETCH_S:
            if time.monotonic() - self._failed_at <= _REFETCH_S:
                raise _unreadable()
            try:
                keys = self._published()
            except Problem:
                self._failed_at = time.monotonic()
                raise
            self._keys, self._read_at = keys, time.monotonic()
        return self._keys

    def _published(self) -> dict[str, jwt.PyJWK]:
        try:
            with requests.get(self.keys_url, timeout=_TIMEOUT_S, stream=True) as answer:
                answer.raise_for_status()
                content = answer.raw.read(_MAX_BYTES, decode_content=True)
            keys = jwt.PyJWKSet.from_json(content.decode())
        except (requests.RequestException, jwt.PyJWTError, ValueError, OSError):
            raise _unreadable() from None
        return {str(key.key_id): key for key in keys.keys if key.public_key_use in (None, "sig")}


def _unreadable() -> Problem:
    sentence = "The keys of the company's sign-in cannot be read: try again."
    return Problem(503, sentence, {"Retry-After": str(_REFETCH_S)})
