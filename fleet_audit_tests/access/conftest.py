"""One database for all tests of the module: a company of two carriers, and a user of each profile."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg2
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from fleet_audit.access.accounts.passwords import hash_password
from fleet_audit.access.app import create_app
from fleet_audit.access.uploads import Intake
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.access.company import OESTE, USERS, api_engine, create_company, create_disputes, key
from fleet_audit_tests.access.tokens import PASSWORD, SECRET, Visiting, session_cookie


@pytest.fixture(scope="package")
def company_url(postgres_server: str) -> Iterator[str]:
    """URL of the owner of a database with the company and its users (`user_id` is the login)."""
    name = f"t{uuid.uuid4().hex[:12]}"
    server = psycopg2.connect(postgres_server)
    server.autocommit = True
    server.cursor().execute(f"create database {name} template migrated")
    url = postgres_server.replace("/postgres?", f"/{name}?")
    create_company(url)
    with engine_of(url).begin() as connection:
        for login, (profile, carrier, unit) in USERS.items():
            connection.execute(
                sa.text("insert into auth.users (user_id, login, profile) values (:login, :login, :profile)"),
                {"login": login, "profile": profile},
            )
            if carrier or unit:
                connection.execute(
                    sa.text("insert into auth.access values (:login, :profile, :carrier, :unit)"),
                    {"login": login, "profile": profile, "carrier": carrier, "unit": unit},
                )
        create_disputes(connection)
    yield url
    engine_of(url).dispose()
    server.cursor().execute(f"drop database {name} with (force)")
    server.close()


@pytest.fixture(scope="package")
def intake(tmp_path_factory: pytest.TempPathFactory) -> Intake:
    """An inbox, and a lake with reports of the company and of each carrier."""
    home = tmp_path_factory.mktemp("home")
    (home / "inbox").mkdir()
    settings = Settings(_env_file=None, home=home, lake_url=None, inbox_url=str(home / "inbox"))
    lake = Lake(settings)
    lake.put_bytes("reports/d1/date=2025-06-10/d1.csv", b"everything")
    for carrier in ("VIOESTE", "VILESTE"):
        lake.put_bytes(f"reports/cycle/start=2025-05-16/carriers/{carrier}/pacote_medicao.xlsx", carrier.encode())
    lake.put_bytes("raw/secret.csv", b"raw")
    return Intake(settings, lake)


@pytest.fixture(scope="package")
def client(company_url: str, intake: Intake) -> Iterator[TestClient]:
    """The application on two connections."""
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text("update auth.users set password_hash = :hash"), {"hash": hash_password(PASSWORD)})
    engine = api_engine(company_url)
    with TestClient(create_app(engine, SECRET, intake.lake, intake), raise_server_exceptions=False) as one:
        yield one
    engine.dispose()


@pytest.fixture
def finding(company_url: str) -> Iterator[str]:
    """A finding of VIOESTE in USINAA that nobody contested; what was made of it goes with it."""
    changes = "jsonb_build_object('finding_id', 'bbbbbbbbbbbbbbbb', 'status', 'open', 'exception_id', null)"
    copy = f"insert into fact.findings select (jsonb_populate_record(f, {changes})).* from fact.findings f "
    copy += "where finding_id = :id"
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text(copy), {"id": key("finding_id", OESTE)})
    yield "bbbbbbbbbbbbbbbb"
    with engine_of(company_url).begin() as connection:
        for table in ("contest_files", "contests", "finding_notes"):
            column = "contest_id" if table == "contest_files" else "finding_id"
            ids = "select contest_id from auth.contests where finding_id = 'bbbbbbbbbbbbbbbb'"
            wanted = ids if table == "contest_files" else "select 'bbbbbbbbbbbbbbbb'"
            connection.execute(sa.text(f"delete from auth.{table} where {column} in ({wanted})"))
        connection.execute(sa.text("delete from fact.findings where finding_id = 'bbbbbbbbbbbbbbbb'"))


@pytest.fixture
def visiting(client: TestClient) -> Iterator[Visiting]:
    """Browsers: one that nobody signed in to, or that of a user."""
    opened = []

    def browser(login: str | None = None) -> TestClient:
        one = TestClient(client.app, "https://testserver", raise_server_exceptions=False, follow_redirects=False)
        one.cookies.update(session_cookie(login) if login else {})
        opened.append(one)
        return one

    yield browser
    for one in opened:
        one.close()
