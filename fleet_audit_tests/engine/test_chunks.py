"""A fleet in chunks of whole vehicles: nothing that is computed of a day shows how it was cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest

from fleet_audit.closing.code import code_version
from fleet_audit.defs.vehicle_chunks import FleetCut, InArrow, SentVehicles
from fleet_audit.defs.window_positions import WINDOW_PARTS, DayVehicles, WindowOfDay, WindowPositions
from fleet_audit.engine.chunks import cut_fleet, shared_reference
from fleet_audit.engine.local import LocalProcesses
from fleet_audit.errors import PermanentError
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.schema.lake import STAGING_DECLARED_RUNS, STAGING_POSITIONS, STAGING_VISIT_LEGS
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.table_days import LakeDays
from fleet_audit_tests.engine.fleet import DAYS, DEVICES, computed, stage


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Lake:
    return Lake(Settings(_env_file=None, lake_url=str(tmp_path_factory.mktemp("lake"))))


@pytest.fixture(scope="module")
def fleet(store):
    return stage(store)


def local(size: int) -> Settings:
    return Settings(_env_file=None, chunk_vehicles=size, day_processes=1)


@pytest.fixture(scope="module")
def cut(store, fleet):
    return computed(store, fleet, local(2))


def test_the_tables_of_a_fleet_in_chunks_are_those_of_the_undivided_fleet(store, fleet, cut):
    whole = computed(store, fleet, local(500))
    assert sorted(whole) == sorted(
        [(day, name) for day in DAYS for name in WINDOW_PARTS] + [(DAYS[0], n) for n in DEVICES]
    )
    assert {name for (_, name), table in whole.items() if table.num_rows} == {*WINDOW_PARTS, *DEVICES}
    assert [where for where, table in whole.items() if not cut[where].equals(table)] == []


def test_processes_share_many_chunks_of_a_few_days_with_the_same_tables(store, fleet, cut, monkeypatch):
    sizes: list[int] = []

    def engine(settings: Settings, processes: int, preloaded: Sequence[str]) -> LocalProcesses:
        sizes.append(processes)
        return LocalProcesses(processes, preloaded)

    monkeypatch.setattr("fleet_audit.defs.vehicle_chunks.engine_of", engine)
    two = Settings(_env_file=None, day_processes=2)
    assert [where for where, table in computed(store, fleet, two).items() if not cut[where].equals(table)] == []
    assert sizes == [1, 1], "a fleet that fits into a chunk"
    monkeypatch.setattr("fleet_audit.defs.vehicle_chunks._SHARED_VEHICLES", 2)
    assert [where for where, table in computed(store, fleet, two).items() if not cut[where].equals(table)] == []
    assert sizes[2:] == [2, 1], "two days of four chunks, and one day of four"
    monkeypatch.setattr("fleet_audit.defs.tables._POOL_FROM_DAYS", len(DAYS))
    assert FleetCut.of_days(fleet, DAYS, two).count == 1
    monkeypatch.setattr("fleet_audit.defs.vehicle_chunks._POOLED_VEHICLES", 2)
    assert FleetCut.of_days(fleet, DAYS, two).count == 4, "several processes share chunks of a long range too"
    assert FleetCut.of_days(fleet, DAYS, local(500)).count == 1, "one process reads a staging day once"


def test_devices_exchanged_between_vehicles_of_two_chunks_are_recognised(fleet, cut):
    plates = [chunk.plates.to_pylist() for chunk in cut_fleet(fleet, [], 2)]
    assert (plates[0], plates[2]) == (["AAA1A11", "BBB2B22"], ["FFF6F66", "GGG7G77"])
    events = cut[DAYS[0], "events"].to_pylist()
    continued = {event["plate"]: event["continued_plate"] for event in events if event["continued_plate"]}
    assert continued == {"AAA1A11": "GGG7G77", "GGG7G77": "AAA1A11"}
    assert all(event["is_mutual"] for event in events if event["continued_plate"])


def test_a_worker_with_another_lake_or_other_code_refuses_the_vehicles(store, fleet, tmp_path):
    def windows(lake: Lake) -> WindowOfDay:
        tables = (STAGING_POSITIONS, STAGING_VISIT_LEGS, STAGING_DECLARED_RUNS)
        positions, legs, runs = (LakeDays(lake, table, DAYS) for table in tables)
        return WindowOfDay(WindowPositions(positions, is_kept=False), legs, runs, fleet)

    elsewhere = windows(Lake(Settings(_env_file=None, lake_url=str(tmp_path))))
    sent = SentVehicles(DayVehicles(DAYS[0], DEFAULT_PARAMETERS), windows(store).files(DAYS[0]), code_version())
    with pytest.raises(PermanentError, match=r"of the lake has \d+ bytes for the run and does not exist on"):
        InArrow(elsewhere, WINDOW_PARTS)(sent)
    with pytest.raises(PermanentError, match=r"has fleet_audit \S+, and the run has 0\.0: install the run's version"):
        InArrow(windows(store), WINDOW_PARTS)(replace(sent, code="0.0"))


def test_vehicles_that_a_device_joins_are_in_one_chunk_and_no_vehicle_in_two(fleet):
    chunks = cut_fleet(fleet, ["ZZZ9Z99", "AAA1A11"], 1)
    assert [chunk.plates.to_pylist() for chunk in chunks] == [
        ["AAA1A11"], ["BBB2B22"], ["CCC3C33", "DDD4D44"], ["FFF6F66"], ["GGG7G77"], ["HHH8H88"], ["EEE5E55"],
        ["ZZZ9Z99"],
    ]  # fmt: skip
    assert [chunk.device_ids.to_pylist() for chunk in chunks[:3]] == [["D1"], ["D2", "T2"], ["D3"]]
    assert [len(chunk.plates) for chunk in cut_fleet(fleet, [], 3)] == [4, 2, 2]


def test_a_chain_of_moved_devices_joins_all_its_vehicles(fleet):
    chain = [{"device_id": f"D{n:02d}", "plate": f"P{n + at:02d}"} for n in range(30) for at in (0, 1)]
    moved = fleet.with_tables(vehicles=fleet.vehicles.iloc[:0], devices=pd.DataFrame(chain))
    assert [len(chunk.plates) for chunk in cut_fleet(moved, [], 5)] == [31]


def test_each_chunk_has_its_rows_of_the_reference_and_all_have_the_rest(fleet):
    shared = shared_reference(fleet)
    assert (len(shared.vehicles), len(shared.devices)) == (0, 0)
    parts = [chunk.reference(shared) for chunk in cut_fleet(fleet, [], 2)]
    for name in ("vehicles", "devices"):
        together = pd.concat([getattr(part, name) for part in parts]).sort_index()
        pd.testing.assert_frame_equal(together, getattr(fleet, name))
    assert all(part.pois is fleet.pois for part in parts)
