"""Cases of findings, trips and lines: readings, rows as received, movement, clause; nothing of another carrier."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from decimal import Decimal

import pandas as pd
import pytest
from click.testing import CliRunner

from fleet_audit.cli.main import main
from fleet_audit.defs.reports.dossier import dossier_job
from fleet_audit.defs.reports.frames import TERMS
from fleet_audit.defs.resources import FleetResource
from fleet_audit.dossiers.case_reader import finding_case, trip_case
from fleet_audit.dossiers.explanations import explain
from fleet_audit.dossiers.pdf_files import write_finding_dossier
from fleet_audit.errors import PermanentError
from fleet_audit.ingest.api.pages import page_folder
from fleet_audit.reporting.document_model import Document
from fleet_audit.reporting.documents.dossier import build_dossier
from fleet_audit.reporting.layout import load_layout
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.derive import conform
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.reporting.sample import DAY, GENERATED_AT, build, fleet

D = Decimal
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

FALL = {
    "kind": "fall",
    "device_id": "d1",
    "started_at": "2025-06-10T09:10:00Z",
    "ended_at": "2025-06-10T09:11:00Z",
    "odometer_from_km": 110.0,
    "odometer_to_km": 90.0,
    "path_km": 0.2,
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
        {
            **common,
            "finding_id": "f3",
            "rule_id": "O01",
            "evidence": json.dumps({"events": [FALL]}),
            "explanation_pt": "Caiu.",
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


def add_trip(installation: FleetResource) -> None:
    """A paid trip of fifteen minutes with one leg, and the billing line that holds it."""
    own = installation.reference().vehicles.iloc[0]
    owner = {name: own[name] for name in ("carrier_code", "unit_code", "contract_id", "plate")}
    period = {"started_at": START + dt.timedelta(minutes=5), "ended_at": START + dt.timedelta(minutes=20)}
    measured = {"km_odometer": 15.0, "km_measured": Decimal(15), "km_method": "odometer", "evidence_grade": "B"}
    trip = {**owner, **period, **measured, "trip_id": "t1", "operational_date": DAY, "device_id": "d1",
            "purpose": "service", "source": "positions", "km_uncertainty": Decimal("0.2"),
            "is_end_in_gap": False, "legs": 1, "parameters_version": "p1"}  # fmt: skip
    priced = {"billable_km": Decimal(15), "rate_brl_per_km": Decimal("4.9"), "variable_cost_brl": Decimal("73.5"),
              "cost_status": "priced"}  # fmt: skip
    cost = {"trip_id": "t1", "operational_date": DAY, "contract_id": own["contract_id"], "tariff_id": "T-0",
            "billing_area": "IND", "vehicle_class": own["vehicle_class"], "parameters_version": "p1",
            **priced}  # fmt: skip
    line = {**owner, "billing_line_id": "l1", "cycle_start": dt.date(2025, 5, 16), "area": "IND",
            "operational_date": dt.date(2025, 6, 15), "vehicle_class": own["vehicle_class"], "route_codes": [],
            "shift_codes": [], "rate_brl_per_km": Decimal("4.9"), "line_status": "billed", "trips": 1,
            "km": Decimal(15), "variable_brl": Decimal("73.5"), "total_brl": Decimal("73.5")}  # fmt: skip
    warehouse, tables = installation.warehouse(), (facts.TRIPS, facts.TRIP_COSTS)
    for table, row in zip(tables, (trip, cost), strict=True):
        warehouse.replace_partition(table, [DAY], build(table, [row]), "run")
    lines = build(facts.BILLING_LINES, [line])
    warehouse.replace_partition(facts.BILLING_LINES, [dt.date(2025, 5, 16)], lines, "run")
    leg = {**dict.fromkeys(("is_maintenance_driver", "is_start_in_gap", "is_end_in_gap"), False),
           **period, "passengers_readings": 0, "gaps": 0, "leg_id": "g1", "trip_id": "t1", "operational_date": DAY,
           "plate": own["plate"], "device_id": "d1", "km_odometer": 15.0, "source": "positions",
           "is_short": False}  # fmt: skip
    installation.lake().write_day(lake.LEGS, DAY, build(lake.LEGS, [leg]))


def add_cycle(installation: FleetResource) -> None:
    """A finding about the cycle of the vehicle, its plan of two routes, and a trip of it for another carrier."""
    add_trip(installation)
    warehouse, start = installation.warehouse(), dt.date(2025, 5, 16)
    own, other = (row._asdict() for row in installation.reference().vehicles.head(2).itertuples())
    who = {name: own[name] for name in ("plate", "carrier_code", "unit_code")}
    plan = [
        {
            "cycle_start": start,
            "plate": own["plate"],
            "route_code": route,
            "planned_km": D(km),
            "planned_trips": trips,
            "weekdays": weekdays,
        }
        for route, km, trips, weekdays in (("R1", 90, 6, None), ("R2", 30, 2, "1-5"))
    ]
    warehouse.replace_table(reference.KM_PLAN, build(reference.KM_PLAN, plan))
    name = {"route_code": "R1", "unit_code": own["unit_code"], "name": f"Ponto de {other['plate']}"}
    warehouse.replace_table(reference.ROUTES, build(reference.ROUTES, [name]))
    trips = warehouse.read_partition(facts.TRIPS, [DAY])
    theirs = trips.assign(trip_id="t-theirs", carrier_code=other["carrier_code"])
    warehouse.replace_partition(
        facts.TRIPS, [DAY], pd.concat([trips.assign(route_code="R1"), theirs], ignore_index=True), "run"
    )
    day = {**who, "operational_date": DAY, "status": "complete", "visit_legs": 0, "positions": 41}
    warehouse.replace_partition(facts.COVERAGE, [DAY], build(facts.COVERAGE, [day]), "run")
    found = {**who, "finding_id": "f4", "rule_id": "T06", "rule_version": "2", "severity": "H", "confidence": 0.9,
             "status": "open", "operational_date": dt.date(2025, 6, 15), "cycle_start": start, "evidence": "{}",
             "explanation_pt": "Menos viagens."}  # fmt: skip
    warehouse.replace_partition(facts.CYCLE_FINDINGS, [start], build(facts.CYCLE_FINDINGS, [found]), "run")


def document(installation: FleetResource, finding_id: str) -> Document:
    return build_dossier(finding_case(installation, finding_id), generated_at=GENERATED_AT, layout=load_layout())


def rows(made: Document, key: str) -> list[tuple[object, ...]]:
    return list(next(section.grid.rows for section in made.sections if section.key == key))


def test_rows_are_as_received_but_for_the_drivers_name(installation):
    add_positions(installation)
    received = rows(document(installation, "f1"), "received")
    assert received[:2] == [("boletim.csv", 1, HEADER), ("boletim.csv", 2, ROW.replace("João da Silva", "drv-1"))]
    assert [(number, json.loads(text)["odometer_km"]) for _, number, text in received[2:]] == [
        (11, 110),
        (41, 140),
    ]  # first and last of the run


def test_movement_is_drawn_with_what_was_declared(installation):
    add_positions(installation)
    pictures = {section.key: section.pictures for section in document(installation, "f1").sections}
    track_map, chart = pictures["movement"]
    assert "ata 52" in chart
    assert "declarado" in chart
    assert "início" in track_map


def test_a_finding_without_trip_and_without_positions_states_it(installation):
    made = document(installation, "f2")
    assert rows(made, "movement") == rows(made, "received") == rows(made, "evidence") == rows(made, "positions") == []
    assert made.cards == ()


def test_clause_and_parameters_are_those_that_applied(installation):
    made = document(installation, "f1")
    assert [row[:2] for row in rows(made, "clause")] == [("Contrato", "CT-0"), ("Tarifa", "T-0")]
    assert rows(made, "parameters") == [("Movimento abaixo do qual o veículo não saiu do lugar", "0,5 km")]


def test_a_fall_is_proved_by_the_two_readings_around_it(installation):
    add_positions(installation)
    made = document(installation, "f3")
    before, after = rows(made, "readings")
    assert (before[0], before[2]) == ("antes: recuo", Decimal("110"))
    assert after[:4] == ("depois: recuo", "10/06/2025 06:11:00", Decimal("90"), Decimal("-20"))
    received = [json.loads(text)["odometer_km"] for *_, text in rows(made, "received")]
    assert received == [110, 111]  # both positions as the API sent them, not the first and last of the day
    shown = [row[0] for row in rows(made, "positions")]
    assert "10/06/2025 06:10:00" in shown
    assert len(shown) == 8  # the two, and three on each side
    assert "110,0 km" in made.sections[2].pictures[1]


def test_a_trip_has_a_dossier_with_its_legs_price_and_findings(installation):
    add_positions(installation)
    add_trip(installation)
    made = build_dossier(trip_case(installation, "t1"), generated_at=GENERATED_AT, layout=load_layout())
    assert made.title == "Dossiê da viagem t1"
    assert [row[0] for row in rows(made, "readings")] == ["primeira leitura da viagem", "última leitura da viagem"]
    assert [(row[1], row[8]) for row in rows(made, "legs")] == [(1, 16)]  # sixteen positions from 06:05 to 06:20
    assert [row[3:6] for row in rows(made, "prices")] == [(Decimal("15.00"), Decimal("4.9000"), Decimal("73.50"))]
    assert rows(made, "findings") == []


def test_a_trip_that_does_not_exist_is_one_sentence(installation):
    with pytest.raises(PermanentError, match="does not exist"):
        trip_case(installation, "'; drop table fact.trips; --")


def test_the_chain_of_a_trip_and_of_its_line_reaches_the_same_cents(installation):
    add_positions(installation)
    add_trip(installation)
    trip, line = explain(installation, "t1"), explain(installation, "l1")
    assert "15,00 km admitidos × R$ 4,90/km = R$\u00a073,50 (tarifa T-0)" in trip
    assert "16 posições" in trip
    assert "Contrato CT-0" in trip
    assert "Total: R$\u00a073,50" in line
    assert "t1  10/06/2025 06:05  15,00 km (serviço, 1 trecho)" in line
    assert "Tarifa T-0" in line


def test_the_chain_of_a_finding_names_rows_as_received(installation):
    text = explain(installation, "f1")
    assert "Parado; ver também [outra transportadora]" in text
    assert "boletim.csv, linha 2: =52,AAA1A11,10/06/2025,drv-1" in text


def test_a_finding_about_a_cycle_shows_its_plan_its_days_and_its_trips(installation):
    add_positions(installation)
    add_cycle(installation)
    made = document(installation, "f4")
    assert "movement" not in {section.key for section in made.sections}  # the cycle's last day proves nothing
    assert rows(made, "cycle_plan") == [
        ("Ponto de [outra transportadora]", "todos", 6, 1, D("90.00"), D("15.00")),
        ("R2", "segunda a sexta", 2, 0, D("30.00"), None),
    ]
    (day,) = rows(made, "cycle_days")
    assert day[:6] == (DAY, "terça", None, "Completa", 1, D("15.00"))
    assert [row[0] for row in rows(made, "cycle_trips")] == ["t1"]  # not that of the other carrier
    text = explain(installation, "f4")
    assert "6 viagens e 90,00 km planejados; 1 viagem de serviço, 15,00 km" in text
    assert "10/06/2025: 1 viagem de serviço, 15,00 km em serviço" in text


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
        write_finding_dossier(installation, finding_id)


def test_the_command_and_the_job_write_the_same_pdf(installation, monkeypatch, tmp_path):
    monkeypatch.setenv("FLEET_WAREHOUSE_URL", installation.warehouse_url)
    monkeypatch.setenv("FLEET_LAKE_URL", installation.lake_url)
    monkeypatch.setenv("FLEET_HOME", str(tmp_path))
    result = CliRunner().invoke(main, ["dossier", "--finding", "f1", "--home", str(tmp_path)])
    assert result.exit_code == 0
    path = tmp_path / "lake" / "reports" / "dossiers" / "f1.pdf"
    first = path.read_bytes()
    assert result.output.strip() == str(path)
    path.unlink()
    config = {"ops": {"dossier_of_finding": {"config": {"finding_id": "f1"}}}}
    assert dossier_job.execute_in_process(run_config=config, resources={"fleet": installation}).success
    assert path.read_bytes() == first
    assert first.startswith(b"%PDF")
