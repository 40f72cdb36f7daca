"""Files of the lake that are lost or damaged: computed again from the archive, or set aside by name, never silently."""

from __future__ import annotations

import pytest

from fleet_audit.closing.rebuild import prepare_warehouse, restore
from fleet_audit.errors import PermanentError
from fleet_audit.ingest.files import parsed_path
from fleet_audit.ingest.healing import ParsedFiles
from fleet_audit.ingest.reference.publishing import publish
from fleet_audit.schema import facts, reference
from fleet_audit.schema.lake import PARSED_COVERAGE, PARSED_VISIT_LEGS
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.stores import Stores
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    PAID,
    REFERENCE,
    SEEN_TWICE,
    bulletin,
    drive,
    run_row,
    telemetry,
    to_work,
    visit_report,
)

REPORT = visit_report({PAID: [to_work()], SEEN_TWICE: [to_work()]})


def _sha256(arrivals, name: str) -> str:
    rows = arrivals.warehouse.read("select file_sha256 from ops.ingested_files where file_name = :name", {"name": name})
    return str(rows["file_sha256"].iloc[0])


def _raw_path(arrivals, name: str) -> str:
    rows = arrivals.warehouse.read(
        "select archive_path from ops.ingested_files where file_name = :name", {"name": name}
    )
    return str(rows["archive_path"].iloc[0])


@pytest.mark.parametrize("damage", ["lost", "truncated", "not Parquet"])
def test_parsed_rows_that_are_gone_are_computed_again_and_named_in_one_line(arrivals, damage):
    arrivals.drop("visit_reports/a.csv", REPORT)
    arrivals.read()
    before = arrivals.stage().visit_legs(DAY)
    for table in (PARSED_VISIT_LEGS, PARSED_COVERAGE):
        path = parsed_path(table, _sha256(arrivals, "visit_reports/a.csv"))
        whole = arrivals.lake.get_bytes(path)
        arrivals.lake.delete(path)
        if damage != "lost":
            arrivals.lake.put_bytes(path, whole[:-20] if damage == "truncated" else b"no Parquet")
    after = arrivals.stage().visit_legs(DAY)
    assert after.equals(before)
    (line,) = arrivals.warnings
    assert parsed_path(PARSED_VISIT_LEGS, _sha256(arrivals, "visit_reports/a.csv")) in line
    assert "computed again" in line
    assert arrivals.stage().visit_legs(DAY).equals(before)
    assert len(arrivals.warnings) == 1  # it is whole again


@pytest.mark.parametrize("left", [b"what a broken disk left", None])
def test_an_archived_file_that_is_lost_is_fetched_again_from_the_inbox(arrivals, left):
    arrivals.drop("visit_reports/a.csv", REPORT)
    arrivals.read()
    before, path = arrivals.stage().visit_legs(DAY), _raw_path(arrivals, "visit_reports/a.csv")
    whole = arrivals.lake.get_bytes(path)
    arrivals.lake.delete(path)
    if left is not None:
        arrivals.lake.put_bytes(path, left)
    arrivals.lake.delete(parsed_path(PARSED_VISIT_LEGS, _sha256(arrivals, "visit_reports/a.csv")))
    assert arrivals.stage().visit_legs(DAY).equals(before)
    assert arrivals.lake.get_bytes(path) == whole
    line, _ = arrivals.warnings  # the other one is on the parsed rows
    assert path in line
    assert "visit_reports/a.csv of the inbox" in line
    assert arrivals.lake.exists(f"quarantine/{path}") == (left is not None)
    assert set(arrivals.warehouse.read_table(facts.INGESTED_FILES)["status"]) == {"accepted"}


@pytest.mark.parametrize("in_inbox", [None, b"x"])
def test_a_damaged_archived_file_is_set_aside_by_name_and_the_same_bytes_heal_it(arrivals, in_inbox):
    """The inbox has it no more, or another version of it."""
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work()]}))
    arrivals.read()
    arrivals.drop("visit_reports/b.csv", visit_report({SEEN_TWICE: [to_work()]}))
    arrivals.read()
    path = _raw_path(arrivals, "visit_reports/a.csv")
    received_at = _received_at(arrivals)
    whole = arrivals.lake.get_bytes(path)
    (arrivals.inbox / "visit_reports/a.csv").unlink()
    if in_inbox is not None:
        arrivals.drop("visit_reports/a.csv", in_inbox * len(whole))
    arrivals.lake.put_bytes(path, b"what a broken disk left")
    arrivals.lake.delete(parsed_path(PARSED_VISIT_LEGS, _sha256(arrivals, "visit_reports/a.csv")))
    assert arrivals.stage().visit_legs(DAY)["plate"].tolist() == [SEEN_TWICE]
    (line,) = arrivals.warnings
    assert path in line
    assert "Send the file again" in line
    assert arrivals.lake.get_bytes(f"quarantine/{path}") == b"what a broken disk left"
    assert not arrivals.lake.exists(path)
    (row,) = arrivals.warehouse.read("select * from ops.ingested_files where status = 'rejected'", {}).to_dict(
        "records"
    )
    assert (row["file_name"], row["reason_code"]) == ("visit_reports/a.csv", "damaged_archive")
    assert path in row["message"]

    arrivals.drop("visit_reports/a.csv", whole)
    summary = arrivals.read()
    assert summary.files[["file_name", "status"]].values.tolist() == [["visit_reports/a.csv", "accepted"]]
    assert sorted(arrivals.stage().visit_legs(DAY)["plate"]) == [PAID, SEEN_TWICE]
    assert _received_at(arrivals) == received_at  # it keeps its place among the versions


def _received_at(arrivals) -> dict[str, object]:
    rows = arrivals.warehouse.read_table(facts.INGESTED_FILES)
    return dict(zip(rows["file_name"], rows["received_at"], strict=True))


def test_a_lost_reference_table_is_read_again_before_it_is_published(arrivals):
    for name, text in REFERENCE.items():
        arrivals.drop(f"reference/{name}.csv", text.encode())
    arrivals.read()
    files = ParsedFiles(arrivals.lake, arrivals.warehouse, arrivals.settings, arrivals.warnings.append)
    first = publish(files, "a-run")
    arrivals.lake.delete(parsed_path(reference.TARIFFS, _sha256(arrivals, "reference/tariffs.csv")))
    again = publish(files, "another-run")
    assert again.in_force["tariffs"].rows.equals(first.in_force["tariffs"].rows)
    assert again.touched == {}
    assert len(arrivals.warnings) == 1


def test_a_damaged_reference_table_stops_the_run_until_it_is_sent_again(arrivals):
    """Computing by an older tariff, or by none, would change what is paid."""
    for name, text in REFERENCE.items():
        arrivals.drop(f"reference/{name}.csv", text.encode())
    arrivals.read()
    path = _raw_path(arrivals, "reference/tariffs.csv")
    (arrivals.inbox / "reference/tariffs.csv").unlink()
    arrivals.lake.put_bytes(path, b"damaged")
    arrivals.lake.delete(parsed_path(reference.TARIFFS, _sha256(arrivals, "reference/tariffs.csv")))
    for _ in range(2):  # also when it was set aside before
        with pytest.raises(PermanentError, match="is damaged"):
            publish(_files(arrivals), "a-run")
    arrivals.drop("reference/tariffs.csv", REFERENCE["tariffs"].encode())
    arrivals.read()
    assert len(publish(_files(arrivals), "a-run").in_force["tariffs"].rows) == 2


def _files(arrivals) -> ParsedFiles:
    return ParsedFiles(arrivals.lake, arrivals.warehouse, arrivals.settings, arrivals.warnings.append)


def test_arrivals_and_reference_history_are_restored_from_an_archive_on_s3(arrivals, settings, seaweed):
    others = seaweed.settings(lake_url=f"s3://{seaweed.bucket}/rebuild", inbox_url=settings.inbox_url)
    arrivals.settings = on_s3 = Settings(_env_file=None, home=settings.home, **others)
    for name, text in REFERENCE.items():
        arrivals.drop(f"reference/{name}.csv", text.encode())
    arrivals.drop("bulletins/a.csv", bulletin(run_row(1, PAID, "06:30", "06:45", 12)))
    arrivals.drop("telemetry/a.csv", telemetry(drive(PAID, "06:30")))
    arrivals.drop("visit_reports/a.csv", REPORT)
    arrivals.read()
    publish(ParsedFiles(arrivals.lake, arrivals.warehouse, on_s3, arrivals.warnings.append), "a-run")
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work("13.40")]}))
    arrivals.drop("reference/tariffs.csv", REFERENCE["tariffs"].replace(",5,", ",6,").encode())
    arrivals.read()
    publish(ParsedFiles(arrivals.lake, arrivals.warehouse, on_s3, arrivals.warnings.append), "a-run")
    tables = (facts.FILE_DAYS, facts.REJECTED_ROWS, facts.REFERENCE_HISTORY, facts.INGESTED_FILES)
    before = {table.name: _untraced(arrivals.warehouse, table) for table in tables}
    legs = arrivals.stage().visit_legs(DAY)

    prepare_warehouse(arrivals.warehouse, is_replaced=True)
    lake = Lake(on_s3)
    for path in [path for path in lake.list() if not path.startswith("raw/")]:
        lake.delete(path)
    restored = restore(Stores(lake, arrivals.warehouse, on_s3), lambda line: None)
    assert (restored.files, restored.problems) == (len(REFERENCE) + 5, [])
    for table in tables:
        assert _untraced(arrivals.warehouse, table).equals(before[table.name]), table.name
    assert arrivals.stage().visit_legs(DAY)["reported_km"].tolist() == legs["reported_km"].tolist()


def _untraced(warehouse: Warehouse, table):
    rows = warehouse.read_table(table).drop(
        columns=["run_id", "stamp"], errors="ignore"
    )  # the stamp is the inbox's memory
    return rows.sort_values(list(table.key)).reset_index(drop=True)


def test_a_damaged_archived_file_does_not_stop_a_rebuild(arrivals):
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work()]}))
    arrivals.drop("visit_reports/b.csv", visit_report({SEEN_TWICE: [to_work()]}))
    arrivals.read()
    path = _raw_path(arrivals, "visit_reports/a.csv")
    arrivals.lake.put_bytes(path, b"damaged")
    prepare_warehouse(arrivals.warehouse, is_replaced=True)
    restored = restore(Stores(arrivals.lake, arrivals.warehouse, arrivals.settings), lambda line: None)
    (problem,) = restored.problems
    assert path in problem
    rows = arrivals.warehouse.read_table(facts.INGESTED_FILES)
    assert dict(zip(rows["file_name"], rows["status"], strict=True)) == {
        "visit_reports/a.csv": "rejected",
        "visit_reports/b.csv": "accepted",
    }
