"""Waiting for what another thread, process or server does."""

from __future__ import annotations

import time
from collections.abc import Callable

LONG_S = 600  # far beyond what anything takes, for a busy machine


def wait_until(is_done: Callable[[], object], what: str, seconds: float = LONG_S, pause_s: float = 0.02) -> None:
    """Returns when it is done; fails with the name of what did not happen instead of waiting for ever."""
    deadline = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s"
        time.sleep(pause_s)
