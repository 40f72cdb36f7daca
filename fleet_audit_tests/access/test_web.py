"""The page of carriers and analysts over the real service: rights, forms, cookies, and texts that are never run."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import httpx
import jwt
import pandas as pd
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from fleet_audit.access.uploads import Intake
from fleet_audit.access.web.analysis_pages import ANALYSTS
from fleet_audit.access.web.identity import LONGEST_S
from fleet_audit.access.web.site import safe_target
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.storage.postgres import engine_of
from fleet_audit_tests.access.company import DAY, OESTE, PLACES, USERS, foreign_marks, key, places_of
from fleet_audit_tests.access.tokens import PASSWORD, Visiting, session_cookie

PAGES = (
    "/dias", f"/dias/{DAY}", f"/dias/{DAY}/viagens", "/achados", "/achados?pagina=1&placa=xxx-1a11", "/arquivos",
    "/envios",
)  # fmt: skip
REASON = "A viagem foi feita; o rastreador estava <b>em manutenção</b>."


def form_token(page: httpx.Response) -> str:
    return re.findall(r'name="form_token" value="([^"]+)"', page.text)[0]


def see(browser: TestClient, path: str) -> httpx.Response:
    return browser.get(f"/portal{path}")


def test_signing_in_sets_a_cookie_that_scripts_and_other_sites_cannot_use(visiting: Visiting) -> None:
    browser = visiting()
    asked = see(browser, "/achados?valor=held_brl")
    assert (asked.status_code, asked.headers["location"][:22]) == (303, "/portal/entrar?volta=/")
    form = browser.get(asked.headers["location"])
    given = {"form_token": form_token(form), "login": " Oeste ", "senha": "errada", "volta": "/portal/achados?ciclo="}
    wrong = browser.post("/portal/entrar", data=given)
    assert (wrong.status_code, "A senha" in wrong.text, "não confere" in wrong.text) == (401, False, True)
    assert "fleet_session" not in wrong.headers["set-cookie"]
    right = browser.post("/portal/entrar", data={**given, "senha": PASSWORD})
    assert (right.status_code, right.headers["location"]) == (303, "/portal/achados?ciclo=")
    session = next(one for one in right.headers.get_list("set-cookie") if "fleet_session" in one)
    assert session.startswith("__Host-fleet_session=")
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part in session
    claims = jwt.decode(session.split(";")[0].partition("=")[2], options={"verify_signature": False})
    assert claims["login"] == "oeste", "as it is stored, however it was typed"
    page = see(browser, "/dias")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    signed_out = browser.post("/portal/sair", data={"form_token": form_token(page)})
    assert signed_out.status_code == 303
    assert see(browser, "/dias").status_code == 303


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/portal//evil", "/portal/\\evil", "/docs", "/portal/a\n", ""]
)
def test_signing_in_leads_to_no_other_site(target: str) -> None:
    assert safe_target(target) == "/portal/dias"


@pytest.mark.parametrize("login", USERS)
def test_no_page_shows_what_is_out_of_scope(visiting: Visiting, login: str) -> None:
    browser, foreign = visiting(login), foreign_marks(login)
    own = [key("finding_id", place) for place in places_of(login)]
    details = [f"/achados/{one}{part}" for one in own for part in ("", "/mapa", "/contestar", "/notas")]
    details += ["/analise"] if USERS[login][0] in ANALYSTS else []
    details += [f"/viagens/{key('trip_id', place)}{part}" for place in places_of(login) for part in ("", "/mapa")]
    for path in (*PAGES, *details):
        page = see(browser, path)
        is_admin = USERS[login][0] == "admin"
        assert page.status_code == (404 if is_admin and path.startswith("/dias/") and "viagens" not in path else 200), (
            path
        )
        assert not [mark for mark in foreign if mark in page.text], path
        if USERS[login][0] == "operations":
            assert "777,77" not in page.text, path
            assert "R$" not in page.text.replace("R$ [não exibido]", "").replace("trazem valores em R$", ""), path
        script = re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", page.text)
        assert script is None, (path, script)
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
    for place in PLACES:
        if place not in places_of(login):
            for path in ("/achados/{}", "/achados/{}/mapa", "/achados/{}/contestar", "/achados/{}/notas"):
                found = see(browser, path.format(key("finding_id", place)))
                absent = see(browser, path.format("nothing"))
                assert (found.status_code, found.content) == (404, absent.content)
            assert see(browser, f"/viagens/{key('trip_id', place)}").status_code == 404
            assert place[0] in USERS[login] or see(browser, f"/dias/{DAY}?transportadora={place[0]}").status_code != 500


def test_amounts_of_a_day_and_names_are_shown_as_brazilians_write_them(visiting: Visiting) -> None:
    text = see(visiting("oeste"), f"/dias/{DAY}").text
    assert "111.777,77" in text
    assert "10/06/2025" in text
    assert "09:00" in text, "12:00 UTC on the clock of the unit"
    finding_page = see(visiting("auditora"), f"/achados/{key('finding_id', OESTE)}").text
    assert "Confiança" in finding_page
    assert "10 %" in finding_page


def test_incidents_of_one_cause_are_all_in_the_number_and_sums_of_their_place_of_the_day(
    visiting: Visiting, company_url: str
) -> None:
    copy = sa.text(
        "insert into fact.incidents select (jsonb_populate_record(i, jsonb_build_object('incident_id', 'c' || n, "
        "'cycle_start', null))).* from fact.incidents i, generate_series(1, 70) n where incident_id = :id"
    )
    with engine_of(company_url).begin() as connection:
        connection.execute(copy, {"id": key("incident_id", OESTE)})
    try:
        for login in ("auditora", "oeste"):
            assert "70 casos; o maior" in see(visiting(login), f"/dias/{DAY}").text
    finally:
        with engine_of(company_url).begin() as connection:
            connection.execute(sa.text("delete from fact.incidents where incident_id like 'c%'"))


def test_a_session_ends_with_its_user_its_time_and_a_foreign_signature(visiting: Visiting, company_url: str) -> None:
    browser = visiting("leste")
    assert see(browser, "/dias").status_code == 200
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text("update auth.users set is_disabled = true where login = 'leste'"))
    try:
        assert see(browser, "/dias").headers["location"] == "/portal/entrar?volta=/portal/dias"
        part = browser.get("/portal/dias", headers={"HX-Request": "true"})
        assert (part.status_code, part.headers["hx-redirect"]) == (401, "/portal/entrar")
    finally:
        with engine_of(company_url).begin() as connection:
            connection.execute(sa.text("update auth.users set is_disabled = false where login = 'leste'"))
    for value in (session_cookie("oeste", age_s=LONGEST_S + 60), {next(iter(session_cookie("oeste"))): "x.y.z"}):
        stale = visiting()
        stale.cookies.update(value)
        assert see(stale, "/dias").status_code == 303


def test_a_token_of_the_api_is_no_session_and_a_session_is_no_token(client: TestClient) -> None:
    (value,) = session_cookie("oeste").values()
    assert client.get("/v1/trips", headers={"Authorization": f"Bearer {value}"}).status_code == 401


def test_forms_of_other_sites_and_sessions_change_nothing(visiting: Visiting, finding: str) -> None:
    browser, other = visiting("oeste"), visiting("leste")
    place = f"/portal/achados/{finding}/contestar"
    own, foreign = form_token(see(browser, "/dias")), form_token(see(other, "/dias"))
    data = {"motivo": REASON}
    assert browser.post(place, data=data).status_code == 422
    assert browser.post(place, data={**data, "form_token": foreign}).status_code == 403
    cross = browser.post(place, data={**data, "form_token": own}, headers={"Sec-Fetch-Site": "cross-site"})
    assert cross.status_code == 403
    assert browser.post("/portal/envios", data={"form_token": foreign, "tipo": "bulletins"}).status_code == 403
    assert browser.post("/portal/sair", data={"form_token": foreign}).status_code == 403
    assert visiting().post("/portal/entrar", data={"form_token": own, "login": "oeste"}).status_code == 403
    assert "não foi contestado" in see(visiting("auditora"), f"/achados/{finding}").text


def test_a_finding_is_contested_with_a_file_and_decided_on_its_pages(
    visiting: Visiting,
    finding: str,
) -> None:
    carrier, finance = visiting("oeste"), visiting("financeiro")
    place = f"/portal/achados/{finding}"
    form = carrier.get(f"{place}/contestar")
    assert "prazo" in form.text
    given = {"form_token": form_token(form), "motivo": "<i>curto"}
    short = carrier.post(f"{place}/contestar", data=given)
    assert (short.status_code, "&lt;i&gt;curto" in short.text, "<i>curto" in short.text) == (422, True, False)
    assert carrier.post(f"{place}/contestar", data={**given, "motivo": f"{REASON}\0"}).status_code == 422
    given["motivo"] = REASON
    unnamed = carrier.post(f"{place}/contestar", data=given, files={"anexo": (".pdf", b"%PDF-1.7")})
    assert (unnamed.status_code, "nome do anexo" in unnamed.text) == (422, True)
    wrong = carrier.post(f"{place}/contestar", data=given, files={"anexo": ("x.exe", b"MZ")})
    assert (wrong.status_code, "não é PDF" in wrong.text) == (422, True)
    sent = carrier.post(f"{place}/contestar", data=given, files={"anexo": ("prova ç.pdf", b"%PDF-1.7 prova")})
    assert (sent.status_code, sent.headers["location"]) == (303, f"{place}#contestacao")
    shown = carrier.get(place).text
    assert "&lt;b&gt;em manutenção" in shown
    assert "Decisão até" in shown
    assert "Em contestação" in shown
    assert see(carrier, "/achados?contestacao=decided").status_code == 200
    file = re.findall(r'href="(/portal/contestacoes/arquivos/[^"]+)"', shown)[0]
    download = finance.get(file)
    assert (download.content, download.headers["content-type"]) == (b"%PDF-1.7 prova", "application/octet-stream")
    assert download.headers["content-disposition"].startswith('attachment; filename="prova _.pdf"')
    assert visiting("leste").get(file).status_code == 404
    again = carrier.post(f"{place}/contestar", data=given)
    assert (again.status_code, "já foi contestado" in again.text) == (409, True)
    contest = re.findall(r'name="contestacao" value="([^"]+)"', finance.get(f"{place}/contestar").text)[0]
    spoilt = {"contestacao": f"{contest}\0", "decisao": "upheld", "motivo": REASON, "form_token": given["form_token"]}
    assert carrier.post(f"{place}/decidir", data=spoilt).status_code == 422
    decision = {"contestacao": contest, "decisao": "reversed", "motivo": "O rastreador estava em manutenção."}
    as_carrier = carrier.post(f"{place}/decidir", data={**decision, "form_token": given["form_token"]})
    assert as_carrier.status_code == 403
    token = form_token(finance.get(place))
    empty = finance.post(f"{place}/decidir", data={**decision, "decisao": "", "form_token": token})
    assert (empty.status_code, "mantido ou revertido" in empty.text) == (422, True)
    assert finance.post(f"{place}/decidir", data={**decision, "form_token": token}).status_code == 303
    assert "Revertido" in carrier.get(place).text


def test_notes_are_written_at_a_finding_and_an_internal_one_is_for_the_payer(visiting: Visiting, finding: str) -> None:
    carrier, finance = visiting("oeste"), visiting("financeiro")
    place = f"/portal/achados/{finding}/notas"
    given = {"form_token": form_token(finance.get(place)), "texto": "curta", "interna": "sim"}
    short = finance.post(place, data=given)
    assert (short.status_code, "de 10 a 10.000" in short.text) == (422, True)
    for text, internal in (("Ver com a <b>operação</b> antes de decidir.", "sim"), ("Enviem a ficha do veículo.", "")):
        sent = finance.post(place, data={**given, "texto": text, "interna": internal})
        assert (sent.status_code, sent.headers["location"]) == (303, f"/portal/achados/{finding}#notas")
    own = {"form_token": form_token(carrier.get(place)), "texto": "A ficha segue por e-mail.", "interna": "sim"}
    assert carrier.post(place, data=own).status_code == 303
    shown, of_carrier = finance.get(f"/portal/achados/{finding}").text, carrier.get(f"/portal/achados/{finding}").text
    assert "&lt;b&gt;operação" in shown
    assert "operação&lt;" not in of_carrier
    for text in ("Enviem a ficha do veículo.", "A ficha segue por e-mail."):
        assert text in shown
        assert text in of_carrier, "a carrier writes no internal note"
    other = visiting("leste")
    assert other.post(place, data={**own, "form_token": form_token(see(other, "/dias"))}).status_code == 404
    assert carrier.post(place, data={**own, "form_token": given["form_token"]}).status_code == 403


def test_an_exception_takes_two_persons_on_the_analysts_page(visiting: Visiting, intake: Intake) -> None:
    operator, finance = visiting("operador"), visiting("financeiro")
    assert see(visiting("oeste"), "/analise").status_code == 404
    assert "Análise" not in see(visiting("oeste"), "/dias").text

    def waiting() -> list[str]:
        return re.findall(r"/portal/excecoes/([^/]+)/decidir", see(finance, "/analise").text)

    before = set(waiting())
    page = see(operator, "/analise?regra=G07&unidade=USINAA&dia=2025-06-10")
    assert 'value="2025-06-10"' in page.text
    given = {"form_token": form_token(page), "regra": "G07", "unidade": "USINAA", "ate": "2025-06-30",
             "motivo": "Obras na ponte <script>x</script> do km 15"}  # fmt: skip
    for wrong, words in (({"ate": ""}, "precisa de um último dia"), ({"ate": "amanhã"}, "não pode ser lida"),
                         ({"motivo": "curto"}, "10 a 10.000 caracteres"),
                         ({"unidade": "USINAB"}, "Escolha ao menos"), ({"regra": "X99"}, "não existe")):  # fmt: skip
        refused = operator.post("/portal/excecoes", data={**given, **wrong})
        assert (refused.status_code, words in refused.text) == (422, True), wrong
        assert "Obras na ponte &lt;script&gt;" in refused.text or "motivo" in wrong, "what was written is kept"
    assert operator.post("/portal/excecoes", data=given).status_code == 303
    shown = see(operator, "/analise").text
    assert "outra pessoa aprova ou recusa" in shown
    (wanted,) = set(waiting()) - before
    place, token = f"/portal/excecoes/{wanted}/decidir", form_token(see(finance, "/analise"))
    assert operator.post(place, data={"form_token": given["form_token"], "decisao": "aprovar"}).status_code == 403
    assert finance.post(place, data={"form_token": given["form_token"], "decisao": "aprovar"}).status_code == 403
    assert finance.post(place, data={"form_token": token, "decisao": "talvez"}).status_code == 422
    assert finance.post(place, data={"form_token": token, "decisao": "aprovar"}).status_code == 303
    assert "Aprovada" in see(operator, "/analise").text
    again = finance.post(place, data={"form_token": token, "decisao": "recusar"})
    assert (again.status_code, "já foi decidida" in again.text) == (409, True)
    inbox = Path(intake.settings.inbox_url or "")
    assert wanted in (inbox / f"reference/approved/{wanted}/exceptions.csv").read_text()
    assert "D01 ·" in shown, "the outcomes of contests per rule"


def test_every_open_contest_is_counted_and_listed(visiting: Visiting, company_url: str) -> None:
    """80 open contests are a usual month of a carrier that contests one kind of finding."""
    many = "insert into auth.contests select (jsonb_populate_record(c, jsonb_build_object('contest_id', 'many' || n, "
    many += "'finding_id', 'many' || n, 'status', 'contested', 'decided_at', null, 'decided_by', null, "
    many += "'decision_text', null))).* from auth.contests as c, generate_series(1, 80) as n "
    many += "where contest_id = (select min(contest_id) from auth.contests)"
    with engine_of(company_url).begin() as connection:
        connection.execute(sa.text(many))
        still = "select count(*) from auth.contests where status = 'contested'"
        count = connection.scalar(sa.text(still))
    try:
        page = see(visiting("auditora"), "/analise").text
    finally:
        with engine_of(company_url).begin() as connection:
            connection.execute(sa.text("delete from auth.contests where contest_id like 'many%'"))
    assert f'Contestações em aberto <b class="count">{count}</b>' in page
    assert len(set(re.findall(r"/portal/achados/(many\d+)", page))) == 80


def test_a_file_is_sent_and_its_rejected_rows_are_shown_to_its_sender_alone(visiting: Visiting) -> None:
    browser = visiting("oeste")
    header = (
        "NUMERO ATA,PLACA,EQUIPAMENTO,DATA,CÓDIGO,LOCAL SAÍDA,HORÁRIO SAÍDA,TURNO,KM SAÍDA,QTDE PESSOAS,CÓDIGO2,"
        "LOCAL CHEGADA,HORÁRIO CHEGADA,KM CHEGADA,KM ROTA,TAXA LOTAÇÃO,EMPRESA"
    )
    row = "{},AAA1A11,1,{},1,<script>x</script>,06:00,A,1000,12,2,USINA,06:40,1009,9,0,VIOESTE"
    content = "\n".join((header, row.format(1, "10/06/2025"), row.format(2, "31/02/2025"))).encode()
    given = {"form_token": form_token(see(browser, "/envios")), "tipo": "bulletins"}
    sent = browser.post("/portal/envios", data=given, files={"arquivo": ("../boletim.csv", content)})
    assert sent.status_code == 303, sent.text
    page = browser.get(sent.headers["location"])
    assert "Aceito em parte" in page.text
    assert "Data inexistente" in page.text
    assert "DATA: 31/02/2025" in page.text
    assert "&lt;script&gt;x" in page.text
    assert "<script>x" not in page.text
    report = browser.get(f"{sent.headers['location']}/recusas.csv")
    assert "bad_date" in report.text
    assert visiting("leste").get(sent.headers["location"]).status_code == 404
    assert visiting("leste").get(f"{sent.headers['location']}/recusas.csv").status_code == 404
    assert "boletim.csv" in see(browser, "/envios").text
    assert "até 10 MB e 50.000 linhas" in see(browser, "/envios").text
    none = browser.post("/portal/envios", data=given)
    assert (none.status_code, "Escolha um arquivo" in none.text) == (422, True)
    foreign = browser.post("/portal/envios", data={**given, "tipo": "reference"}, files={"arquivo": ("a.csv", b"x")})
    assert (foreign.status_code, "perfil não envia" in foreign.text) == (403, True)
    large = browser.post("/portal/envios", content=b"", headers={"Content-Length": str(10**9)})
    assert large.status_code == 413


def test_files_are_downloaded_by_whom_they_are_for(visiting: Visiting) -> None:
    own = "/arquivos/baixar/cycle/start%3D2025-05-16/carriers/VIOESTE/pacote_medicao.xlsx"
    listed = see(visiting("oeste"), "/arquivos").text
    assert f'href="/portal{own}"' in listed
    assert "VILESTE" not in listed
    download = see(visiting("oeste"), own)
    assert download.content == b"VIOESTE"
    assert 'filename="2025-05-16_pacote_medicao.xlsx"' in download.headers["content-disposition"]
    for path in (own.replace("VIOESTE", "VILESTE"), "/arquivos/baixar/d1/date=2025-06-10/d1.csv",
                 "/arquivos/baixar/..%2Fraw%2Fsecret.csv"):  # fmt: skip
        assert see(visiting("oeste"), path).status_code == 404
    assert see(visiting("auditora"), "/arquivos/baixar/d1/date=2025-06-10/d1.csv").content == b"everything"


def test_the_map_holds_points_of_the_own_vehicle_on_the_day_alone(
    visiting: Visiting, intake: Intake, company_url: str
) -> None:
    device = key("device_id", OESTE)
    noon = dt.datetime(2025, 6, 10, 12, tzinfo=dt.UTC)
    times = [noon + dt.timedelta(minutes=minutes) for minutes in (-2000, -10, 0, 5, 10, 2000)]
    points = pd.DataFrame(
        {"date": DAY, "device_id": device, "recorded_at": times, "latitude": -21.5, "longitude": -48.0}
    )
    points["latitude"] = [-21.5 - index / 100 for index in range(len(points))]
    points["trip_key"], points["source"] = "", "api"
    frame = pd.concat([empty_frame(STAGING_POSITIONS), points[points["recorded_at"].dt.date == DAY]])
    intake.lake.write_day(STAGING_POSITIONS, DAY, frame)
    with engine_of(company_url).begin() as connection:
        ended = "update fact.trips set ended_at = started_at + interval '10 minutes' where trip_id = :id"
        connection.execute(sa.text(ended), {"id": key("trip_id", OESTE)})
    for path in (f"/viagens/{key('trip_id', OESTE)}/mapa", f"/achados/{key('finding_id', OESTE)}/mapa"):
        own = see(visiting("oeste"), path)
        assert own.status_code == 200
        assert own.text.count("<svg") >= 1, path
        assert see(visiting("leste"), path).status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/dias/2025-13-01", 422), ("/dias/9999-12-31", 404), ("/dias?ciclo=x", 422), ("/achados?pagina=0", 422),
        ("/achados?pagina=100000", 422), ("/achados?placa=%00", 422), ("/achados?valor=password_hash", 200),
        ("/achados?unidade=' or 1=1 --", 200), ("/achados?placa=<script>alert(1)</script>", 200),
        ("/dias?transportadora=%ED%A0%80", 200), ("/nada", 404), ("/static/..%2f..%2fapplication.py", 404),
    ],
)  # fmt: skip
def test_hostile_addresses_are_a_page_in_words(visiting: Visiting, path: str, status: int) -> None:
    answer = see(visiting("financeiro"), path)
    assert answer.status_code == status, answer.text
    assert "<script>alert" not in answer.text
    assert "Traceback" not in answer.text
    assert 'lang="pt-BR"' in answer.text


def test_who_has_not_signed_in_sends_no_large_body(visiting: Visiting) -> None:
    stranger = visiting().post("/portal/envios", content=b"x" * 20_000)
    assert stranger.status_code == 413
    assert visiting("oeste").post("/portal/envios", content=b"x" * 20_000).status_code == 422
