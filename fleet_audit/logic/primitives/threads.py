"""A map over two threads, for work that releases Python's lock: compiled passes, numpy, Arrow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_THREADS = 2  # more threads wait for memory, which takes half of the time


def map_in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Returns `work(item)` of each item in the order of the items; two run at the same time."""
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(work, items))


def map_ahead_in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """Returns `work(item)` of each item in the order of the items; two run at the same time.

    An item is taken when one of the two before it was given, so that memory holds what two of them need.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        running: deque[Future[Result]] = deque()
        for item in items:
            running.append(threads.submit(work, item))
            if len(running) == _THREADS:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def run_in_threads(*works: Callable[[], Any]) -> list[Any]:
    """Returns what each of the works returns; two run at the same time, the first ones first."""
    return map_in_threads(lambda work: work(), works)
