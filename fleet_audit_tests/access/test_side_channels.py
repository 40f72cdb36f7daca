"""What is out of scope is not learnt from errors, orders, cursors, functions or the work that an answer costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from fleet_audit.access.resources import RESOURCES
from fleet_audit_tests.access.company import PLACES, USERS, foreign_marks, key, places_of
from fleet_audit_tests.access.test_rights import session
from fleet_audit_tests.access.tokens import signed

FOREIGN = ("VILESTE", "USINAB")
REASON = "uma razão que é bem comprida"
ITEMS = [resource for resource in RESOURCES if resource.item and resource.name not in ("days", "uploads")]


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL that is executed meanwhile."""
    found: list[str] = []

    def note(_c: object, _d: object, statement: str, *_: object) -> None:
        found.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("login", ["oeste", "operador"])
def test_an_id_out_of_scope_costs_the_same_queries_as_one_that_does_not_exist(client: TestClient, login: str) -> None:
    foreign = {resource.name: key(str(resource.item), FOREIGN) for resource in ITEMS}
    foreign |= dict.fromkeys(("contests", "notes", "exceptions"), "mark3mark")
    requests = [("GET", f"/v1/{resource.name}/{{}}", foreign[resource.name], None) for resource in ITEMS]
    requests.append(("GET", "/v1/findings/{}/evidence", foreign["findings"], None))
    requests.append(("POST", "/v1/findings/{}/contest", foreign["findings"], {"text": REASON}))
    requests.append(("POST", "/v1/findings/{}/notes", foreign["findings"], {"text": REASON}))
    requests.append(("POST", "/v1/contests/{}/decision", "mark3mark", {"text": REASON, "decision": "upheld"}))
    for method, address, name, body in requests:
        answers = []
        for value in (name, "0000000000000000"):
            with statements() as executed:
                answer = client.request(method, address.format(value), json=body, headers=signed(login))
            answers.append((answer.status_code, answer.content, executed))
        assert answers[0] == answers[1], address
        assert answers[0][0] in (403, 404), address


@pytest.mark.parametrize("login", [login for login in USERS if USERS[login][0] != "admin"])
def test_an_error_of_a_condition_does_not_reveal_a_row(company_url: str, login: str) -> None:
    """PostgreSQL applies policies before conditions that can fail: else the error alone would name the row."""
    foreign = [PLACES[place] for place in PLACES if place not in places_of(login)]
    for relation in (
        "fact.trips",
        "fact.declared_runs",
        "auth.findings",
        "fact.contests",
        "mart.d1_trips",
        "ref.vehicles",
    ):
        with session(company_url, login) as cursor:
            for plate in foreign:
                cursor.execute(f"select count(*) from {relation} where 1 / (plate <> %s)::int = 1", (plate,))
                assert cursor.fetchone()[0] >= len(places_of(login)), relation


@pytest.mark.parametrize("login", USERS)
def test_functions_that_a_profile_may_call_return_nothing_out_of_scope(company_url: str, login: str) -> None:
    query = """select p.oid::regproc::text, array(select format_type(t, null) from unnest(p.proargtypes) t)
      from pg_proc p join pg_namespace n on n.oid = pronamespace
      where nspname = 'auth' and prorettype <> 'trigger'::regtype and has_function_privilege(p.oid, 'execute')"""
    foreign = foreign_marks(login)
    with session(company_url, login) as cursor:
        cursor.execute(query)
        functions = cursor.fetchall()
    values = {
        "text": [key("finding_id", FOREIGN), "mark3mark", PLACES[FOREIGN], "VILESTE", "approved"],
        "text[]": [[PLACES[FOREIGN], key("finding_id", FOREIGN)]], "boolean": [True], "date": ["2025-06-10"],
        "jsonb": ["{}"], "bigint": [1],
    }  # fmt: skip
    assert bool(functions) == (USERS[login][0] != "admin")
    for name, kinds in functions:
        for number in range(5):
            given = [values[kind][number % len(values[kind])] for kind in kinds]
            if "redacted" in name and USERS[login][0] in ("auditor", "finance"):
                continue  # it returns the caller's own text
            if "exceptions_in_force" in name and USERS[login][0] in ("auditor", "finance"):
                continue  # for a file of all exceptions, which the API alone makes when they approve one
            with session(company_url, login) as cursor:
                places = ", ".join(f"%s::{kind}" for kind in kinds)
                try:
                    cursor.execute(f"select * from {name}({places})", given)
                    answer = repr(cursor.fetchall())
                except psycopg2.Error as error:
                    answer = str(error)
                asked = set(map(str, given)) | {PLACES[FOREIGN]} if "text[]" in kinds else set(map(str, given))
                assert not [mark for mark in foreign - asked if mark in answer], (name, given)


def test_a_cursor_of_another_user_begins_no_page_of_theirs(client: TestClient) -> None:
    cursor = client.get("/v1/trips?limit=2", headers=signed("auditora")).json()["next_cursor"]
    rows = client.get("/v1/trips", params={"limit": 2, "cursor": cursor}, headers=signed("oeste")).json()["data"]
    assert {row["carrier_code"] for row in rows} <= {"VIOESTE"}


@pytest.mark.parametrize("name", ["trips", "costs", "findings", "contests", "packages"])
def test_no_order_of_rows_reveals_others(client: TestClient, name: str) -> None:
    document = client.get("/openapi.json").json()["paths"][f"/v1/{name}"]["get"]
    (sort,) = (one for one in document["parameters"] if one["name"] == "sort")
    columns = next(one["enum"] for one in sort["schema"]["anyOf"] if "enum" in one)
    assert len(columns) > 5
    for column in columns:
        for login in ("oeste", "operador"):
            answer = client.get(f"/v1/{name}?sort={column}&limit=1", headers=signed(login))
            assert answer.status_code in (200, 403), answer.text
            assert not [mark for mark in foreign_marks(login) if mark in answer.text], column


@pytest.mark.parametrize(
    "path", ["/v1/trips/", "/v1//trips", "/portal", "/portal/", "/portal/dias/", "/portal/achados/x/", "/", "/nada/"]
)
def test_a_foreign_host_name_is_repeated_in_no_answer(client: TestClient, path: str) -> None:
    """A cache before the service would keep such a redirect for others."""
    answer = client.get(path, headers={"Host": "evil.example", **signed("oeste")}, follow_redirects=False)
    assert answer.status_code in (303, 404), answer.status_code
    assert "evil.example" not in f"{answer.headers} {answer.text}"
    if answer.status_code == 303:
        assert answer.headers["location"].startswith("/portal/")


def test_an_answer_of_one_user_is_never_another_users_unchanged_one(client: TestClient) -> None:
    """A tag that another user's answer had, and every answer that a shared cache must not keep."""
    tags = {}
    for login in ("oeste", "leste", "auditora"):
        answer = client.get("/v1/trips", headers=signed(login))
        tags[login] = answer.headers["etag"]
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["vary"] == "Authorization"
    assert len(set(tags.values())) == 3
    for tag in (tags["oeste"], tags["auditora"], "*", '""', '"'):
        other = client.get("/v1/trips", headers={**signed("leste"), "If-None-Match": tag})
        assert other.status_code == 200, tag
        assert not [mark for mark in foreign_marks("leste") if mark in other.text]
