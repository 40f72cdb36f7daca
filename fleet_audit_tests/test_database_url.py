"""Addresses of the warehouse with any password, tried on a real server that asks for passwords."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import adbc_driver_postgresql.dbapi
import psycopg2
import pytest
import sqlalchemy as sa
from psycopg2 import sql

from fleet_audit.database_url import database_url
from fleet_audit.errors import PermanentError
from fleet_audit.settings import load_settings
from fleet_audit.storage.adbc import connect_adbc
from fleet_audit.storage.postgres import engine_of

PASSWORDS = ["100%", "a@b:c/d", "q?x=1&y#z", "with space", "ção é", "back\\slash'\"", "%", "x" * 180, "%zz@%41"]


@pytest.fixture(scope="module")
def asking_server(postgres_server: str):
    """The session's server with a role that needs its password."""
    connection = psycopg2.connect(postgres_server)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("create role guest login")
        cursor.execute("show hba_file")
        hba = Path(cursor.fetchone()[0])
        before = hba.read_text()
        hba.write_text(f"local all guest scram-sha-256\n{before}")
        cursor.execute("select pg_reload_conf()")
        yield postgres_server.split("host=")[1], connection
        hba.write_text(before)
        cursor.execute("select pg_reload_conf()")
    connection.close()


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("is_encoded", [True, False], ids=["encoded", "as it is"])
def test_any_password_connects(asking_server, password: str, is_encoded: bool) -> None:
    socket, owner = asking_server
    with owner.cursor() as cursor:
        cursor.execute(sql.SQL("alter role guest password {}").format(sql.Literal(password)))
    written = quote(password, safe="") if is_encoded else password
    settings = load_settings(warehouse_url=f"postgresql://guest:{written}@/postgres?host={socket}")
    url = settings.warehouse_url.get_secret_value()
    with engine_of(url).connect() as connection:
        assert connection.execute(sa.text("select current_user")).scalar() == "guest"
    engine_of(url).dispose()
    with connect_adbc(url) as connection, connection.cursor() as cursor:
        cursor.execute("select current_user")
        assert cursor.fetchone() == ("guest",)


def test_a_wrong_password_is_refused_by_that_server(asking_server) -> None:
    with pytest.raises(adbc_driver_postgresql.dbapi.Error):
        connect_adbc(database_url(f"postgresql://guest:wrong@/postgres?host={asking_server[0]}"))


@pytest.mark.parametrize(
    "address",
    ["mysql://u:secret@h/db", "postgresql://u:secret@h:port/db", "postgresql://u:secret@h:99999/db",
     "postgresql://u:secret@h/db/more", "postgresql://u:secret@ho st/db", "localhost:5432",
     f"postgresql://u:secret@/db?host=/{'long' * 30}"],
)  # fmt: skip
def test_what_is_not_an_address_names_the_setting_and_no_secret(address: str) -> None:
    with pytest.raises(PermanentError, match="FLEET_WAREHOUSE_URL") as raised:
        load_settings(warehouse_url=address)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://postgres@/postgres?host=%2Ftmp%2Fa%40b",
        "postgresql://u:p@h1:5432,h2:5433/db",
        "postgresql://[::1]:5/d",
    ],
)
def test_sound_addresses_stay(address: str) -> None:
    assert database_url(address) == address
