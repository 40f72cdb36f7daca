"""Users on the command line: made, granted, disabled, each change in the audit log and none of it with a password."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from fleet_audit.cli.main import main
from fleet_audit.storage.postgres import engine_of

PASSWORD = "uma senha bem comprida"
Invoke = Callable[..., Result]


@pytest.fixture
def invoke(company_url: str, tmp_path, monkeypatch) -> Invoke:
    monkeypatch.setenv("FLEET_WAREHOUSE_URL", company_url)
    monkeypatch.setenv("FLEET_HOME", str(tmp_path))
    return lambda *arguments, password=PASSWORD: CliRunner().invoke(main, arguments, input=f"{password}\n")


def test_a_user_is_made_granted_and_disabled(invoke: Invoke, company_url: str) -> None:
    assert invoke("user", "add", "Maria", "--profile", "finance").exit_code == 0
    query = ("psql", "--as", "maria", "--csv", "-c", "select distinct carrier_code, unit_code from fact.trips")
    assert invoke(*query).output == "carrier_code,unit_code\n"
    assert invoke("user", "grant", "maria", "--carrier", "VIOESTE", "--unit", "USINAB").exit_code == 0
    assert invoke("user", "grant", "maria", "--carrier", "VIOESTE", "--unit", "USINAB").exit_code == 0  # twice is once
    assert invoke(*query).output == "carrier_code,unit_code\nVIOESTE,USINAB\n"
    assert "maria  finance  VIOESTE@USINAB" in invoke("user", "list").output
    assert invoke("user", "grant", "maria", "--carrier", "VIOESTE", "--unit", "USINAB", "--revoke").exit_code == 0
    assert invoke(*query).output == "carrier_code,unit_code\n"
    assert invoke("user", "disable", "maria").exit_code == 0
    assert "No active user has the login maria" in invoke(*query).output
    with engine_of(company_url).connect() as connection:
        log = sa.text(
            "select action, actor, before::text, after::text from auth.audit_log order by entry_id desc limit 5"
        )
        entries = connection.execute(log).all()
    assert [entry.action for entry in entries[:4]] == ["users update", "access delete", "access insert", "users insert"]
    assert all(entry.actor.startswith("cli:") for entry in entries[:4])
    assert "argon2" not in repr(entries)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "oeste", "--profile", "carrier"), "The login oeste is taken"),
        (("grant", "nobody", "--all"), "No user has the login nobody"),
        (("grant", "oeste", "--unit", "USINAA"), "belongs to a carrier: name it with --carrier"),
        (("grant", "oeste", "--carrier", "X"), "ref.carriers has no carrier_code X"),
        (("grant", "auditora", "--all"), "needs no grant"),
        (("grant", "oeste"), "Name what is seen"),
        (("grant", "oeste", "--carrier", "VILESTE", "--revoke"), "has no such grant"),
        (("passwd", "nobody"), "No user has the login nobody"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(invoke: Invoke, arguments: tuple[str, ...], sentence: str) -> None:
    result = invoke("user", *arguments)
    assert result.exit_code == 2
    assert sentence in result.output


def test_a_short_password_is_refused(invoke: Invoke) -> None:
    result = invoke("user", "add", "ana", "--profile", "admin", password="curta")
    assert "The password has 5 characters: choose 12 to 256." in result.output
