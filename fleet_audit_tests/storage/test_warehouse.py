"""Partitions are replaced whole or not at all, by one writer at a time, and come back as they went in."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import random
import threading
import time
from decimal import Decimal

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.schema import facts, reference
from fleet_audit.schema.checks import is_conforming
from fleet_audit.schema.derive import conform, empty_frame, to_arrow
from fleet_audit.storage.warehouse import Warehouse, Written
from fleet_audit_tests.storage.rows import sample
from fleet_audit_tests.waiting import wait_until

D1, D2, D3 = (dt.date(2025, 6, day) for day in (10, 11, 12))
_TRACE = ["run_id", "updated_at"]


@pytest.fixture
def warehouse(postgres_url: str) -> Warehouse:
    return Warehouse(postgres_url)


def _content(warehouse: Warehouse, table: str = "fact.trips") -> pd.DataFrame:
    return warehouse.read(f"SELECT * FROM {table} ORDER BY 1, 2")


@pytest.mark.parametrize("wrong", [{"database": "absent"}, {"username": "nobody"}], ids=["database", "role"])
def test_a_url_that_names_what_the_server_lacks_is_not_tried_again(postgres_url: str, wrong: dict[str, str]) -> None:
    url = sa.make_url(postgres_url).set(**wrong).render_as_string(hide_password=False)
    for ask in (lambda: Warehouse(url).read("select 1"), lambda: Warehouse(url).execute("select 1")):
        with pytest.raises(PermanentError, match=r"correct FLEET_WAREHOUSE_URL .* does not exist"):
            ask()


@pytest.mark.parametrize("table", facts.FACTS, ids=lambda table: table.name)
def test_every_fact_table_comes_back_as_it_went_in(warehouse: Warehouse, table: facts.Table) -> None:
    given = sample(table, D1, 25)
    warehouse.replace_partition(table, [D1], given, "run-1")
    found = warehouse.read_partition(table, [D1])
    assert is_conforming(warehouse.read_partition_arrow(table, [D1]), table)
    left, right = (frame.drop(columns=_TRACE) for frame in (found, given))
    for column in table.columns:  # jsonb normalises white space and nothing else
        assert left.get(column.name) is None or left.dtypes[column.name] == right.dtypes[column.name]
    pd.testing.assert_frame_equal(left, right)
    assert set(found["run_id"]) == {"run-1"}
    assert (pd.Timestamp.now("UTC") - found["updated_at"].max()) < pd.Timedelta(minutes=1)


@pytest.mark.parametrize("table", reference.TABLES, ids=lambda table: table.name)
def test_every_reference_table_is_replaced_whole(warehouse: Warehouse, table: facts.Table) -> None:
    warehouse.replace_table(table, sample(table, D1, 1, "old"))
    given = sample(table, D2, 1, "new")
    assert warehouse.replace_table(table, given) == Written(rows=1, replaced=1)
    pd.testing.assert_frame_equal(warehouse.read_table(table), given)


def test_only_the_named_days_are_replaced(warehouse: Warehouse) -> None:
    warehouse.replace_partition(facts.TRIPS, [D1], sample(facts.TRIPS, D1, 3), "run-1")
    warehouse.replace_partition(facts.TRIPS, [D2], sample(facts.TRIPS, D2, 4), "run-1")
    done = warehouse.replace_partition(facts.TRIPS, [D1], sample(facts.TRIPS, D1, 2, "b"), "run-2")
    assert done == Written(rows=2, replaced=3)
    counts = warehouse.read("SELECT operational_date, run_id, count(*) AS n FROM fact.trips GROUP BY 1, 2 ORDER BY 1")
    assert counts.to_dict("list") == {"operational_date": [D1, D2], "run_id": ["run-2", "run-1"], "n": [2, 4]}


def test_findings_of_a_day_and_of_a_cycle_replace_their_own_rows_only(warehouse: Warehouse) -> None:
    warehouse.replace_partition(facts.FINDINGS, [D1], sample(facts.FINDINGS, D1, 3), "day")
    of_cycle = sample(facts.CYCLE_FINDINGS, D1, 2, "cycle")
    warehouse.replace_partition(facts.CYCLE_FINDINGS, [D1], of_cycle, "cycle")
    again = warehouse.replace_partition(facts.FINDINGS, [D1], sample(facts.FINDINGS, D1, 4, "b"), "day-2")
    assert again == Written(rows=4, replaced=3)
    assert warehouse.read_partition(facts.FINDINGS, [D1])["run_id"].value_counts().to_dict() == {"day-2": 4, "cycle": 2}
    assert warehouse.replace_partition(facts.CYCLE_FINDINGS, [D1], of_cycle.iloc[:1], "cycle-2") == Written(1, 2)
    assert len(warehouse.read_partition(facts.FINDINGS, [D1])) == 5


def test_a_partition_without_rows_is_emptied(warehouse: Warehouse) -> None:
    warehouse.replace_partition(facts.TRIPS, [D1], sample(facts.TRIPS, D1, 3), "run-1")
    assert warehouse.replace_partition(facts.TRIPS, [D1], empty_frame(facts.TRIPS), "run-2") == Written(0, 3)
    empty = warehouse.read_partition(facts.TRIPS, [D1])
    pd.testing.assert_frame_equal(empty, empty_frame(facts.TRIPS))


def test_days_one_by_one_or_together_give_the_same_rows(warehouse: Warehouse) -> None:
    days = [sample(facts.FINDINGS, day, 5) for day in (D1, D2, D3)]
    for day, frame in zip((D1, D2, D3), days, strict=True):
        warehouse.replace_partition(facts.FINDINGS, [day], frame, "run")
    singly = _content(warehouse, "fact.findings").drop(columns="updated_at")
    warehouse.replace_partition(facts.FINDINGS, [D3, D1, D2], pd.concat(days[::-1]), "run")
    pd.testing.assert_frame_equal(_content(warehouse, "fact.findings").drop(columns="updated_at"), singly)


def test_arrow_tables_are_taken_as_well_as_frames(warehouse: Warehouse) -> None:
    frame = sample(facts.MATCHES, D1, 3)
    warehouse.replace_partition(facts.MATCHES, [D1], to_arrow(frame, facts.MATCHES), "run")
    found = warehouse.read_partition(facts.MATCHES, [D1])
    pd.testing.assert_frame_equal(found.drop(columns=_TRACE), frame.drop(columns=_TRACE))


def test_a_row_that_is_dated_anew_moves_and_is_never_in_two_days(warehouse: Warehouse) -> None:
    run = sample(facts.DECLARED_RUNS, D1, 2)
    warehouse.replace_partition(facts.DECLARED_RUNS, [D1], run, "run-1")
    moved = run.head(1).assign(operational_date=[D2])
    done = warehouse.replace_partition(facts.DECLARED_RUNS, [D2], moved, "run-2")
    assert done == Written(rows=1, replaced=0, moved=1)
    assert list(_content(warehouse, "fact.declared_runs").sort_values("operational_date")["operational_date"]) == [
        D1,
        D2,
    ]


@pytest.mark.parametrize("table", facts.FACTS, ids=lambda table: table.name)
def test_the_key_by_which_rows_move_between_days_is_never_null(table: facts.Table) -> None:
    """They are found by `=`, which an index answers and which finds no null."""
    assert table.partition in table.key or not any(table.column(name).nullable for name in table.key)


def test_rows_of_other_days_are_refused_and_nothing_changes(warehouse: Warehouse) -> None:
    warehouse.replace_partition(facts.TRIPS, [D1], sample(facts.TRIPS, D1, 3), "run-1")
    mixed = pd.concat([sample(facts.TRIPS, D1, 1, "b"), sample(facts.TRIPS, D2, 1, "b")])
    with pytest.raises(PermanentError, match=r"fact\.trips: rows of 2025-06-11 in a write of 2025-06-10; nothing"):
        warehouse.replace_partition(facts.TRIPS, [D1], mixed, "run-2")
    assert set(_content(warehouse)["run_id"]) == {"run-1"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"trip_id": "same"}, "2 rows repeat the key"),
        ({"purpose": "joyride"}, "ck_trips_purpose"),
        ({"km_measured": Decimal("-0.01")}, "ck_trips_km_measured"),
        ({"plate": None}, "fact.trips.plate: 3 of 3 values are missing"),
        ({"km_measured": Decimal("12345678901.00")}, "fact.trips.km_measured"),
    ],
)
def test_bad_rows_are_refused_in_a_sentence_and_the_old_ones_stay(
    warehouse: Warehouse, change: dict[str, object], sentence: str
) -> None:
    warehouse.replace_partition(facts.TRIPS, [D1], sample(facts.TRIPS, D1, 3), "run-1")
    bad = sample(facts.TRIPS, D1, 3, "b").astype(dict.fromkeys(change, object)).assign(**change)
    with pytest.raises(PermanentError, match=sentence):
        warehouse.replace_partition(facts.TRIPS, [D1], bad, "run-2")
    assert list(_content(warehouse)["run_id"]) == ["run-1"] * 3


@given(cents=st.lists(st.integers(0, 10**14 - 1), min_size=1, max_size=20))
@hypothesis_settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_money_is_exact_to_the_cent(warehouse: Warehouse, cents: list[int]) -> None:
    amounts = [Decimal(value).scaleb(-2) for value in cents]
    frame = sample(facts.FIXED_COST_DAYS, D1, len(cents)).assign(amount_brl=amounts)
    warehouse.replace_partition(facts.FIXED_COST_DAYS, [D1], conform(frame, facts.FIXED_COST_DAYS), "run")
    found = warehouse.read_partition(facts.FIXED_COST_DAYS, [D1])
    assert sorted(found["amount_brl"]) == sorted(amounts)
    total = warehouse.read("SELECT sum(amount_brl) AS total FROM fact.fixed_cost_days")
    assert total["total"][0] == sum(amounts)


def test_a_query_gives_typed_columns(warehouse: Warehouse) -> None:
    found = warehouse.read(
        "SELECT 1.50::numeric AS km, timestamptz '2025-06-10 00:00-03' AS at, date '2025-06-10' AS day, 7 AS n, "
        "true AS yes, 'ã' AS text, NULL::numeric AS nothing, '{\"a\": 1.50}'::jsonb AS doc WHERE 2 = :two",
        {"two": 2},
    )
    row = found.iloc[0]
    assert row["km"] == Decimal("1.50")
    assert row["at"] == pd.Timestamp("2025-06-10 03:00", tz="UTC")
    assert str(found["at"].dtype) == "datetime64[us, UTC]"
    assert (row["day"], row["n"], row["yes"], row["text"], row["doc"]) == (D1, 7, True, "ã", '{"a": 1.50}')
    assert pd.isna(row["nothing"])
    assert list(warehouse.read("SELECT unnest(:days) AS day", {"days": [D2, D1]})["day"]) == [D2, D1]
    assert len(warehouse.read("EXPLAIN SELECT 1")) == 1
    with pytest.raises(PermanentError, match='relation "nowhere" does not exist'):
        warehouse.read("SELECT * FROM nowhere")


def test_upsert_overwrites_the_same_key_only(warehouse: Warehouse) -> None:
    counts = sample(facts.STAGE_COUNTS, D1, 2)
    assert warehouse.upsert(facts.STAGE_COUNTS, counts.assign(run_id="run-1")) == 2
    warehouse.upsert(facts.STAGE_COUNTS, counts.head(1).assign(run_id="run-2", rows_read=99))
    found = _content(warehouse, "ops.stage_counts").sort_values("run_id")
    assert list(found["run_id"]) == ["run-1", "run-2"]
    assert list(found["rows_read"]) == [1, 99]


def test_concurrent_writers_of_one_day_end_as_one_after_the_other(warehouse: Warehouse) -> None:
    """Versions of different size: any mixture would show in the counts."""
    versions = {f"run-{number}": sample(facts.TRIPS, D1, 40 + number, f"v{number}") for number in range(6)}
    threads = [
        threading.Thread(target=warehouse.replace_partition, args=(facts.TRIPS, [D1], frame, run))
        for run, frame in versions.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = _content(warehouse)
    (winner,) = set(found["run_id"])
    assert len(found) == len(versions[winner])


def test_overlapping_ranges_in_opposite_order_do_not_block_each_other(warehouse: Warehouse) -> None:
    def write(days: list[dt.date], run: str) -> None:
        for _ in range(5):
            warehouse.replace_partition(
                facts.TRIPS, days, pd.concat([sample(facts.TRIPS, day, 20) for day in days]), run
            )

    threads = [
        threading.Thread(target=write, args=(days, run)) for days, run in (([D1, D2, D3], "up"), ([D3, D2, D1], "down"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    found = _content(warehouse)
    assert len(found) == 60
    assert found["run_id"].nunique() == 1


def test_rows_that_swap_days_survive_concurrent_writers(warehouse: Warehouse) -> None:
    """Each writer takes the other's row: whoever is last has both, no row is lost or doubled, nobody deadlocks."""
    first, second = (sample(facts.DECLARED_RUNS, D1, 2).assign(operational_date=[day, day]) for day in (D1, D2))
    threads = [
        threading.Thread(target=warehouse.replace_partition, args=(facts.DECLARED_RUNS, [day], frame, "run"))
        for _ in range(4)
        for day, frame in ((D1, first), (D2, second))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    found = _content(warehouse, "fact.declared_runs")
    assert len(found) == 2
    assert found["operational_date"].nunique() == 1


def _load_forever(url: str) -> None:
    warehouse = Warehouse(url)
    frames = [sample(facts.TRIPS, D1, 3000 + size, "new") for size in (1, 2)]
    while True:
        for frame in frames:
            warehouse.replace_partition(facts.TRIPS, [D1], frame, f"run-{len(frame)}")


def test_writers_killed_at_any_moment_leave_one_version_whole(warehouse: Warehouse) -> None:
    spawn = multiprocessing.get_context("spawn")
    warehouse.replace_partition(facts.TRIPS, [D2], sample(facts.TRIPS, D2, 7), "run-0")
    writers = [spawn.Process(target=_load_forever, args=(warehouse.url,), daemon=True) for _ in range(5)]
    for process in writers:
        process.start()
    wait_until(lambda: warehouse.read("SELECT count(*) AS n FROM fact.trips")["n"][0] > 7, "the first write")
    for process in writers:
        time.sleep(random.uniform(0.1, 0.5))
        process.kill()
        process.join()
        found = warehouse.read(
            "SELECT run_id, operational_date AS day, count(*) AS n FROM fact.trips GROUP BY 1, 2 ORDER BY 2"
        )
        assert list(found["day"]) == [D1, D2]
        assert found["run_id"][0] == f"run-{found['n'][0]}"
        assert found["n"][1] == 7


def test_a_lost_server_is_worth_another_try() -> None:
    away = Warehouse("postgresql://postgres@127.0.0.1:1/postgres")
    with pytest.raises(RetryableError, match=r"Writing fact\.trips failed"):
        away.replace_partition(facts.TRIPS, [D1], sample(facts.TRIPS, D1, 1), "run")
