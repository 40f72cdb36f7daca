"""What the positions of a day are made of, as it is listed before any of it is read.

How rows are merged is in `positions`; which files are in force is decided in `staging`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import pandas as pd

from fleet_audit.ingest.api.pages import page_arrivals
from fleet_audit.storage.lake import Lake


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
    kept: Sequence[str]
    keeps_parsed: bool

    @classmethod
    def of_day(cls, lake: Lake, day: dt.date, kept: Sequence[str] = (), *, keeps_parsed: bool = False) -> Self:
        """Those of the day as they are now."""
        at = pd.Timestamp.now("UTC")
        return cls(at, page_arrivals(lake, day), kept, keeps_parsed)


@dataclass(frozen=True)
class PositionArrivals:
    """The arrivals of a day of America/Sao_Paulo: its pages, and as `file_rows` those rows of `parsed.positions` that
    are of the day and of telemetry files in force.
    """

    day: dt.date
    listed: ListedPages
    file_rows: pd.DataFrame
