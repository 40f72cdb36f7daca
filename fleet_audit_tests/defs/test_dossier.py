"""The dossier of a finding: rows as received, movement, clause; no driver's name and nothing of another carrier."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from decimal import Decimal

import pandas as pd
import pytest
from click.testing import CliRunner

from fleet_audit.cli.main import main
from fleet_audit.defs.reports.dossier import case_of, dossier_job, write_dossier
from fleet_audit.defs.reports.frames import TERMS
from fleet_audit.defs.resources import FleetResource
from fleet_audit.errors import PermanentError
from fleet_audit.ingest.api.pages import page_folder
from fleet_audit.reporting.document_model import Document
from fleet_audit.reporting.documents.dossier import build_dossier
from fleet_audit.reporting.layout import load_layout
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.derive import conform
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.reporting.sample import DAY, GENERATED_AT, build, fleet

HEADER = "NUMERO ATA,PLACA,DATA"
ROW = "=52,AAA1A11,10/06/2025,João da Silva"
START = dt.datetime(2025, 6, 10, 9, tzinfo=dt.UTC)
RUN = {
    "declared_run_id": "r1",
    "bulletin_number": "52",
    "started_at": "2025-06-10T09:10:00Z",
    "declared_km": 20.0,
    "ended_at": "2025-06-10T09:40:00Z",
    "file_sha256": "b" * 64,
    "row_number": 2,
    "file_name": "boletim.csv",
}


@pytest.fixture
def installation(postgres_url, tmp_path) -> FleetResource:
    frames, warehouse = fleet(4), Warehouse(postgres_url)
    own, other = (row._asdict() for row in frames.vehicles.head(2).itertuples())
    for table in (reference.UNITS, reference.CARRIERS, reference.VEHICLES, reference.POIS, *TERMS):
        warehouse.replace_table(table, getattr(frames, table.name))
    warehouse.replace_table(reference.DEVICES, build(reference.DEVICES, [{"device_id": "d1", "plate": own["plate"]}]))
    driver = {"driver_id": "drv-1", "name": "JOÃO DA SILVA"}
    warehouse.replace_table(reference.DRIVERS, build(reference.DRIVERS, [driver]))
    counts = dict.fromkeys(["rows_read", "rows_accepted", "rows_rejected", "rows_duplicate"], 1)
    file = {
        "file_sha256": "b" * 64,
        "file_name": "boletim.csv",
        "kind": "bulletin",
        "size_bytes": 1,
        **counts,
        "status": "accepted",
        "received_at": GENERATED_AT,
        "archive_path": "raw/bulletin/b/boletim.csv",
    }
    warehouse.upsert(facts.INGESTED_FILES, pd.DataFrame([file]))
    evidence = {
        "declared_runs": [{**RUN, "plate": own["plate"]}],
        "thresholds": {"phantom_km": 0.5},
        "trips": [{"trip_id": "t-other", "plate": other["plate"], "km_measured": 9.0}],
        "parameters_version": "p1",
        "proves": "Prova.",
    }
    common = {
        "operational_date": DAY,
        "rule_version": "1",
        "severity": "C",
        "confidence": 0.95,
        "status": "open",
        "carrier_code": own["carrier_code"],
        "unit_code": own["unit_code"],
        "plate": own["plate"],
    }
    rows = [
        {
            **common,
            "finding_id": "f1",
            "rule_id": "D05",
            "declared_run_id": "r1",
            "evidence": json.dumps(evidence),
            "km_at_stake": Decimal(20),
            "explanation_pt": f"Parado; ver também {other['plate']}, t-other.",
        },
        {**common, "finding_id": "f2", "rule_id": "V01", "evidence": "{}", "explanation_pt": "Sem contrato."},
    ]
    warehouse.replace_partition(facts.FINDINGS, [DAY], build(facts.FINDINGS, rows), "run")
    parameters = {"parameters_version": "p1", "name": "phantom_km", "value": 0.5, "unit": "km", "origin": "default"}
    warehouse.upsert(facts.PARAMETER_VERSIONS, pd.DataFrame([parameters]))
    made = FleetResource(warehouse_url=postgres_url, home=str(tmp_path), lake_url=str(tmp_path / "lake"))
    made.lake().put_bytes("raw/bulletin/b/boletim.csv", f"{HEADER}\n{ROW}\n".encode())
    return made


def add_positions(installation: FleetResource) -> None:
    """Forty minutes of driving north, and the page that they came with."""
    items = [
        {"device_id": "d1", "timestamp": f"{START + dt.timedelta(minutes=n)}", "odometer_km": 100 + n}
        for n in range(41)
    ]
    page = json.dumps({"data": items, "next_cursor": None}).encode()
    path = f"{page_folder(DAY)}/{hashlib.sha256(page).hexdigest()}.json"
    installation.lake().put_bytes(path, page)
    request = dict.fromkeys(facts.API_REQUESTS.column_names) | {
        "request_id": "q",
        "partition_date": DAY,
        "window_from": START - dt.timedelta(hours=3),
        "window_to": START + dt.timedelta(hours=3),
        **dict.fromkeys(["page_number", "window_attempt", "tries", "rows_read"], 1),
        "archive_path": path,
        "answered_at": GENERATED_AT,
        "run_id": "run",
    }
    installation.warehouse().upsert(facts.API_REQUESTS, pd.DataFrame([request]))
    rows = [
        {
            "date": DAY,
            "device_id": "d1",
            "recorded_at": START + dt.timedelta(minutes=n),
            "latitude": -22.4 + n / 100,
            "longitude": -52.1,
            "odometer_km": 100.0 + n,
            "source": "api",
        }
        for n in range(41)
    ]
    frame = pd.DataFrame(rows).reindex(columns=lake.STAGING_POSITIONS.column_names)
    installation.lake().write_day(lake.STAGING_POSITIONS, DAY, conform(frame, lake.STAGING_POSITIONS))


def document(installation: FleetResource, finding_id: str) -> Document:
    return build_dossier(case_of(installation, finding_id), generated_at=GENERATED_AT, layout=load_layout())


def rows(made: Document, key: str) -> list[tuple[object, ...]]:
    return list(next(section.grid.rows for section in made.sections if section.key == key))


def test_rows_are_as_received_but_for_the_drivers_name(installation):
    add_positions(installation)
    received = rows(document(installation, "f1"), "received")
    assert received[:2] == [("boletim.csv", 1, HEADER), ("boletim.csv", 2, ROW.replace("João da Silva", "drv-1"))]
    assert [(number, json.loads(text)["odometer_km"]) for _, number, text in received[2:]] == [(1, 100), (41, 140)]


def test_movement_is_drawn_with_what_was_declared(installation):
    add_positions(installation)
    pictures = {section.key: "".join(section.pictures) for section in document(installation, "f1").sections}
    assert "ata 52" in pictures["odometer"]
    assert "declarado" in pictures["odometer"]
    assert "início" in pictures["map"]


def test_a_finding_without_trip_and_without_positions_says_so(installation):
    made = document(installation, "f2")
    assert rows(made, "map") == rows(made, "received") == rows(made, "evidence") == []
    assert {card.label: card.text for card in made.cards}["Km medidos"] == "sem dado"


def test_clause_and_parameters_are_those_that_applied(installation):
    made = document(installation, "f1")
    assert [row[:2] for row in rows(made, "clause")] == [("Contrato", "CT-0"), ("Tarifa", "T-0")]
    assert rows(made, "parameters") == [("Parâmetro", "phantom_km", "0,5 km", "versão p1; padrão")]


def test_nothing_of_another_carrier_is_in_it(installation):
    made = document(installation, "f1")
    facts_shown = dict(rows(made, "finding"))
    assert facts_shown["Afirmação"] == "Parado; ver também [outra transportadora], [outra transportadora]."
    assert [row[0] for row in rows(made, "evidence")] == ["corrida declarada"]


def test_an_archive_without_the_file_leaves_the_row_unknown(installation):
    installation.lake().delete("raw/bulletin/b/boletim.csv")
    assert rows(document(installation, "f1"), "received") == [("boletim.csv", 1, None), ("boletim.csv", 2, None)]


@pytest.mark.parametrize("finding_id", ["", "nope", "../../etc/passwd", "'; drop table fact.findings; --"])
def test_an_unknown_id_is_one_sentence(installation, finding_id):
    with pytest.raises(PermanentError, match="does not exist"):
        write_dossier(installation, finding_id)


def test_the_command_and_the_job_write_the_same_pdf(installation, monkeypatch, tmp_path):
    monkeypatch.setenv("FLEET_WAREHOUSE_URL", installation.warehouse_url)
    monkeypatch.setenv("FLEET_LAKE_URL", installation.lake_url)
    monkeypatch.setenv("FLEET_HOME", str(tmp_path))
    told = CliRunner().invoke(main, ["dossier", "--finding", "f1", "--home", str(tmp_path)])
    assert told.exit_code == 0
    path = tmp_path / "lake" / "reports" / "dossiers" / "f1.pdf"
    first = path.read_bytes()
    assert told.output.strip() == str(path)
    path.unlink()
    config = {"ops": {"dossier_of_finding": {"config": {"finding_id": "f1"}}}}
    assert dossier_job.execute_in_process(run_config=config, resources={"fleet": installation}).success
    assert path.read_bytes() == first
    assert first.startswith(b"%PDF")
