"""Runs over the same days follow each other, in every form of deployment; runs over other days do not wait."""

from __future__ import annotations

import datetime as dt
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from fleet_audit.defs.resources import FleetResource, days_held
from fleet_audit.defs.run_tags import range_tags, run_days_with_context
from fleet_audit.storage.postgres import engine_of
from fleet_audit.storage.run_locks import locked

DAY = dt.date(2025, 6, 10)
ONE_DAY = dt.timedelta(days=1)


class _Run(SimpleNamespace):
    """What a run's resource sees of it."""

    @classmethod
    def over(cls, first: dt.date, last: dt.date, job: str = "day") -> _Run:
        log = SimpleNamespace(info=print)
        return cls(run=SimpleNamespace(tags=range_tags(first, last), job_name=job), log=log)


def _holds(fleet: FleetResource, run: _Run, held: list[str], name: str, seconds: float) -> None:
    with days_held(fleet, run):
        held.append(f"{name} begins")
        time.sleep(seconds)
        held.append(f"{name} ends")


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
    held: list[str] = []
    fleet = FleetResource(warehouse_url=postgres_url)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(_holds, fleet, _Run.over(DAY, DAY), held, "a", 2.5)
        while not held:
            time.sleep(0.02)
        threads.submit(_holds, fleet, second, held, "b", 0.1).result(timeout=30)
        first.result(timeout=30)
    assert held == order


def test_a_process_that_died_holds_nothing(postgres_url):
    """The slots of Dagster's pools outlive a killed process; a lock of a connection does not."""
    waited = threading.Event()

    def wait_then_take() -> None:
        with locked(postgres_url, [DAY], waited.set):
            pass

    with ThreadPoolExecutor(1) as threads, locked(postgres_url, [DAY], waited.set):
        taking = threads.submit(wait_then_take)
        assert waited.wait(timeout=10)
        with engine_of(postgres_url).connect() as connection:
            ended = "select count(pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory' and granted"
            assert connection.execute(sa.text(ended)).scalar_one() == 1
        taking.result(timeout=10)


def test_without_a_warehouse_the_run_begins_and_its_steps_report_it(capsys):
    fleet = FleetResource(warehouse_url="postgresql://u:p@127.0.0.1:9/db")
    with days_held(fleet, _Run.over(DAY, DAY)):
        pass
    assert "The days of the run are not locked" in capsys.readouterr().out


def test_the_days_of_a_run_are_those_that_it_reads_or_writes():
    days = run_days_with_context(_Run.over(DAY, DAY).run)
    assert (days[0], days[-1]) < (DAY, DAY) < (days[-1], days[-1])
    cycle = run_days_with_context(_Run.over(dt.date(2025, 5, 16), dt.date(2025, 5, 16), "close").run)
    assert (cycle[0], cycle[-1], len(cycle)) == (dt.date(2025, 5, 16), dt.date(2025, 6, 15), 31)
