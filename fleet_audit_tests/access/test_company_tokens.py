"""Tokens of the company: verified with the keys that a real HTTP server publishes, for users of the warehouse alone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi.testclient import TestClient

from fleet_audit.access.accounts import company_tokens
from fleet_audit.access.accounts.company_tokens import CompanyTokens
from fleet_audit.access.app import create_app
from fleet_audit.access.problems import Problem
from fleet_audit.access.uploads import Intake
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.access.company import api_engine
from fleet_audit_tests.access.tokens import SECRET, signed

ISSUER, AUDIENCE = "https://sso.example.com", "fleet-audit"
KEYS = {"rsa": rsa.generate_private_key(65537, 2048), "ec": ec.generate_private_key(ec.SECP256R1())}
FOREIGN = rsa.generate_private_key(65537, 2048)
ALGORITHMS = {"rsa": ("RS256", jwt.algorithms.RSAAlgorithm), "ec": ("ES256", jwt.algorithms.ECAlgorithm)}


class Provider(ThreadingHTTPServer):
    """An identity provider that publishes the keys named in `published`, and counts who asks."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.published, self.asked, self.is_down = ["rsa"], 0, False
        self.may_answer = threading.Event()
        self.may_answer.set()


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.may_answer.wait(240)
        keys = [
            {**ALGORITHMS[name][1].to_jwk(KEYS[name].public_key(), as_dict=True), "kid": name, "use": "sig"}
            for name in self.server.published
        ]
        self.send_response(500 if self.server.is_down else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": keys}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    server = Provider()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def served(company_url: str, intake: Intake, provider: Provider) -> Iterator[TestClient]:
    engine = api_engine(company_url)
    keys_url = f"http://127.0.0.1:{provider.server_address[1]}/keys"
    tokens = CompanyTokens(ISSUER, AUDIENCE, keys_url, "preferred_username")
    with TestClient(create_app(engine, SECRET, intake.lake, intake, tokens)) as client:
        yield client
    engine.dispose()


def company(login: str = "Financeiro", *, key: Any = None, name: str = "rsa", **claims: Any) -> dict[str, str]:
    """The header of a token of the company, valid unless the arguments say otherwise."""
    now = time.time()
    given = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": int(now) + 300, "preferred_username": login} | claims
    kept = {claim: value for claim, value in given.items() if value is not None}
    token = jwt.encode(kept, key or KEYS[name], ALGORITHMS[name][0], headers={"kid": name})
    return {"Authorization": f"Bearer {token}"}


def test_a_users_token_of_the_company_reads_what_the_user_sees(served: TestClient) -> None:
    rows = served.get("/v1/trips", headers=company()).json()["data"]
    assert {row["unit_code"] for row in rows} == {"USINAA"}
    own = served.get("/v1/trips", headers=signed("financeiro")).json()["data"]
    assert rows == own, "local accounts sign in beside it"


WRONG = {
    "issuer": {"iss": "https://sso.example.org"},
    "no issuer": {"iss": None},
    "audience": {"aud": "another-service"},
    "no audience": {"aud": None},
    "expired": {"exp": -60},
    "endless": {"exp": None},
    "undated": {"iat": None},
    "issued later": {"iat": 600},
    "not yet": {"nbf": 600},
    "no login": {"preferred_username": None},
    "a list": {"preferred_username": ["financeiro"]},
    "unknown user": {"preferred_username": "nobody"},
    "foreign key": {"key": FOREIGN},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_token_that_is_not_the_companys_is_refused(served: TestClient, wrong: dict[str, Any]) -> None:
    claims = {name: int(time.time()) + value if isinstance(value, int) else value for name, value in wrong.items()}
    login = claims.pop("preferred_username", "financeiro")
    answer = served.get("/v1/trips", headers=company(login, **claims))
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


def test_a_token_without_a_signature_is_refused(served: TestClient) -> None:
    for token in (
        jwt.encode({"iss": ISSUER, "aud": AUDIENCE}, None, "none"),
        jwt.encode({"sub": "financeiro"}, "x" * 40, "HS256", headers={"kid": "rsa"}),
    ):
        assert served.get("/v1/trips", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_the_public_key_is_not_taken_as_a_secret(served: TestClient) -> None:
    public = (
        KEYS["rsa"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    claims = {"sub": "financeiro", "iat": time.time(), "exp": time.time() + 60}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "kid": "rsa"}, claims)]
    head, body = (jwt.utils.base64url_encode(part) for part in parts)
    sign = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(head + b"." + body, public)
    token = b".".join((head, body, jwt.utils.base64url_encode(sign))).decode()
    assert served.get("/v1/trips", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_revoking_ends_tokens_of_the_company_at_once(served: TestClient, company_url: str) -> None:
    header = company("leste")
    assert served.get("/v1/trips", headers=header).status_code == 200
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text("update auth.users set is_disabled = true where login = 'leste'"))
    assert served.get("/v1/trips", headers=header).status_code == 401
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text("update auth.users set is_disabled = false where login = 'leste'"))


def test_keys_are_read_again_when_they_change_and_not_for_each_token(
    served: TestClient, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company_tokens, "_REFETCH_S", 3600)
    assert served.get("/v1/trips", headers=company()).status_code == 200
    asked = provider.asked
    for _ in range(5):
        assert served.get("/v1/trips", headers=company(name="ec")).status_code == 401
    assert provider.asked == asked, "tokens with unknown keys do not make the service ask the provider each time"
    provider.published = ["ec"]
    monkeypatch.setattr(company_tokens, "_REFETCH_S", 0)
    assert served.get("/v1/trips", headers=company(name="ec")).status_code == 200
    assert served.get("/v1/trips", headers=company()).status_code == 401, "its key was withdrawn"


def test_a_key_server_that_hangs_stops_no_token_whose_key_is_known(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = CompanyTokens(
        ISSUER, AUDIENCE, f"http://127.0.0.1:{provider.server_address[1]}/keys", "preferred_username"
    )

    def read(name: str) -> str:
        return tokens.read(company(name=name)["Authorization"].removeprefix("Bearer "), 5)[0]

    monkeypatch.setattr(provider, "published", ["rsa"])
    assert read("rsa") == "financeiro"
    monkeypatch.setattr(company_tokens, "_REFETCH_S", 0)
    monkeypatch.setattr(company_tokens, "_TIMEOUT_S", 120)
    monkeypatch.setattr(provider, "is_down", True)
    provider.may_answer.clear()
    with ThreadPoolExecutor(2) as others:
        unknown = others.submit(read, "ec")
        try:
            assert others.submit(read, "rsa").result(timeout=120) == "financeiro"
            assert not unknown.done()
        finally:
            provider.may_answer.set()
        assert isinstance(unknown.exception(), Problem)
    asked = provider.asked
    tokens._read_at -= 7200
    monkeypatch.setattr(company_tokens, "_REFETCH_S", 3600)
    for _ in range(3):
        with pytest.raises(Problem):
            read("ec")
    assert provider.asked == asked, "a failure is remembered"


def test_keys_that_cannot_be_read_are_503_and_local_accounts_go_on(
    served: TestClient, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.is_down = True
    for name in ("_KEPT_S", "_REFETCH_S"):
        monkeypatch.setattr(company_tokens, name, 0)
    assert served.get("/v1/trips", headers=company()).status_code == 503
    assert served.get("/v1/trips", headers=signed("financeiro")).status_code == 200
