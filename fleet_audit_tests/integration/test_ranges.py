"""A day is a function of what arrived: one range or single days, in any order, give the same rows and bytes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from fleet_audit.defs.partitions import cycle_partitions
from fleet_audit.defs.tables import key_of
from fleet_audit.schema import facts, lake, reference
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.faults import Faults
from fleet_audit.simulation.fleet import simulate
from fleet_audit_tests.integration.installation import (
    Installation,
    assert_counts_reconcile,
    assert_same_facts,
    failures,
)

pytestmark = pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")  # beta in 1.13, ours by design
FIRST, LAST = dt.date(2025, 6, 15), dt.date(2025, 6, 17)  # across the closing of 16 June
DAYS = [FIRST + dt.timedelta(days=number) for number in range(3)]
ANOTHER_ORDER = [DAYS[2], DAYS[0], DAYS[1]]
TOKEN = "secret"
EVALUATED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten vehicles: two zones, night shifts, one seen by visit reports only, two seen by both."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, seed=11, vehicles=10, date_from=FIRST, date_to=LAST)
    return folder


@pytest.fixture(scope="module")
def install(tmp_path_factory, data, new_database) -> Callable[[str], Installation]:
    """Makes an installation that reads the simulated inbox and an API."""

    def make(url: str) -> Installation:
        others = {"FLEET_API_URL": url, "FLEET_API_TOKEN": TOKEN, "FLEET_DAY_PROCESSES": "2"}
        return Installation(tmp_path_factory.mktemp("home"), str(data / "inbox"), new_database(), others)

    return make


@pytest.fixture(scope="module")
def api(data) -> Iterator[str]:
    with ApiServer(data, token=TOKEN) as server:
        yield server.url


@pytest.fixture(scope="module")
def in_one_range(install, api) -> Installation:
    """Computed by two processes, while single days are computed by one."""
    installation = install(api)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fleet_audit.defs.tables._POOL_FROM_DAYS", len(DAYS))
        assert failures(installation.materialize(FIRST, LAST)) == []
    return installation


def test_the_fleet_is_worth_comparing(in_one_range, data):
    """Else the comparisons below would hold for empty tables."""
    assert_counts_reconcile(in_one_range)
    sizes = {name: len(rows) for name, rows in in_one_range.facts().items()}
    assert min(sizes.values()) > 0, sizes
    trips = in_one_range.query(
        "select timezone, source, operational_date, (started_at at time zone timezone)::date <> "
        "(ended_at at time zone timezone)::date as is_over_midnight from fact.trips join ref.units using (unit_code)"
    )
    assert set(trips["timezone"]) == {"America/Sao_Paulo", "America/Campo_Grande"}
    assert trips["is_over_midnight"].sum() >= 2
    assert set(trips["source"]) == {"positions", "visit_report"}
    assert set(trips["operational_date"]) == set(DAYS)


def test_the_measured_km_are_the_true_ones(in_one_range, data):
    true = pd.read_csv(data / "truth" / "trips.csv", parse_dates=["operational_date"])
    service = true[true["purpose"] == "service"]
    measured = in_one_range.query("select sum(km_measured) as km from fact.trips where purpose = 'service'")["km"].iloc[
        0
    ]
    assert float(measured) == pytest.approx(service["km"].sum(), rel=0.03)


def test_each_day_of_a_range_has_its_own_numbers_and_evaluations(in_one_range):
    wanted = in_one_range.query("select operational_date, sum(km_measured) as km from fact.trips group by 1")
    with in_one_range.dagster() as (definitions, instance):
        records = instance.fetch_materializations(dg.AssetKey(["fact", "trips"]), limit=10).records
        graph = definitions.resolve_asset_graph()
        checks = [key for key in graph.asset_check_keys if graph.get(key).partitions_def is not None]
        found = instance.event_log_storage.get_asset_check_partition_info(checks)
    shown = {one.partition_key: round(one.asset_materialization.metadata["km_measured"].value, 2) for one in records}
    assert shown == {str(row.operational_date): float(row.km) for row in wanted.itertuples()}
    checked = {one.check_key for one in found}
    assert len(checked) > 25
    assert {(one.check_key, one.partition_key) for one in found} == {(key, str(day)) for key in checked for day in DAYS}
    unfinished = {one.check_key for one in found if one.latest_execution_status not in EVALUATED}
    assert unfinished == set(), "the UI calls these skipped"
    assert {one.check_key for one in found if not one.is_current} == set()


def test_a_run_that_a_person_started_carries_its_days_its_cycles_and_its_units(in_one_range):
    with in_one_range.dagster() as (_, instance):
        tags = instance.get_runs()[-1].tags
    units = in_one_range.query("select distinct unit_code from ref.units order by 1")["unit_code"]
    shown = {name: tags[f"fleet/{name}"] for name in ("trigger", "days", "cycle", "unit")}
    assert shown == {
        "trigger": "manual",
        "days": f"{FIRST} to {LAST}",
        "cycle": "2025-05-16 to 2025-06-16",
        "unit": ", ".join(units),
    }


LAST_OF_STEPS = [lake.READINGS, facts.RULES_NOT_TESTED, facts.DEVICE_HEALTH, reference.VEHICLES]


@pytest.mark.parametrize("table", LAST_OF_STEPS, ids=lambda table: table.name)
def test_a_table_of_a_step_with_several_is_materialised_alone(in_one_range, table):
    before = in_one_range.facts()
    day = None if table.partition is None else DAYS[1]
    result = in_one_range.materialize_assets([key_of(table)], day)
    assert failures(result) == []
    made = [event.asset_key for event in result.all_events if event.is_step_materialization]
    assert made == [key_of(table)]
    assert_same_facts(in_one_range.facts(), before)


def _computed_files(installation: Installation) -> dict[str, str]:
    """Files of the lake but for the record of which requests were made, and when: that one grows with every run."""
    files = installation.files("raw", "staging", "trips")
    return {path: digest for path, digest in files.items() if not path.startswith("raw/journal/api_")}


@pytest.fixture(scope="module")
def before_the_middle_again(in_one_range) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Facts and files before the day in the middle was run again, without a change."""
    before = in_one_range.facts(), _computed_files(in_one_range)
    assert failures(in_one_range.materialize(DAYS[1])) == []
    return before


def test_a_day_in_the_middle_again_changes_nothing(in_one_range, before_the_middle_again):
    facts, files = before_the_middle_again
    assert_same_facts(in_one_range.facts(), facts)
    assert _computed_files(in_one_range) == files


def test_a_run_without_a_change_outdates_nothing_through_tables_without_days(in_one_range, before_the_middle_again):
    """The UI calls a table *Unsynced* when what it was computed from has another data version."""
    with in_one_range.dagster() as (definitions, instance):
        graph = definitions.resolve_asset_graph()
        statuses = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        keys = [key for key in graph.executable_asset_keys if graph.get(key).partitions_def != cycle_partitions]
        outdated = [
            f"{key.to_user_string()} {day}: {cause.reason}, {cause.dependency}"
            for key in keys
            for day in (map(str, DAYS) if graph.get(key).is_partitioned else [None])
            for cause in statuses.get_stale_causes(key, day)
            if cause.dependency_partition_key is None
        ]
    assert outdated == []


def test_single_days_in_another_order_give_the_same_rows_and_bytes(install, api, in_one_range):
    installation = install(api)
    for day in ANOTHER_ORDER:
        assert failures(installation.materialize(day)) == []
    assert_same_facts(installation.facts(), in_one_range.facts())
    days = [f"date={day}/" for day in DAYS]
    found, expected = (
        {path: digest for path, digest in one.files("staging", "trips").items() if any(day in path for day in days)}
        for one in (installation, in_one_range)
    )
    assert found == expected
    assert len(found) == len(DAYS) * 12
    assert_counts_reconcile(installation)


def test_a_cycle_is_judged_from_its_days_and_neither_writer_takes_the_others_findings(in_one_range):
    start = dt.date(2025, 5, 16)
    before = in_one_range.facts()["findings"]
    strict = (
        "insert into ref.parameters (name, value) "
        "values ('cycle_warn_pct', 0), ('cycle_min_km', 0), ('cycle_min_days', 1)"
    )
    in_one_range.warehouse.execute(strict)
    for _ in range(2):
        assert failures(in_one_range.materialize_cycle(start)) == []
    in_one_range.warehouse.execute("delete from ref.parameters")
    segmented = key_of(facts.CALIBRATION_SEGMENTS)
    assert failures(in_one_range.materialize_assets([segmented], start)) == []
    with in_one_range.dagster() as (_, instance):
        alone, beside_findings = instance.fetch_materializations(segmented, limit=2).records
    for written in (alone, beside_findings):
        assert {"calibration", "changes", "dagster/row_count"} <= {*written.asset_materialization.metadata}
    segments = in_one_range.query("select distinct operational_date, is_change_point from fact.calibration_segments")
    assert segments.to_dict("records") == [{"operational_date": FIRST, "is_change_point": False}]
    found = in_one_range.facts()["findings"]
    of_cycle = found[found["cycle_start"].notna()]
    assert set(of_cycle["rule_id"]) == {"D03"}
    assert of_cycle["plate"].nunique() == len(of_cycle) > 1
    assert set(of_cycle["operational_date"]) == {FIRST}
    assert failures(in_one_range.materialize(FIRST)) == []
    pd.testing.assert_frame_equal(in_one_range.facts()["findings"], found)
    for table in ("findings", "incidents"):
        in_one_range.warehouse.execute(f"delete from fact.{table} where cycle_start is not null")
    pd.testing.assert_frame_equal(in_one_range.facts()["findings"], before)


def test_pages_twice_and_out_of_order_give_the_same_rows(install, data, in_one_range, monkeypatch):
    monkeypatch.setattr("fleet_audit.simulation.api_server.MAX_LIMIT", 1_000)  # a server that cuts pages shorter
    faults = Faults(
        seed=3, shuffled=1.0, repeated=0.5, wrong_types=0.3, server_error=0.03, cut=0.03, expired=0.03, retry_after_s=0
    )
    with ApiServer(data, token=TOKEN, faults=faults) as server:
        installation = install(server.url)
        assert failures(installation.materialize(FIRST, LAST)) == []
    assert min(faults.served[kind] for kind in ("shuffled", "repeated", "wrong_types")) > 0, faults.served
    assert_same_facts(installation.facts(), in_one_range.facts())
    for table in (lake.LEGS, lake.OBSERVED_SPANS, lake.READINGS):
        for day in DAYS:
            path = Path("lake", table.schema, table.name, f"date={day}", "part.parquet")
            assert (installation.home / path).read_bytes() == (in_one_range.home / path).read_bytes(), path
    assert_counts_reconcile(installation)
    conflicts = installation.query("select count(*) as n from ops.rejected_rows where reason_code = 'conflict'")["n"]
    assert conflicts.iloc[0] > 0
    origin = ["file_sha256", "file_name", "row_number"]
    for day in DAYS:
        found, expected = (
            pq.read_table(one.home / "lake" / "staging" / "positions" / f"date={day}").drop_columns(origin)
            for one in (installation, in_one_range)
        )
        assert found.equals(expected)
