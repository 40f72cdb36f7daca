"""Runs over the same days follow each other, in every form of deployment; runs over other days do not wait."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa

from fleet_audit.defs.resources import FleetResource, days_held, run_resources
from fleet_audit.defs.run_tags import DAYS_TAG, RECOMPUTE_TAG, missing_tags, range_tags, run_days_with_context
from fleet_audit.errors import RetryableError
from fleet_audit.ingest.day_digests import DayDigests
from fleet_audit.schema.facts import TRIPS
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.storage import run_locks, step_errors
from fleet_audit.storage.postgres import engine_of
from fleet_audit.storage.run_locks import RunLock, run_lock
from fleet_audit_tests.storage.rows import sample
from fleet_audit_tests.waiting import LONG_S, wait_until

DAY = dt.date(2025, 6, 10)
ONE_DAY = dt.timedelta(days=1)
_REPORT = dg.AssetKey(["reports", "cycle"])
_HOLDERS = "from pg_locks where locktype = 'advisory' and granted"


class _Run(SimpleNamespace):
    """What a run's resource sees of it."""

    @classmethod
    def over(cls, first: dt.date, last: dt.date, job: str = "day", **selected: object) -> _Run:
        log = SimpleNamespace(info=print)
        return cls(run=dg.DagsterRun(job_name=job, tags=range_tags(first, last), **selected), log=log)


@pytest.mark.parametrize(
    ("second", "order"),
    [
        (_Run.over(DAY + 2 * ONE_DAY, DAY + 9 * ONE_DAY), ["a begins", "a ends", "b begins", "b ends"]),
        (_Run.over(dt.date(2025, 5, 16), dt.date(2025, 5, 16), "cycle"), ["a begins", "a ends", "b begins", "b ends"]),
        (_Run.over(DAY + 20 * ONE_DAY, DAY + 25 * ONE_DAY), ["a begins", "b begins", "b ends", "a ends"]),
    ],
    ids=["an overlapping range", "the cycle of the day", "other days"],
)
def test_runs_over_the_same_days_follow_each_other(postgres_url, second, order):
    """The first ends when the second waits for it, or else has ended."""
    held: list[str] = []
    fleet, is_held, may_end = FleetResource(warehouse_url=postgres_url), threading.Event(), threading.Event()
    waiting = SimpleNamespace(info=lambda _: may_end.set())

    def hold_until_it_may_end() -> None:
        with days_held(fleet, _Run.over(DAY, DAY)):
            held.append("a begins")
            is_held.set()
            assert may_end.wait(timeout=LONG_S)
            held.append("a ends")

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(hold_until_it_may_end)
        assert is_held.wait(timeout=LONG_S)
        with days_held(fleet, _Run(run=second.run, log=waiting)):
            held.append("b begins")
        held.append("b ends")
        may_end.set()
        first.result(timeout=LONG_S)
    assert held == order


def test_a_process_that_died_holds_nothing(postgres_url):
    """The slots of Dagster's pools outlive a killed process; a lock of a connection does not."""
    waited = threading.Event()

    def wait_then_take() -> None:
        with run_lock(postgres_url, [DAY], waited.set):
            pass

    RunLock(lambda: postgres_url, [DAY]).acquire(print)  # without the thread that takes them again
    with ThreadPoolExecutor(1) as threads:
        taking = threads.submit(wait_then_take)
        assert waited.wait(timeout=LONG_S)
        _end_holders(postgres_url)
        taking.result(timeout=LONG_S)


def _end_holders(url: str) -> None:
    """Ends the connection of each lock, as a restart of PostgreSQL does, and waits for it."""
    with engine_of(url).connect() as connection:
        assert connection.execute(sa.text(f"select count(pg_terminate_backend(pid, 60000)) {_HOLDERS}")).scalar_one()


def _is_locked(url: str) -> bool:
    with engine_of(url).connect() as connection:
        return connection.execute(sa.text(f"select count(*) {_HOLDERS}")).scalar_one() > 0


def test_days_stay_locked_after_a_restart_of_postgresql(postgres_url, monkeypatch):
    monkeypatch.setattr(run_locks, "_LOOK_S", 0.05)
    waited, is_taken = threading.Event(), threading.Event()

    def wait_then_take() -> None:
        with run_lock(postgres_url, [DAY], waited.set):
            is_taken.set()

    with ThreadPoolExecutor(1) as threads:
        with run_lock(postgres_url, [DAY], waited.set) as lock:
            _end_holders(postgres_url)
            wait_until(lambda: _is_locked(postgres_url), "the lock that is taken again")
            taking = threads.submit(wait_then_take)
            assert waited.wait(timeout=LONG_S)
            lock.require()
            assert not is_taken.is_set()
        taking.result(timeout=LONG_S)


def test_days_that_another_run_took_stay_lost(postgres_url):
    lock = RunLock(lambda: postgres_url, [DAY])  # without the thread that would take them again before the other does
    lock.acquire(print)
    _end_holders(postgres_url)
    lost = "Another run took days of this run"
    with run_lock(postgres_url, [DAY], print), pytest.raises(RetryableError, match=lost):
        lock.require()
    with pytest.raises(RetryableError, match=lost):
        lock.require()


@pytest.mark.parametrize(("table", "io"), [(TRIPS, "warehouse_io"), (STAGING_POSITIONS, "lake_io")])
def test_a_run_whose_days_another_run_took_writes_nothing(postgres_url, tmp_path, monkeypatch, table, io):
    monkeypatch.setattr(step_errors, "RETRY_POLICY", dg.RetryPolicy(max_retries=0))
    monkeypatch.setattr(run_locks, "_LOOK_S", LONG_S)  # nor does the run take its days again before the other
    fleet = FleetResource(warehouse_url=postgres_url, home=str(tmp_path), lake_url=str(tmp_path / "lake"))

    with ExitStack() as other_run:

        @dg.asset(
            key=[table.schema, table.name],
            metadata={"table": table.full_name},
            io_manager_key=io,
            partitions_def=dg.DailyPartitionsDefinition("2025-06-01", end_date="2025-07-01"),
        )
        def made() -> pd.DataFrame:
            _end_holders(postgres_url)
            other_run.enter_context(run_lock(postgres_url, [DAY], print))
            return sample(table, DAY, 3)

        with dg.DagsterInstance.ephemeral() as instance:
            options = {"partition_key": DAY.isoformat(), "instance": instance, "raise_on_error": False}
            result = dg.materialize([made], resources=run_resources(fleet), **options)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "before it writes beside the other" in str(failure.step_failure_data.error)
    assert fleet.warehouse().read_partition(TRIPS, [DAY]).empty
    assert not fleet.lake().has_day(STAGING_POSITIONS, DAY)


def test_a_run_that_computes_again_forgets_what_the_run_recorded_that_it_waited_for(postgres_url, monkeypatch):
    fleet, waited = FleetResource(warehouse_url=postgres_url), threading.Event()
    acquire = run_locks.RunLock.acquire
    monkeypatch.setattr(
        run_locks.RunLock, "acquire", lambda lock, waiting: acquire(lock, lambda: (waiting(), waited.set()))
    )
    digests = DayDigests(fleet.warehouse(), "staging/positions", "first")
    is_unchanged = []

    @dg.asset(key=["fact", "trips"], io_manager_key="warehouse_io")
    def made() -> None:
        is_unchanged.append(digests.is_unchanged(DAY, "inputs", lambda: "content"))

    def compute_again() -> bool:
        with dg.DagsterInstance.ephemeral() as instance:
            tags = {**range_tags(DAY, DAY), RECOMPUTE_TAG: "true"}
            return dg.materialize([made], resources=run_resources(fleet), instance=instance, tags=tags).success

    with ThreadPoolExecutor(1) as threads:
        with run_lock(postgres_url, [DAY], print):
            second = threads.submit(compute_again)
            assert waited.wait(timeout=LONG_S)
            digests.record(DAY, "inputs", "content")
        assert second.result(timeout=LONG_S)
    assert is_unchanged == [False]


def test_a_run_that_computes_again_fails_where_it_can_forget_nothing():
    fleet, run = FleetResource(warehouse_url="postgresql://u:p@127.0.0.1:9/db"), _Run.over(DAY, DAY)
    run.run = run.run.with_tags({**run.run.tags, RECOMPUTE_TAG: "true"})
    with pytest.raises(RetryableError, match="Locking the days of the run failed"), days_held(fleet, run):
        pass


def test_without_a_warehouse_the_run_begins_and_its_steps_report_it(capsys):
    fleet = FleetResource(warehouse_url="postgresql://u:p@127.0.0.1:9/db")
    with days_held(fleet, _Run.over(DAY, DAY)):
        pass
    assert "The days of the run are not locked" in capsys.readouterr().out


def test_the_days_of_a_run_are_those_that_it_reads_or_writes():
    days = run_days_with_context(_Run.over(DAY, DAY).run)
    assert (days[0], days[-1]) < (DAY, DAY) < (days[-1], days[-1])


@pytest.mark.parametrize(
    "started",
    [
        {"job": "close"},
        {"job": "__ASSET_JOB", "asset_selection": frozenset({_REPORT})},
        {"job": "__ASSET_JOB", "asset_check_selection": frozenset({dg.AssetCheckKey(_REPORT, "any")})},
    ],
    ids=["by a job", "one asset, as the UI starts it", "a check alone"],
)
def test_the_days_of_a_run_over_a_cycle_are_all_of_the_cycle(started):
    start, end = dt.date(2025, 5, 16), dt.date(2025, 6, 15)
    run = _Run.over(start, start, **started).run
    days = run_days_with_context(run)
    assert (days[0], days[-1], len(days)) == (start, end, 31)
    assert missing_tags(run, [])[DAYS_TAG] == f"{start} to {end}"
