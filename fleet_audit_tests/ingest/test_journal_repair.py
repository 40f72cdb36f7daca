"""Damaged and lost entries of the journal come back from PostgreSQL, and a rebuild from the archive works again."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import pandas as pd
import pytest

from fleet_audit.closing.rebuild import prepare_warehouse, restore
from fleet_audit.errors import PermanentError
from fleet_audit.ingest import journal
from fleet_audit.ingest.driver_forgetting import forget_again
from fleet_audit.ingest.driver_names import FORGOTTEN
from fleet_audit.ingest.healing import ParsedFiles
from fleet_audit.ingest.journal_repair import repair_journal
from fleet_audit.ingest.reference.publishing import publish
from fleet_audit.schema import facts
from fleet_audit.schema.derive import conform
from fleet_audit.schema.model import Table, Type
from fleet_audit.schema.reference import DRIVERS
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.stores import Stores
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.damage import KINDS, damage_a_file
from fleet_audit_tests.integration.small_fleet import DAY, PAID, REFERENCE, bulletin, run_row, to_work, visit_report
from fleet_audit_tests.storage.rows import sample

CHEAPER = REFERENCE["tariffs"].replace("T-1,CT-1,,onibus,,,5,2025-01-01,", "T-1,CT-1,,onibus,,,4,2025-01-01,")


@pytest.fixture
def recorded(arrivals):
    """Reference tables in two versions, a visit report, a bulletin under two names, and a computed day."""
    for name, text in REFERENCE.items():
        arrivals.drop(f"reference/{name}.csv", text.encode())
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work()]}))
    arrivals.drop("bulletins/a.csv", bulletin(run_row(1, PAID, "06:30", "06:45", 12)))
    arrivals.drop("bulletins/b.csv", bulletin(run_row(1, PAID, "06:30", "06:45", 12)))
    arrivals.read()
    journal.backfill(arrivals.lake, arrivals.warehouse)
    _publish(arrivals)
    arrivals.drop("reference/tariffs.csv", CHEAPER.encode())
    arrivals.read()
    _publish(arrivals)
    journal.record_computed_day(arrivals.lake, DAY)
    arrivals.warehouse.upsert(facts.COMPUTED_DAYS, sample(facts.COMPUTED_DAYS, DAY, 1))
    return arrivals


def _publish(arrivals) -> None:
    files = ParsedFiles(arrivals.lake, arrivals.warehouse, arrivals.settings, arrivals.warnings.append)
    publish(files, "a-run")


def _open_tariffs(rows: pd.DataFrame) -> list[str]:
    """The tariffs in force."""
    newest = rows.drop_duplicates([*facts.REFERENCE_HISTORY.key], keep="last")
    is_open = newest["table_name"].eq("tariffs") & newest["recorded_to"].isna()
    return sorted(newest.loc[is_open, "row_key"])


def _state(arrivals) -> dict[str, object]:
    """What a rebuild reads: arrivals in their order, the newest version of each recorded row, computed days."""
    lake = arrivals.lake
    rows = {}
    for table in journal.ROW_TABLES:
        batches = journal.row_batches(lake, table)
        merged = pd.concat(batches).drop_duplicates([*table.key], keep="last") if batches else pd.DataFrame()
        for column in table.columns:
            if column.type is Type.JSON and len(merged):  # PostgreSQL keeps its keys in another order
                merged[column.name] = [json.dumps(json.loads(text), sort_keys=True) for text in merged[column.name]]
        rows[table.name] = sorted(merged.astype(str).itertuples(index=False, name=None))
    names = ("file_sha256", "file_name", "kind", "archive_path", "received_at", "is_duplicate")
    arrived = [tuple(entry[name] for name in names) for entry in journal.arrivals(lake)]
    return {**rows, "arrivals": sorted(arrived), "days": journal.computed_days(lake)}


def test_damaged_and_lost_entries_come_back_and_are_named(recorded):
    lake, expected, paths = recorded.lake, _state(recorded), recorded.lake.modified(journal.FOLDER)
    assert repair_journal(lake, recorded.warehouse) == []
    assert lake.modified(journal.FOLDER) == paths  # of a whole journal nothing is written again
    for seed, folder in enumerate(("arrivals", facts.REFERENCE_HISTORY.name) * len(KINDS)):
        done = damage_a_file(Path(lake.url("")), [f"{journal.FOLDER}/{folder}"], random.Random(seed))
        path, how = done.split(": ")
        sentences = repair_journal(lake, recorded.warehouse)
        assert _state(recorded) == expected, done
        assert "written again from PostgreSQL" in sentences[-1]
        if how != "removed":
            assert any(path in sentence for sentence in sentences), (done, sentences)
            assert lake.exists(f"quarantine/{path}")
    for path in lake.list(f"{journal.FOLDER}/computed_days"):
        lake.delete(path)
    repair_journal(lake, recorded.warehouse)
    assert _state(recorded) == expected


def test_a_rebuild_names_a_damaged_entry_and_works_once_it_is_repaired(recorded):
    path = recorded.lake.list(f"{journal.FOLDER}/arrivals")[0]
    recorded.lake.put_bytes(path, b"{")
    stores = Stores(recorded.lake, recorded.warehouse, recorded.settings)
    with pytest.raises(PermanentError, match=path):
        restore(stores, print)
    repair_journal(recorded.lake, recorded.warehouse)
    before = recorded.warehouse.read_table(facts.INGESTED_FILES)
    prepare_warehouse(recorded.warehouse, is_replaced=True)
    restored = restore(stores, print)
    assert (restored.problems, restored.days) == ([], [DAY])
    after = recorded.warehouse.read_table(facts.INGESTED_FILES)
    key = ["file_name", "file_sha256", "status", "received_at"]
    pd.testing.assert_frame_equal(
        after[key].sort_values(key, ignore_index=True), before[key].sort_values(key, ignore_index=True)
    )


def test_a_driver_stays_forgotten_when_the_entry_is_damaged(arrivals):
    drivers = pd.DataFrame([{"driver_id": "drv-0123456789ab", "name": FORGOTTEN}])
    drivers = drivers.reindex(columns=DRIVERS.column_names)
    arrivals.warehouse.upsert(DRIVERS, conform(drivers, DRIVERS))
    arrivals.lake.put_bytes(f"{journal.FOLDER}/forgotten_drivers/a.json", b"\xff")
    sentences = repair_journal(arrivals.lake, arrivals.warehouse)
    assert "forgotten_drivers/a.json" in sentences[0]
    arrivals.warehouse.execute("delete from ref.drivers", {})
    forget_again(arrivals.lake, arrivals.warehouse)
    assert arrivals.warehouse.read_table(DRIVERS)["driver_id"].to_list() == ["drv-0123456789ab"]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_version_that_is_published_during_the_repair_stays_the_newest_in_the_journal(
    recorded, monkeypatch, is_damaged
):
    """The other run publishes as soon as the repair has read PostgreSQL."""
    lake, warehouse, read_table = recorded.lake, recorded.warehouse, Warehouse.read_table
    if is_damaged:
        lake.put_bytes(lake.list(f"{journal.FOLDER}/{facts.REFERENCE_HISTORY.name}")[-1], b"")
    dearer = CHEAPER.replace("T-1,CT-1,,onibus,,,4,", "T-1,CT-1,,onibus,,,9,")
    recorded.drop("reference/tariffs.csv", (dearer + "\n").encode())  # another size: a new version
    recorded.read()
    others: list[threading.Thread] = []

    def read_and_let_another_run_publish(self: Warehouse, table: Table) -> pd.DataFrame:
        rows = read_table(self, table)
        if table is facts.REFERENCE_HISTORY and not others:
            others.append(threading.Thread(target=_publish, args=[recorded]))
            others[0].start()
            others[0].join(timeout=1)  # it waits for the repair
        return rows

    monkeypatch.setattr(Warehouse, "read_table", read_and_let_another_run_publish)
    repair_journal(lake, warehouse)
    others[0].join()
    in_journal = _open_tariffs(pd.concat(journal.row_batches(lake, facts.REFERENCE_HISTORY)))
    assert in_journal == _open_tariffs(read_table(warehouse, facts.REFERENCE_HISTORY))


def test_every_batch_of_the_journal_is_read_once(recorded, monkeypatch):
    read: list[str] = []
    read_table = Lake.read_table

    def counted(self: Lake, path: str, *args) -> pd.DataFrame:
        read.append(path)
        return read_table(self, path, *args)

    monkeypatch.setattr(Lake, "read_table", counted)
    repair_journal(recorded.lake, recorded.warehouse)
    folders = [f"{journal.FOLDER}/{table.name}" for table in journal.ROW_TABLES]
    assert sorted(read) == sorted(path for folder in folders for path in recorded.lake.list(folder))
