"""Recognises days of positions that need not be staged again: neither their inputs nor what came of them differ.

What a day is made of is listed by `Stage.position_inputs`; how it is made is not known here.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from fleet_audit.ingest.api.staged_positions import PositionArrivals, StagedPositions, StagePositions
from fleet_audit.ingest.day_digests import DayDigests
from fleet_audit.ingest.staging import Stage, page_notes_path
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.storage.lake import EncodedDay, Lake
from fleet_audit.storage.table_days import Kept
from fleet_audit.storage.warehouse import Warehouse

Inputs = Callable[[dt.date], PositionArrivals | None]
Work = Callable[[PositionArrivals | None], StagedPositions | None]
Compute = Callable[[Sequence[dt.date], Inputs, Work], Iterator[tuple[dt.date, StagedPositions | None]]]
_COMPUTATION = "staging/positions"
# A kept day holds what had arrived when its inputs were read: `closing.readiness` asks its counts for that instant.
_CONFIRM = """
    update ops.stage_counts set updated_at = :read_at
    where partition_date = :day and (stage, source) in (('pages', 'api'), ('staging', 'positions'))
"""


@dataclass(frozen=True)
class StagedDays:
    """The staging of positions, for the days of one run."""

    lake: Lake
    warehouse: Warehouse
    run_id: str

    def positions(
        self, stage: Stage, days: Sequence[dt.date], versions: str, compute: Compute
    ) -> Iterator[tuple[dt.date, Kept | EncodedDay]]:
        """The days, each to be made again only where it would differ: most days of a D-1 run are days before.

        Each is recorded when the next one is asked for, because it is written by then. `compute` returns each day with
        what a piece of work makes of its inputs, here or in processes; an unchanged day's inputs are None.
        """
        digests = DayDigests(self.warehouse, _COMPUTATION, self.run_id)
        looked_at: dict[dt.date, tuple[pd.Timestamp, str]] = {}

        def arrivals(day: dt.date) -> PositionArrivals | None:
            looked_at[day] = pd.Timestamp.now("UTC"), stage.position_inputs(day, versions)
            is_unchanged = digests.is_unchanged(day, looked_at[day][1], partial(self._stored, day))
            return None if is_unchanged else stage.position_arrivals(day)

        with tempfile.TemporaryDirectory(prefix="staging") as folder:  # a process that is killed leaves its files
            work = StagePositions(stage.lake, stage.adapter, stage.driver_key, Path(folder))
            for day, staged in compute(days, arrivals, partial(_staged, work)):
                read_at, inputs_digest = looked_at.pop(day)
                if staged is None:
                    self.warehouse.execute(_CONFIRM, {"day": day, "read_at": read_at})
                    yield day, Kept.AS_IT_IS
                else:
                    stage.record_positions(day, staged)
                    yield day, staged.file
                    digests.record(day, inputs_digest, self._content(day, staged.file.sha256))

    def _stored(self, day: dt.date) -> str:
        return self._content(day, self.lake.sha256(self.lake.partition_path(STAGING_POSITIONS, day)))

    def _content(self, day: dt.date, sha256: str | None) -> str:
        return f"{sha256} with notes {self.lake.sha256(page_notes_path(day))}"


def _staged(work: StagePositions, arrivals: PositionArrivals | None) -> StagedPositions | None:
    """The positions of a day; None for an unchanged one."""
    return None if arrivals is None else work(arrivals)
