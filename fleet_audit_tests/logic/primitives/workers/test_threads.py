"""Items worked on by threads: the same results in order, errors raised, no more threads at once than allowed."""

from __future__ import annotations

import os
import threading
import time

import pytest

from fleet_audit.logic.primitives.workers.pools import map_in_processes
from fleet_audit.logic.primitives.workers.threads import (
    map_in_threads,
    run_in_threads,
    thread_count,
    threads_limited_to,
)

ITEMS = range(12)


@pytest.fixture(params=[1, 2, 4])
def processors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(request.param)), raising=False)
    return int(request.param)


def test_results_are_in_the_order_of_the_items_and_every_processor_works(processors: int) -> None:
    together = threading.Barrier(processors, timeout=120)  # broken unless so many threads wait at once

    def squared(number: int) -> int:
        together.wait()
        return number * number

    assert map_in_threads(squared, ITEMS) == [number * number for number in ITEMS]


@pytest.mark.usefixtures("processors")
def test_work_inside_of_work_does_not_wait_for_itself() -> None:
    def summed(number: int) -> int:
        return sum(map_in_threads(lambda other: number * other, ITEMS))

    assert map_in_threads(summed, ITEMS) == [number * 66 for number in ITEMS]


@pytest.mark.usefixtures("processors")
def test_an_error_is_raised_when_no_thread_works_any_more() -> None:
    working = set(ITEMS[:0])

    def failed_at_three(number: int) -> None:
        working.add(number)
        time.sleep(0.01)
        working.remove(number)
        if number == 3:
            raise ValueError("3 is not wanted")

    with pytest.raises(ValueError, match="3 is not wanted"):
        map_in_threads(failed_at_three, ITEMS)
    assert not working


def test_a_limit_leaves_the_work_to_so_many_threads(processors: int) -> None:
    assert thread_count() == processors
    with threads_limited_to(1):
        names = run_in_threads(*[lambda: threading.current_thread().name] * 4)
    assert names == [threading.current_thread().name] * 4
    assert thread_count() == processors


def allowed_threads(_: int) -> int:
    return thread_count()


def test_processes_of_a_pool_share_the_processors() -> None:
    assert {*map_in_processes(allowed_threads, ITEMS, 2)} == {max(thread_count() // 2, 1)}
