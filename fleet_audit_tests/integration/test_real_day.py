"""One real morning by the command line, twice, in Dagster, on S3 and by `dg`: always exactly what it must give."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import subprocess
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from fleet_audit.cli.summary import AMOUNTS
from fleet_audit.defs.catalog import group_of
from fleet_audit.reporting.locale import money
from fleet_audit.schema import lake
from fleet_audit_tests.conftest import S3Server
from fleet_audit_tests.integration.installation import (
    REAL_DAY,
    Installation,
    assert_counts_reconcile,
    assert_same_facts,
    failures,
    said,
)

pytestmark = [
    pytest.mark.skipif(not REAL_DAY.is_dir(), reason=f"the real day is not beside the repository ({REAL_DAY})"),
    pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`"),  # beta in 1.13, ours by design
]
DAY, CYCLE = dt.date(2025, 6, 10), dt.date(2025, 5, 16)
PURPOSES = ("service", "deadhead", "yard", "maintenance", "unknown")
NOT_ON_OTHERS = {"D01", "D05", "D07", "D08", "D10", "D11"}
INBOX = str(REAL_DAY / "inbox")


@pytest.fixture(scope="module")
def expected() -> dict:
    return json.loads((REAL_DAY / "expected.json").read_text())


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Installation, subprocess.CompletedProcess[str]]:
    """The day by the command line alone: no setting, the embedded warehouse."""
    installation = Installation(tmp_path_factory.mktemp("real") / "home")
    return installation, installation.run_command(DAY, DAY, "--inbox", INBOX, "--home", installation.home)


@pytest.fixture(scope="module")
def first(ran) -> Installation:
    installation, result = ran
    assert result.returncode == 0, said(result)
    return installation


@pytest.fixture(scope="module")
def first_facts(first: Installation) -> dict[str, pd.DataFrame]:
    return first.facts()


def test_every_vehicle_has_the_km_of_each_purpose_and_the_cost_to_the_cent(first, expected):
    rows = first.query("select * from fact.trips join fact.trip_costs using (trip_id, operational_date)")
    assert set(rows["operational_date"]) == {DAY}
    found = {
        plate: {
            "service_trips": int((trips["purpose"] == "service").sum()),
            **{
                f"{purpose}_km": sum(trips["km_measured"][trips["purpose"] == purpose], Decimal(0))
                for purpose in PURPOSES
            },
            "reported_km": sum(trips["km_measured"], Decimal(0)),
            "variable_cost_brl": sum(trips["variable_cost_brl"].dropna(), Decimal(0)),
        }
        for plate, trips in rows.groupby("plate")
    }
    wanted = {
        plate: {name: value if name == "service_trips" else Decimal(value) for name, value in vehicle.items()}
        for plate, vehicle in expected["vehicles"].items()
    }
    assert found == wanted


def test_the_totals_are_the_sums_of_the_lines(first, expected):
    km = first.query("select sum(km_measured) as km from fact.trips where purpose = 'service'")["km"].iloc[0]
    cost = first.query("select sum(variable_cost_brl) as brl from fact.trip_costs")["brl"].iloc[0]
    assert (str(km), str(cost)) == (expected["service_km"], expected["variable_cost_brl"])


def test_the_seeded_findings_are_there_and_no_vehicle_is_blamed_without_cause(first, expected):
    found = first.query("select distinct rule_id, plate from fact.findings")
    pairs = set(zip(found["rule_id"], found["plate"], strict=True))
    seeded = {tuple(pair) for pair in expected["findings"]}
    assert seeded <= pairs
    guilty = {plate for _, plate in seeded}
    assert {pair for pair in pairs if pair[0] in NOT_ON_OTHERS and pair[1] not in guilty} == set()


def test_the_lake_holds_every_leg_readable_by_anyone(first, expected):
    legs = pq.read_table(first.home / "lake" / "trips" / "legs" / f"date={DAY}")
    assert legs.num_rows == expected["legs"]


def test_rows_reconcile(first):
    assert_counts_reconcile(first)


def test_the_summary_equals_the_tables_and_names_the_reports(ran, first):
    result = ran[1]
    assert "912,77" in result.stdout
    assert "R$ 4.542,26" in result.stdout
    assert "Traceback" not in said(result)
    shown = [line.split("│")[1:3] for line in result.stdout.splitlines() if line.count("│") == 3]
    values = {label.strip(): value.strip() for label, value in shown}
    amounts = first.query("select * from fact.vehicle_day_amounts")
    known = {label: amounts[name].dropna().sum() for name, label in AMOUNTS.items()}
    assert {label: values[label].split(" + ")[0] for label, brl in known.items() if brl} == {
        label: money(brl).replace("\xa0", " ") for label, brl in known.items() if brl
    }
    assert any(known.values())
    assert "at stake" not in result.stdout  # a sum of findings counted a cause twice, and the four amounts together
    reports = first.home / "lake" / "reports"
    assert f"{reports}/d1" in result.stdout
    assert {path.name for path in (reports / "d1" / f"date={DAY}").iterdir()} == {
        "d1.csv", "d1.xlsx", "d1.html", "d1.pdf"}  # fmt: skip
    assert str(reports / "cycle" / f"start={CYCLE}" / "relatorio_mensal.xlsx") in result.stdout
    assert (reports / "cycle" / f"start={CYCLE}" / "relatorio_mensal.xlsx").is_file()


def test_the_documents_print_the_km_and_the_cost_of_every_vehicle(first, expected):
    """What people open sums to the expected values: the trip list of the day, the calculation sheet of the cycle."""
    reports = first.home / "lake" / "reports"
    columns = ("km_measured", "Km Telemetria"), ("variable_cost_brl", "Custo Variável (R$)")
    rows = _table(reports / "d1" / f"date={DAY}" / "d1.csv")
    printed = {
        plate: {name: sum((row[label] for row in own), Decimal(0)) for name, label in columns}
        for plate, own in _by_plate(rows, [label for _, label in columns]).items()
    }
    assert printed == {
        plate: {
            "km_measured": Decimal(vehicle["reported_km"]), "variable_cost_brl": Decimal(vehicle["variable_cost_brl"])
        }
        for plate, vehicle in expected["vehicles"].items()
    }  # fmt: skip
    folder = reports / "cycle" / f"start={CYCLE}"
    lines = _table(folder / "pacote_medicao_memoria_de_calculo.csv")
    paid = _by_plate([row for row in lines if row["Placa"]], ["Valor (R$)"])
    assert {plate: sum(row["Valor (R$)"] for row in own) for plate, own in paid.items()} == {
        plate: Decimal(vehicle["variable_cost_brl"])
        for plate, vehicle in expected["vehicles"].items()
        if Decimal(vehicle["variable_cost_brl"])
    }
    page = (folder / "relatorio_mensal.html").read_text("utf-8")
    assert "1 de 31 dias processados" in page
    assert money(Decimal(expected["variable_cost_brl"])) in page


def _table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))


def _by_plate(rows: list[dict[str, str]], labels: list[str]) -> dict[str, list[dict[str, Decimal]]]:
    """The numbers of the columns by plate; an empty cell is unknown and adds nothing."""
    found: dict[str, list[dict[str, Decimal]]] = {}
    for row in rows:
        numbers = {label: Decimal(row[label].replace(".", "").replace(",", ".") or 0) for label in labels}
        found.setdefault(row["Placa"], []).append(numbers)
    return found


def test_the_console_reads_what_the_run_wrote(first):
    sql = "select plate, sum(km_measured) as km from fact.trips where plate = 'KPU9A36' group by 1"
    as_csv = first.command("psql", "--home", first.home, "-c", sql, "--csv")
    assert (as_csv.returncode, as_csv.stdout) == (0, "plate,km\nKPU9A36,30.20\n")


def test_the_same_again_changes_no_row_no_id_and_no_byte(first, first_facts):
    folders = ("raw", "parsed", "staging", "trips", "reports")
    before = first.files(*folders)
    again = first.run_command(DAY, DAY, "--inbox", INBOX, "--home", first.home)
    assert again.returncode == 0, said(again)
    assert_same_facts(first.facts(), first_facts)
    assert first.files(*folders) == before
    assert len(before) > 60


def test_dagster_in_another_home_gives_the_same_rows_and_bytes(first, first_facts, tmp_path_factory, new_database):
    """By its key here; the command line runs it as a range of one day."""
    second = Installation(tmp_path_factory.mktemp("second"), INBOX, new_database())
    assert failures(second.materialize(DAY)) == []
    assert failures(second.materialize_cycle(CYCLE)) == []  # as the command line does
    assert_same_facts(second.facts(), first_facts)
    assert second.files("staging", "trips") == first.files("staging", "trips")


def test_on_s3_the_same_rows_and_bytes(first, first_facts, tmp_path, postgres_url, seaweed: S3Server):
    installation = Installation(
        tmp_path / "home",
        INBOX,
        postgres_url,
        {
            "FLEET_LAKE_URL": f"s3://{seaweed.bucket}/real_day",
            "AWS_ENDPOINT_URL": seaweed.endpoint,
            "AWS_ACCESS_KEY_ID": seaweed.access_key,
            "AWS_SECRET_ACCESS_KEY": seaweed.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        },
    )
    result = installation.run_command(DAY, DAY)
    assert result.returncode == 0, said(result)
    assert f"s3://{seaweed.bucket}/real_day/reports" in result.stdout
    assert_same_facts(installation.facts(), first_facts)
    assert_counts_reconcile(installation)
    assert not (tmp_path / "home" / "lake").exists()
    files = seaweed.filesystem()
    root = f"{seaweed.bucket}/real_day"
    for table in (lake.STAGING_VISIT_LEGS, lake.STAGING_DECLARED_RUNS, lake.LEGS):
        path = f"{table.schema}/{table.name}/date={DAY}/part.parquet"
        with files.open_input_file(f"{root}/{path}") as file:
            assert file.read() == (first.home / "lake" / path).read_bytes()
    raw = files.get_file_info(pafs.FileSelector(f"{root}/raw", recursive=True))
    assert sum(info.type == pafs.FileType.File for info in raw) == len(first.files("raw"))


def test_dg_launches_a_partition_with_the_same_rows(first_facts, tmp_path, postgres_url):
    repository = Path(__file__).resolve().parents[2]
    installation = Installation(tmp_path / "home", INBOX, postgres_url)
    subjects = ("ingestion", "reference", "staging", "trips", "devices", "costs", "audit")
    selection = " or ".join(f'group:"{group_of(subject)}"' for subject in subjects)
    result = installation.command("launch", "--assets", selection, "--partition", DAY, program="dg", folder=repository)
    assert result.returncode == 0, said(result)
    assert failures(installation.materialize_cycle(CYCLE)) == []  # as the command line does
    assert_same_facts(installation.facts(), first_facts)
