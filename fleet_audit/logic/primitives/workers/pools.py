"""Independent items worked on by a few processes: the results that one process gives, in the order of the items.

What an item is belongs to the caller; work that releases Python's lock needs no processes (`threads`).
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from fleet_audit.logic.primitives.workers.threads import limit_threads, thread_count

Item = TypeVar("Item")
Result = TypeVar("Result")
_M_MMAP_THRESHOLD = -3  # malloc.h
_RETURNED_BYTES = 8 << 20
_KILLED_WITHIN_S = 10.0  # a process that waits for a disk ends when the disk answers
_work: list[Callable[[Any], Any]] = []  # of a process of the pool: what it was started for


def map_in_processes(
    work: Callable[[Item], Result], items: Iterable[Item], processes: int, preloaded: Sequence[str] = ()
) -> Generator[Result, None, None]:
    """Returns `work(item)` of each item in the order of the items; with 1 process in this one.

    `work` is sent to each process once and may keep there what the next item needs again; it, items and results must be
    picklable. Twice as many items as processes are taken ahead of the result that is waited for, so that memory does
    not grow with their number. What an item raises, or the taking of it, is raised here in its place among the
    results, and ends the processes; so does closing the generator. Raises BrokenProcessPool when a process is killed,
    and one with a cause when a result cannot be read by this one.

    Args:
        preloaded: modules that the processes have in common; those of the first call in a process count.
    """
    if processes == 1:
        yield from map(work, items)
        return
    with _pool(work, processes, _forkserver(tuple(preloaded))) as pool:
        waiting: deque[Future[Result]] = deque()
        for submitted in _submitted(pool, items):
            waiting.append(submitted)
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while len(waiting) > 1:
            yield waiting.popleft().result()
        last = [future.result() for future in waiting]
    yield from last  # after the processes ended: a caller that knows how many results there are asks for no more


def each_in_own_process(
    work: Callable[[Item], Result], items: Iterable[Item], preloaded: Sequence[str] = ()
) -> Generator[Result, None, None]:
    """Returns `work(item)` of each item, one after the other, each by a process of its own that may use all threads.

    Memory is that of one item, and the process returns it when it ends. Otherwise as in `map_in_processes`.
    """
    for item in items:
        with _pool(work, 1, _forkserver(tuple(preloaded))) as pool:
            result = pool.submit(_worked, item).result()
        yield result


def prepare_processes(preloaded: Sequence[str]) -> None:
    """Start what later processes are forked from: it imports the modules, in 1.2 s, beside other work of this one."""
    _forkserver(tuple(preloaded))
    forkserver.ensure_running()


def _submitted(pool: ProcessPoolExecutor, items: Iterable[Item]) -> Iterator[Future[Any]]:
    """The work on each item; where an item cannot be taken, its error in the place of its work, and no more."""
    try:
        for item in items:
            yield pool.submit(_worked, item)
    except Exception as error:
        failed: Future[Any] = Future()
        failed.set_exception(error)
        yield failed


@contextmanager
def _pool(work: Callable[[Item], Result], processes: int, context: BaseContext) -> Iterator[ProcessPoolExecutor]:
    """Processes that are killed when the block is left before its end, and end themselves when this one is killed.

    Either way none of them runs, or writes, after the block.
    """
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(work, processes))
    is_finished = False
    try:
        yield pool
        is_finished = True
    finally:
        started, results = list((pool._processes or {}).values()), pool._result_queue
        pool.shutdown(wait=is_finished, cancel_futures=True)
        if not is_finished:
            _kill(started, results)


def _kill(processes: Sequence[BaseProcess], results: Any) -> None:
    """Kill processes that may be sending a result, and wait until they have ended.

    The pool's thread reads the rest of a result until no process can write it. This one could, and so its own end
    waited for that thread for ever.
    """
    results._writer.close()
    for process in processes:
        process.kill()
    for process in processes:
        process.join(_KILLED_WITHIN_S)


@cache
def _forkserver(preloaded: tuple[str, ...]) -> BaseContext:
    """Processes are forked from one that has the modules and no threads: a fork of this one could wait for a lock."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preloaded))
    return context


def _begin(work: Callable[[Any], Any], processes: int) -> None:
    limit_threads(thread_count() // processes)  # the processes together are as busy as one would be alone
    _return_freed_arrays()
    _work.append(work)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _return_freed_arrays() -> None:
    """Let the GNU C library return an array of 8 MB or more to the system when it is freed.

    By itself it keeps arrays of up to 32 MB for later ones of the same size: after a day of 560 vehicles a process held
    0.9 GB instead of 0.2, and its peak on the next day was 1.49 GB instead of 1.24.
    """
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _RETURNED_BYTES)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _worked(item: Any) -> Any:
    """The result; an error that cannot be sent to another process, which would break the pool, as one that can."""
    try:
        return _work[0](item)
    except Exception as error:
        if (sendable := sendable_error(error)) is error:
            raise
        raise sendable from None


def sendable_error(error: Exception) -> Exception:
    """The error; where it cannot be pickled and unpickled, a RuntimeError with its text and notes."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:
        named = RuntimeError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", ()):
            named.add_note(note)
        return named
    return error
