"""Files that users send: judged at once by the inbox's own limits, recorded with their sender, put into the inbox."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from fleet_audit.access.uploads import Intake
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.access.company import key
from fleet_audit_tests.access.tokens import signed
from fleet_audit_tests.formats.samples import BULLETIN_ROWS, TELEMETRY_ROWS, bulletin, telemetry

ROW = BULLETIN_ROWS[0]
OWN, FOREIGN = ROW.replace("KPU-9A36", "AAA1A11"), ROW.replace("KPU-9A36", "BBB1B11")
MAX_BYTES = 10 * 1024 * 1024


@pytest.fixture(autouse=True, scope="module")
def _without_uploads_afterwards(company_url: str) -> Iterator[None]:
    """Their messages name the vehicles of others that a sender wrote; tests of rights search for these."""
    yield
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text("delete from auth.uploads where uploaded_by <> 'leste'"))


def send(client: TestClient, content: bytes, *, name: str = "junho.csv", kind: str = "bulletins", login: str = "oeste"):
    """The answer to a file that a user sends."""
    return client.post(f"/v1/uploads/{kind}", params={"name": name}, content=content, headers=signed(login))


def in_inbox(intake: Intake) -> dict[str, bytes]:
    """Files of the inbox."""
    root = Path(intake.settings.inbox_url or "")
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_an_accepted_file_is_recorded_and_put_into_the_inbox(client: TestClient, intake: Intake) -> None:
    content = bulletin(OWN)
    answer = send(client, content, name="..\\..\\Boletim de junho.csv")
    row = answer.json()
    assert (answer.status_code, row["status"], row["rows_accepted"]) == (201, "accepted", 1), answer.text
    assert (row["uploaded_by"], row["file_sha256"]) == ("oeste", hashlib.sha256(content).hexdigest())
    assert row["file_name"] == "Boletim de junho.csv"
    assert in_inbox(intake)[row["inbox_name"]] == content
    again = send(client, content, name="Boletim de junho.csv").json()
    assert again["upload_id"] == row["upload_id"], "the same bytes again are one upload"
    listed = client.get("/v1/uploads", headers=signed("oeste")).json()["data"]
    assert row["upload_id"] in {one["upload_id"] for one in listed}
    assert client.get(f"/v1/uploads/{row['upload_id']}", headers=signed("leste")).status_code == 404
    assert client.get(f"/v1/uploads/{row['upload_id']}", headers=signed("auditora")).status_code == 200


def test_a_corrected_file_takes_the_place_of_the_one_with_its_name(client: TestClient, intake: Intake) -> None:
    first, second = bulletin(OWN), bulletin(OWN.replace("USINA", "GARAGEM"))
    assert first != second
    rows = [send(client, content, name="corrigido.csv").json() for content in (first, second, first)]
    assert len({row["upload_id"] for row in rows}) == 3, "the first bytes again take their place back"
    assert len({row["inbox_name"] for row in rows}) == 1
    assert in_inbox(intake)[rows[0]["inbox_name"]] == first
    names = [send(client, first, name=name).json()["inbox_name"] for name in ("junho é.csv", "junho ó.csv")]
    assert names[0] != names[1], "names that are one in plain letters are still two files"


def test_a_vehicle_is_its_carriers_on_its_days_alone(client: TestClient, company_url: str) -> None:
    change = sa.text("update ref.vehicles set valid_to = :day where plate = 'AAA1A11'")
    with engine_of(company_url).begin() as connection:
        connection.execute(change, {"day": "2025-06-09"})
    refused = send(client, bulletin(OWN), name="depois.csv").json()
    with engine_of(company_url).begin() as connection:
        connection.execute(change, {"day": None})
    assert (refused["status"], refused["reason_code"]) == ("rejected", "unknown_vehicle")
    assert "2025-06-10" in refused["message"]
    assert send(client, bulletin(OWN), name="depois.csv").json()["status"] == "accepted", "it is judged again"


def test_a_device_is_its_units_on_its_days_alone(client: TestClient, company_url: str) -> None:
    device = key("device_id", ("VIOESTE", "USINAA"))
    row = TELEMETRY_ROWS[0].split(",")
    content = telemetry(",".join((device, *row[1:])))
    change = sa.text("update ref.devices set valid_from = :day where device_id = :device")
    found = []
    for day in ("2025-06-11", "2025-01-01"):
        with engine_of(company_url).begin() as connection:
            connection.execute(change, {"day": day, "device": device})
        found.append(send(client, content, name="posicoes.csv", kind="telemetry", login="operador").json())
    assert [row["status"] for row in found] == ["rejected", "accepted"], [row["message"] for row in found]


def test_rejected_rows_are_reported_one_by_one(client: TestClient, intake: Intake) -> None:
    wrong = OWN.replace("10/06/2025", "31/02/2025")
    assert wrong != OWN
    row = send(client, bulletin(OWN, wrong), name="parcial.csv").json()
    assert (row["status"], row["rows_accepted"], row["rows_rejected"]) == ("partial", 1, 1)
    place = f"/v1/uploads/{row['upload_id']}/rejections"
    (rejected,) = client.get(place, headers=signed("oeste")).json()["data"]
    assert (rejected["row_number"], rejected["reason_code"]) == (3, "bad_date")
    report = client.get(f"{place}?format=csv", headers=signed("oeste"))
    assert len(list(csv.reader(io.StringIO(report.content.decode("utf-8-sig"))))) == 2
    assert row["inbox_name"] in in_inbox(intake)


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (bulletin(OWN, FOREIGN), "alheio.csv", "unknown_vehicle"),
        (bulletin(OWN.replace("AAA1A11", "ZZZ9Z99")), "novo.csv", "unknown_vehicle"),
        (b"%PDF-1.7 nothing", "boletim.pdf", "not_a_table"),
        (b"", "vazio.csv", "empty_file"),
        (b"PK\x03\x04 broken", "boletim.xlsx", "broken_workbook"),
    ],
    ids=["another's vehicle", "unknown vehicle", "pdf", "empty", "broken"],
)
def test_a_rejected_file_has_its_reason_and_stays_out_of_the_inbox(
    client: TestClient, intake: Intake, content: bytes, name: str, code: str
) -> None:
    before = in_inbox(intake)
    row = send(client, content, name=name).json()
    assert (row["status"], row["reason_code"], row["inbox_name"]) == ("rejected", code, None), row
    assert in_inbox(intake) == before
    (rejected,) = client.get(f"/v1/uploads/{row['upload_id']}/rejections", headers=signed("oeste")).json()["data"]
    assert (rejected["row_number"], rejected["reason_code"]) == (None, code)
    assert any(intake.lake.get_bytes(path) == content for path in intake.lake.list(f"uploads/{row['upload_id']}"))


def test_who_may_send_what(client: TestClient) -> None:
    for login, kind, status in (
        ("oeste", "reference", 403),
        ("oeste", "telemetry", 403),
        ("operador", "reference", 403),
        ("financeiro", "reference", 403),  # not the whole company
        ("administradora", "bulletins", 403),
        ("oeste", "nothing", 422),
    ):
        assert send(client, bulletin(OWN), kind=kind, login=login).status_code == status, (login, kind)
    for name in ("exceptions.csv", "exceptions.xlsx", "exceptions"):
        refused = send(client, b"x", name=name, kind="reference", login="auditora")
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:fleet-audit:problem:exceptions"), name
    assert send(client, b"x", name="drivers.csv", kind="reference", login="auditora").status_code == 201
    assert client.post("/v1/uploads/bulletins?name=x.csv", content=b"x").status_code == 401


def test_a_file_beyond_the_limit_or_without_a_name_is_refused_unread(client: TestClient) -> None:
    answer = send(client, b"x" * (MAX_BYTES + 1))
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:fleet-audit:problem:file_size")
    for name in ("", "..", ".hidden.csv", "~$lock.xlsx", "a\x00b.csv", "x" * 400):
        assert send(client, bulletin(OWN), name=name).status_code == 422, name
