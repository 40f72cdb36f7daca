"""Recognises days of windows and of devices that need not be computed again: their inputs and results are the same.

The computations are in `logic`; the same for days of positions is in `ingest.staged_days`.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import pandas as pd
import pyarrow as pa

from fleet_audit.closing.code import computing_versions
from fleet_audit.defs.tables import Result
from fleet_audit.ingest.day_digests import DayDigests
from fleet_audit.logic.closing.manifest import canonical_rows, digest
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.window import window_days
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.model import Table
from fleet_audit.schema.rights import RELATION_SCHEMAS
from fleet_audit.storage.io_managers import StoreOpener
from fleet_audit.storage.lake import TextFilter
from fleet_audit.storage.table_days import Kept, read_current_days


class Fleet(StoreOpener, Protocol):
    """The stores, and the parameters in force on a day."""

    def parameters(self, day: dt.date) -> ParameterSet:
        """The parameters in force on the day."""

    def reference(self) -> Reference:
        """The reference tables."""


@dataclass(frozen=True)
class Computation:
    """What a computation of a day D reads beside its parameters, and what it writes.

    Attributes:
        name: in `ops.day_digests`.
        of_window: tables of the lake of which it reads D-2 … D+1.
        of_day: tables of the lake of which it reads D.
        reference: tables that it reads whole. It gets no others, so that none can be forgotten here.
        results: tables whose rows of D it writes.
        of_listed: tables of the lake of which it reads D-2 … D+1 of some vehicles, each with the result that lists
            them. Which vehicles these are follows from all other inputs.
    """

    name: str
    of_window: Sequence[Table]
    of_day: Sequence[Table]
    reference: Sequence[Table]
    results: Sequence[Table]
    of_listed: Mapping[Table, Table] = field(default_factory=dict)


class UnchangedDays:
    """The days of one run of a computation: those that differ are computed, the others stay as they are."""

    def __init__(self, fleet: Fleet, computation: Computation, run_id: str) -> None:
        """Reads nothing yet."""
        self._fleet, self._computation = fleet, computation
        self._digests = DayDigests(fleet.warehouse(), computation.name, run_id)
        self._files: dict[str, str | None] = {}
        self._changed: dict[dt.date, str] = {}

    @cached_property
    def reference(self) -> Reference:
        """The reference tables that the computation reads; all others are empty."""
        tables = self._fleet.reference().tables()
        return Reference.of({table.name: tables[table.name] for table in self._computation.reference})

    def computed(
        self, days: Sequence[dt.date], compute: Callable[[Sequence[dt.date]], Iterator[tuple[dt.date, Result]]]
    ) -> Iterator[tuple[dt.date, Result | Kept]]:
        """What `compute` makes of those days that differ, in their order among the others, which stay as they are."""
        self._changed = dict(self._changed_days(days))
        for day in self._changed:
            for table in self._computation.of_listed:
                self._read_files(table, day)
        computed = compute(list(self._changed))
        for day in days:
            yield next(computed) if day in self._changed else (day, Kept.AS_IT_IS)

    def record(self) -> None:
        """Record the days that were computed; only to be called when all their results are written.

        A day is not recorded, and so computed again, when rows of the vehicles that it lists may have changed since it
        was computed: a run locks its own days, and another may stage the bulletins of the days beside them.
        """
        for day, inputs_digest in self._changed.items():
            content = self._content(day, self._stored(day))
            if not self._has_new_listed_files(day):
                self._digests.record(day, inputs_digest, content)

    def _has_new_listed_files(self, day: dt.date) -> bool:
        """Whether files that hold rows of vehicles listed on the day are others than before the day was computed."""
        return any(
            self._fleet.lake().sha256(path) != before
            for table, listing in self._computation.of_listed.items()
            if not self._listed_plates(day, listing).empty
            for path, before in self._read_files(table, day).items()
        )

    def _changed_days(self, days: Sequence[dt.date]) -> Iterator[tuple[dt.date, str]]:
        for day in days:
            inputs_digest = self._inputs(day)
            if not self._is_unchanged(day, inputs_digest):
                yield day, inputs_digest

    def _is_unchanged(self, day: dt.date, inputs_digest: str) -> bool:
        """Whether the day was computed from these inputs, and from the rows that its results list.

        The results are compared before they are read: a file of them may be damaged.
        """
        recorded = self._digests.content_of(day, inputs_digest)
        if recorded is None:
            return False
        stored = self._stored(day)
        return recorded.startswith(stored) and recorded == self._content(day, stored)

    def _content(self, day: dt.date, stored: str) -> str:
        """What is recorded of a day whose results have the digest `stored`."""
        return " of ".join([stored, *(self._listed_digest(day, *one) for one in self._computation.of_listed.items())])

    def _listed_digest(self, day: dt.date, table: Table, listing: Table) -> str:
        """Digest of the rows of the vehicles that `listing` has on the day: mostly it has none, and nothing is read."""
        plates = self._listed_plates(day, listing)
        if plates.empty:
            return _sha256([])
        wanted = TextFilter("plate", pa.array(sorted(plates), pa.string()))
        rows = self._fleet.lake().read_days(table, window_days(day), filter=wanted)
        return digest(canonical_rows(rows, table))

    def _listed_plates(self, day: dt.date, listing: Table) -> pd.Series:
        return self._fleet.lake().read_days(listing, [day])["plate"]

    def _read_files(self, table: Table, day: dt.date) -> dict[str, str | None]:
        """SHA-256 of the files in the day's window, as first read, by path."""
        lake = self._fleet.lake()
        return {lake.partition_path(table, one): self._read_file(table, one) for one in window_days(day)}

    def _inputs(self, day: dt.date) -> str:
        files = [(table, one) for table in self._computation.of_window for one in window_days(day)]
        files += [(table, day) for table in self._computation.of_day]
        return _sha256(
            [
                computing_versions(),
                self._fleet.parameters(day).version,
                self._reference_digest,
                *(f"{table.address} {one} {self._read_file(table, one)}" for table, one in files),
            ]
        )

    @cached_property
    def _reference_digest(self) -> str:
        tables = self.reference.tables()
        return _sha256([digest(canonical_rows(tables[table.name], table)) for table in self._computation.reference])

    def _read_file(self, table: Table, day: dt.date) -> str | None:
        """SHA-256 of a file that the computation reads: a day is in the windows of four."""
        path = self._fleet.lake().partition_path(table, day)
        if path not in self._files:
            self._files[path] = self._fleet.lake().sha256(path)
        return self._files[path]

    def _stored(self, day: dt.date) -> str:
        """Digest of the results of a day as they are stored now."""
        return _sha256([f"{table.address} {self._stored_digest(table, day)}" for table in self._computation.results])

    def _stored_digest(self, table: Table, day: dt.date) -> str | None:
        if table.schema in RELATION_SCHEMAS:
            rows = read_current_days(self._fleet.warehouse(), self._fleet.lake(), table, [day])
            return digest(canonical_rows(rows, table))
        return self._fleet.lake().sha256(self._fleet.lake().partition_path(table, day))


def _sha256(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
