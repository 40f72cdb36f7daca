"""PostgreSQL is lost: the archive in `raw/` alone gives the same rows again, closed cycles and corrections too."""

from __future__ import annotations

import datetime as dt
import shutil

import pandas as pd
import pytest

from fleet_audit.closing.archive import archived_tables, frozen_tables, manifest_copy
from fleet_audit.closing.archive_repair import repair_archived_closes, restore_recent_manifests
from fleet_audit.schema import facts, reference
from fleet_audit.schema.model import Table
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit_tests.integration.installation import Installation, failures, invoked, said
from fleet_audit_tests.integration.small_fleet import (
    PAID,
    REFERENCE,
    SEEN_TWICE,
    bulletin,
    drive,
    from_work,
    run_row,
    telemetry,
    to_work,
    visit_report,
    write_inbox,
)

pytestmark = pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")  # beta in 1.13, ours by design
CYCLE = dt.date(2025, 5, 16)
CLOSED, OPEN, NEXT = dt.date(2025, 6, 15), dt.date(2025, 6, 16), dt.date(2025, 6, 17)
DAYS = [CLOSED, OPEN, NEXT]
FIXED = "contract_id,plate,amount_brl_per_month,valid_from,valid_to\nCT-1,AAA1A11,3100,2025-01-01,\n"
DEARER = REFERENCE["tariffs"].replace("T-1,CT-1,,onibus,,,5,2025-01-01,", "T-1,CT-1,,onibus,,,6,2025-01-01,")
DANGLING = REFERENCE["vehicles"].replace(f"{PAID},101,UM,UCP,CT-1", f"{PAID},101,UM,UCP,CT-9")
# Who wrote a row and when, and how the inbox last listed a file; everything else must be the same after a rebuild.
_TRACE = ("run_id", "updated_at", "computed_at", "changed_at", "stamp")
_TABLES = (
    *facts.FACTS,
    *facts.CYCLE_FACTS,
    *reference.TABLES,
    *(each for each in facts.OPS if each not in (facts.INBOX_REQUESTS, facts.INBOX_SIGHTINGS)),
)


def _files(day: dt.date, km: str = "11.20") -> dict[str, bytes]:
    moves = {PAID: [to_work(km), from_work()], SEEN_TWICE: [to_work()]}
    return {
        f"visit_reports/{day}.csv": visit_report(moves, day),
        f"bulletins/{day}.csv": bulletin(run_row(day.day, PAID, "06:30", "06:45", 12, day)),
        f"telemetry/{day}.csv": telemetry(drive(SEEN_TWICE, "06:30", day)),
    }


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, new_database) -> Installation:
    """Three days, the first closed for good and corrected afterwards; a dearer tariff, a refused table, bad bytes."""
    root = tmp_path_factory.mktemp("rebuild")
    files = {name: each for day in DAYS for name, each in _files(day).items()}
    inbox = write_inbox(root / "inbox", files | {"bulletins/scan.csv": b"%PDF-1.4 no table"})
    (inbox / "reference" / "fixed_costs.csv").write_text(FIXED)
    made = Installation(root / "home", str(inbox), new_database(), {"FLEET_START_DATE": CLOSED.isoformat()})
    assert failures(made.materialize(CLOSED, NEXT)) == []
    closed = made.command("close", "--cycle", CYCLE, "--final")  # of its own: the first day is read once per process
    assert closed.returncode == 0, said(closed)
    write_inbox(inbox, _files(CLOSED, "13.40") | _files(OPEN, "12.10"))
    (inbox / "bulletins" / "copy.csv").write_bytes((inbox / "bulletins" / f"{NEXT}.csv").read_bytes())
    (inbox / "reference" / "tariffs.csv").write_text(DEARER)
    (inbox / "reference" / "vehicles.csv").write_text(DANGLING)
    assert failures(made.materialize(CLOSED, NEXT)) == []
    for start in (CYCLE, OPEN):  # as the command line does
        assert failures(made.materialize_cycle(start)) == []
    return made


@pytest.fixture(scope="module")
def rebuilt(installation: Installation, tmp_path_factory: pytest.TempPathFactory, new_database) -> Installation:
    """Another home with a copy of `raw/` and nothing else, on an empty database, without the inbox."""
    home = tmp_path_factory.mktemp("rebuilt") / "home"
    shutil.copytree(installation.home / "lake" / "raw", home / "lake" / "raw")
    made = Installation(home, None, new_database(), installation.others)
    result = invoked(made, "rebuild")
    assert result.exit_code == 0, said(result)
    assert "3 days computed again" in result.stdout
    return made


@pytest.mark.parametrize("table", _TABLES, ids=lambda table: table.full_name)
def test_the_same_rows_come_from_the_archive_alone(installation, rebuilt, table):
    found, expected = (_rows(each, table) for each in (rebuilt, installation))
    pd.testing.assert_frame_equal(found, expected)


def _rows(installation: Installation, table: Table) -> pd.DataFrame:
    rows = installation.warehouse.read_table(table)
    kept = [name for name in rows if name not in _TRACE]
    order = list(table.key) or kept
    return rows[kept].sort_values(order, kind="stable", key=lambda column: column.astype(str)).reset_index(drop=True)


def test_the_rows_compared_hold_a_close_an_adjustment_a_refusal_and_a_change(installation):
    counts = {
        sql: int(installation.query(f"select count(*) as n from {sql}")["n"].iloc[0])
        for sql in (
            "ops.cycle_closes where status = 'final'",
            "fact.adjustments",
            "ops.ingested_files where status = 'rejected'",
            "ops.ingested_files where status = 'duplicate'",
            "ops.reference_changes",
            "ops.reference_deltas where is_rerun",
        )
    }
    assert all(counts.values()), counts


def test_a_close_archives_every_table_that_it_freezes():
    frozen = {table.address for table in facts.TABLES if table.frozen_by is not None}
    within_adjustments = {facts.REVERSAL_ADJUSTMENTS.address}
    assert frozen - within_adjustments <= {table.address for table in frozen_tables()}


def test_a_rebuilt_close_can_be_replayed(rebuilt):
    result = invoked(rebuilt, "replay", "--cycle", CYCLE)
    assert result.exit_code == 0, said(result)


@pytest.mark.parametrize("how", ["damaged", "lost"])
def test_a_manifest_is_restored_from_its_other_copy_by_the_next_run(rebuilt, how):
    lake, warehouse = Lake(Settings(_env_file=None, home=rebuilt.home)), rebuilt.warehouse
    record = warehouse.read_table(facts.CYCLE_CLOSES).iloc[0].to_dict()
    copies = [record["manifest_path"], manifest_copy(record)]
    whole = lake.get_bytes(copies[0])
    for path in copies:
        lake.delete(path)
        if how == "damaged":
            lake.put_bytes(path, whole[: len(whole) // 2])
        (sentence,) = restore_recent_manifests(lake, warehouse)
        assert lake.url(path) in sentence
        assert how in sentence
        assert [lake.get_bytes(each) for each in copies] == [whole, whole]
        assert restore_recent_manifests(lake, warehouse) == []
    for path in copies:
        lake.put_bytes(path, b"{}")
    (sentence,) = restore_recent_manifests(lake, warehouse)
    assert "from a backup" in sentence
    lake.put_bytes(copies[0], whole)
    restore_recent_manifests(lake, warehouse)


def test_archived_rows_of_a_close_come_back_unless_the_rows_were_changed(rebuilt):
    lake, warehouse = Lake(Settings(_env_file=None, home=rebuilt.home)), rebuilt.warehouse
    record = warehouse.read_table(facts.CYCLE_CLOSES).query("status == 'final'").iloc[0].to_dict()
    path, table = next(each for each in archived_tables(record) if each[1] is facts.TRIPS)
    before = lake.read_table(path, table)
    lake.put_bytes(path, b"no Parquet")
    warehouse.execute("update fact.trips set km_measured = 1 where operational_date = :day", {"day": CLOSED})
    (sentence,) = repair_archived_closes(lake, warehouse)
    assert "rows were changed" in sentence
    warehouse.upsert(facts.TRIPS, before)
    (sentence,) = repair_archived_closes(lake, warehouse)
    assert lake.url(path) in sentence
    assert "archived again" in sentence
    found = lake.read_table(path, table)
    pd.testing.assert_frame_equal(found.drop(columns="updated_at"), before.drop(columns="updated_at"))
    assert repair_archived_closes(lake, warehouse) == []


def test_a_warehouse_with_data_is_refused_and_emptied_only_when_asked(installation):
    result = invoked(installation, "rebuild")
    assert result.exit_code == 2
    assert "not empty" in result.output
    assert "--replace" in result.output


def test_an_archive_without_a_journal_is_named_and_the_next_run_writes_it(installation, tmp_path, new_database):
    home = tmp_path / "home"
    shutil.copytree(installation.home / "lake" / "raw", home / "lake" / "raw")
    shutil.rmtree(home / "lake" / "raw" / "journal")
    made = Installation(home, None, new_database(), installation.others)
    result = invoked(made, "rebuild")
    assert result.exit_code == 2
    assert "does not say when" in result.output
    assert "fleet-audit run" in result.output
