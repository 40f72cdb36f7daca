"""A map over two threads, for work that releases Python's lock: compiled passes, numpy, Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_THREADS = 2  # more threads wait for memory, which takes half of the time


def map_in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Returns `work(item)` of each item in the order of the items; two run at the same time."""
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(work, items))


def run_in_threads(*works: Callable[[], Any]) -> list[Any]:
    """Returns what each of the works returns; two run at the same time, the first ones first."""
    return map_in_threads(lambda work: work(), works)
