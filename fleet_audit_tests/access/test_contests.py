"""Contests, notes, exceptions and uploads: two sides, two persons, deadlines, and a log that keeps each step."""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from fleet_audit.access.contests import MAX_ATTACHMENT_BYTES, decide_exception
from fleet_audit.access.uploads import Intake
from fleet_audit.ingest.files import parse_inbox_file
from fleet_audit.logic.closing.deadlines import business_deadline
from fleet_audit.logic.closing.rule_outcomes import rule_outcome
from fleet_audit.logic.primitives.money import half_up
from fleet_audit.sources.inbox import InboxFile
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.access.company import LESTE, PLACES, key
from fleet_audit_tests.access.test_rights import session
from fleet_audit_tests.access.tokens import signed

REASON = "A viagem foi feita; o rastreador estava em manutenção."


def log_of(company_url: str, subject: str) -> list[sa.Row]:
    query = "select actor, action, before, after from auth.audit_log where subject = :subject order by entry_id"
    with engine_of(company_url).connect() as connection:
        return list(connection.execute(sa.text(query), {"subject": subject}).all())


def test_a_finding_is_contested_and_reversed_by_another_person(
    client: TestClient, company_url: str, finding: str
) -> None:
    opened = client.post(f"/v1/findings/{finding}/contest", json={"text": REASON}, headers=signed("oeste"))
    assert opened.status_code == 201, opened.text
    contest = opened.json()
    assert (contest["status"], contest["opened_by"], contest["text"]) == ("contested", "oeste", REASON)
    shown = client.get(f"/v1/findings/{finding}", headers=signed("auditora")).json()
    assert (shown["status"], shown["contest_id"]) == ("contested", contest["contest_id"])
    again = client.post(f"/v1/findings/{finding}/contest", json={"text": REASON}, headers=signed("oeste"))
    assert (again.status_code, again.json()["type"]) == (409, "urn:fleet-audit:problem:contested")
    place = f"/v1/contests/{contest['contest_id']}/decision"
    decision = {"decision": "reversed", "text": "O rastreador estava em manutenção; a viagem é paga."}
    assert client.post(place, json=decision, headers=signed("oeste")).status_code == 403
    assert client.post(place, json=decision, headers=signed("operador")).status_code == 403
    decided = client.post(place, json=decision, headers=signed("financeiro"))
    assert decided.status_code == 200, decided.text
    assert client.post(place, json=decision, headers=signed("auditora")).json()["type"].endswith(":decided")
    carrier = client.get(f"/v1/contests/{contest['contest_id']}", headers=signed("oeste")).json()
    assert (carrier["status"], carrier["decided_by"]) == ("reversed", "financeiro")
    assert client.get(f"/v1/findings/{finding}", headers=signed("oeste")).json()["status"] == "reversed"
    outcomes = client.get("/v1/rule-outcomes?rule_id=" + shown["rule_id"], headers=signed("auditora")).json()["data"]
    assert (outcomes[0]["reversed"], outcomes[0]["upheld_pct"]) == (1, 0)
    log = log_of(company_url, contest["contest_id"])
    assert [(one.actor, one.action) for one in log] == [("oeste", "contests insert"), ("financeiro", "contests update")]
    assert (log[1].before["status"], log[1].after["status"]) == ("contested", "reversed")


def test_who_contested_does_not_decide(client: TestClient, finding: str) -> None:
    opened = client.post(f"/v1/findings/{finding}/contest", json={"text": REASON}, headers=signed("financeiro"))
    place = f"/v1/contests/{opened.json()['contest_id']}/decision"
    own = client.post(place, json={"decision": "upheld", "text": REASON}, headers=signed("financeiro"))
    assert (own.status_code, own.json()["type"]) == (409, "urn:fleet-audit:problem:same_person")
    other = client.post(place, json={"decision": "upheld", "text": REASON}, headers=signed("auditora"))
    assert other.json()["status"] == "upheld"


def test_a_foreign_finding_or_contest_is_answered_like_a_missing_one(client: TestClient) -> None:
    foreign, header = key("finding_id", LESTE), signed("oeste")
    body = {"text": REASON}
    for address in ("/v1/findings/{}/contest", "/v1/findings/{}/notes"):
        of_other = client.post(address.format(foreign), json=body, headers=header)
        missing = client.post(address.format("nothing"), json=body, headers=header)
        assert (of_other.status_code, of_other.content) == (404, missing.content)
    decision = {"decision": "upheld", "text": REASON}
    of_other = client.post("/v1/contests/mark3mark/decision", json=decision, headers=signed("financeiro"))
    missing = client.post("/v1/contests/nothing/decision", json=decision, headers=signed("financeiro"))
    assert (of_other.status_code, of_other.content) == (404, missing.content)
    of_other = client.post("/v1/contests/mark3mark/attachments?name=a.pdf", content=b"%PDF-1", headers=header)
    assert of_other.status_code == 404
    assert client.get("/v1/attachments/mark3mark", headers=header).status_code == 404
    assert client.get("/v1/uploads/mark3mark/rejections", headers=header).status_code == 404


def test_a_closed_cycle_is_contested_until_its_deadline(client: TestClient, company_url: str, finding: str) -> None:
    closing = sa.text("update ops.cycle_closes set status = 'final', closed_at = :at where cycle_start = '2025-05-16'")
    reopening = sa.text("update ops.cycle_closes set cycle_start = '2025-05-16', cycle_end = '2025-06-15' where true")
    with engine_of(company_url).begin() as connection:
        before = connection.execute(sa.text("select cycle_end, status, closed_at from ops.cycle_closes")).one()
        connection.execute(reopening)
        connection.execute(closing, {"at": dt.datetime.now(dt.UTC) - dt.timedelta(days=60)})
    try:
        late = client.post(f"/v1/findings/{finding}/contest", json={"text": REASON}, headers=signed("oeste"))
        assert (late.status_code, late.json()["type"]) == (409, "urn:fleet-audit:problem:late")
        with engine_of(company_url).begin() as connection:
            connection.execute(closing, {"at": dt.datetime.now(dt.UTC)})
        until = client.get(f"/v1/findings/{finding}", headers=signed("oeste")).json()["contest_until"]
        assert dt.date.fromisoformat(until) > dt.datetime.now(dt.UTC).date()
        opened = client.post(f"/v1/findings/{finding}/contest", json={"text": REASON}, headers=signed("oeste"))
        assert opened.status_code == 201
    finally:
        with engine_of(company_url).begin() as connection:
            undo = "update ops.cycle_closes set cycle_end = :end, status = :status, closed_at = :at"
            connection.execute(sa.text(undo), dict(zip(("end", "status", "at"), before, strict=True)))


def test_deadlines_are_those_of_the_carriers_copies(company_url: str) -> None:
    draw, start = random.Random(7), dt.date(2025, 1, 1)
    holidays = {start + dt.timedelta(days=draw.randrange(120)) for _ in range(25)}
    with engine_of(company_url).connect() as connection:  # rolled back
        connection.execute(
            sa.text("insert into ref.calendar (date, unit_code, day_type) values (:day, 'USINAX', 'feriado')"),
            [{"day": day} for day in holidays],
        )
        for _ in range(40):
            day = start + dt.timedelta(days=draw.randrange(100))
            query = sa.text("select auth.business_deadline(:day, 'USINAX', :day)")
            assert connection.scalar(query, {"day": day}) == business_deadline(day, 10, holidays)


def test_internal_notes_are_not_for_the_carrier(client: TestClient, finding: str) -> None:
    for login, internal in (("operador", True), ("operador", False), ("oeste", True)):
        note = {"text": f"{REASON} {login} {internal}", "is_internal": internal}
        assert client.post(f"/v1/findings/{finding}/notes", json=note, headers=signed(login)).status_code == 201
    seen = {
        login: len(client.get(f"/v1/notes?finding_id={finding}", headers=signed(login)).json()["data"])
        for login in ("operador", "oeste", "auditora", "leste")
    }
    assert seen == {"operador": 3, "oeste": 2, "auditora": 3, "leste": 0}


def test_attached_files_are_read_by_both_sides_alone(client: TestClient, finding: str) -> None:
    opened = client.post(f"/v1/findings/{finding}/contest", json={"text": REASON}, headers=signed("oeste")).json()
    place = f"/v1/contests/{opened['contest_id']}/attachments"
    for name, content, status in (
        ("laudo.pdf", b"%PDF-1.7 laudo", 201),
        ("laudo.exe", b"MZ", 422),
        ("laudo.pdf", b"<script>", 422),
        ("laudo\0.pdf", b"%PDF-1.7", 422),
        ("laudo.pdf", b"%PDF-" + b"x" * MAX_ATTACHMENT_BYTES, 413),
        ("../../laudo.png", b"\x89PNG\r\n\x1a\n", 201),
    ):
        sent = client.post(place, params={"name": name}, content=content, headers=signed("oeste"))
        assert sent.status_code == status, sent.text
    files = client.get("/v1/attachments", params={"contest_id": opened["contest_id"]}, headers=signed("financeiro"))
    ids = {row["file_name"]: row["file_id"] for row in files.json()["data"]}
    got = client.get(f"/v1/attachments/{ids['laudo.pdf']}", headers=signed("financeiro"))
    assert (got.content, got.headers["X-Content-Type-Options"]) == (b"%PDF-1.7 laudo", "nosniff")
    assert client.get(f"/v1/attachments/{ids['laudo.pdf']}", headers=signed("leste")).status_code == 404


def test_an_exception_needs_two_persons_and_goes_into_the_inbox(client: TestClient, intake: Intake) -> None:
    wanted = {"rule_id": "G07", "unit_code": "USINAA", "date_to": "2025-06-30", "reason": "Obras na ponte do km 12"}
    for change in ({"unit_code": "USINAB"}, {"date_from": "2025-07-01"}, {"rule_id": "X99"}, {"reason": "x"}):
        assert client.post("/v1/exceptions", json=wanted | change, headers=signed("financeiro")).status_code == 422
    assert client.post("/v1/exceptions", json=wanted, headers=signed("oeste")).status_code == 403
    made = client.post("/v1/exceptions", json=wanted, headers=signed("financeiro"))
    assert made.status_code == 201, made.text
    place = f"/v1/exceptions/{made.json()['exception_id']}/decision"
    own = client.post(place, json={"is_approved": True}, headers=signed("financeiro"))
    assert own.json()["type"].endswith(":same_person")
    approved = client.post(place, json={"is_approved": True}, headers=signed("auditora"))
    assert (approved.json()["status"], approved.json()["decided_by"]) == ("approved", "auditora")
    folder = Path(intake.settings.inbox_url or "") / "reference/approved"
    file = folder / made.json()["exception_id"] / "exceptions.csv"
    rows = {row["exception_id"]: row for row in csv.DictReader(io.StringIO(file.read_text()))}
    row = rows[made.json()["exception_id"]]
    assert (row["rule_id"], row["unit_code"], row["approved_by"]) == ("G07", "USINAA", "auditora")
    assert len(rows) > len(PLACES), "a delivery replaces the table: it holds what was in force"
    now = dt.datetime.now(dt.UTC)
    listed = InboxFile("reference", "reference/approved/x/exceptions.csv", 0, now)
    read = parse_inbox_file(listed, file.read_bytes(), intake.settings, now)
    assert made.json()["exception_id"] in set(read.rows["exception_id"]), "the pipeline reads it as any delivery"


def test_exceptions_that_two_persons_approve_at_once_are_both_in_force(client: TestClient, intake: Intake) -> None:
    wanted = {"rule_id": "G07", "unit_code": "USINAA", "date_to": "2025-06-30", "reason": "Obras na ponte do km 13"}
    first, second = (
        client.post("/v1/exceptions", json=wanted, headers=signed("operador")).json()["exception_id"] for _ in range(2)
    )
    sessions = client.app.state.sessions  # type: ignore[attr-defined]
    token = signed("auditora")["Authorization"].removeprefix("Bearer ")
    place, approval = f"/v1/exceptions/{second}/decision", {"is_approved": True}
    with ThreadPoolExecutor(1) as others:
        with sessions.begin(token) as slow:
            decide_exception(slow, first, is_approved=True)
            answer = others.submit(client.post, place, json=approval, headers=signed("financeiro"))
            wait([answer], timeout=0.5)
        assert answer.result().status_code == 200, answer.result().text
    file = Path(intake.settings.inbox_url or "") / f"reference/approved/{second}/exceptions.csv"
    assert {first, second} <= {row["exception_id"] for row in csv.DictReader(io.StringIO(file.read_text()))}


def test_the_mart_of_outcomes_has_each_share_with_its_interval(company_url: str) -> None:
    """Of the four owners' contests one is upheld and one reversed; two are open, and have no share."""
    query = "select upheld, reversed, upheld_pct, upheld_low_pct, upheld_high_pct from mart.rule_outcomes"
    with engine_of(company_url).connect() as connection:
        found = sorted(connection.execute(sa.text(f"{query} where contests > open_contests order by upheld")).all())
        assert connection.scalar(sa.text("select count(*) from mart.rule_outcomes where upheld_pct is null")) == 2
    assert [tuple(map(float, row)) for row in found] == [(0, 1, 0, 0, 79.35), (1, 0, 100, 20.65, 100)]


def test_the_mart_the_service_and_the_report_agree_on_shares_to_the_hundredth(company_url: str) -> None:
    """The mart computes the interval in SQL, the report in Python; the service has the share alone."""
    counts = {"X1": (8, 2), "X2": (0, 10), "X3": (1, 2), "X4": (0, 0)}
    contests = [
        {"id": f"{rule} {number}", "rule": rule, "status": status, "by": None if status == "contested" else "b"}
        for rule, (upheld, wrong) in counts.items()
        for number, status in enumerate([*["upheld"] * upheld, *["reversed"] * wrong, "contested"])
    ]
    with engine_of(company_url).connect() as owner:  # closed without a commit
        owner.execute(sa.text("select set_config('app.user_id', 'auditora', true)"))
        for insert in (
            "insert into auth.contests (finding_id, operational_date, rule_id, status, due_date, opened_by, text, "
            "decided_at, decided_by, decision_text) select :id, '2025-06-10', :rule, :status, '2025-06-10', 'a', 'a', "
            "case when cast(:by as text) is not null then now() end, :by, :by",
            "insert into fact.contest_outcomes (finding_id, operational_date, rule_id, status, run_id, updated_at) "
            "select :id, '2025-06-10', :rule, :status, 'r', now()",
        ):
            owner.execute(sa.text(insert), contests)
        ends = "upheld_pct, upheld_low_pct, upheld_high_pct"
        mart, service = (
            {row[0]: tuple(row[1:]) for row in owner.execute(sa.text(f"{query} where rule_id like 'X_'"))}
            for query in (f"select rule_id, {ends} from mart.rule_outcomes",
                          "select rule_id, upheld_pct from auth.rule_outcomes")
        )  # fmt: skip
    for rule, (upheld, wrong) in counts.items():
        one = rule_outcome(rule, upheld + wrong + 1, upheld, wrong)
        report = [value if value is None else half_up(value) for value in (one.upheld_pct, one.low_pct, one.high_pct)]
        assert (list(mart[rule]), list(service[rule])) == (report, report[:1])


def test_functions_of_files_refuse_who_does_not_come_through_the_api(company_url: str) -> None:
    with engine_of(company_url).begin() as owner:
        owner.execute(sa.text("create role painel_oeste login in role fleet_carrier"))
        owner.execute(sa.text("update auth.users set database_role = 'painel_oeste' where login = 'oeste'"))
    connection = psycopg2.connect(company_url.replace("postgres@", "painel_oeste@"))
    for call in ("record_upload('{}')", "attach_contest_file('mark0mark', 'x', 'x', 1)"):
        with connection.cursor() as cursor, pytest.raises(psycopg2.Error, match="Only the read API"):
            cursor.execute(f"select auth.{call}")
        connection.rollback()
    connection.close()
    with engine_of(company_url).begin() as owner:
        owner.execute(sa.text("update auth.users set database_role = null"))
        owner.execute(sa.text("drop role painel_oeste"))


def test_an_admin_reads_what_happened_to_users_and_no_data(company_url: str, client: TestClient) -> None:
    with session(company_url, "administradora") as cursor:
        cursor.execute("select distinct split_part(action, ' ', 1) from auth.audit_log")
        assert {row[0] for row in cursor.fetchall()} <= {"users", "access", "login", "driver"}
    actions = {
        row["action"] for row in client.get("/v1/audit-log?limit=1000", headers=signed("auditora")).json()["data"]
    }
    assert {"contests insert", "exceptions insert", "users insert"} <= actions
    users = client.get("/v1/users", headers=signed("administradora")).json()["data"]
    assert "password_hash" not in users[0]
    assert {row["login"] for row in users} >= {"oeste", "auditora"}


def test_a_drivers_name_for_a_reason_through_the_api(client: TestClient, company_url: str) -> None:
    with engine_of(company_url).connect() as connection:
        driver = connection.scalar(sa.text("select driver_id from ref.drivers limit 1"))
    reason = {"reason": "defesa no processo 12/2025"}
    assert client.post(f"/v1/drivers/{driver}/name", json=reason, headers=signed("auditora")).json()["name"]
    assert client.post(f"/v1/drivers/{driver}/name", json=reason, headers=signed("oeste")).status_code == 403
    assert (
        client.post(f"/v1/drivers/{driver}/name", json={"reason": "x"}, headers=signed("auditora")).status_code == 403
    )
    assert log_of(company_url, driver)[-1].actor == "auditora"
