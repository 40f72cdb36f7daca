"""Repair of archived closes while other runs close cycles and repair the same files."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
from typing import Any

import pandas as pd
import pytest

from fleet_audit.closing.archive import archive_close, archived_tables, manifest_copy
from fleet_audit.closing.archive_repair import repair_archived_closes, restore_recent_manifests
from fleet_audit.closing.freezing import cycle_rows, outputs_of
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of
from fleet_audit.schema import facts
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.storage.rows import sample

START = dt.date(2025, 5, 16)
BEFORE, NOW = b'{"closed": 1}', b'{"closed": 2}'
WITHOUT_ROWS = b'{"parameters": {"version": "p", "days": {}}}'


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings)


@pytest.fixture
def warehouse(postgres_url: str) -> Warehouse:
    return Warehouse(postgres_url)


def _record(start: dt.date, status: str, manifest: bytes) -> dict[str, Any]:
    cycle = cycle_of(start, 16)
    record: dict[str, Any] = sample(facts.CYCLE_CLOSES, start, 1).to_dict("records")[0]
    return record | {
        "cycle_start": cycle.start,
        "cycle_end": cycle.end,
        "status": status,
        "manifest_path": f"closes/start={cycle.start}/{status}.json",
        "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
    }


def _archive(lake: Lake, warehouse: Warehouse, record: dict[str, Any], manifest: bytes) -> None:
    archive_close(lake, warehouse, record, manifest, [])
    warehouse.upsert(facts.CYCLE_CLOSES, pd.DataFrame([record]))


def _closed(lake: Lake, warehouse: Warehouse, start: dt.date, status: str, manifest: bytes) -> dict[str, Any]:
    record = _record(start, status, manifest)
    lake.put_bytes(record["manifest_path"], manifest)
    _archive(lake, warehouse, record, manifest)
    return record


def _copies(lake: Lake, record: dict[str, Any]) -> list[bytes | None]:
    return [lake.find_bytes(path) for path in (record["manifest_path"], manifest_copy(record))]


def test_a_provisional_close_that_is_being_written_is_not_taken_for_damage(lake, warehouse):
    record = _closed(lake, warehouse, START, "provisional", BEFORE)
    said: list[str] = []
    repair = threading.Thread(target=lambda: said.extend(repair_archived_closes(lake, warehouse)))
    with warehouse.holding([*facts.FACTS, *facts.CYCLE_FACTS], cycle_days(cycle_of(START, 16))):
        lake.put_bytes(record["manifest_path"], NOW)
        assert restore_recent_manifests(lake, warehouse) == []
        assert lake.get_bytes(record["manifest_path"]) == NOW
        repair.start()
        repair.join(timeout=1)  # it waits for the close
        _archive(lake, warehouse, _record(START, "provisional", NOW), NOW)
    repair.join()
    assert said == []
    assert _copies(lake, record) == [NOW, NOW]


def test_a_run_reads_manifests_of_the_newest_final_closes_only(lake, warehouse):
    starts = [dt.date(2025, month, 16) for month in range(1, 7)]
    for start in starts:
        lost = _record(start, "final", WITHOUT_ROWS)
        warehouse.upsert(facts.CYCLE_CLOSES, pd.DataFrame([lost]))
    sentences = restore_recent_manifests(lake, warehouse)
    assert len(sentences) == 3
    for start, sentence in zip(reversed(starts), sentences, strict=False):
        assert f"closes/start={start}/" in sentence


def test_a_close_whose_manifest_is_lost_is_named_and_the_others_are_repaired(lake, warehouse):
    lost = _record(START, "final", WITHOUT_ROWS)
    warehouse.upsert(facts.CYCLE_CLOSES, pd.DataFrame([lost]))
    record = _closed(lake, warehouse, dt.date(2025, 6, 16), "provisional", NOW)
    lake.put_bytes(manifest_copy(record), b"damaged")
    *of_lost, of_damaged = repair_archived_closes(lake, warehouse)
    assert any("from a backup" in sentence and lost["manifest_path"] in sentence for sentence in of_lost)
    assert any("not archived again, because its manifest is damaged or lost" in sentence for sentence in of_lost)
    assert manifest_copy(record) in of_damaged
    assert _copies(lake, record) == [NOW, NOW]


def test_damaged_archived_rows_stay_until_they_are_archived_again(lake, warehouse):
    """A rebuild must meet them: it takes a missing table for one that the close did not have yet."""
    content = {
        "cycle": {"start": START.isoformat(), "status": "final"},
        "outputs": outputs_of(warehouse, [START]),
        "cycle_rows": cycle_rows(warehouse, START),
        "parameters": {"version": "p", "values": {}, "days": {}},
    }
    manifest = json.dumps(content).encode()
    record = _closed(lake, warehouse, START, "final", manifest)
    path, table = next(each for each in archived_tables(record) if each[1] is facts.TRIPS)
    lake.put_bytes(path, b"no Parquet")
    for manifest_path in (record["manifest_path"], manifest_copy(record)):
        lake.delete(manifest_path)
    sentences = repair_archived_closes(lake, warehouse)
    assert "not archived again" in sentences[-1]
    assert (lake.get_bytes(path), lake.get_bytes(f"quarantine/{path}")) == (b"no Parquet", b"no Parquet")
    lake.put_bytes(record["manifest_path"], manifest)
    sentences = repair_archived_closes(lake, warehouse)
    assert "was archived again from PostgreSQL" in sentences[-1]
    assert len(lake.read_table(path, table)) == 0
    assert repair_archived_closes(lake, warehouse) == []


def test_two_runs_that_restore_the_same_manifest_end_with_two_whole_copies(lake, warehouse, monkeypatch):
    """The other run restores it while this one writes what is left of it to `quarantine/`."""
    record = _closed(lake, warehouse, START, "final", WITHOUT_ROWS)
    lake.put_bytes(record["manifest_path"], b"damaged")
    put_bytes, said = Lake.put_bytes, []

    def put_after_another_run(self: Lake, path: str, content: bytes) -> None:
        if path.startswith("quarantine/") and not said:
            said.append("begun")
            said.extend(restore_recent_manifests(lake, warehouse))
        put_bytes(self, path, content)

    monkeypatch.setattr(Lake, "put_bytes", put_after_another_run)
    said.extend(restore_recent_manifests(lake, warehouse))
    assert said[1:] == [
        f"{lake.url(record['manifest_path'])} was damaged and moved to quarantine/; "
        "the other copy of the manifest replaced it."
    ] * 2  # fmt: skip
    assert _copies(lake, record) == [WITHOUT_ROWS, WITHOUT_ROWS]
    assert lake.get_bytes(f"quarantine/{record['manifest_path']}") == b"damaged"


def test_a_file_that_another_run_removed_meanwhile_is_lost_and_no_error(lake, monkeypatch):
    lake.put_bytes("raw/a", b"damaged")
    exists = Lake.exists

    def exists_and_is_removed(self: Lake, path: str) -> bool:
        is_there = exists(self, path)
        if is_there:
            self._filesystem.delete_file(self._full(path))
        return is_there

    monkeypatch.setattr(Lake, "exists", exists_and_is_removed)
    lake.delete("raw/a")
    assert lake.find_bytes("raw/a") is None
