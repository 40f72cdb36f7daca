"""Each profile signs in to PostgreSQL itself and tries every table, view and function: nothing out of scope is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa

from fleet_audit.backup.database_dump import dump_database, restore_database
from fleet_audit.marts.model import Days
from fleet_audit.marts.project import load_project
from fleet_audit.marts.publishing import publish
from fleet_audit.schema.model import Type
from fleet_audit.schema.registry import TABLES
from fleet_audit.schema.rights import is_amount, readable_columns
from fleet_audit.schema.sql import metadata
from fleet_audit.storage.embedded import template
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.migrate import upgrade
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.access.company import DAY, PLACES, USERS, foreign_marks, places_of

_RELATIONS = """select n.nspname || '.' || c.relname, c.oid
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('ref', 'ops', 'fact', 'mart', 'auth') and c.relkind in ('r', 'v', 'm') order by 1"""
_COLUMNS = """select array_agg(attname::text order by attnum) from pg_attribute
  where attrelid = %s and attnum > 0 and not attisdropped and has_column_privilege(attrelid, attnum, 'select')"""


@contextmanager
def session(url: str, login: str, *, profile: str | None = None) -> Iterator[psycopg2.extensions.cursor]:
    """A transaction of the API's own login role that acts for a user."""
    connection = psycopg2.connect(url.replace("postgres@", "fleet_api@"))
    try:
        with connection.cursor() as cursor:
            role = f"fleet_{profile or USERS[login][0]}"
            cursor.execute("select set_config('app.user_id', %s, true), set_config('role', %s, true)", (login, role))
            yield cursor
    finally:
        connection.close()


def everything_read(cursor: psycopg2.extensions.cursor) -> dict[str, list[dict[str, object]]]:
    """All rows and columns of all relations that the session may read."""
    cursor.execute(_RELATIONS)
    found = {}
    for name, oid in cursor.fetchall():
        cursor.execute(_COLUMNS, (oid,))
        columns = cursor.fetchone()[0]
        if columns:
            cursor.execute(f"select {', '.join(columns)} from {name}")
            found[name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return found


@pytest.mark.parametrize("login", USERS)
def test_a_user_reads_rows_of_their_scope_alone(company_url: str, login: str) -> None:
    with session(company_url, login) as cursor:
        found = everything_read(cursor)
    foreign = foreign_marks(login)
    for name, rows in found.items():
        text = repr(rows)
        assert not {mark for mark in foreign if mark in text}, f"{login} reads another's rows in {name}"
    own = {PLACES[place] for place in places_of(login)}
    assert {row["plate"] for row in found.get("fact.trips", [])} == own
    assert {row["plate"] for row in found.get("mart.d1_trips", [])} == own
    assert {row["plate"] for row in found.get("auth.findings", [])} == own
    if USERS[login][0] == "operations":
        assert not [name for rows in found.values() for row in rows for name in row if is_amount(name)]
        assert "777.77" not in repr(found)
        assert "1.234,56" not in repr(found)
    if USERS[login][0] == "carrier":
        assert all(place[0] == USERS[login][1] or place[0] not in repr(found) for place in PLACES)
        assert not [name for name in found if "review" in name], "which trips are reviewed is the payer's"
    if USERS[login][0] == "admin":
        assert set(found) == {"auth.users", "auth.access", "auth.audit_log"}
    assert "Fulano" not in repr(found)


def test_views_are_granted_to_those_who_may_read_all_that_they_read(company_url: str) -> None:
    readable = {}
    for login in USERS:
        with session(company_url, login) as cursor:
            readable[login] = set(everything_read(cursor))
    assert "mart.cycle_carriers" in readable["financeiro"] & readable["auditora"] & readable["oeste"]
    assert "mart.package_lines" in readable["oeste"]
    assert "mart.stg_trips" not in readable["operador"], "it reads rates"


@pytest.mark.parametrize("login", ["oeste", "operador", "auditora"])
def test_a_role_without_its_user_reads_nothing(company_url: str, login: str) -> None:
    for other, profile in ((login, "auditor"), (login, "finance"), ("", USERS[login][0]), ("nobody", "auditor")):
        if USERS.get(other, ("",))[0] == profile:
            continue
        with session(company_url, other, profile=profile) as cursor:
            cursor.execute("select count(*) from fact.trips")
            assert cursor.fetchone() == (0,)


def test_the_login_role_reads_nothing_and_no_reader_writes(company_url: str) -> None:
    connection = psycopg2.connect(company_url.replace("postgres@", "fleet_api@"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(_RELATIONS)
        for name, _ in cursor.fetchall():
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(f"select count(*) from {name}")
    connection.close()
    for login in USERS:
        with session(company_url, login) as cursor:
            cursor.execute(
                f"select r.* from ({_RELATIONS}) r(name, oid) where has_table_privilege(oid, "
                "'insert, update, delete, truncate, references, trigger')"
            )
            assert cursor.fetchall() == []


def test_functions_of_users_are_closed_to_readers(company_url: str) -> None:
    for login in USERS:
        with session(company_url, login) as cursor:
            cursor.execute(
                "select proname from pg_proc p join pg_namespace n on n.oid = pronamespace "
                "where nspname = 'auth' and has_function_privilege(p.oid, 'execute')"
            )
            callable_ = {row[0] for row in cursor.fetchall()}
            assert not callable_ & {"login_candidate", "record_login", "role_of", "granted", "covers", "record_change"}
            assert ("reveal_driver" in callable_) == (USERS[login][0] == "auditor")


def test_a_drivers_name_is_given_for_a_reason_that_is_logged(company_url: str) -> None:
    with session(company_url, "auditora") as cursor:
        cursor.execute("select driver_id from ref.drivers limit 1")
        driver = cursor.fetchone()[0]
        cursor.execute("select auth.reveal_driver(%s, 'defesa no processo 12/2025')", (driver,))
        assert cursor.fetchone()[0].startswith("Fulano")
        cursor.execute("select actor, after ->> 'reason' from auth.audit_log where action = 'driver revealed'")
        assert cursor.fetchone() == ("auditora", "defesa no processo 12/2025")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="for a reason"):
            cursor.execute("select auth.reveal_driver(%s, 'x')", (driver,))


def test_nobody_rewrites_the_audit_log(company_url: str) -> None:
    for statement in ("update auth.audit_log set actor = 'x'", "delete from auth.audit_log", "truncate auth.audit_log"):
        with session(company_url, "administradora") as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(statement)
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine_of(company_url).begin() as connection:
            connection.execute(sa.text(statement))
    with session(company_url, "administradora") as cursor:
        cursor.execute(
            "select count(*) from auth.audit_log where action = 'users insert' and after ->> 'login' = 'oeste'"
        )
        assert cursor.fetchone() == (1,)


def test_a_disabled_user_reads_nothing_at_once(company_url: str) -> None:
    change = sa.text("update auth.users set is_disabled = :is_disabled where login = 'leste'")
    with session(company_url, "leste") as cursor:
        for is_disabled, rows in ((True, 0), (False, 1)):
            with engine_of(company_url).begin() as connection:
                connection.execute(change, {"is_disabled": is_disabled})
            cursor.execute("select count(*) from fact.trips")
            assert cursor.fetchone() == (rows,)


def test_a_bi_tools_login_is_its_user_and_cannot_name_another(company_url: str) -> None:
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text("drop role if exists painel_oeste"))
        connection.execute(sa.text("create role painel_oeste login in role fleet_carrier"))
        connection.execute(sa.text("update auth.users set database_role = 'painel_oeste' where login = 'oeste'"))
    connection = psycopg2.connect(company_url.replace("postgres@", "painel_oeste@"))
    with connection.cursor() as cursor:
        for named in ("oeste", "leste", "auditora"):
            cursor.execute("select set_config('app.user_id', %s, false)", (named,))
            cursor.execute("select distinct carrier_code from fact.trips")
            assert cursor.fetchall() == [("VIOESTE",)]
    connection.close()
    with engine_of(company_url).begin() as owner:
        owner.execute(sa.text("update auth.users set database_role = null"))
        owner.execute(sa.text("drop role painel_oeste"))


def test_a_bi_tools_auditor_cannot_sign_as_another(company_url: str) -> None:
    with engine_of(company_url).begin() as owner:
        owner.execute(sa.text("create role painel_auditora login in role fleet_auditor"))
        owner.execute(sa.text("update auth.users set database_role = 'painel_auditora' where login = 'auditora'"))
    connection = psycopg2.connect(company_url.replace("postgres@", "painel_auditora@"))
    with connection.cursor() as cursor:
        cursor.execute("select set_config('app.actor', 'financeiro', false)")
        cursor.execute("select auth.reveal_driver('none', 'a reason that is long enough')")
        cursor.execute("select actor from auth.audit_log where action = 'driver revealed' order by entry_id desc")
        assert cursor.fetchone() == ("auditora",)
    connection.close()
    with engine_of(company_url).begin() as owner:
        owner.execute(sa.text("update auth.users set database_role = null"))
        owner.execute(sa.text("drop role painel_auditora"))


def test_what_is_redacted_for_whom(company_url: str) -> None:
    texts = {}
    for login in ("operador", "oeste", "financeiro"):
        with session(company_url, login) as cursor:
            cursor.execute("select explanation_pt from auth.findings where plate = 'AAA1A11'")
            texts[login] = cursor.fetchone()[0]
    assert (
        texts["oeste"]
        == ("AAA1A11 rodou junto com [outro veículo] da Transportadora [outra transportadora]: R$ 1.234,56 a mais.")
        or texts["oeste"] == "AAA1A11 rodou junto com [outro veículo] da [outra transportadora]: R$ 1.234,56 a mais."
    )
    assert texts["operador"].endswith(": R$ [não exibido] a mais.")
    assert "BBB1B11" in texts["financeiro"]


def test_every_amount_is_recognised_by_its_name() -> None:
    for table in TABLES.values():
        for column in table.columns:
            if column.type in (Type.BRL, Type.RATE):
                assert is_amount(column.name), f"{table.full_name}.{column.name}"


def test_policies_look_the_user_up_once_per_statement(company_url: str) -> None:
    with session(company_url, "financeiro") as cursor:
        cursor.execute("explain (costs off) select trip_id from fact.trips")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert plan.count("InitPlan") >= 4
    assert "auth.sees_all" not in plan.split("Filter:")[1].split("\n")[0]


def test_each_table_of_the_dictionary_is_reached_by_row_security(company_url: str) -> None:
    with engine_of(company_url).connect() as connection:
        secured = set(
            connection.scalars(
                sa.text("select relnamespace::regnamespace || '.' || relname from pg_class where relrowsecurity")
            )
        )
    assert set(metadata.tables) <= secured
    assert readable_columns("carrier", "fact.new_table", ["plate", "km"]) == []


def test_a_pipeline_without_superuser_applies_the_same_rights(postgres_server: str) -> None:
    server = psycopg2.connect(postgres_server)
    server.autocommit = True
    with server.cursor() as cursor:
        cursor.execute("create role plain_pipeline login nosuperuser nocreaterole")
        cursor.execute("create database plain_warehouse owner plain_pipeline template template0")
        cursor.execute("revoke connect on database plain_warehouse from public")  # as deploy/create-databases.sql
    url = postgres_server.replace("postgres@/postgres?", "plain_pipeline@/plain_warehouse?")
    assert upgrade(url)
    with engine_of(url).begin() as connection:
        for number, place in enumerate(PLACES):
            table = metadata.tables["ref.vehicles"]
            row = {"plate": PLACES[place], "carrier_code": place[0], "unit_code": place[1], "fleet_number": str(number)}
            connection.execute(sa.insert(table), row)
        connection.execute(sa.text("insert into auth.users (user_id, login, profile) values ('o', 'o', 'carrier')"))
        connection.execute(sa.text("insert into auth.access values ('o', 'carrier', 'VIOESTE')"))
    with session(url.replace("plain_pipeline@", "postgres@"), "o", profile="carrier") as cursor:
        cursor.execute("select plate from ref.vehicles order by 1")
        assert cursor.fetchall() == [("AAA1A11",), ("AAA2A22",)]
    engine_of(url).dispose()
    with server.cursor() as cursor:
        cursor.execute("drop database plain_warehouse")
        cursor.execute("drop role plain_pipeline")
    server.close()


def test_a_mart_that_is_published_again_keeps_its_policies(company_url: str) -> None:
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text("alter table mart.d1_trips add column surplus text"))  # its form differs: rebuilt
    project = load_project()
    model = next(one for one in project.models if one.name == "d1_trips")
    assert publish(company_url, project, model, Days(DAY, DAY), {"closing_day": 16}).is_rebuilt
    with session(company_url, "oeste") as cursor:
        cursor.execute("select distinct carrier_code from mart.d1_trips")
        assert cursor.fetchall() == [("VIOESTE",)]
    with session(company_url, "operador") as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("select variable_cost_brl from mart.d1_trips")


def test_a_restored_database_has_its_rights_on_a_server_that_lacks_the_roles(
    company_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template, "TEMPLATES", tmp_path / "none")  # the install's template has the roles
    dump_database(company_url, tmp_path / "dump")
    url = ensure_running(tmp_path / "other")
    restore_database(url, tmp_path / "dump")
    with engine_of(url).connect() as connection:
        assert connection.scalar(sa.text("select count(*) from pg_roles where rolname like 'fleet%'")) == 0
    assert upgrade(url)
    with session(url, "oeste") as cursor:
        cursor.execute("select distinct carrier_code from fact.trips")
        assert cursor.fetchall() == [("VIOESTE",)]
    with engine_of(url).connect() as connection:
        assert connection.scalar(sa.text("select count(*) from fact.trips")) == len(PLACES)
