"""`staging.positions` of a day from its pages and files, as work that another process may take.

It reads the archive and records nothing: that belongs to `staging`. How rows are merged is in `positions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from fleet_audit.formats.adapter import Adapter
from fleet_audit.formats.drivers import as_reference
from fleet_audit.ingest.api.arrivals import PositionArrivals
from fleet_audit.ingest.api.positions import DayCounts, PositionsOfDay
from fleet_audit.ingest.late_positions import HourDigests
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.storage.lake import EncodedDay, Lake, encoded_day


@dataclass(frozen=True)
class StagedPositions:
    """The file of a day of positions, and what its recording needs.

    Attributes:
        file: `staging.positions` of the day.
        read: rows of telemetry files that were read.
        read_at: when its pages were listed: what arrived later may be missing.
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
        merged = PositionsOfDay(self.lake, self.adapter, self.driver_key, arrivals, self.folder)
        hours = HourDigests()

        def parts() -> Iterator[pa.Table]:
            for part in merged:
                hours.add(part)
                yield part

        return StagedPositions(
            encoded_day(STAGING_POSITIONS, parts()),
            len(arrivals.file_rows),
            arrivals.listed.at,
            hours,
            merged.counts,
            merged.rejected,
            merged.notes,
            as_reference(pd.DataFrame(sorted(merged.drivers), columns=["driver_id", "name"])),
            merged.parsed.finish(),
            merged.damaged,
            merged.rows_of_pages,
        )
