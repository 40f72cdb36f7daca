"""Days of a fleet computed in chunks of whole vehicles by the engine of the settings, and put together again.

What is computed of a chunk is in `window_positions`; how a fleet is cut, and where chunks are computed, in `engine`.
"""

import datetime as dt
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Protocol, Self, TypeAlias

import pyarrow as pa

from fleet_audit.closing.code import code_version
from fleet_audit.defs.tables import PRELOADED, is_long, next_part, pool_size
from fleet_audit.defs.window_positions import DayVehicles
from fleet_audit.engine.chunks import cut_fleet, shared_reference
from fleet_audit.engine.selection import engine_of
from fleet_audit.errors import PermanentError
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.window import window_days
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.derive import from_arrow, to_arrow
from fleet_audit.schema.model import Table
from fleet_audit.settings import Settings
from fleet_audit.storage.table_days import LakeDays

ComputedDays: TypeAlias = Iterator[tuple[dt.date, Any]]
# In a chunk of a few days. Windows and devices of 560 vehicles take 8.4 s in four chunks and 6.8 s in two, but with two
# the run held 0.2 GB more until its report, and its peak was 1.45 to 1.68 GB.
_SHARED_VEHICLES = 150
_POOLED_VEHICLES = 250  # in a chunk that a process of several computes: each took 1.25 GB for 500 vehicles


def as_found(day: dt.date, found: Any, parameters: ParameterSet) -> Any:
    """What was found of the vehicles, where nothing but their rows makes the fleet's."""
    return found


class Work(Protocol):
    """What is computed of a chunk, in any process that has this package and the lake."""

    def files(self, day: dt.date) -> Mapping[str, int | None]:
        """The files that a day is computed from, with their sizes; None: there is none."""

    def __call__(self, vehicles: DayVehicles) -> object:
        """The rows of these vehicles: a frame per attribute."""


@dataclass(frozen=True)
class FleetCut:
    """A fleet in chunks of about the same size, of at most about `chunk_vehicles`; one that fits into it is not cut.

    `declared` is a table whose plates the reference may lack, such as `staging.visit_legs`.
    """

    whole: Reference
    chunk_vehicles: int
    declared: LakeDays | None = None

    @classmethod
    def of_days(
        cls, whole: Reference, days: Sequence[dt.date], settings: Settings, declared: LakeDays | None = None
    ) -> Self:
        """The fleet in chunks for these days.

        Memory is that of a chunk in each process, so they are smaller where several processes compute a long range, and
        for a few days, of which processes share the chunks. One process computes a long range in larger chunks: for a
        fleet that is not cut it reads a staging day once for the four windows that it is in.
        """
        size = settings.chunk_vehicles
        if settings.engine == "local" and not is_long(len(days)):
            size = min(size, _SHARED_VEHICLES)
        elif settings.engine == "local" and settings.day_processes > 1:
            size = min(size, _POOLED_VEHICLES)
        return cls(whole, size, declared)

    @cached_property
    def count(self) -> int:
        """About how many chunks there are."""
        return -(-self._vehicles // self.chunk_vehicles)

    @property
    def _vehicles(self) -> int:
        return self.whole.vehicles["plate"].nunique()

    @property
    def reference(self) -> Reference:
        """What all chunks have in common; of a fleet that is not cut, its reference."""
        return shared_reference(self.whole) if self.count > 1 else self.whole

    def day(self, day: dt.date, parameters: ParameterSet) -> list[DayVehicles]:
        """The chunks of a day, or the whole fleet."""
        if self.count <= 1:
            return [DayVehicles(day, parameters)]
        rows = None if self.declared is None else self.declared.read_arrow(window_days(day), ["plate"])
        plates = () if rows is None else rows["plate"].unique().to_pylist()
        size = -(-self._vehicles // self.count)
        return [DayVehicles(day, parameters, chunk) for chunk in cut_fleet(self.whole, plates, size)]


def computed_vehicles(
    days: Sequence[dt.date],
    fleet_cut: FleetCut,
    parameters: Callable[[dt.date], ParameterSet],
    work: Work,
    tables: Mapping[str, Table],
    settings: Settings,
    join: Callable[[dt.date, Any, ParameterSet], Any] = as_found,
) -> ComputedDays:
    """Each day with what `work` makes of the fleet, in order: a frame per table, each an attribute of the result.

    The tables have the same rows however the fleet is cut and whichever engine computes the chunks. What one vehicle's
    rows owe to another's belongs in `join`, which has those of the whole fleet.
    """
    waiting: deque[tuple[int, ParameterSet]] = deque()  # of the days whose first chunk was taken; how many chunks

    def items() -> Iterator[SentVehicles]:
        for day in days:
            in_force = parameters(day)
            of_day = fleet_cut.day(day, in_force)
            waiting.append((len(of_day), in_force))
            files = work.files(day)
            yield from (SentVehicles(vehicles, files, code_version()) for vehicles in of_day)

    processes = processes_of(days, fleet_cut, settings)
    cure = f"FLEET_DAY_PROCESSES to less than {processes}, or FLEET_CHUNK_VEHICLES to less"
    engine = engine_of(settings, processes, PRELOADED)
    with closing(engine.map(InArrow(work, tables), items())) as results:
        for day in days:
            parts = [next_part(results, day, cure)]
            count, in_force = waiting.popleft()
            parts += [next_part(results, day, cure) for _ in range(count - 1)]
            rows = {name: pa.concat_tables([part[name] for part in parts]) for name in tables}
            found = SimpleNamespace(**{name: from_arrow(rows[name], table.untraced) for name, table in tables.items()})
            yield day, join(day, found, in_force)


def processes_of(days: Sequence[dt.date], fleet_cut: FleetCut, settings: Settings) -> int:
    """The processes of this machine that compute so many days of the fleet."""
    return pool_size(len(days) * fleet_cut.count, settings.day_processes)


def keeps_days(days: Sequence[dt.date], fleet_cut: FleetCut, settings: Settings) -> bool:
    """Whether the days of a window stay in memory for the next one: of several days that one process computes."""
    return len(days) > 1 and processes_of(days, fleet_cut, settings) == 1


@dataclass(frozen=True)
class SentVehicles:
    """Vehicles with what the run sees of the work's surroundings, so that another machine computes the same or nothing.

    Attributes:
        files: those that the day is computed from, with their sizes.
        code: the run's version of the code.
    """

    vehicles: DayVehicles
    files: Mapping[str, int | None]
    code: str


@dataclass(frozen=True)
class InArrow:
    """Work with its result as Arrow: a table of the dictionary per attribute."""

    work: Work
    tables: Mapping[str, Table]

    def __call__(self, sent: SentVehicles) -> dict[str, pa.Table]:
        """The tables of these vehicles; raises PermanentError when this process has other code or another lake."""
        self._check_surroundings(sent)
        result = self.work(sent.vehicles)
        return {name: to_arrow(getattr(result, name), table.untraced) for name, table in self.tables.items()}

    def _check_surroundings(self, sent: SentVehicles) -> None:
        if code_version() != sent.code:
            raise PermanentError(
                f"A worker on {socket.gethostname()} has fleet_audit {code_version()}, and the run has {sent.code}: "
                "install the run's version on every worker, and run it again."
            )
        found = self.work.files(sent.vehicles.day)
        for path, size in sent.files.items():
            if found[path] != size:
                raise PermanentError(
                    f"{path} of the lake {_shown(size)} for the run and {_shown(found[path])} on "
                    f"{socket.gethostname()}: mount the folder of FLEET_LAKE_URL on every worker, and run it again."
                )


def _shown(size: int | None) -> str:
    return "does not exist" if size is None else f"has {size} bytes"
