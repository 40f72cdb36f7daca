"""The engine that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

from fleet_audit.engine.local import LocalProcesses
from fleet_audit.engine.spark import SparkCluster
from fleet_audit.settings import Settings


class Engine(Protocol):
    """A map of work over items: the results that one process gives, in the order of the items."""

    def map(
        self, work: Callable[[Any], Mapping[str, pa.Table]], items: Iterable[Any]
    ) -> Generator[Mapping[str, pa.Table], None, None]:
        """Returns `work(item)` of each item; the tables of a result by name."""


def engine_of(settings: Settings, processes: int, preloaded: Sequence[str] = ()) -> Engine:
    """The engine of FLEET_ENGINE; the local one has so many processes."""
    if settings.engine == "spark":
        return SparkCluster(settings.spark_master or "")
    return LocalProcesses(processes, preloaded)
