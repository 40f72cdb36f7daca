"""Locks on files, which the kernel drops however their process ends: between processes of one machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def open_lock(path: Path, operation: int) -> int:
    """Descriptor of the file, made where it is missing, with the lock of the `fcntl.flock` operation.

    Closing it drops the lock. Raises BlockingIOError where `operation` has LOCK_NB and another process holds a lock.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Holds an exclusive lock on a file, whose descriptor it gives; other processes that ask for it wait."""
    descriptor = open_lock(path, fcntl.LOCK_EX)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
