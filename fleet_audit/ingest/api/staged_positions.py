"""`staging.positions` of a day from its pages and files, as work that another process may take.

It reads the archive and records nothing: that belongs to `staging`. How rows are merged is in `positions`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd
import pyarrow as pa

from fleet_audit.formats.adapter import Adapter
from fleet_audit.formats.drivers import as_reference
from fleet_audit.ingest.api.pages import page_arrivals
from fleet_audit.ingest.api.positions import DayCounts, PositionsOfDay
from fleet_audit.ingest.late_positions import HourDigests
from fleet_audit.logic.primitives.window import partition_day_bounds
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.storage.lake import EncodedDay, Lake, encoded_day


@dataclass(frozen=True)
class ListedPages:
    """The pages of a day as they were listed at an instant, before anything else was asked for.

    Attributes:
        pages: their paths in the archive, each with the time of its first arrival.
        kept: paths of files with pages that need not be parsed again (`parsed_pages`).
        keeps_parsed: whether pages that are parsed now are kept for the next staging of the day.
    """

    at: pd.Timestamp
    pages: Mapping[str, dt.datetime]
    kept: Sequence[str] = ()
    keeps_parsed: bool = False

    @classmethod
    def of_day(cls, lake: Lake, day: dt.date, kept: Sequence[str] = (), *, keeps_parsed: bool = False) -> Self:
        """Those of the day as they are now."""
        at = pd.Timestamp.now("UTC")
        return cls(at, page_arrivals(lake, day), kept, keeps_parsed)


@dataclass(frozen=True)
class PositionArrivals:
    """What the positions of a day are made of.

    Attributes:
        pages: paths of the day's pages in the archive, each with the time of its first arrival.
        file_rows: rows of telemetry files in force (`parsed.positions`), of the day.
        read_at: when the others were asked for: what arrives later may be missing.
        kept, keeps_parsed: as in `ListedPages`.
    """

    day: dt.date
    pages: Mapping[str, dt.datetime]
    file_rows: pd.DataFrame
    read_at: pd.Timestamp
    kept: Sequence[str] = ()
    keeps_parsed: bool = False


@dataclass(frozen=True)
class StagedPositions:
    """The file of a day of positions, and what its recording needs.

    Attributes:
        file: `staging.positions` of the day.
        read: rows of telemetry files that were read.
        read_at: as in `PositionArrivals`.
        hours: digest of each hour.
        drivers: rows of `ref.drivers` of the drivers that pages name.
        parsed: content of a file of the pages that were parsed; None when none is kept.
        counts, rejected, notes, damaged, rows_of_pages: as in `PositionsOfDay`.
    """

    file: EncodedDay
    read: int
    read_at: pd.Timestamp
    hours: HourDigests
    counts: DayCounts
    rejected: list[pd.DataFrame]
    notes: list[pd.DataFrame]
    drivers: pd.DataFrame
    parsed: pa.Buffer | None
    damaged: dict[str, str]
    rows_of_pages: dict[str, int]


@dataclass(frozen=True)
class StagePositions:
    """Stages the positions of a day; `folder` holds the sorted pages meanwhile."""

    lake: Lake
    adapter: Adapter
    driver_key: bytes
    folder: Path | None = None

    def __call__(self, arrivals: PositionArrivals) -> StagedPositions:
        """One row per device and instant, of all pages and files, in the memory of some pages and of the file."""
        merged, hours = self._merged(arrivals), HourDigests()

        def parts() -> Iterator[pa.Table]:
            for part in merged:
                hours.add(part)
                yield part

        return StagedPositions(
            encoded_day(STAGING_POSITIONS, parts()),
            len(arrivals.file_rows),
            arrivals.read_at,
            hours,
            merged.counts,
            merged.rejected,
            merged.notes,
            as_reference(pd.DataFrame(sorted(merged.drivers), columns=["driver_id", "name"])),
            merged.parsed.finish(),
            merged.damaged,
            merged.rows_of_pages,
        )

    def _merged(self, arrivals: PositionArrivals) -> PositionsOfDay:
        return PositionsOfDay(
            self.lake,
            arrivals.pages,
            arrivals.file_rows,
            self.adapter,
            self.driver_key,
            arrivals.day,
            partition_day_bounds(arrivals.day),
            self.folder,
            arrivals.kept,
            keeps_parsed=arrivals.keeps_parsed,
        )
