"""Items worked on by processes: the same results in order, errors raised, nothing left running."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import forkserver
from pathlib import Path

import pytest

from fleet_audit.logic.primitives.workers.pools import each_in_own_process, map_in_processes, prepare_processes
from fleet_audit.logic.primitives.workers.threads import thread_count

ITEMS = range(12)


def squared_with_process(number: int) -> tuple[int, int]:
    time.sleep(0.02 if number % 3 else 0.1)  # the later ones are ready before the first
    return number * number, os.getpid()


def squared_when_all_work(number: int, processes: int, folder: Path) -> tuple[int, int]:
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < processes:  # a busy machine starts one long before the other
        time.sleep(0.01)
    return squared_with_process(number)


def square_with_surroundings(number: int) -> tuple[int, int, int]:
    return number * number, os.getpid(), thread_count()


def failed_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("3 is not wanted")
    return number


class LateError(Exception):
    """One that cannot be unpickled: it takes more than its arguments hold."""

    def __init__(self, day: str, reason: str) -> None:
        super().__init__(f"{day}: {reason}")


def fails_late(number: int) -> int:
    if number == 3:
        raise LateError("day 3", "no data")
    return number


def items_until_three():
    for number in ITEMS:
        if number == 3:
            raise ValueError("3 cannot be taken")
        yield number


def killed_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def large(number: int) -> bytes:
    return bytes(20_000_000)


def is_nothing_left() -> bool:
    """No process and no thread of a pool, for which the end of this process would wait."""
    for child in multiprocessing.active_children():
        child.join(60)
    threads = [thread for thread in threading.enumerate() if type(thread).__name__ == "_ExecutorManagerThread"]
    for thread in threads:
        thread.join(60)
    return not multiprocessing.active_children() and not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_items(processes, tmp_path):
    squared = partial(squared_when_all_work, processes=processes, folder=tmp_path)
    results = list(map_in_processes(squared, ITEMS, processes))
    assert [square for square, _ in results] == [number * number for number in ITEMS]
    workers = {process for _, process in results}
    assert workers == {os.getpid()} if processes == 1 else len(workers) == 2 and os.getpid() not in workers
    assert is_nothing_left()


def test_items_one_after_the_other_have_a_process_and_the_processors_each():
    """What an item leaves in memory has ended before the next one begins."""
    items = (number for number in range(3) if not multiprocessing.active_children())
    results = list(each_in_own_process(square_with_surroundings, items))
    assert [square for square, _, _ in results] == [0, 1, 4]
    assert len({process for _, process, _ in results} - {os.getpid()}) == 3
    assert {threads for _, _, threads in results} == {thread_count()}


def origin(_: int) -> int:
    return os.getppid()


def test_processes_come_from_the_one_that_was_prepared():
    prepare_processes(())
    prepared = forkserver._forkserver._forkserver_pid
    assert set(map_in_processes(origin, ITEMS, 2)) == {prepared}


def test_items_are_taken_as_results_are_asked_for():
    taken = []
    items = (taken.append(number) or number for number in ITEMS)
    results = map_in_processes(squared_with_process, items, 2)
    next(results)
    assert len(taken) == 5
    results.close()
    assert is_nothing_left()


def test_processes_end_by_themselves_before_the_last_result_of_a_known_number():
    results = map_in_processes(squared_with_process, range(3), 2)
    next(results)
    processes = multiprocessing.active_children()
    assert [square for _, (square, _) in zip(range(2), results, strict=False)] == [1, 4]
    assert [process.exitcode for process in processes] == [0, 0]


def test_closing_ends_processes_that_send_large_results():
    """A killed one had sent a part of its result: this process waited for the rest for ever when it ended."""
    results = map_in_processes(large, ITEMS, 2)
    next(results)
    processes = multiprocessing.active_children()
    results.close()
    assert [process.is_alive() for process in processes] == [False, False]
    assert is_nothing_left()


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_comes_after_the_results_before_it(processes):
    results = map_in_processes(failed_at_three, ITEMS, processes)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3 is not wanted"):
        next(results)
    assert is_nothing_left()


@pytest.mark.parametrize("computed", [partial(map_in_processes, processes=2), each_in_own_process])
def test_a_killed_process_is_an_error(computed):
    with pytest.raises(BrokenProcessPool):
        list(computed(killed_at_three, range(2, 5)))
    assert is_nothing_left()


@pytest.mark.parametrize("processes", [1, 2])
def test_an_item_that_cannot_be_taken_fails_in_its_place(processes):
    results, found = map_in_processes(squared_with_process, items_until_three(), processes), []
    with pytest.raises(ValueError, match="3 cannot be taken"):
        found.extend(square for square, _ in results)
    assert found == [0, 1, 4]
    assert is_nothing_left()


def test_an_error_that_cannot_be_sent_is_reported_by_its_text():
    with pytest.raises(RuntimeError, match="LateError: day 3: no data"):
        list(map_in_processes(fails_late, ITEMS, 2))
    assert is_nothing_left()
