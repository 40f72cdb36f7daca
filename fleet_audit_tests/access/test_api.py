"""The read API over a real PostgreSQL: each profile tries every address, and nothing out of scope comes back."""

from __future__ import annotations

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis
import jwt
import pyarrow.parquet as pq
import pytest
import schemathesis
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase

from fleet_audit.access import sessions
from fleet_audit.access.app import create_app
from fleet_audit.access.pages import MAX_PAGE
from fleet_audit.access.resources import RESOURCES
from fleet_audit.access.uploads import Intake
from fleet_audit.schema.rights import is_amount
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.access.company import PLACES, USERS, api_engine, foreign_marks, key, places_of
from fleet_audit_tests.access.tokens import PASSWORD, SECRET, signed

SNAPSHOT = Path(__file__).with_name("openapi.json")
LISTS = [f"/v1/{resource.name}" for resource in RESOURCES]
READERS = [login for login in USERS if USERS[login][0] != "admin"]


@pytest.mark.parametrize("login", USERS)
def test_no_address_answers_with_what_is_out_of_scope(client: TestClient, login: str) -> None:
    header, foreign = signed(login), foreign_marks(login)
    answered = set()
    for address in LISTS:
        for query in ("", "?order=desc", "?format=csv", "?limit=1"):
            answer = client.get(address + query, headers=header)
            assert answer.status_code in (200, 403), (address, answer.text)
            assert not [mark for mark in foreign if mark in answer.text], address
            answered |= {address} if answer.status_code == 200 else set()
            if USERS[login][0] == "operations" and query == "" and answer.status_code == 200:
                assert not [name for row in answer.json()["data"] for name in row if is_amount(name)], address
            if USERS[login][0] == "operations":
                assert "777.77" not in answer.text
    assert answered == {"/v1/users", "/v1/audit-log"} if USERS[login][0] == "admin" else "/v1/trips" in answered
    for place in PLACES:
        for name, resource in (("trip_id", "trips"), ("declared_run_id", "declared-runs"), ("finding_id", "findings")):
            answer = client.get(f"/v1/{resource}/{key(name, place)}", headers=header)
            if USERS[login][0] == "admin":
                assert answer.status_code == 403
            elif place in places_of(login):
                assert (answer.status_code, answer.json()[name]) == (200, key(name, place))
            else:
                absent = client.get(f"/v1/{resource}/nothing", headers=header)
                assert (answer.status_code, answer.content) == (404, absent.content)
                filtered = client.get(f"/v1/trips?plate={PLACES[place]}", headers=header)
                assert filtered.json() == {"data": [], "next_cursor": None}
                evidence = client.get(f"/v1/findings/{key('finding_id', place)}/evidence", headers=header)
                assert evidence.status_code == 404


def test_values_have_the_types_and_digits_of_the_database(client: TestClient) -> None:
    row = client.get(f"/v1/costs/{key('trip_id', ('VIOESTE', 'USINAA'))}", headers=signed("financeiro"))
    assert '"variable_cost_brl":111777.77' in row.text
    trip = client.get(f"/v1/trips/{key('trip_id', ('VIOESTE', 'USINAA'))}", headers=signed("oeste")).json()
    assert trip["started_at"] == "2025-06-10T12:00:00+00:00"
    assert "area_reason" not in trip
    evidence = client.get(f"/v1/findings/{key('finding_id', ('VIOESTE', 'USINAA'))}/evidence", headers=signed("oeste"))
    assert evidence.json()["finding"]["evidence"] is None, "it names another carrier's plate"
    assert evidence.json()["cost"]["trip_id"] == evidence.json()["trip"]["trip_id"]


def test_pages_neither_repeat_nor_lose_rows_while_a_run_writes(client: TestClient, company_url: str) -> None:
    header, found, cursor = signed("auditora"), [], None
    copy = sa.text(
        "insert into fact.trip_scores select 'aaaaaaaaaaaaaa00', operational_date, compliance_score, contributions, "
        "run_id, updated_at from fact.trip_scores limit 1"
    )
    while True:
        query = {"limit": 1, **({"cursor": cursor} if cursor else {})}
        page = client.get("/v1/scores", params=query, headers=header).json()
        found += [row["trip_id"] for row in page["data"]]
        cursor = page["next_cursor"]
        if len(found) == 2:
            with engine_of(company_url).begin() as connection:  # a row before the place that was reached
                connection.execute(copy)
        if cursor is None:
            break
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text("delete from fact.trip_scores where trip_id = 'aaaaaaaaaaaaaa00'"))
    assert found == [key("trip_id", place) for place in PLACES]


def test_a_cursor_of_other_filters_or_of_nobody_is_refused(client: TestClient) -> None:
    header = signed("auditora")
    cursor = client.get("/v1/trips?limit=1", headers=header).json()["next_cursor"]
    for query in ({"plate": "AAA1A11", "cursor": cursor}, {"cursor": "WyIiXQ=="}, {"cursor": "é"}, {"cursor": "x" * 9}):
        answer = client.get("/v1/trips", params=query, headers=header)
        assert (answer.status_code, "another request" in answer.json()["detail"]) == (400, True)
    assert client.get("/v1/ledger", params={"cursor": cursor}, headers=header).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic b2VzdGU6eA=="},
        signed("oeste", secret="another secret of 32 bytes or more, foreign"),
        signed("oeste", age_s=2000),
        signed("nobody"),
        signed("oeste", age_s=800_000, lasts_s=900_000),
        {"Authorization": "Bearer " + jwt.encode({"sub": "oeste", "iat": 9e9, "exp": 9e9}, None, "none")},
        {"Authorization": "Bearer " + jwt.encode({"sub": "oeste"}, SECRET, "HS256")},
    ],
    ids=[
        "none",
        "garbage",
        "basic",
        "foreign",
        "expired",
        "unknown user",
        "older than the account",
        "unsigned",
        "endless",
    ],
)
def test_a_token_that_does_not_count_is_refused_everywhere(client: TestClient, headers: dict[str, str]) -> None:
    for address in (*LISTS, "/v1/rules", "/v1/reports", "/v1/reports/d1/date=2025-06-10/d1.csv", "/v1/trips/x"):
        answer = client.get(address, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json"), address
        assert answer.json()["title"] == "Sign in first"


def test_disabling_and_a_new_password_end_tokens_at_once(client: TestClient, company_url: str) -> None:
    header = signed("leste")
    assert client.get("/v1/trips", headers=header).status_code == 200
    for change, undo in (
        ("is_disabled = true", "is_disabled = false"),
        ("tokens_valid_from = clock_timestamp() + interval '1 minute'", "tokens_valid_from = created_at"),
    ):
        with engine_of(company_url).begin() as connection:
            connection.execute(sa.text(f"update auth.users set {change} where login = 'leste'"))
        assert client.get("/v1/trips", headers=header).status_code == 401
        with engine_of(company_url).begin() as connection:
            connection.execute(sa.text(f"update auth.users set {undo} where login = 'leste'"))
    assert client.get("/v1/trips", headers=header).status_code == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1000000", 422),
        ("limit=0", 422),
        ("limit=x", 422),
        ("date_from=2025-13-01", 422),
        ("date_from=x", 422),
        ("order=sideways", 422),
        ("format=exe", 422),
        ("plate=" + "x" * 300, 422),
        ("plate=%00", 422),
        ("nothing=1", 400),
        ("token=x", 400),
        ("plate=' or 1=1 --", 200),
        ("plate=<script>alert(1)</script>", 200),
        ("trip_id=%25", 200),
        ("plate=%ED%A0%80", 200),
        ("unit_code=USINAB'; drop table fact.trips; --", 200),
        ("date_from=9999-12-31", 200),
    ],
)
def test_hostile_parameters_are_one_sentence_or_no_rows(client: TestClient, query: str, status: int) -> None:
    answer = client.get(f"/v1/trips?{query}", headers=signed("financeiro"))
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json() == {"data": [], "next_cursor": None}
    else:
        assert set(answer.json()) == {"type", "title", "status", "detail"}
        assert "script" not in answer.text


def test_interleaved_requests_of_two_users_on_two_connections_leak_nothing(client: TestClient) -> None:
    headers = {login: signed(login) for login in ("oeste", "leste")}
    own = {login: {PLACES[place] for place in places_of(login)} for login in headers}

    def ask(number: int) -> tuple[str, set[str]]:
        login = ("oeste", "leste")[number % 2]
        address = "/v1/trips" if number % 5 else f"/v1/trips?limit={1_000_000}"  # an error between the answers
        answer = client.get(address, headers=headers[login])
        return login, {row["plate"] for row in answer.json().get("data", [])} if number % 5 else own[login]

    with ThreadPoolExecutor(8) as pool:
        for login, plates in pool.map(ask, range(200)):
            assert plates == own[login]


def test_signing_in_is_logged_and_locked_after_five_failures(
    client: TestClient, company_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = client.post("/v1/login", json={"login": "Financeiro", "password": PASSWORD})
    assert good.status_code == 200
    claims = jwt.decode(good.json()["access_token"], SECRET, ["HS256"])
    assert set(claims) == {"sub", "iat", "exp"}
    header = {"Authorization": f"Bearer {good.json()['access_token']}"}
    assert client.get("/v1/trips", headers=header).status_code == 200
    answers = [client.post("/v1/login", json={"login": "leste", "password": "x"}) for _ in range(5)]
    answers.append(client.post("/v1/login", json={"login": "leste", "password": PASSWORD}))
    answers.append(client.post("/v1/login", json={"login": "nobody", "password": PASSWORD}))
    assert {(one.status_code, one.content) for one in answers} == {(401, answers[0].content)}
    with engine_of(company_url).begin() as connection:
        log = connection.execute(sa.text("select action, actor from auth.audit_log where action like 'login%'")).all()
        connection.execute(sa.text("update auth.users set locked_until = null where login = 'leste'"))
    assert log.count(("login refused", "leste")) == 6
    assert ("login", "financeiro") in log
    assert ("login refused", "nobody") in log
    monkeypatch.setattr(sessions, "MAX_LOGINS_PER_MIN", 2)  # the last ones above
    often = client.post("/v1/login", json={"login": "auditora", "password": PASSWORD})
    assert (often.status_code, often.headers["Retry-After"]) == (429, "60")


def test_report_files_go_to_who_sees_the_company_and_copies_to_their_carrier(client: TestClient) -> None:
    copy = "/v1/reports/cycle/start=2025-05-16/carriers/VIOESTE/pacote_medicao.xlsx"
    whole = "/v1/reports/d1/date=2025-06-10/d1.csv"
    expected = {"auditora": (200, 200, 3), "oeste": (200, 404, 1), "leste": (404, 404, 0), "operador": (404, 404, 0)}
    for login, (of_copy, of_whole, count) in {**expected, "financeiro": (404, 404, 0)}.items():
        header = signed(login)
        assert client.get(copy, headers=header).status_code == of_copy, login
        assert client.get(whole, headers=header).status_code == of_whole, login
        assert len(client.get("/v1/reports", headers=header).json()["data"]) == count, login
    for path in ("..%2Fraw%2Fsecret.csv", "%2Fetc%2Fpasswd", "d1%2F..%2F..%2Fraw%2Fsecret.csv", "%00", "d1%5C..%5Cx"):
        assert client.get(f"/v1/reports/{path}", headers=signed("auditora")).status_code == 404


def test_an_unchanged_answer_is_not_sent_again_and_csv_is_no_formula(client: TestClient, company_url: str) -> None:
    header = signed("auditora")
    tag = client.get("/v1/trips", headers=header).headers["ETag"]
    again = client.get("/v1/trips", headers={**header, "If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    change = sa.text("update fact.declared_runs set origin_text = :text where plate = 'AAA1A11'")
    with engine_of(company_url).begin() as connection:
        connection.execute(change, {"text": " =cmd()"})
    lines = client.get("/v1/declared-runs?format=csv", headers=header).text.split("\r\n")
    assert len(lines) == len(PLACES) + 2
    assert ",' =cmd()," in "".join(lines)


def test_pages_follow_any_order_with_unknown_values_last(client: TestClient, company_url: str) -> None:
    header = signed("auditora")
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text("update fact.trips set km_gps = null where plate = 'AAA2A22'"))
    expected = {
        "asc": ["AAA1A11", "BBB1B11", "BBB2B22", "AAA2A22"],
        "desc": ["BBB2B22", "BBB1B11", "AAA1A11", "AAA2A22"],
    }
    for order, plates in expected.items():
        found, cursor = [], None
        for _ in range(len(PLACES)):
            query = {"sort": "km_gps", "order": order, "limit": 1, **({"cursor": cursor} if cursor else {})}
            page = client.get("/v1/trips", params=query, headers=header).json()
            found += [row["plate"] for row in page["data"]]
            cursor = page["next_cursor"]
        assert (found, cursor) == (plates, None)
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text("update fact.trips set km_gps = km_measured where km_gps is null"))
    assert client.get("/v1/costs?sort=variable_cost_brl", headers=signed("operador")).status_code == 403
    assert client.get("/v1/trips?sort=password", headers=header).status_code == 422
    query = {"sort": "entry_id", "order": "desc", "limit": 1}  # the whole key
    first = client.get("/v1/audit-log", params=query, headers=header).json()
    after = client.get("/v1/audit-log", params={**query, "cursor": first["next_cursor"]}, headers=header)
    assert after.status_code == 200, after.text
    assert after.json()["data"][0]["entry_id"] < first["data"][0]["entry_id"]


@pytest.mark.parametrize(
    ("query", "plates"),
    [
        ("cost_center=shared 2", {"AAA1A11", "BBB1B11"}),
        ("cost_center=nothing", set()),
        ("vehicle_class=onibus", {"AAA1A11", "BBB2B22"}),
        ("vehicle_class=micro&unit_code=USINAB", {"AAA2A22"}),
        ("area=AGR", {"AAA1A11", "BBB1B11"}),
        ("date_from=2025-06-11", set()),
        ("plate=AAA1A11&date_to=2025-06-10", {"AAA1A11"}),
    ],
)
def test_trips_are_filtered_by_their_unit_and_vehicle(client: TestClient, query: str, plates: set[str]) -> None:
    answer = client.get(f"/v1/trips?{query}", headers=signed("auditora"))
    assert {row["plate"] for row in answer.json()["data"]} == plates, answer.text
    own = client.get(f"/v1/trips?{query}", headers=signed("oeste")).json()["data"]
    assert {row["plate"] for row in own} == {plate for plate in plates if plate.startswith("AAA")}


def test_matches_are_found_by_a_trip_among_theirs(client: TestClient) -> None:
    for place in PLACES:
        answer = client.get(f"/v1/matches?trip_id={key('trip_id', place)}", headers=signed("oeste"))
        assert [row["plate"] for row in answer.json()["data"]] == ([PLACES[place]] if place[0] == "VIOESTE" else [])


@pytest.mark.parametrize("login", READERS)
def test_parquet_has_the_rows_and_types_of_the_list(client: TestClient, login: str) -> None:
    for address in LISTS:
        listed = client.get(f"{address}?limit={MAX_PAGE}", headers=signed(login))  # the log has all of before
        answer = client.get(f"{address}?format=parquet", headers=signed(login))
        assert answer.status_code == listed.status_code, address
        if listed.status_code == 200:
            table = pq.read_table(io.BytesIO(answer.content))
            assert table.num_rows == len(listed.json()["data"]), address
            assert not [mark for mark in foreign_marks(login) if mark in repr(table.to_pylist())], address
    if login == "financeiro":
        costs = pq.read_table(io.BytesIO(client.get("/v1/costs?format=parquet", headers=signed(login)).content))
        assert str(costs.schema.field("variable_cost_brl").type) == "decimal128(14, 2)"
        assert str(costs["variable_cost_brl"][0]) == "111777.77"


def test_a_mart_is_served_once_it_is_published(company_url: str, intake: Intake) -> None:
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text("alter table mart.d1_trips rename to not_yet"))
    engine = api_engine(company_url)
    try:
        with TestClient(create_app(engine, SECRET, intake.lake)) as fresh:
            early = fresh.get("/v1/trip-list", headers=signed("oeste"))
            assert (early.status_code, "No day was run yet" in early.json()["detail"]) == (404, True)
            assert "/v1/trip-list" not in fresh.get("/openapi.json").json()["paths"]
            with engine_of(company_url).begin() as connection:
                connection.execute(sa.text("alter table mart.not_yet rename to d1_trips"))
            assert {row["plate"] for row in fresh.get("/v1/trip-list", headers=signed("oeste")).json()["data"]} == {
                "AAA1A11",
                "AAA2A22",
            }
            assert "/v1/trip-list" in fresh.get("/openapi.json").json()["paths"]
    finally:
        engine.dispose()


def test_the_service_reports_on_itself(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    client.get("/v1/trips/secret-id", headers=signed("oeste"))
    metrics = client.get("/metrics").text
    assert 'fleet_api_requests_total{path="/v1/trips/{key}",status="404"}' in metrics
    assert "secret-id" not in metrics
    assert client.get("/docs").status_code == 200
    rules = client.get("/v1/rules", headers=signed("oeste")).json()["data"]
    assert {"rule_id", "title_pt", "severity"} <= set(rules[0])
    nowhere = client.get("/nowhere")
    assert (nowhere.status_code, nowhere.json()["title"]) == (404, "Not found")


def test_a_body_other_than_a_file_has_a_limit(client: TestClient) -> None:
    text = "ç" * 10_000  # JSON writes it with 60,000 bytes
    assert client.post("/v1/findings/x/contest", json={"text": text}, headers=signed("oeste")).status_code == 404
    for body in (b"x" * 70_000, iter([b"x" * 40_000] * 2)):  # the second one without a Content-Length
        answer = client.post("/v1/login", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["title"]) == (413, "Too large"), answer.text


def test_addresses_and_parameters_are_those_of_the_snapshot(client: TestClient) -> None:
    """After an intended change FLEET_WRITE_SNAPSHOT=1 writes it again. Columns are those of docs/tables.md."""
    document = client.get("/openapi.json").json()
    found = {
        f"{method} {path}": {
            "parameters": sorted(one["name"] for one in operation.get("parameters", [])),
            "statuses": sorted(operation["responses"]),
        }
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    if os.environ.get("FLEET_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(f"{json.dumps(found, indent=1)}\n")
    assert found == json.loads(SNAPSHOT.read_text())
    trip = document["paths"]["/v1/trips"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    described = trip["properties"]["data"]["items"]["properties"]["km_measured"]
    assert described["type"] == ["number", "null"]
    assert described["description"].endswith("[km]")


def test_random_requests_of_the_document_are_never_an_error_of_the_service(client: TestClient) -> None:
    """Schemathesis over every operation; FLEET_API_EXAMPLES asks for more of each than continuous integration has."""
    document = schemathesis.openapi.from_asgi("/openapi.json", client.app)
    settings = hypothesis.settings(
        max_examples=int(os.environ.get("FLEET_API_EXAMPLES", "1")),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    header, foreign = signed("financeiro"), foreign_marks("financeiro")

    def ask(case: schemathesis.Case) -> None:
        answer = case.call(headers=header)
        assert answer.status_code < 500, case.as_curl_command()
        assert answer.status_code != 401 or case.path == "/v1/login"
        text = answer.content.decode(errors="replace")  # a Parquet export is no text
        assert not [mark for mark in foreign if mark in text]

    for operation in document.get_all_operations():
        settings(hypothesis.given(case=operation.ok().as_strategy())(ask))()
