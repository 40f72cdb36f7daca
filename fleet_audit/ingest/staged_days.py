"""Recognises days of positions that need not be staged again: neither their inputs nor what came of them differ.

What a day is made of is listed by `Stage.position_inputs`; how it is made is not known here.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.api.arrivals import ListedPages, PositionArrivals
from fleet_audit.ingest.api.parsed_pages import COMPUTATION as PARSED_PAGES
from fleet_audit.ingest.api.parsed_pages import keep_parsed, kept_files, remove_parsed
from fleet_audit.ingest.api.staged_positions import StagedPositions, StagePositions
from fleet_audit.ingest.day_digests import DayDigests
from fleet_audit.ingest.staging import Stage, page_notes_path
from fleet_audit.logic.primitives.window import WINDOW_OFFSETS
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.storage.lake import EncodedDay, Lake
from fleet_audit.storage.table_days import Kept
from fleet_audit.storage.warehouse import Warehouse

Inputs = Callable[[dt.date], PositionArrivals]
Work = Callable[[PositionArrivals], StagedPositions]
_COMPUTATION = "staging/positions"
_STAGED_AGAIN = len(WINDOW_OFFSETS) - 1  # days of a run that the run of the day after it stages too
_LARGE_DAY_PAGES = 40  # of 10,000 positions, each 45 ms of processor time: a process costs 1.3 s
# A kept day holds what had arrived when its inputs were read: `closing.readiness` asks its counts for that instant.
_CONFIRM = """
    update ops.stage_counts set updated_at = :read_at
    where partition_date = :day and (stage, source) in (('pages', 'api'), ('staging', 'positions'))
"""


def is_large_day(pages: Collection[str]) -> bool:
    """Whether a day of these pages, and another one, are worth a process each."""
    return len(pages) >= _LARGE_DAY_PAGES


class Compute(Protocol):
    """Computes days here or in processes, which end when what it returns is closed."""

    def __call__(
        self, days: Sequence[dt.date], inputs: Inputs, work: Work, *, are_large: bool
    ) -> Generator[tuple[dt.date, StagedPositions], None, None]:
        """Returns each day with `work(inputs(day))`, in order; `are_large`: some of them are worth a process each."""


@dataclass(frozen=True)
class StagedDays:
    """The staging of positions, for the days of one run."""

    lake: Lake
    warehouse: Warehouse
    run_id: str
    warn: Callable[[str], None]

    def positions(
        self, stage: Stage, days: Sequence[dt.date], versions: str, compute: Compute
    ) -> Iterator[tuple[dt.date, Kept | EncodedDay]]:
        """The days, each to be made again only where it would differ: most days of a D-1 run are days before.

        Each is recorded when the next one is asked for, because it is written by then.
        """
        digests = DayDigests(self.warehouse, _COMPUTATION, self.run_id)
        parsed, parsing = DayDigests(self.warehouse, PARSED_PAGES, self.run_id), stage.parsing(versions)
        staged_again = days[-_STAGED_AGAIN:]
        listed = {
            day: ListedPages.of_day(self.lake, day, kept_files(parsed, day, parsing), keeps_parsed=day in staged_again)
            for day in days
        }
        inputs = {day: stage.position_inputs(day, versions, listed[day].pages) for day in days}
        changed = {
            day: listed[day] for day in days if not digests.is_unchanged(day, inputs[day], partial(self._stored, day))
        }
        with self._computed(stage, changed, compute) as computed:
            for day in days:
                if day in changed:
                    _, staged = next(computed)
                    stage.record_positions(day, staged)
                    yield day, staged.file
                    digests.record(day, inputs[day], self._content(day, staged.file.sha256))
                    if staged.parsed is not None:
                        with self._going_on_without(f"The parsed pages of {day} were not kept"):
                            keep_parsed(self.lake, parsed, day, parsing, staged.parsed)
                else:
                    self.warehouse.execute(_CONFIRM, {"day": day, "read_at": listed[day].at})
                    yield day, Kept.AS_IT_IS
        with self._going_on_without(f"Parsed pages of days before {staged_again[0]} were not removed"):
            remove_parsed(self.lake, staged_again[0])

    @contextmanager
    def _going_on_without(self, lost: str) -> Iterator[None]:
        """Warns of a cache that fails: without it pages are parsed again, and the day is as it would be with it."""
        try:
            yield
        except (PermanentError, RetryableError) as error:
            self.warn(f"{lost}, the run goes on: {error}")

    @contextmanager
    def _computed(
        self, stage: Stage, days: Mapping[dt.date, ListedPages], compute: Compute
    ) -> Iterator[Iterator[tuple[dt.date, StagedPositions]]]:
        """The days, staged as they are asked for, in a folder that is removed after the processes that write into it.

        A process that is killed leaves its files. What cannot be removed does not replace the error that ended it all.
        """
        with tempfile.TemporaryDirectory(prefix="staging", ignore_cleanup_errors=True) as folder:
            work = StagePositions(stage.lake, stage.adapter, stage.driver_key, Path(folder))
            with closing(
                compute(
                    list(days),
                    lambda day: stage.position_arrivals(day, days[day]),
                    work,
                    are_large=sum(is_large_day(listed.pages) for listed in days.values()) > 1,
                )
            ) as computed:
                yield computed

    def _stored(self, day: dt.date) -> str:
        return self._content(day, self.lake.sha256(self.lake.partition_path(STAGING_POSITIONS, day)))

    def _content(self, day: dt.date, sha256: str | None) -> str:
        return f"{sha256} with notes {self.lake.sha256(page_notes_path(day))}"
