"""Errors act: what may pass is tried again with growing waits, what cannot is not; an unwritten day is named."""

import ast
import datetime as dt
import os
import signal
from pathlib import Path

import dagster as dg
import pytest

import fleet_audit.defs
from fleet_audit.defs.resources import FleetResource
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.schema.facts import TRIPS
from fleet_audit.storage import step_errors
from fleet_audit.storage.io_managers import WarehouseIOManager
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.table_days import Days
from fleet_audit_tests.storage.rows import sample

DAY = dt.date(2025, 6, 10)
DAILY = dg.DailyPartitionsDefinition("2025-06-01", end_date="2025-07-01", timezone="America/Sao_Paulo")
MADE = {"key": ["fact", "trips"], "metadata": {"table": "fact.trips"}, "io_manager_key": "warehouse_io"}
_DECORATORS = ("dg.asset(", "dg.multi_asset(", "dg.asset_check(", "dg.multi_asset_check(")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch) -> None:
    policy = dg.RetryPolicy(max_retries=2, delay=0.2, backoff=dg.Backoff.EXPONENTIAL)
    monkeypatch.setattr(step_errors, "RETRY_POLICY", policy)


def _run(*assets: dg.AssetsDefinition, fleet: FleetResource | None = None) -> dg.ExecuteInProcessResult:
    resources = {} if fleet is None else {"fleet": fleet, "warehouse_io": WarehouseIOManager(stores=fleet)}
    with dg.DagsterInstance.ephemeral() as instance:
        key = DAY.isoformat()
        return dg.materialize(assets, instance=instance, resources=resources, partition_key=key, raise_on_error=False)


def _retries(result: dg.ExecuteInProcessResult) -> list[dg.DagsterEvent]:
    return [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]


def test_a_postgres_that_dies_and_comes_back_costs_at_most_a_retry_and_no_row(tmp_path, monkeypatch):
    """The server is killed under an asset that reads; the next connection starts it again, or the next attempt."""
    monkeypatch.setenv("FLEET_WAREHOUSE_URL", "")
    fleet = FleetResource(home=str(tmp_path))
    attempts = []

    @dg.asset(**MADE, partitions_def=DAILY)
    @acts_on_errors
    def made(fleet: FleetResource):
        warehouse = fleet.warehouse()
        attempts.append(1)
        if len(attempts) == 1:
            os.kill(int((tmp_path / "postgres/data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            warehouse.read("select 1", {})
        return sample(TRIPS, DAY, 3)

    result = _run(made, fleet=fleet)
    assert result.success
    assert len(attempts) == 1 + len(_retries(result)) <= 2
    assert len(fleet.warehouse().read_partition(TRIPS, [DAY])) == 3


def test_waits_grow_and_end_with_the_reason_of_the_last_attempt():
    @dg.asset(partitions_def=DAILY)
    @acts_on_errors
    def unreachable():
        raise RetryableError("The warehouse does not answer.")

    result = _run(unreachable)
    waits = [event.step_retry_data.seconds_to_wait for event in _retries(result)]
    assert waits == pytest.approx([0.2, 0.6])
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "The warehouse does not answer." in failure.step_failure_data.error.cause.message


@pytest.mark.parametrize("is_generator", [False, True])
def test_a_permanent_error_runs_exactly_once_and_says_why(is_generator):
    attempts = []

    def fail() -> None:
        attempts.append(1)
        raise PermanentError("Contract C1 has no unit: add it to reference/contracts.csv.")

    if is_generator:

        @dg.multi_asset(outs={"broken": dg.AssetOut()}, partitions_def=DAILY)
        @acts_on_errors
        def body(context: dg.AssetExecutionContext):
            fail()
            yield dg.Output(1, output_name="broken")

    else:

        @dg.asset(partitions_def=DAILY, retry_policy=dg.RetryPolicy(max_retries=3))
        @acts_on_errors
        def body(context: dg.AssetExecutionContext):
            fail()

    result = _run(body)
    assert not result.success
    assert len(attempts) == 1
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "add it to reference/contracts.csv" in failure.step_failure_data.error.message


def _reader(mapping: dg.PartitionMapping | None = None) -> dg.AssetsDefinition:
    @dg.asset(ins={"trips": dg.AssetIn(["fact", "trips"], partition_mapping=mapping)}, partitions_def=DAILY)
    @acts_on_errors
    def read(trips: Days) -> int:
        return len(trips.read_all())

    return read


def _upstream(rows: int) -> dg.AssetsDefinition:
    @dg.asset(**MADE, partitions_def=DAILY)
    def made():
        return sample(TRIPS, DAY, rows)

    return made


def test_a_day_that_was_never_written_is_named_and_an_empty_one_is_read(postgres_url, tmp_path):
    fleet = FleetResource(warehouse_url=postgres_url, home=str(tmp_path))
    window = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=1)
    for reader in (_reader(), _reader(window)):
        with dg.DagsterInstance.ephemeral() as instance:
            resources = {"fleet": fleet, "warehouse_io": WarehouseIOManager(stores=fleet)}
            options = {"instance": instance, "resources": resources, "partition_key": DAY.isoformat()}
            assets = [_upstream(0), reader]
            refused = dg.materialize(assets, selection=["read"], raise_on_error=False, **options)
            [failure] = [event for event in refused.all_events if event.is_step_failure]
            assert "fact/trips was never written for 2025-06-10:" in failure.step_failure_data.error.message
            assert dg.materialize(assets, **options).output_for_node("read") == 0  # the neighbours never were


def test_every_body_of_an_asset_or_check_acts_on_errors():
    folder = Path(fleet_audit.defs.__path__[0])
    bodies = [
        (path.name, node)
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(one).startswith(_DECORATORS) for one in node.decorator_list)
    ]
    assert len(bodies) > 25
    without = [
        f"{name}: {node.name}" for name, node in bodies if ast.unparse(node.decorator_list[-1]) != "acts_on_errors"
    ]
    assert without == [], "put @acts_on_errors below the Dagster decorator"
