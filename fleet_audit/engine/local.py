"""The engine of one machine: work on items by a few processes of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fleet_audit.logic.primitives.workers.pools import map_in_processes


@dataclass(frozen=True)
class LocalProcesses:
    """So many processes of this machine; 1: none but this one."""

    processes: int
    preloaded: Sequence[str] = ()

    def map(
        self, work: Callable[[Any], Mapping[str, pa.Table]], items: Iterable[Any]
    ) -> Generator[Mapping[str, pa.Table], None, None]:
        """Returns `work(item)` of each item in the order of the items; see `map_in_processes`."""
        return map_in_processes(work, items, self.processes, self.preloaded)
