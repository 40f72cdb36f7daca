"""Whatever changes a table's rows, the next read has them; what a caller does to its frame stays its own."""

from __future__ import annotations

import pandas as pd
import pytest

from fleet_audit.schema.reference import CARRIERS, UNITS
from fleet_audit.storage.unchanged_tables import computed_from_tables, read_tables
from fleet_audit.storage.warehouse import Warehouse

_CHANGES = {
    "insert": "insert into ref.carriers values ('C', 'New')",
    "update": "update ref.carriers set name = 'Other' where carrier_code = 'A'",
    "delete": "delete from ref.carriers where carrier_code = 'B'",
    "delete and insert": "with gone as (delete from ref.carriers where carrier_code = 'B') "
    "insert into ref.carriers values ('D', 'Instead')",
    "truncate": "truncate ref.carriers cascade",
}


@pytest.fixture
def warehouse(postgres_url: str) -> Warehouse:
    warehouse = Warehouse(postgres_url)
    warehouse.execute("insert into ref.carriers values ('A', 'First'), ('B', 'Second')")
    return warehouse


@pytest.mark.parametrize("change", _CHANGES)
def test_a_change_is_seen_by_the_next_read(warehouse: Warehouse, change: str) -> None:
    before = read_tables(warehouse, [CARRIERS, UNITS])
    assert before["carriers"]["carrier_code"].tolist() == ["A", "B"]
    warehouse.execute(_CHANGES[change])
    found = read_tables(warehouse, [UNITS, CARRIERS])
    assert found["carriers"].equals(warehouse.read_table(CARRIERS))
    assert not found["carriers"].equals(before["carriers"])
    assert found["units"].equals(before["units"])


def test_a_frame_that_its_reader_changes_is_not_what_the_next_one_gets(warehouse: Warehouse) -> None:
    mine = read_tables(warehouse, [CARRIERS])["carriers"]
    mine["name"] = "changed"
    mine.loc[0, "carrier_code"] = "Z"
    assert read_tables(warehouse, [CARRIERS])["carriers"].equals(warehouse.read_table(CARRIERS))


def test_what_is_computed_from_tables_is_computed_again_after_a_change_only(warehouse: Warehouse) -> None:
    def names(frames: dict[str, pd.DataFrame]) -> list[list[str]]:
        return [frames["carriers"]["name"].tolist()]

    first = computed_from_tables(warehouse, [CARRIERS, UNITS], names)
    assert computed_from_tables(warehouse, [CARRIERS, UNITS], names) is first
    warehouse.execute(_CHANGES["update"])
    assert computed_from_tables(warehouse, [CARRIERS, UNITS], names) == [["Other", "Second"]]
