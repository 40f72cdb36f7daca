"""The engine of one machine: work on items by a few processes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fleet_audit.errors import PermanentError
from fleet_audit.logic.primitives.pools import map_in_processes


@dataclass(frozen=True)
class LocalProcesses:
    """So many processes of this machine; 1: none but this one."""

    processes: int
    preloaded: Sequence[str] = ()

    def map(
        self, work: Callable[[Any], Mapping[str, pa.Table]], items: Iterable[Any]
    ) -> Iterator[Mapping[str, pa.Table]]:
        """Returns `work(item)` of each item in the order of the items; see `map_in_processes`.

        Raises PermanentError when a process is killed, with the setting to change.
        """
        try:
            yield from map_in_processes(work, items, self.processes, self.preloaded)
        except BrokenProcessPool as error:
            raise PermanentError(
                "A process that computed some vehicles of a day was killed, most likely for lack of memory: set "
                f"FLEET_DAY_PROCESSES to less than {self.processes}, or FLEET_CHUNK_VEHICLES to less, and run it again."
            ) from error
