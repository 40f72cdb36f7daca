"""The documents of a cycle through their assets: a real PostgreSQL in, files in a real lake out."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import dagster as dg
import openpyxl
import pandas as pd
import psycopg2
import pytest

from fleet_audit.defs.cycle import billing, reversals, review
from fleet_audit.defs.reports import cycle as assets
from fleet_audit.defs.reports.frames import FACTS, REFERENCE, TERMS, cycle_frames
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import WAREHOUSE_IO
from fleet_audit.errors import RetryableError
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.reporting.documents.carrier_copy import build_copy
from fleet_audit.reporting.formats.render import render_copies
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.redaction import CarrierNames
from fleet_audit.schema import facts, reference
from fleet_audit.storage.io_managers import WarehouseIOManager
from fleet_audit.storage.report_io_manager import ReportIOManager
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.reporting.documents.test_package import AREAS, CYCLE, Recalculated, footers
from fleet_audit_tests.reporting.sample import GENERATED_AT, build, fleet, settled

TRACE = ["run_id", "updated_at"]
FILE = {"file_sha256": "f", "file_name": "boletim.csv", "kind": "bulletin", "size_bytes": 1, "status": "accepted",
        "received_at": GENERATED_AT,
        **dict.fromkeys(["rows_read", "rows_accepted", "rows_rejected", "rows_duplicate"], 0)}  # fmt: skip


@pytest.fixture(scope="module")
def frames() -> Frames:
    """Three days of a small fleet (0.9 s of processor time to make); who changes a table makes another frame."""
    return settled(fleet(9, days=3, first=CYCLE.start), CYCLE)


@pytest.fixture
def installation(frames, postgres_url, tmp_path) -> FleetResource:
    """A warehouse that holds them, and an empty lake."""
    warehouse = Warehouse(postgres_url)
    for table in (facts.BILLING_LINES, facts.VEHICLE_CYCLE_AMOUNTS):
        warehouse.replace_partition(table, [CYCLE.start], getattr(frames, table.name), "run")
    for table in FACTS:
        rows = getattr(frames, "coverage" if table is facts.COVERAGE else table.name)
        warehouse.replace_partition(table, sorted(set(rows["operational_date"])), rows, "run")
    for table in (*REFERENCE, *TERMS):
        warehouse.replace_table(table, getattr(frames, table.name))
    warehouse.upsert(facts.INGESTED_FILES, pd.DataFrame([FILE]))
    return FleetResource(warehouse_url=postgres_url, home=str(tmp_path), lake_url=str(tmp_path / "lake"))


def materialise(installation: FleetResource, *chosen: dg.AssetsDefinition, start: dt.date = CYCLE.start) -> None:
    resources = {
        "fleet": installation,
        "report_io": ReportIOManager(stores=installation),
        WAREHOUSE_IO: WarehouseIOManager(stores=installation),
    }
    assert dg.materialize([*chosen], resources=resources, partition_key=start.isoformat()).success


def one(url: str, sql: str) -> object:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        (value,) = cursor.fetchone()
    connection.close()
    return value


def test_the_package_equals_the_sql_models_to_the_cent(installation, tmp_path):
    materialise(installation, assets.measurement_package)
    folder = tmp_path / "lake" / "reports" / "cycle" / f"start={CYCLE.start}"
    data = (folder / "pacote_medicao.xlsx").read_bytes()
    parts = [footers(Recalculated(data), data, name) for name in AREAS]
    sql = {
        "Total Km's": "select sum(billable_km) from fact.trip_costs where variable_cost_brl is not null",
        "Total Variável": "select sum(variable_cost_brl) from fact.trip_costs",
        "Total Fixo": "select sum(amount_brl) from fact.fixed_cost_days",
        "Total a Faturar": "select (select sum(variable_cost_brl) from fact.trip_costs) + sum(amount_brl) "
        "from fact.fixed_cost_days",
    }
    assert {label: sum(part[label] for part in parts) for label in sql} == {
        label: one(installation.warehouse_url, query) for label, query in sql.items()
    }
    assert len(list(folder.glob("pacote_medicao_*.csv"))) == 10


def test_reviews_that_come_back_bound_the_overpayment_of_the_cycle(installation):
    """Every trip of the sample was reviewed and right: the limit is what three errors in a hundred would be."""
    assets_of_review = (review.cycle_reviews,)
    materialise(installation, *assets_of_review)
    warehouse = Warehouse(installation.warehouse_url)
    sample = warehouse.read_partition(facts.REVIEW_SAMPLES, [CYCLE.start])
    (before,) = warehouse.read_table(facts.REVIEW_ESTIMATES).to_dict("records")
    assert before["sampled_trips"] == len(sample) > 0
    assert pd.isna(before["upper_limit_brl"])
    reviews = [
        {"cycle_start": CYCLE.start, "trip_id": key, "audited_km": km, "reviewer": "R"}
        for key, km in zip(sample["trip_id"], sample["billable_km"], strict=True)
    ]
    warehouse.replace_table(reference.SAMPLE_REVIEWS, build(reference.SAMPLE_REVIEWS, reviews))
    materialise(installation, *assets_of_review)
    (after,) = warehouse.read_table(facts.REVIEW_ESTIMATES).to_dict("records")
    assert (after["reviewed_trips"], after["overpaid_brl"]) == (len(sample), 0)
    assert after["is_tolerated"]
    assert float(after["upper_limit_brl"]) == pytest.approx(float(after["interval_brl"]) * 2.9957, abs=0.03)
    assert warehouse.read_table(facts.REVIEW_SAMPLES)["trip_id"].to_list() == sample["trip_id"].to_list()


def test_carriers_get_a_folder_each_and_one_that_is_gone_leaves_none(installation, tmp_path):
    base = tmp_path / "lake" / "reports" / "cycle" / f"start={CYCLE.start}"
    for stale in ("carriers/GONE/relatorio_mensal.xlsx", "relatorio_mensal.xlsx"):
        installation.lake().put_bytes(f"reports/cycle/start={CYCLE.start}/{stale}", b"old")
    materialise(installation, assets.carrier_reports)
    folders = {path.parent.name for path in (base / "carriers").rglob("*.xlsx")}
    assert folders == {"CONLOG", "VIAOESTE", "TRANSUL", "RODA"}
    assert (base / "relatorio_mensal.xlsx").read_bytes() == b"old"  # another asset's


def test_two_processes_write_the_bytes_of_one_and_a_copy_is_that_of_the_whole_cycle_s_rows(
    installation, tmp_path, monkeypatch
):
    reports = (assets.cycle_report, assets.measurement_package, assets.carrier_reports)
    drivers = [{"driver_id": "a", "name": "João da Silva"}]
    installation.warehouse().replace_table(reference.DRIVERS, build(reference.DRIVERS, drivers))

    def written() -> dict[str, bytes]:
        materialise(installation, *reports)
        folder = tmp_path / "lake" / "reports" / "cycle" / f"start={CYCLE.start}"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    alone = written()
    monkeypatch.setattr(assets, "_LARGE_VEHICLE_DAYS", 1)
    monkeypatch.setenv("FLEET_DAY_PROCESSES", "2")
    assert written() == alone
    warehouse = installation.warehouse()
    frames = cycle_frames(warehouse, CYCLE)
    options = {"cycle": CYCLE, "generated_at": GENERATED_AT, "closing": Closing(), "drivers": ["João da Silva"]}
    days = int(installation.parameters(CYCLE.end).contest_business_days)
    copies = render_copies(
        build_copy(frames, code, contest_days=days, **options) for code in sorted(CarrierNames.of_frames(frames).codes)
    )
    assert copies == {name.removeprefix("carriers/"): alone[name] for name in alone if name.startswith("carriers/")}


def test_copies_are_rendered_again_when_rows_that_they_share_were_changed_meanwhile(installation):
    """Each copy reads the cycle at another instant, and a file of another day may bring new terms between two."""
    warehouse = installation.warehouse()
    tariffs = warehouse.read_table(reference.TARIFFS)
    with assets._requiring_one_state(warehouse, CYCLE):
        warehouse.replace_table(reference.TARIFFS, tariffs)  # the same rows, as a run of any day writes them
    with (
        pytest.raises(RetryableError, match=rf"Rows of tariffs were changed while .* of {CYCLE.start} were rendered"),
        assets._requiring_one_state(warehouse, CYCLE),
    ):
        warehouse.replace_table(reference.TARIFFS, tariffs.iloc[1:])


def test_a_close_stamps_the_documents_the_final_one_first(installation, tmp_path):
    close = {"cycle_start": CYCLE.start, "cycle_end": CYCLE.end, "closed_at": GENERATED_AT, "manifest_path": "closes/m",
             "code_version": "1.0", "parameters_version": "p", "run_id": "run"}  # fmt: skip
    rows = [{**close, "status": status, "manifest_sha256": digit * 64}
            for status, digit in (("provisional", "a"), ("final", "b"))]  # fmt: skip
    installation.warehouse().upsert(facts.CYCLE_CLOSES, build(facts.CYCLE_CLOSES, rows))
    materialise(installation, assets.cycle_report)
    path = tmp_path / "lake" / "reports" / "cycle" / f"start={CYCLE.start}" / "relatorio_mensal.xlsx"
    assert openpyxl.load_workbook(path)["Resumo"]["A4"].value == f"FINAL · manifesto {'b' * 16}…"


def test_a_reversed_finding_is_billed_by_the_first_open_cycle_once(installation, tmp_path):
    """Reversed while its cycle is open, then that cycle is closed: the next one has nothing left to bill of it."""
    warehouse = Warehouse(installation.warehouse_url)
    findings = warehouse.read_table(facts.FINDINGS)
    held = findings[((findings["rule_id"] == "D06") & findings["held_brl"].notna()).to_numpy()].iloc[0]
    doubted = {**findings.iloc[-1], "finding_id": "doubted", "rule_id": "O04", "amount": "paid_doubtful_brl",
               "paid_doubtful_brl": Decimal(50), "disallowed_brl": None, "held_brl": None,
               "in_favour_brl": None, "operational_date": held["operational_date"], "cycle_start": None}  # fmt: skip
    whole = {**doubted, "finding_id": "whole", "rule_id": "D03", "amount": "disallowed_brl", "paid_doubtful_brl": None,
             "disallowed_brl": Decimal(70), "carrier_code": "OUTRA", "declared_run_id": None, "trip_id": None,
             "operational_date": CYCLE.end, "cycle_start": CYCLE.start}  # fmt: skip
    warehouse.upsert(facts.FINDINGS, build(facts.FINDINGS, [doubted, whole]))
    day_after = held["operational_date"] + dt.timedelta(days=1)
    joined = {"match_id": "after midnight", "operational_date": day_after, "plate": held["plate"], "kind": "one_to_one",
              "declared_run_ids": [held["declared_run_id"]], "trip_ids": ["late"]}  # fmt: skip
    warehouse.upsert(facts.MATCHES, build(facts.MATCHES, [joined]))
    contested = {held["finding_id"]: "held_brl", "doubted": "paid_doubtful_brl", "whole": "disallowed_brl"}
    for finding, amount in contested.items():
        warehouse.execute(
            "insert into auth.contests (finding_id, operational_date, rule_id, amount, status, due_date, opened_by, "
            "text, decided_at, decided_by, decision_text) values (:finding, :day, 'D06', :amount, 'reversed', :day, "
            "'a', 'a', '2025-06-01 01:00Z', 'b', 'b')",
            {"finding": finding, "day": held["operational_date"], "amount": amount},
        )
    materialise(installation, reversals.adjustments_of_reversals, billing.cycle_amounts, assets.measurement_package)
    rows = warehouse.read_table(facts.ADJUSTMENTS)
    materialise(installation, reversals.adjustments_of_reversals)
    again = warehouse.read_table(facts.ADJUSTMENTS)
    pd.testing.assert_frame_equal(rows.drop(columns=TRACE), again.drop(columns=TRACE))
    due = {row["finding_id"]: (row["difference_brl"], row["reason"]) for row in rows.to_dict("records")}
    assert due[held["finding_id"]] == (
        held["held_brl"], "Achado D06 revertido em 31/05/2025: o valor retido é liberado.",
    )  # fmt: skip
    assert due["doubted"][0] == 0
    assert due["whole"][0] == 70, "contested while the cycle was running: its day has moved since"
    amounts = warehouse.read_partition(facts.VEHICLE_CYCLE_AMOUNTS, [CYCLE.start])
    assert amounts["paid_doubtful_brl"].sum() == 0, "what was reversed is in doubt no more"
    path = tmp_path / "lake" / "reports" / "cycle" / f"start={CYCLE.start}" / "pacote_medicao.xlsx"
    sheet = openpyxl.load_workbook(path, data_only=True)["AJUSTES"]
    assert "achado revertido" in {cell.value for row in sheet.iter_rows() for cell in row}
    close = {"cycle_start": CYCLE.start, "cycle_end": CYCLE.end, "closed_at": GENERATED_AT, "manifest_path": "closes/m",
             "manifest_sha256": "a" * 64, "code_version": "1.0", "parameters_version": "p", "run_id": "run",
             "status": "final"}  # fmt: skip
    warehouse.upsert(facts.CYCLE_CLOSES, build(facts.CYCLE_CLOSES, [close]))
    materialise(installation, reversals.adjustments_of_reversals)  # of the closed cycle: its rows are frozen
    following = cycle_of(CYCLE.end + dt.timedelta(days=1), CYCLE.start.day).start
    materialise(installation, reversals.adjustments_of_reversals, start=following)
    pd.testing.assert_frame_equal(
        warehouse.read_table(facts.ADJUSTMENTS).drop(columns=TRACE),
        rows.drop(columns=TRACE),
    )
    warehouse.execute("delete from auth.contests where finding_id = 'whole'")  # it has the whole cycle read
    late = {**again.iloc[0], "adjustment_id": "late", "operational_date": day_after, "kind": "trip", "trip_id": "late",
            "plate": held["plate"], "billed_cycle_start": following, "difference_brl": Decimal("0.50"),
            "finding_id": None, "decided_cycle_start": None}  # fmt: skip
    warehouse.upsert(facts.ADJUSTMENTS, build(facts.ADJUSTMENTS, [late]))
    materialise(installation, reversals.adjustments_of_reversals, start=following)
    taken_back = warehouse.read_table(facts.ADJUSTMENTS).query("decided_cycle_start == @following")
    assert taken_back[["finding_id", "difference_brl"]].to_numpy().tolist() == [[held["finding_id"], Decimal("-0.50")]]
