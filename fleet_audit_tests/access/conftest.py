"""One database for all tests of the module: a company of two carriers, and a user of each profile."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg2
import pytest
import sqlalchemy as sa

from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.access.company import USERS, create_company


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
    yield url
    engine_of(url).dispose()
    server.cursor().execute(f"drop database {name} with (force)")
    server.close()
