"""What Dagster's runs leave behind: one day, a range, again, at once; and what the UI shows."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from fleet_audit.defs.tables import each_day_together
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.model import Table
from fleet_audit.settings import Settings
from fleet_audit.storage.io_managers import LakeIOManager, WarehouseIOManager
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.table_days import Days, Kept
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.storage.rows import sample

D1, D2, D3 = (dt.date(2025, 6, day) for day in (10, 11, 12))
ONE_DAY = dt.timedelta(days=1)
DAILY = dg.DailyPartitionsDefinition("2025-06-01", end_date="2025-07-01", timezone="America/Sao_Paulo")
WINDOW = dg.TimeWindowPartitionMapping(start_offset=-2, end_offset=1)
POSITIONS = lake.STAGING_POSITIONS
Body = Callable[[dg.AssetExecutionContext], Any]


@dataclass
class Opened:
    """Both stores, opened."""

    a_lake: Lake
    a_warehouse: Warehouse

    def lake(self) -> Lake:
        return self.a_lake

    def warehouse(self) -> Warehouse:
        return self.a_warehouse


@pytest.fixture
def stores(settings: Settings, postgres_url: str) -> Opened:
    return Opened(Lake(settings), Warehouse(postgres_url))


def _asset(table: Table, body: Body, **arguments: Any) -> dg.AssetsDefinition:
    io = "warehouse_io" if table.schema in ("fact", "ref") else "lake_io"
    metadata = {"table": table.full_name, **arguments.pop("metadata", {})}

    @dg.asset(key=[table.schema, table.name], metadata=metadata, io_manager_key=io, **arguments)
    def made(context):
        return body(context)

    return made


def _daily(table: Table, body: Body, **arguments: Any) -> dg.AssetsDefinition:
    return _asset(table, body, partitions_def=DAILY, backfill_policy=dg.BackfillPolicy.single_run(), **arguments)


def _days(context: dg.AssetExecutionContext) -> list[dt.date]:
    return [dt.date.fromisoformat(key) for key in context.partition_keys]


def _run(
    stores: Opened,
    *assets: dg.AssetsDefinition,
    first: dt.date | None = None,
    last: dt.date | None = None,
    only: list[dg.AssetsDefinition] | None = None,
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    chosen = dg.AssetSelection.assets(*(only or assets))
    definitions = dg.Definitions(
        assets=assets,
        jobs=[dg.define_asset_job("job", chosen)],
        resources={"lake_io": LakeIOManager(stores=stores), "warehouse_io": WarehouseIOManager(stores=stores)},
    )
    tags = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last or first)}
    return definitions.resolve_job_def("job").execute_in_process(
        instance=instance or dg.DagsterInstance.ephemeral(), tags=tags if first else None, raise_on_error=False
    )


def _messages(result: dg.ExecuteInProcessResult) -> str:
    failures = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return " ".join(f"{error.message} {error.cause.message if error.cause else ''}" for error in failures if error)


def _metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    event = result.get_asset_materialization_events()[0]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def _materializations(result: dg.ExecuteInProcessResult) -> dict[str | None, dict[str, Any]]:
    """The metadata of each partition."""
    events = [event.materialization for event in result.get_asset_materialization_events()]
    return {one.partition: {name: value.value for name, value in one.metadata.items()} for one in events}


def _pairs(table: Table, rows: int = 4) -> Body:
    return lambda context: dg.Output((day, sample(table, day, rows)) for day in _days(context))


@pytest.mark.parametrize("table", [facts.TRIPS, lake.LEGS], ids=lambda table: table.name)
def test_a_range_and_its_days_leave_the_same(stores: Opened, table: Table) -> None:
    def content() -> pd.DataFrame | list[bytes]:
        if table.schema == "fact":
            found = stores.a_warehouse.read_partition(table, [D1, D2, D3]).drop(columns=["run_id", "updated_at"])
            return found.to_csv().encode()
        return [stores.a_lake.get_bytes(stores.a_lake.partition_path(table, day)) for day in (D1, D2, D3)]

    asset = _daily(table, _pairs(table))
    assert _run(stores, asset, first=D1, last=D3).success
    as_range = content()
    for day in (D3, D1, D2, D2):
        assert _run(stores, asset, first=day).success
    assert content() == as_range


def test_days_are_written_as_they_come(stores: Opened) -> None:
    """A second day that fails leaves the first one written: no more than a day is held in memory."""

    def body(context: dg.AssetExecutionContext) -> dg.Output:
        def frames() -> Iterator[tuple[dt.date, pd.DataFrame]]:
            yield D1, sample(facts.TRIPS, D1, 2)
            raise RuntimeError("the second day fails")

        return dg.Output(frames())

    result = _run(stores, _daily(facts.TRIPS, body), first=D1, last=D2)
    assert not result.success
    assert len(stores.a_warehouse.read_partition(facts.TRIPS, [D1])) == 2


def test_one_frame_serves_one_day_but_not_a_range(stores: Opened) -> None:
    asset = _daily(facts.TRIPS, lambda context: sample(facts.TRIPS, D1, 2))
    assert _run(stores, asset, first=D1).success
    result = _run(stores, asset, first=D1, last=D2)
    assert "fact.trips: one frame for 2 days" in _messages(result)


def test_a_day_that_does_not_come_is_emptied_and_that_is_said(stores: Opened) -> None:
    assert _run(stores, _daily(facts.TRIPS, _pairs(facts.TRIPS)), first=D1, last=D2).success
    only_first = _daily(facts.TRIPS, lambda context: [(D1, sample(facts.TRIPS, D1, 1))])
    instance = dg.DagsterInstance.ephemeral()
    result = _run(stores, only_first, first=D1, last=D2, instance=instance)
    assert result.success
    assert len(stores.a_warehouse.read_partition(facts.TRIPS, [D1, D2])) == 1
    logged = [record.user_message for record in instance.all_logs(result.run_id)]
    assert "fact.trips: the asset gave nothing for 2025-06-11; emptied." in logged


def test_neighbours_are_for_lake_assets_that_declare_them(stores: Opened) -> None:
    def body(context: dg.AssetExecutionContext) -> list[tuple[dt.date, pd.DataFrame]]:
        return [(day, sample(POSITIONS, day, 1)) for day in (D1 - ONE_DAY, D1)]

    declared = _daily(POSITIONS, body, metadata={"writes_neighbours": True})
    assert _run(stores, declared, first=D1).success
    assert len(stores.a_lake.read_days(POSITIONS, [D1 - ONE_DAY, D1])) == 2
    undeclared = _run(stores, _daily(POSITIONS, body), first=D1)
    assert "staging.positions: the asset gave 2025-06-09 which is not a partition of the run" in _messages(undeclared)
    trips = _daily(
        facts.TRIPS, lambda context: [(D2, sample(facts.TRIPS, D2, 1))], metadata={"writes_neighbours": True}
    )
    assert "gave 2025-06-11 which is not a partition of the run" in _messages(_run(stores, trips, first=D1))
    assert stores.a_warehouse.read("SELECT count(*) AS n FROM fact.trips")["n"][0] == 0


def test_a_day_given_twice_is_an_error(stores: Opened) -> None:
    twice = _daily(POSITIONS, lambda context: [(D1, sample(POSITIONS, D1, 1))] * 2)
    assert "staging.positions: the asset gave 2025-06-10 twice" in _messages(_run(stores, twice, first=D1))


def test_downstream_reads_the_days_that_it_asks_for(stores: Opened) -> None:
    seen: dict[str, Any] = {}
    upstream = _daily(POSITIONS, _pairs(POSITIONS))

    @dg.asset(
        key=["fact", "trips"],
        partitions_def=DAILY,
        backfill_policy=dg.BackfillPolicy.single_run(),
        metadata={"table": "fact.trips"},
        io_manager_key="warehouse_io",
        ins={"positions": dg.AssetIn(["staging", "positions"], partition_mapping=WINDOW)},
    )
    def trips(context, positions: Days) -> dg.Output:
        seen["days"] = positions.days
        seen["window"] = positions.read([D1 - 2 * ONE_DAY, D1 - ONE_DAY, D1, D2], columns=["date", "device_id"])
        seen["all"] = positions.read_all()
        return dg.Output((day, empty_frame(facts.TRIPS)) for day in _days(context))

    instance = dg.DagsterInstance.ephemeral()
    assert _run(stores, upstream, trips, first=D1, last=D2, only=[upstream], instance=instance).success
    result = _run(stores, upstream, trips, first=D1, only=[trips], instance=instance)
    assert result.success, _messages(result)
    assert seen["days"] == [D1 - 2 * ONE_DAY, D1 - ONE_DAY, D1, D2]
    assert list(seen["window"].columns) == ["date", "device_id"]
    assert list(seen["window"]["date"]) == [D1] * 4 + [D2] * 4
    assert list(seen["all"].columns) == POSITIONS.column_names


def test_reference_tables_are_frames_and_names_of_people_stay_out_of_the_log(stores: Opened) -> None:
    seen: dict[str, pd.DataFrame] = {}
    drivers = _asset(reference.DRIVERS, lambda context: sample(reference.DRIVERS, D1, 3, "Maria"))

    @dg.asset(deps=[], ins={"drivers": dg.AssetIn(["ref", "drivers"])})
    def reader(drivers: pd.DataFrame) -> None:
        seen["drivers"] = drivers

    result = _run(stores, drivers, reader)
    assert result.success, _messages(result)
    pd.testing.assert_frame_equal(seen["drivers"], sample(reference.DRIVERS, D1, 3, "Maria"))
    preview = _metadata(result)["preview"]
    assert preview.startswith("| driver_id | carrier_code | is_maintenance |")


def test_each_day_of_a_range_has_its_own_rows_numbers_and_preview(stores: Opened) -> None:
    def pairs(context: dg.AssetExecutionContext) -> list[tuple[dt.date, pd.DataFrame]]:
        return [(D1, sample(facts.TRIPS, D1, 12).assign(km_measured=Decimal("1.5"))), (D2, empty_frame(facts.TRIPS))]

    made = _materializations(_run(stores, _daily(facts.TRIPS, pairs), first=D1, last=D2))
    first, last = made["2025-06-10"], made["2025-06-11"]
    assert (first["dagster/row_count"], first["km_measured"]) == (12, 18.0)
    assert (last["dagster/row_count"], last["km_measured"]) == (0, 0.0)
    assert len(first["preview"].splitlines()) == 2 + 10
    assert len(last["preview"].splitlines()) == 2
    assert first["dagster/relation_identifier"].endswith(".fact.trips")
    in_lake = _metadata(_run(stores, _daily(lake.LEGS, _pairs(lake.LEGS)), first=D1))
    assert in_lake["path"] == stores.a_lake.url("trips/legs")
    assert in_lake["dagster/row_count"] == 4


def test_outputs_of_a_multi_asset_go_to_their_own_tables(stores: Opened) -> None:
    @dg.multi_asset(
        outs={
            table.name: dg.AssetOut(
                key=[table.schema, table.name], metadata={"table": table.full_name}, io_manager_key="lake_io"
            )
            for table in (lake.LEGS, lake.READINGS)
        },
        partitions_def=DAILY,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def window(context) -> Iterator[dg.Output]:
        for table in (lake.LEGS, lake.READINGS):
            yield dg.Output([(day, sample(table, day, 2)) for day in _days(context)], output_name=table.name)

    assert _run(stores, window, first=D1, last=D2).success
    assert [len(stores.a_lake.read_days(table, [D1, D2])) for table in (lake.LEGS, lake.READINGS)] == [4, 4]


def test_a_kept_day_has_the_rows_and_numbers_that_it_had_and_says_so(stores: Opened) -> None:
    """Of a multi-asset that computes one of two days: rows in the lake stay, rows of `fact` name the confirming run."""
    tables = {"legs": lake.LEGS, "trips": facts.TRIPS}
    outs = {name: dg.AssetOut(key=[table.schema, table.name], metadata={"table": table.full_name},
                              io_manager_key=f"{'lake' if table is lake.LEGS else 'warehouse'}_io")
            for name, table in tables.items()}  # fmt: skip
    computed: list[tuple[dt.date, Any]] = [
        (day, SimpleNamespace(**{name: sample(table, day, 4) for name, table in tables.items()})) for day in (D1, D2)
    ]

    @dg.multi_asset(outs=outs, partitions_def=DAILY, backfill_policy=dg.BackfillPolicy.single_run())
    def both(context):
        yield from each_day_together(computed, tables)

    def stored() -> tuple[list[bytes], bytes]:
        found = stores.a_warehouse.read_partition(facts.TRIPS, [D1, D2]).drop(columns=["run_id", "updated_at"])
        paths = [stores.a_lake.partition_path(lake.LEGS, day) for day in (D1, D2)]
        return [stores.a_lake.get_bytes(path) for path in paths], found.to_csv().encode()

    first = _run(stores, both, first=D1, last=D2)
    before, shown = stored(), _materializations(first)
    computed[0] = (D1, Kept.AS_IT_IS)
    again = _run(stores, both, first=D1, last=D2)
    assert again.success
    assert stored() == before
    runs = stores.a_warehouse.read_partition(facts.TRIPS, [D1, D2])["run_id"]
    assert set(runs) == {again.run_id}
    kept = _materializations(again)
    assert kept["2025-06-10"].pop("unchanged").startswith("Not computed again")
    assert {day: one.get("km_measured") for day, one in kept.items()} == {
        day: one.get("km_measured") for day, one in shown.items()
    }
    assert "unchanged" not in kept["2025-06-11"]


def test_an_asset_without_a_table_is_told_what_to_do(stores: Opened) -> None:
    @dg.asset(key=["fact", "nothing"], io_manager_key="warehouse_io")
    def nameless() -> pd.DataFrame:
        return pd.DataFrame()

    assert 'Asset fact/nothing does not name its table: give it metadata={"table"' in _messages(_run(stores, nameless))


def test_two_runs_of_one_day_at_once_end_as_one_after_the_other(stores: Opened) -> None:
    runs = [
        _daily(
            facts.TRIPS,
            lambda context, tag=tag: dg.Output(
                (day, sample(facts.TRIPS, day, 50 + tag, f"v{tag}")) for day in _days(context)
            ),
        )
        for tag in (1, 2)
    ]
    results: list[dg.ExecuteInProcessResult] = []
    threads = [
        threading.Thread(target=lambda asset=asset: results.append(_run(stores, asset, first=D1, last=D3)))
        for asset in runs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.success for result in results] == [True, True]
    found = stores.a_warehouse.read("SELECT operational_date, run_id, count(*) AS n FROM fact.trips GROUP BY 1, 2")
    assert len(found) == 3
    assert set(found["n"]) <= {51, 52}
