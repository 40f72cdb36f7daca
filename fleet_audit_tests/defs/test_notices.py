"""Notices over real HTTP: of a failed run, of yesterday's report, of a final close; no URL is ever logged."""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.run_tags import range_tags
from fleet_audit.errors import PermanentError
from fleet_audit.notify.apprise import send, urls_of
from fleet_audit.schema import facts
from fleet_audit.schema.derive import conform
from fleet_audit.settings import load_settings
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.dagster_instance import dagster_instance

START, END = dt.date(2025, 5, 16), dt.date(2025, 6, 15)
SECRET = "s3cr3t-token"


class Inboxes:
    """A web service that takes JSON; what lies under /down it answers with 503."""

    def __init__(self) -> None:
        self.received: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.received.append(body)
                self.send_response(503 if self.path.startswith("/down") else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"json://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def _yesterday() -> dt.date:
    return dt.datetime.now(ZoneInfo("America/Sao_Paulo")).date() - dt.timedelta(days=1)


@pytest.fixture
def inboxes() -> Iterator[Inboxes]:
    service = Inboxes()
    yield service
    service.server.shutdown()
    service.server.server_close()


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(tmp_path) as instance:  # of its own: earlier runs decide what is notified
        yield instance


Notified = Callable[..., str | None]


@pytest.fixture
def notified(instance, definitions, postgres_url, monkeypatch, inboxes) -> Notified:
    """Why the sensor's tick after a run sent nothing, None when it sent; the run and the ticks are real ones."""
    monkeypatch.setenv("FLEET_NOTIFY_URLS", f"{inboxes.address}/{SECRET}")

    def run_and_tick(
        sensor: str, job: str, tags: dict[str, str], *, fails: bool = False, warehouse_url: str = postgres_url
    ) -> str | None:
        @dg.op
        def step(context) -> None:
            if fails:
                raise ValueError("the driver João Silva is unknown")
            if job == "close":
                _close(postgres_url, context.run_id)

        (watching,) = (each for each in definitions.sensors if each.name == sensor)
        fleet = FleetResource(warehouse_url=warehouse_url)

        def tick(cursor: str | None) -> SensorExecutionData:
            return watching.evaluate_tick(dg.build_sensor_context(instance, cursor, resources={"fleet": fleet}))

        cursor = tick(None).cursor  # a sensor notifies of what ends after it was started
        made = dg.GraphDefinition(name=job, node_defs=[step]).to_job()
        made.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
        return tick(cursor).skip_message

    return run_and_tick


def _close(url: str, run_id: str) -> None:
    Warehouse(url).execute(
        "insert into ops.cycle_closes (cycle_start, cycle_end, status, closed_at, manifest_sha256, manifest_path, "
        "code_version, parameters_version, total_km, total_variable_brl, total_fixed_brl, run_id) values "
        "(:start, :end, 'final', now(), 'abc123', 'closes/m.json', 'v', 'p', 1033.6, 5168, null, :run) "
        "on conflict do nothing",
        {"start": START, "end": END, "run": run_id},
    )


def _kpis(url: str, day: dt.date) -> None:
    """What the marts say of one day."""
    Warehouse(url).execute(
        "create schema if not exists mart; create table mart.daily_kpis as select cast(:day as date) as "
        "operational_date, 912.77 as measured_km, 4542.26 as known_cost_brl, 4442.26 as variable_cost_brl, "
        "null::numeric as fixed_cost_brl, 43 as trips, 20 as seen_vehicles, 22 as vehicles, 3 as exceeding_groups, "
        "40 as compared_groups, 757.9 as disallowed_brl, 0 as held_brl, 12.5 as in_favour_brl, "
        "null::numeric as paid_doubtful_brl, 1 as unpriced_trips, 2 as critical_findings",
        {"day": day},
    )


def _incident(url: str, day: dt.date) -> None:
    """One incident of a day, and two silent vehicles."""
    trace = {"run_id": "r", "updated_at": pd.Timestamp.now("UTC"), "operational_date": day}
    incident = {
        **trace, "incident_id": "i", "cause": "declared_run", "plates": ["GDP4J68"], "root_finding_id": "f",
        "root_rule_id": "D08", "finding_ids": ["f"], "disallowed_brl": Decimal("49.00"),
        "sentence_pt": "A ata 12 foi declarada duas vezes.",
    }  # fmt: skip
    silent = [{**trace, "plate": plate, "status": "silent", "positions": 0, "visit_legs": 0}
              for plate in ("QRS2T34", "ABC1D23")]  # fmt: skip
    for table, records in ((facts.INCIDENTS, [incident]), (facts.COVERAGE, silent)):
        Warehouse(url).upsert(table, conform(pd.DataFrame(records), table))


def test_a_failed_run_is_notified_without_what_was_raised(notified, inboxes):
    notified("notify_failure", "day", range_tags(START, END), fails=True)
    (message,) = inboxes.received
    assert message["title"] == "Execução falhou: day, 16/05/2025 a 15/06/2025"
    assert "step" in message["message"]
    assert "João" not in str(message)


def test_yesterdays_report_is_notified_with_its_figures(notified, inboxes, postgres_url, monkeypatch, tmp_path):
    monkeypatch.setenv("FLEET_LAKE_URL", str(tmp_path / "lake"))
    pdf = tmp_path / "lake" / "reports" / "d1" / f"date={_yesterday()}" / "d1.pdf"
    pdf.parent.mkdir(parents=True)
    pdf.write_bytes(b"%PDF-1.7 of the day")
    _kpis(postgres_url, _yesterday())
    _incident(postgres_url, _yesterday())
    notified("notify_day", "day", {"dagster/partition": _yesterday().isoformat()})
    (message,) = inboxes.received
    assert message["title"].startswith(f"D-1 de {_yesterday():%d/%m/%Y} pronto")
    (attached,) = message["attachments"]
    assert attached["filename"] == f"d1_{_yesterday()}.pdf"
    assert base64.b64decode(attached["base64"]) == pdf.read_bytes()
    lines = message["message"].splitlines()
    assert lines[:6] == [
        "Gasto: R$ 4.542,26 (variável R$ 4.442,26, parcela fixa sem dado)",
        "Km medidos: 912,77 km; viagens: 43; veículos vistos: 20 de 22",
        "Divergências acima da tolerância: 3 de 40",
        "Pago e em dúvida: a apurar; glosa: R$ 757,90; retido: R$ 0,00; a favor da transportadora: R$ 12,50",
        "Achados críticos em aberto: 2",
        "Viagens sem preço: 1",
    ]
    assert lines[7:9] == ["O que olhar primeiro:", "1. GDP4J68: Glosa R$ 49,00. A ata 12 foi declarada duas vezes."]
    assert lines[-2] == "Veículos sem dado: ABC1D23, QRS2T34"
    assert lines[-1].startswith("Relatório: ")
    assert lines[-1].endswith(f"/reports/d1/date={_yesterday()}/d1.html")


@pytest.mark.parametrize("tags", [{"dagster/partition": "2025-06-10"}, {}])
def test_older_days_are_not_notified(notified, inboxes, tags):
    assert "not of one of the last days" in notified("notify_day", "day", tags)
    assert inboxes.received == []


def test_a_late_report_is_notified_and_its_corrections_are_not(notified, inboxes, postgres_url):
    before = _yesterday() - dt.timedelta(days=1)
    _kpis(postgres_url, before)
    notified("notify_day", "day", {**range_tags(before, before), "fleet/trigger": "recovery"})
    (message,) = inboxes.received
    assert message["title"] == f"D-1 de {before:%d/%m/%Y} pronto, com atraso"
    again = {**range_tags(before - dt.timedelta(days=1), before), "fleet/trigger": "inbox"}
    assert "not the first report" in notified("notify_day", "day", again)
    assert len(inboxes.received) == 1


def test_a_final_close_is_notified_once(notified, inboxes, postgres_url):
    _kpis(postgres_url, END)
    notified("notify_close", "close", {"dagster/partition": "2025-05-16"})
    (message,) = inboxes.received
    assert message["title"] == "Ciclo de 16/05/2025 a 15/06/2025 fechado"
    assert "Total a faturar: R$ 5.168,00 (variável R$ 5.168,00, parcela fixa sem dado)" in message["message"]
    assert "Km admitidos: 1.033,60 km" in message["message"]
    assert "abc123" in message["message"]
    assert "nothing to notify of" in notified(
        "notify_close", "close", {"dagster/partition": "2025-05-16"}
    )  # it was closed before
    assert len(inboxes.received) == 1


def test_unreachable_recipients_are_logged_by_number_and_fail_nothing(notified, inboxes, monkeypatch, caplog, capfd):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"json://user:{SECRET}@127.0.0.1:{unused.getsockname()[1]}/{SECRET}"
    monkeypatch.setenv("FLEET_NOTIFY_URLS", f"{nobody}, {inboxes.address}/{SECRET} {inboxes.address}/down/{SECRET}")
    with caplog.at_level(logging.DEBUG):
        notified("notify_failure", "day", {}, fails=True)
    output = capfd.readouterr()
    everything = caplog.text + output.out + output.err
    assert "2 of 3 (number 1, 3 of FLEET_NOTIFY_URLS)" in everything
    assert SECRET not in everything
    assert len(inboxes.received) == 2


def test_a_warehouse_that_is_down_is_a_skipped_tick(notified, inboxes):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://u:{SECRET}@127.0.0.1:{unused.getsockname()[1]}/db"
        skipped = notified("notify_day", "day", {"dagster/partition": _yesterday().isoformat()}, warehouse_url=url)
    assert skipped
    assert SECRET not in skipped
    assert inboxes.received == []


def test_without_urls_nobody_is_notified(notified, inboxes, monkeypatch):
    monkeypatch.setenv("FLEET_NOTIFY_URLS", "")
    assert "FLEET_NOTIFY_URLS" in notified("notify_failure", "day", {}, fails=True)
    assert inboxes.received == []


@pytest.mark.parametrize(
    ("urls", "told_of"),
    [
        (SECRET, "URL 1 of 1"),
        (f"json://127.0.0.1/a, nothing://{SECRET}", "URL 2 of 2"),
        (f"json://127.0.0.1/a,{SECRET},json://127.0.0.1/b", None),  # a comma may belong to the URL before it
        (f"json://127.0.0.1/a slack://{SECRET}", "URL 2 of 2"),
    ],
)
def test_a_url_that_nobody_reads_is_named_by_its_number_at_the_start(monkeypatch, caplog, urls, told_of):
    monkeypatch.setenv("FLEET_NOTIFY_URLS", urls)
    with caplog.at_level(logging.DEBUG):
        if told_of is None:
            assert SECRET not in repr(load_settings())
        else:
            with pytest.raises(PermanentError, match=f"^Setting FLEET_NOTIFY_URLS is wrong: {told_of} ") as raised:
                load_settings()
            assert SECRET not in str(raised.value)
    assert SECRET not in caplog.text


def test_urls_are_parted_by_commas_or_spaces_before_a_scheme():
    assert urls_of(" json://a/b,c?d=1,2 , mailto://u:p@h\nslack://x,") == [
        "json://a/b,c?d=1,2",
        "mailto://u:p@h",
        "slack://x",
    ]
    assert urls_of(" , ") == []
    assert send([], "t", "b") == []
