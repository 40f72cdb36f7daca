"""A cycle is closed for good, replayed, and corrected afterwards; reference data change while another is open."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import json
import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pandas as pd
import pytest
from python_calamine import CalamineWorkbook

from fleet_audit.cli.replay import as_of_installation
from fleet_audit.cli.run import run_days
from fleet_audit.closing.freezing import close_cycle
from fleet_audit.closing.readiness import unready_days
from fleet_audit.logic.primitives import parameters
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.reporting.locale import MINUS
from fleet_audit.schema import facts, reference
from fleet_audit.settings import load_settings
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.stores import Stores
from fleet_audit_tests.integration.installation import Installation, assert_same_facts, failures, invoked, said
from fleet_audit_tests.integration.small_fleet import (
    PAID,
    REFERENCE,
    SEEN_TWICE,
    from_work,
    to_work,
    visit_report,
    write_inbox,
)

pytestmark = pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")  # beta in 1.13, ours by design
CYCLE = dt.date(2025, 5, 16)
LAST = dt.date(2025, 6, 15)
OPEN_DAY = dt.date(2025, 6, 16)
JULY = dt.date(2025, 7, 16)
DAYS = [LAST, OPEN_DAY]
FIXED = "contract_id,plate,amount_brl_per_month,valid_from,valid_to\nCT-1,AAA1A11,3100,2025-01-01,\n"
DEARER = REFERENCE["tariffs"].replace("T-1,CT-1,,onibus,,,5,2025-01-01,", "T-1,CT-1,,onibus,,,6,2025-01-01,")
OVERLAPPING = FIXED + "CT-1,AAA1A11,6200,2025-06-01,\n"
DRIVERS = "driver_id,name,carrier_code,is_maintenance\nD1,Ana Mecânica,UM,true\n"
OTHER_DRIVERS = "driver_id,name,carrier_code,is_maintenance\nD2,Bia,UM,false\n"
DANGLING = REFERENCE["vehicles"].replace(f"{PAID},101,UM,UCP,CT-1", f"{PAID},101,UM,UCP,CT-9")


def _report(day: dt.date, km: str) -> dict[str, bytes]:
    moves = {PAID: [to_work(km), from_work()], SEEN_TWICE: [to_work()]}
    return {f"visit_reports/{day}.csv": visit_report(moves, day)}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, new_database) -> Installation:
    """Two days, the last of a cycle and the first of the next, computed in one range."""
    root = tmp_path_factory.mktemp("closing")
    inbox = write_inbox(root / "inbox", {name: each for day in DAYS for name, each in _report(day, "11.20").items()})
    (inbox / "reference" / "fixed_costs.csv").write_text(FIXED)
    (inbox / "reference" / "drivers.csv").write_text(DRIVERS)
    made = Installation(root / "home", str(inbox), new_database(), {"FLEET_START_DATE": LAST.isoformat()})
    assert failures(made.materialize(LAST, OPEN_DAY)) == []
    return made


@pytest.fixture(scope="module")
def closed(installation: Installation) -> dict[str, pd.DataFrame]:
    """The facts of the closed day, closed for good by the command line."""
    before = installation.facts([LAST])
    done = installation.command("close", "--cycle", CYCLE, "--final")
    assert done.returncode == 0, said(done)
    return before


_WHAT_IF = "what-if", "--cycle", "2025-05"


def _everything(installation: Installation) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """All tables that a what-if reads, run columns included, and every file of the lake."""
    tables = [*facts.TABLES, *reference.TABLES]
    rows = {
        table.full_name: installation.warehouse.read_table(table)
        for table in tables
        if table.schema in ("fact", "ops", "ref")
    }
    return rows, installation.files(".")


def test_other_tariffs_change_the_bill_by_km_times_the_difference_and_nothing_else(installation, closed, tmp_path):
    before, files = _everything(installation)
    tariffs = tmp_path / "proposta.csv"
    tariffs.write_text(REFERENCE["tariffs"].replace("T-1,CT-1,,onibus,,,5,", "T-1,CT-1,,onibus,,,5.75,"))
    result = invoked(installation, *_WHAT_IF, "--tariffs", tariffs, "--out", tmp_path / "saida.csv")
    assert result.exit_code == 0, result.output
    assert "Simulação do ciclo de 16/05/2025 a 15/06/2025" in result.output
    assert "warning" not in result.output
    header, row, *others = csv.reader((tmp_path / "saida.csv").read_text("utf-8-sig").splitlines())
    found = dict(zip(header, row, strict=True))
    assert others == []
    assert (found["Transportadora"], found["Contrato"]) == ("UM", "CT-1")
    assert (found["Km admitidos antes"], found["Km admitidos depois"]) == ("33,60", "33,60")
    assert found["Variável (R$) diferença"] == found["Total (R$) diferença"] == "25,20"  # 33.60 km x 0.75
    assert (found["Fixo (R$) antes"], found["Fixo (R$) diferença"]) == ("100,00", "0,00")
    assert (found["Total (R$) antes"], found["Total (R$) depois"]) == ("268,00", "293,20")
    after, files_after = _everything(installation)
    assert files_after == files
    for name, rows in before.items():
        pd.testing.assert_frame_equal(after[name], rows, obj=name)


def test_a_contract_that_ends_leaves_trips_without_a_price_and_says_so(installation, closed, tmp_path):
    contracts = tmp_path / "contratos.csv"
    contracts.write_text(REFERENCE["contracts"].replace("5,2025-01-01,\nCT-2", "5,2025-01-01,2025-06-01\nCT-2"))
    result = invoked(installation, *_WHAT_IF, "--contracts", contracts, "--out", tmp_path / "saida.xlsx")
    assert result.exit_code == 0, result.output
    assert "Sem preço: 3 viagens depois." in result.output
    assert "-268,00" in result.output.replace(MINUS, "-")
    book = CalamineWorkbook.from_filelike(io.BytesIO((tmp_path / "saida.xlsx").read_bytes()))
    rows = book.get_sheet_by_name("Diferença por contrato").to_python()
    assert [row[:2] for row in rows[1:3]] == [["UM", "Sem contrato"], ["UM", "CT-1"]]
    assert rows[1][-2:] == [0, 3]


@pytest.fixture(scope="module")
def corrected(installation: Installation, closed) -> Installation:
    """A correction of the closed day, a dearer tariff, vehicles of no contract, and fixed costs that overlap."""
    write_inbox(Path(installation.inbox), _report(LAST, "13.40"))
    reference = Path(installation.inbox) / "reference"
    for name, content in (("fixed_costs", OVERLAPPING), ("tariffs", DEARER), ("vehicles", DANGLING)):
        (reference / f"{name}.csv").write_text(content)
    assert failures(installation.materialize(LAST, OPEN_DAY)) == []
    return installation


def test_the_manifest_freezes_inputs_code_and_outputs(installation, closed):
    (row,) = installation.query("select * from ops.cycle_closes").to_dict("records")
    assert (row["status"], row["cycle_start"], row["cycle_end"]) == ("final", CYCLE, LAST)
    assert (row["total_km"], row["total_variable_brl"], row["total_fixed_brl"]) == (
        Decimal("33.60"), Decimal("168.00"), Decimal("100.00"),
    )  # fmt: skip
    manifest = json.loads((installation.home / "lake" / row["manifest_path"]).read_bytes())
    assert {file["name"] for file in manifest["inputs"]["files"]} >= {"visit_reports/2025-06-15.csv"}
    assert set(manifest["outputs"]) == {table.full_name for table in facts.FACTS}
    assert manifest["outputs"]["fact.trips"]["rows"] == 3
    assert manifest["days_not_ready"] == {}


def test_closing_again_changes_nothing(installation, closed):
    before = installation.warehouse.read_table(facts.CYCLE_CLOSES)
    settings = load_settings(home=str(installation.home), lake_url=str(installation.home / "lake"))
    stores = Stores(Lake(settings), installation.warehouse, settings)
    again = close_cycle(stores, cycle_of(CYCLE, 16), [LAST], parameters.parameters_on, "again", is_final=False)
    assert again["manifest_sha256"] == before["manifest_sha256"].iloc[0]
    pd.testing.assert_frame_equal(installation.warehouse.read_table(facts.CYCLE_CLOSES), before)


def test_closed_rows_never_change(corrected, closed):
    found = corrected.facts([LAST])
    assert_same_facts(found, closed)


def test_what_arrives_later_is_an_adjustment_of_the_open_cycle(corrected):
    rows = corrected.query("select * from fact.adjustments order by km_closed, plate")
    assert set(rows["billed_cycle_start"]) == {OPEN_DAY}
    (changed,) = rows[rows["difference_km"] != 0].to_dict("records")
    assert (changed["km_closed"], changed["km_now"], changed["difference_km"]) == (
        Decimal("11.20"), Decimal("13.40"), Decimal("2.20"),
    )  # fmt: skip
    assert (changed["brl_closed"], changed["brl_now"]) == (Decimal("56.00"), Decimal("80.40"))
    assert rows["difference_brl"].sum() == Decimal("24.40") + 2 * Decimal("11.20")


def test_a_dangling_key_is_refused_and_the_version_before_stays_in_force(corrected):
    refused = _refused(corrected)["reference/vehicles.csv"]
    assert "CT-9" in refused
    assert PAID in refused
    assert corrected.query("select contract_id from ref.vehicles where plate = :p", p=PAID)[
        "contract_id"
    ].to_list() == ["CT-1"]


def test_overlapping_validity_is_refused_with_both_rows_named(corrected):
    refused = _refused(corrected)["reference/fixed_costs.csv"]
    assert "Row 3" in refused
    assert "row 2" in refused
    assert "stays in force" in refused
    assert corrected.query("select amount_brl_per_month as brl from ref.fixed_costs")["brl"].to_list() == [3100]


def _refused(installation: Installation) -> dict[str, str]:
    rows = installation.query("select file_name, message from ops.ingested_files where status = 'rejected'")
    return dict(zip(rows["file_name"], rows["message"], strict=True))


def test_postgres_shows_what_was_known_when(corrected):
    rows = corrected.query(
        "select (jsonb_populate_record(null::ref.tariffs, content)).rate_brl_per_km as rate, "
        "recorded_to is null as is_known from ops.reference_history "
        "where table_name = 'tariffs' and content ->> 'tariff_id' = 'T-1' order by recorded_from"
    )
    assert rows["rate"].to_list() == [Decimal("5.0000"), Decimal("6.0000")]
    assert rows["is_known"].to_list() == [False, True]


def test_a_change_inside_the_open_cycle_is_a_finding_with_a_statement(corrected):
    (finding,) = corrected.query("select * from fact.findings where rule_id = 'Q04'").to_dict("records")
    assert (finding["operational_date"], finding["severity"]) == (OPEN_DAY, "M")
    assert "tariffs" in finding["explanation_pt"]
    (delta,) = corrected.query("select * from ops.reference_deltas").to_dict("records")
    assert (delta["operational_date"], delta["carrier_code"], list(delta["table_names"])) == (
        OPEN_DAY,
        "UM",
        ["tariffs"],
    )
    assert (delta["brl_before"], delta["brl_after"]) == (Decimal("271.34"), Decimal("304.94"))
    assert delta["km_before"] == delta["km_after"] == Decimal("33.60")


def test_the_closed_cycle_replays_identically(corrected):
    replayed = invoked(corrected, "replay", "--cycle", CYCLE)
    assert replayed.exit_code == 0, replayed.output
    assert "identical" in replayed.stdout


def test_a_replay_names_a_changed_row_and_a_changed_number_line_by_line(corrected, monkeypatch):
    """Somebody paid himself 10 km more; and a rule's number is another than when the cycle was closed."""
    corrected.warehouse.execute(
        "update fact.trips set km_measured = 21.20 where operational_date = :day and plate = :plate",
        {"day": LAST, "plate": SEEN_TWICE},
    )
    others = [replace(one, default=0.4) if one.name == "leg_min_km" else one for one in parameters.DEFAULTS]
    monkeypatch.setattr(parameters, "DEFAULTS", tuple(others))
    result = invoked(corrected, "replay", "--cycle", CYCLE)
    corrected.warehouse.execute(
        "update fact.trips set km_measured = 11.20 where operational_date = :day and km_measured = 21.20", {"day": LAST}
    )
    assert result.exit_code == 1, result.output
    lines = result.output.splitlines()
    assert f"fact.trips: frozen rows were changed after the close, on {LAST}." in lines
    start = lines.index(f"fact.trips differs on {LAST}; the first rows of {LAST}:")
    shown = lines[start + 1 : start + 4]
    assert all(line.startswith("    ~ ") for line in shown)
    assert all("parameters_version: " in line for line in shown)
    assert sum("km_measured: 21.20 -> 11.20" in line for line in shown) == 1
    assert "identical" not in result.output


@pytest.mark.parametrize("what", ["file", "manifest"])
def test_a_replay_names_a_frozen_object_that_was_touched(corrected, what):
    (record,) = corrected.query("select * from ops.cycle_closes where status = 'final'").to_dict("records")
    manifest = corrected.home / "lake" / record["manifest_path"]
    reports = [file for file in json.loads(manifest.read_bytes())["inputs"]["files"] if "visit" in file["name"]]
    path = manifest if what == "manifest" else corrected.home / "lake" / reports[0]["archive_path"]
    content = path.read_bytes()
    path.write_bytes(content.replace(b"11", b"99"))
    result = invoked(corrected, "replay", "--cycle", CYCLE)
    path.write_bytes(content)
    assert result.exit_code == 1, result.output
    (sentence,) = result.stdout.strip().splitlines()
    assert str(path.name) in sentence
    assert record["manifest_sha256"] in sentence or reports[0]["sha256"] in sentence
    assert "Restore it from a backup" in sentence


def test_a_replay_needs_the_key_of_the_close(corrected):
    result = invoked(corrected, "replay", "--cycle", CYCLE, FLEET_PSEUDONYM_KEY="another-secret")
    assert result.exit_code == 2
    assert "FLEET_PSEUDONYM_KEY" in result.output
    assert "another-secret" not in result.output


def test_a_past_run_is_repeated_with_what_had_arrived_by_then(corrected):
    """Before the dearer tariff; the current rows stay as they are."""
    instant = corrected.query("select min(recorded_to) as at from ops.reference_history where table_name = 'tariffs'")
    before = (instant["at"].iloc[0] - dt.timedelta(microseconds=1)).to_pydatetime()
    with patch.dict(os.environ, corrected.environment, clear=True), contextlib.chdir(corrected.home):
        then = as_of_installation(load_settings(), before)
        assert run_days(then, OPEN_DAY, OPEN_DAY, lambda _: None, is_published=False).errors == []
    sql = "select sum(variable_cost_brl) as brl from fact.trip_costs where operational_date = :day"
    assert Installation(then.home).query(sql, day=OPEN_DAY)["brl"].iloc[0] == Decimal("168.00")
    assert corrected.query(sql, day=OPEN_DAY)["brl"].iloc[0] == Decimal("201.60")
    for as_of, sentence in (
        ("2999-01-01", "is in the future"),
        ("2001-01-01", "Nothing had arrived"),
        ("soon", "neither"),
    ):
        result = invoked(corrected, "run", "--from", OPEN_DAY, "--to", OPEN_DAY, "--as-of", as_of)
        assert (result.exit_code, sentence in result.output) == (2, True), result.output


def test_another_parameter_computes_the_open_cycle_again_in_a_place_of_its_own(corrected):
    before, files = _everything(corrected)
    result = invoked(corrected, "what-if", "--cycle", OPEN_DAY, "--set", "yard_max_km=1", "--set", "leg_min_km=12")
    assert result.exit_code == 0, result.output
    assert "Parâmetro: leg_min_km = 12 em vez de 0,2." in result.output
    assert "as do ciclo inteiro, como no relatório mensal" in result.output
    assert f"{MINUS}201,60" in result.output  # no leg of 11.20 km is one any more: 33.60 km x 6
    after, files_after = _everything(corrected)
    assert files_after == files
    for name, rows in before.items():
        pd.testing.assert_frame_equal(after[name], rows, obj=name)


def test_a_cycle_without_data_has_no_what_if(installation, closed):
    result = invoked(installation, "what-if", "--cycle", "2024-05", "--set", "weight_c=30")
    assert result.exit_code == 2
    assert "The cycle 2024-05-16 to 2024-06-15 has no computed day" in result.output


def test_a_day_that_something_arrived_for_is_not_ready(corrected):
    lake = Lake(load_settings(home=str(corrected.home), lake_url=str(corrected.home / "lake")))
    version = corrected.query("select computing_versions from ops.computed_days limit 1")["computing_versions"].iloc[0]
    warehouse = corrected.warehouse
    assert unready_days(warehouse, lake, [OPEN_DAY], version) == {}
    assert "another version" in unready_days(warehouse, lake, [OPEN_DAY], "other")[OPEN_DAY]
    never = OPEN_DAY + dt.timedelta(days=1)
    assert "never computed" in unready_days(warehouse, lake, [never], version)[never]
    warehouse.execute(
        "update ops.ingested_files set received_at = now() + interval '1 hour' where file_name = :name",
        {"name": "visit_reports/2025-06-16.csv"},
    )
    assert "arrived after" in unready_days(warehouse, lake, [OPEN_DAY], version)[OPEN_DAY]


def _close_by_hand(installation: Installation, *starts: dt.date) -> None:
    """Later cycles, closed for good, whose manifests are lost: what happens to their own rows is not asked here."""
    for start in starts:
        installation.warehouse.execute(
            "insert into ops.cycle_closes (cycle_start, cycle_end, status, closed_at, manifest_sha256, manifest_path, "
            "code_version, parameters_version, run_id) "
            "values (:start, :end, 'final', now(), '', 'closes/lost.json', '', '', '')",
            {"start": start, "end": cycle_of(start, 16).end},
        )


@pytest.fixture(scope="module")
def corrected_again(corrected: Installation) -> Installation:
    """The cycle that billed the adjustment is closed too; then the closed day is corrected a second time."""
    _close_by_hand(corrected, OPEN_DAY)
    write_inbox(Path(corrected.inbox), _report(LAST, "12.00"))
    reference = Path(corrected.inbox) / "reference"
    (reference / "tariffs.csv").write_text(DEARER)
    (reference / "drivers.csv").write_text(OTHER_DRIVERS)
    assert failures(corrected.materialize(LAST)) == []
    return corrected


_ADJUSTMENTS = (
    "select * from fact.adjustments where operational_date = :day order by billed_cycle_start, plate, trip_id"
)


def test_an_adjustment_of_an_adjustment_bills_only_what_is_new_two_cycles_on(corrected_again, closed):
    rows = corrected_again.query(_ADJUSTMENTS, day=LAST)
    first, second = (rows[(rows["billed_cycle_start"] == start).to_numpy()] for start in (OPEN_DAY, JULY))
    assert len(first) == 3  # what June billed is frozen
    (again,) = second.to_dict("records")
    assert (again["km_closed"], again["km_now"], again["difference_km"]) == (
        Decimal("13.40"), Decimal("12.00"), Decimal("-1.40"),
    )  # fmt: skip
    assert (again["brl_closed"], again["difference_brl"]) == (Decimal("80.40"), Decimal("-8.40"))
    assert_same_facts(corrected_again.facts([LAST]), closed)


def test_of_a_driver_who_left_the_reference_file_only_the_name_is_kept(corrected_again):
    rows = corrected_again.query("select * from ref.drivers where name is not null").set_index("driver_id")
    assert rows.loc["D1", "name"] == "Ana Mecânica"
    assert rows.loc["D2", "carrier_code"] == "UM"
    assert rows[rows["is_maintenance"].fillna(False).astype(bool)].empty  # her pseudonym neither
    assert (rows["name"] == "Ana Mecânica").sum() == 3  # her id, and the pseudonyms of her id and of her name


def test_rows_more_than_two_months_late_are_reported_and_adjust_nothing(corrected_again, closed):
    before = corrected_again.query(_ADJUSTMENTS, day=LAST)
    _close_by_hand(corrected_again, JULY, cycle_of(JULY, 16).end + dt.timedelta(days=1))
    write_inbox(Path(corrected_again.inbox), _report(LAST, "14.00"))
    (Path(corrected_again.inbox) / "reference" / "tariffs.csv").write_text(DEARER)
    result = corrected_again.materialize(LAST)
    assert failures(result) == []
    with patch.dict(os.environ, corrected_again.environment, clear=True), dg.DagsterInstance.get() as instance:
        messages = [entry.user_message for entry in instance.all_logs(result.run_id)]
    (sentence,) = (text for text in messages if "nothing is adjusted" in text)
    assert f"{LAST}: 1 lines differ now (+2.00 km, R$ +12.00)" in sentence
    pd.testing.assert_frame_equal(corrected_again.query(_ADJUSTMENTS, day=LAST), before)
    assert_same_facts(corrected_again.facts([LAST]), closed)
