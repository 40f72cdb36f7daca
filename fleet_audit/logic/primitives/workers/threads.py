"""An ordered map over a few threads, for work that releases Python's lock: compiled passes, numpy, Arrow.

Processes, which also share work that holds the lock, are in `pools`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_MOST_THREADS = 4  # more threads wait for memory, which takes half of the time
_THREADS_AHEAD = 2
_limit = _MOST_THREADS


def thread_count() -> int:
    """How many threads work at the same time: the processors that this process may use, at most four."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(allowed, _limit), 1)


def limit_threads(most: int) -> None:
    """Let at most so many threads of this process work at the same time, from now on."""
    global _limit
    _limit = min(most, _MOST_THREADS)


@contextmanager
def threads_limited_to(most: int) -> Iterator[None]:
    """Let at most so many threads of this process work at the same time inside of the block."""
    before = _limit
    limit_threads(most)
    try:
        yield
    finally:
        limit_threads(before)


def map_in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Returns `work(item)` of each item in the order of the items; `thread_count()` run at the same time.

    The calling thread takes items like the others, so that work inside of the work cannot wait for itself. When this
    returns or raises, no thread works on any item.
    """
    given = list(items)
    results: list[Any] = [None] * len(given)
    remaining = iter(range(len(given)))

    def work_on() -> None:
        for number in remaining:
            results[number] = work(given[number])

    helpers: list[Future[None]] = [
        _helpers(_MOST_THREADS - 1).submit(work_on) for _ in range(min(thread_count(), len(given)) - 1)
    ]
    try:
        work_on()
    finally:
        list(remaining)  # nothing left to take where this thread was stopped by an error
        started = [helper for helper in helpers if not helper.cancel()]
        wait(started)
    for helper in started:
        helper.result()
    return results


def map_ahead_in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """Returns `work(item)` of each item in the order of the items; two run at the same time.

    An item is taken when one of the two before it was given, so that memory holds what two of them need.
    """
    with ThreadPoolExecutor(_THREADS_AHEAD) as threads:
        running: deque[Future[Result]] = deque()
        for item in items:
            running.append(threads.submit(work, item))
            if len(running) == _THREADS_AHEAD:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def run_in_threads(*works: Callable[[], Any]) -> list[Any]:
    """Returns what each of the works returns; `thread_count()` run at the same time, the first ones first."""
    return map_in_threads(lambda work: work(), works)


@lru_cache(maxsize=1)
def _helpers(most: int) -> ThreadPoolExecutor:
    """Threads that wait for work until the process ends: to start them took 1 ms of a small fleet's 120."""
    return ThreadPoolExecutor(most, thread_name_prefix="map")
