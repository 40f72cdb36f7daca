"""Closes that an earlier release archived are restored by this one."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import re
from collections import defaultdict
from dataclasses import replace

import pandas as pd
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from fleet_audit.closing.archive import archive_close, frozen_tables, manifest_copy, restore_closes
from fleet_audit.errors import PermanentError
from fleet_audit.logic.closing.manifest import COLUMNS_ADDED, LATER_KEYS, canonical_rows, columns_digested, digest
from fleet_audit.logic.primitives.identity import stable_id, stable_ids
from fleet_audit.schema import facts
from fleet_audit.schema.derive import empty_frame
from fleet_audit.settings import Settings
from fleet_audit.storage import migrations
from fleet_audit.storage.lake import Lake
from fleet_audit_tests.storage.rows import sample

START = dt.date(2025, 5, 16)
FOLDER = f"raw/journal/closes/start={START}/final"


class Restored:
    """A warehouse that is empty at first, and keeps the rows that are written into it."""

    def __init__(self) -> None:
        self.rows: dict[str, pd.DataFrame] = {}

    def upsert(self, table, rows) -> None:
        self.rows[table.address] = rows

    def read_partition(self, table, days):
        return empty_frame(table)

    def read_dated(self, table, column, dates):
        return empty_frame(table)

    def read_table(self, table):
        return empty_frame(table)


@pytest.mark.parametrize("name", COLUMNS_ADDED)
def test_a_close_archived_before_a_column_was_added_is_restored(settings: Settings, name: str) -> None:
    lake = Lake(settings)
    record = sample(facts.CYCLE_CLOSES, START, 1).to_dict("records")[0]
    record |= {"cycle_start": START, "status": "final", "manifest_path": "closes/manifest.json"}
    manifest = b'{"parameters": {"version": "p", "days": {}}}'
    record["manifest_sha256"] = hashlib.sha256(manifest).hexdigest()
    archive_close(lake, Restored(), record, manifest, [START])  # type: ignore[arg-type]
    added = [column for names in COLUMNS_ADDED[name] for column in names]
    tables = [table for table in frozen_tables() if table.full_name == name]
    for table in tables:
        columns = tuple(column for column in table.columns if column.name not in added)
        older = replace(table, columns=columns, sort=tuple(name for name in table.sort if name not in added))
        lake.write_table(f"{FOLDER}/{table.address}.parquet", sample(table, START, 2), older)
    warehouse = Restored()
    assert restore_closes(lake, warehouse) == [{"parameters": {"version": "p", "days": {}}}]  # type: ignore[arg-type]
    for table in tables:
        restored = warehouse.rows[table.address]
        assert len(restored) == 2
        if name in LATER_KEYS:  # its id is a hash of what the close has
            keys = [stable_id(row.operational_date, row.plate, row.carrier_code) for row in restored.itertuples()]
            assert restored[added[0]].tolist() == keys
        else:
            assert restored[added].isna().all(axis=None)


def test_rows_that_got_a_key_after_their_close_are_those_of_the_close() -> None:
    """The key is a hash: in its order, and with it in the digest, each closed row would count as changed."""
    table = facts.VEHICLE_DAY_AMOUNTS
    rows = sample(table, START, 6).drop(columns="vehicle_amounts_id")
    columns = tuple(column for column in table.columns if column.name != "vehicle_amounts_id")
    former = replace(table, name="former", columns=columns, key=("operational_date", "plate"))
    closed = digest(canonical_rows(rows, former))
    now = rows.assign(vehicle_amounts_id=stable_ids(rows, ["operational_date", "plate", "carrier_code"]))
    assert not now["vehicle_amounts_id"].is_monotonic_increasing
    found = canonical_rows(now.sort_values("vehicle_amounts_id"), table)
    assert digest(found) == closed
    assert columns_digested(closed, found, table, None) == found.column_names


def test_a_damaged_manifest_in_the_archive_is_named_before_anything_is_restored_from_it(settings: Settings) -> None:
    lake, manifest = Lake(settings), b"{}"
    record = sample(facts.CYCLE_CLOSES, START, 1).to_dict("records")[0]
    record |= {"cycle_start": START, "status": "provisional", "manifest_path": "closes/manifest.json"}
    record["manifest_sha256"] = hashlib.sha256(manifest).hexdigest()
    archive_close(lake, Restored(), record, manifest, [START])  # type: ignore[arg-type]
    lake.put_bytes(manifest_copy(record), b"{")
    with pytest.raises(PermanentError, match=r"manifest\.json is damaged: .*Restore it from a backup"):
        restore_closes(lake, Restored())  # type: ignore[arg-type]


def test_the_columns_added_after_the_first_closes_are_those_of_the_migrations() -> None:
    """Manifests did not name their columns before migration 0025; the first were of 0003."""
    frozen, added = {table.full_name for table in frozen_tables()}, defaultdict(list)
    scripts = ScriptDirectory(next(iter(migrations.__path__)))
    for script in scripts.walk_revisions("0003_closing", "heads"):
        if script.revision == "0003_closing":
            continue
        written = io.StringIO()
        context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written})
        with Operations.context(context):
            script.module.upgrade()
        columns = defaultdict(list)
        for table, column in re.findall(r"ALTER TABLE (\S+) ADD COLUMN (\S+)", written.getvalue()):
            columns[table].append(column)
        for table in columns.keys() & frozen:
            added[table].insert(0, tuple(columns[table]))
    assert {table: tuple(names) for table, names in added.items()} == COLUMNS_ADDED
    for table in frozen_tables():
        names = [name for group in COLUMNS_ADDED.get(table.full_name, ()) for name in group]
        assert table.untraced.column_names[len(table.untraced.columns) - len(names) :] == names
