"""Ports for servers that tests start.

Choosing them belongs here; the servers do not.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

_WORKERS = 16  # more share the ports of others


def free_port() -> int:
    """A port that nobody listens on, and that the kernel gives to no other: a server binds it only seconds later.

    No two calls of a process return the same.
    """
    for port in _ports():
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError("No port below those that the kernel gives is free.")


@cache
def _ports() -> Iterator[int]:
    """Ports below those of outgoing connections and of servers that bind port 0, in random order.

    Each worker of pytest-xdist has its own: two that choose at once would choose the same one time in a hundred.
    """
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(given.read_text().split()[0]) if given.exists() else 32_768
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw-1").removeprefix("gw")) + 1
    ports = range(max(1024, first - 12_000) + worker % _WORKERS, first, _WORKERS)
    return iter(random.sample(ports, len(ports)))
