"""One database for all tests of the module: a company of two carriers, and a user of each profile."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg2
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from fleet_audit.access.app import create_app
from fleet_audit.access.passwords import hash_password
from fleet_audit.access.uploads import Intake
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.access.company import USERS, create_company, create_disputes
from fleet_audit_tests.access.tokens import PASSWORD, SECRET


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
    url = sa.make_url(company_url.replace("postgres@", "fleet_api@")).set(drivername="postgresql+psycopg2")
    engine = sa.create_engine(url, pool_size=2, max_overflow=0)
    with TestClient(create_app(engine, SECRET, intake.lake, intake), raise_server_exceptions=False) as one:
        yield one
    engine.dispose()
