"""A cycle is closed for good, replayed, and corrected afterwards; reference data change while another is open."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from fleet_audit.closing.freezing import Stores, close_cycle
from fleet_audit.closing.readiness import unready_days
from fleet_audit.logic.cycles import cycle_of
from fleet_audit.logic.parameters import DEFAULT_PARAMETERS
from fleet_audit.schema import facts
from fleet_audit.settings import load_settings
from fleet_audit.storage.lake import Lake
from fleet_audit_tests.integration.installation import Installation, assert_same_facts, failures, said
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
DAYS = [LAST, OPEN_DAY]
FIXED = "contract_id,plate,amount_brl_per_month,valid_from,valid_to\nCT-1,AAA1A11,3100,2025-01-01,\n"
DEARER = REFERENCE["tariffs"].replace("T-1,CT-1,,onibus,,,5,2025-01-01,", "T-1,CT-1,,onibus,,,6,2025-01-01,")
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


@pytest.fixture(scope="module")
def corrected(installation: Installation, closed) -> Installation:
    """A correction of the closed day, a dearer tariff, and a table of vehicles that names no contract."""
    write_inbox(Path(installation.inbox), _report(LAST, "13.40"))
    reference = Path(installation.inbox) / "reference"
    for name, content in (("fixed_costs", FIXED), ("tariffs", DEARER), ("vehicles", DANGLING)):
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
    parameters = lambda _: DEFAULT_PARAMETERS  # noqa: E731
    again = close_cycle(stores, cycle_of(CYCLE, 16), [LAST], parameters, "again", is_final=False)
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
    (refused,) = corrected.query("select file_name, message from ops.ingested_files where status = 'rejected'").to_dict(
        "records"
    )
    assert refused["file_name"] == "reference/vehicles.csv"
    assert "CT-9" in refused["message"]
    assert PAID in refused["message"]
    assert corrected.query("select contract_id from ref.vehicles where plate = :p", p=PAID)[
        "contract_id"
    ].to_list() == ["CT-1"]


def test_postgres_tells_what_was_known_when(corrected):
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
    replayed = corrected.command("replay", "--cycle", CYCLE)
    assert replayed.returncode == 0, said(replayed)
    assert "identical" in replayed.stdout


def test_a_day_that_something_arrived_for_is_not_ready(corrected):
    lake = Lake(load_settings(home=str(corrected.home), lake_url=str(corrected.home / "lake")))
    version = corrected.query("select code_version from ops.computed_days limit 1")["code_version"].iloc[0]
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
