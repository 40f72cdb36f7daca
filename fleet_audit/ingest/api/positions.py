"""The positions of a day, merged from all its pages and files in the memory of some pages.

Which files are in force is decided in `staging`; where pages lie in `pages`.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fleet_audit.errors import PermanentError
from fleet_audit.formats.adapter import Adapter
from fleet_audit.formats.api_page.decoding import BrokenPageError
from fleet_audit.formats.api_page.positions import parse_page
from fleet_audit.formats.parsed import RejectedFile, conform_notes
from fleet_audit.formats.positions_merge import merge_positions
from fleet_audit.ingest.api.pages import DamagedPageError, page_sha256, read_page
from fleet_audit.schema.derive import arrow_schema, from_arrow, to_arrow
from fleet_audit.schema.lake import PARSED_POSITIONS, STAGING_POSITIONS
from fleet_audit.storage.lake import Lake

# Rows merged at once, of whole devices: a fleet's day takes as many rounds as it has that many rows. Smaller rounds
# cost more of them, each with a look into every page.
ROWS_AT_ONCE = 150_000
PARSERS = 2  # Arrow reads JSON beside other threads; a third one waits for the disk and the interpreter
# contract: a timestamp may be so far ahead of its arrival
FUTURE_SLACK = dt.timedelta(minutes=5)
# the week number of GPS has 10 bits: an old receiver is off by this, once or twice
GPS_WEEKS = dt.timedelta(weeks=1024)
_EXCLUDED = ("gps_week_rollover", "future_timestamp", "outside_window")
_REASONS = {
    "future_timestamp": "The position is more than 5 minutes ahead of its arrival: check the device's clock.",
    "gps_week_rollover": "The position is off by 1,024 weeks, the period of the GPS week number: update the device.",
    "outside_window": "The API returned a position outside the requested window; it was excluded.",
}


@dataclass
class DayCounts:
    """Rows of a day: accepted, rejected (including conflicts, and the `illegible` ones of pages) or duplicate."""

    accepted: int = 0
    rejected: int = 0
    duplicate: int = 0
    illegible: int = 0


@dataclass(frozen=True)
class _Run:
    """The rows of one page or file, sorted by device, in a temporary file that is memory-mapped for reading."""

    path: Path
    origin: dict[str, str] | None
    devices: np.ndarray
    bounds: np.ndarray

    def rows(self, devices: np.ndarray) -> pa.Table | None:
        """The rows of devices that are neighbours in the order, with their origin; None without any."""
        first, last = np.searchsorted(self.devices, [devices[0], devices[-1]], side="left")
        end = last + (last < len(self.devices) and self.devices[last] == devices[-1])
        if first >= end:
            return None
        with pa.memory_map(str(self.path)) as source:
            rows = pa.ipc.open_file(source).read_all()
            rows = rows.slice(self.bounds[first], self.bounds[end] - self.bounds[first])
        if self.origin is not None:
            for name, value in self.origin.items():
                rows = rows.append_column(name, pa.repeat(pa.scalar(value, pa.string()), rows.num_rows))
        return rows.select(PARSED_POSITIONS.column_names).cast(arrow_schema(PARSED_POSITIONS))


class PositionsOfDay:
    """Iterates over the staging rows of a day, sorted, part by part.

    Args:
        lake: where the pages are.
        pages: their paths, each with the time of its arrival; all belong to the window [start, end) of the day.
        file_rows: rows of telemetry files in force (`parsed.positions`), of the day.
        adapter: the vendor's names and units.
        driver_key: key of the drivers' pseudonyms.
        folder: where sorted pages are kept meanwhile; the system's temporary folder without it.

    Attributes, complete after the last part:
        counts: rows of the day.
        rejected: rows of `ops.rejected_rows`.
        notes: a row of `parsed.source_notes` per page and device whose dates the GPS week counter moved; `plate`
            holds the device.
        drivers: driver_id and name of each driver that pages name, in all spellings.
        damaged: path of each page that could not be read, with the reason.
        rows_of_pages: path of each page that was read, with its number of items.
    """

    def __init__(
        self,
        lake: Lake,
        pages: Mapping[str, dt.datetime],
        file_rows: pd.DataFrame,
        adapter: Adapter,
        driver_key: bytes,
        day: dt.date,
        window: tuple[pd.Timestamp, pd.Timestamp],
        folder: Path | None = None,
    ) -> None:
        self._lake, self._pages, self._arrivals, self._file_rows = lake, sorted(pages), pages, file_rows
        self._adapter, self._driver_key = adapter, driver_key
        self._day, self._window, self._folder = day, window, folder
        self.counts = DayCounts()
        self.rejected: list[pd.DataFrame] = []
        self.notes: list[pd.DataFrame] = []
        self.drivers: set[tuple[str, str]] = set()
        self.damaged: dict[str, str] = {}
        self.rows_of_pages: dict[str, int] = {}
        self._parsing = threading.Lock()

    def __iter__(self) -> Iterator[pa.Table]:
        with tempfile.TemporaryDirectory(prefix="positions", dir=self._folder) as folder:
            runs = list(self._runs(Path(folder)))
            for devices in _shares(runs):
                parts = [part for run in runs if (part := run.rows(devices)) is not None]
                unique, duplicates, conflicts = merge_positions(from_arrow(pa.concat_tables(parts), PARSED_POSITIONS))
                self.counts.accepted += len(unique)
                self.counts.duplicate += duplicates
                self._reject(self._named(conflicts))
                yield self._staged(unique)

    def _runs(self, folder: Path) -> Iterator[_Run]:
        with ThreadPoolExecutor(PARSERS) as threads:
            for number in range(0, len(self._pages), PARSERS):  # so many pages in memory, not all that wait
                some = enumerate(self._pages[number : number + PARSERS], number)
                yield from filter(None, threads.map(lambda one: self._page_run(folder, *one), some))
        if len(self._file_rows):
            yield _written(folder / "files", to_arrow(self._file_rows, PARSED_POSITIONS), None)

    def _page_run(self, folder: Path, number: int, path: str) -> _Run | None:
        """The rows of one page; None when its bytes are damaged, and `damaged` then names it."""
        try:
            page = parse_page(read_page(self._lake, path), self._adapter, self._driver_key)
        except (DamagedPageError, BrokenPageError) as error:
            self.damaged[path] = str(error)
            return None
        except RejectedFile as error:
            raise PermanentError(
                f"{self._lake.url(path)} is not a page of the adapter {self._adapter.name}: {error} "
                "Set FLEET_API_ADAPTER to the one that it was fetched with."
            ) from error
        rows, origin = page.positions, {"source_kind": "positions", "file_sha256": page_sha256(path), "file_name": path}
        reasons = self._excluded(rows.column("recorded_at"), self._arrivals[path])
        is_excluded = reasons >= 0
        with self._parsing:
            if len(page.rejected):
                self._reject(page.rejected.assign(**origin))
            if is_excluded.any():
                codes = np.array(_EXCLUDED)[reasons[is_excluded]]
                excluded = pd.DataFrame(
                    {"row_number": rows["row_number"].to_numpy()[is_excluded], "reason_code": codes}
                )
                self._reject(excluded.assign(raw="", reason=excluded["reason_code"].map(_REASONS), **origin))
                if (is_moved := reasons == _EXCLUDED.index("gps_week_rollover")).any():
                    self.notes.append(self._roll_overs(rows, is_moved, origin))
                rows = rows.filter(pa.array(~is_excluded))
            self.drivers |= page.drivers
            self.rows_of_pages[path] = page.rows
            self.counts.illegible += page.rows - page.positions.num_rows
        rows = rows.append_column("trip_key", pa.nulls(rows.num_rows, pa.string()))
        return _written(folder / f"{number}", rows, {"source": "api", "file_sha256": f"{number:08}", "file_name": ""})

    def _excluded(self, instants: pa.ChunkedArray, arrived_at: dt.datetime) -> np.ndarray:
        """Which of `_EXCLUDED` each position is that cannot be one of this window and page, -1 for the others."""
        at = instants.to_numpy()
        start, end = (bound.tz_convert(None).to_datetime64() for bound in self._window)
        weeks, latest = np.timedelta64(GPS_WEEKS), np.datetime64((arrived_at + FUTURE_SLACK).replace(tzinfo=None))
        is_rolled_over = np.zeros(len(at), dtype=bool)
        for shift in (-2 * weeks, -weeks, weeks):
            is_rolled_over |= (at + shift >= start) & (at + shift < end)
        return np.select(
            [is_rolled_over, at > latest, (at < start) | (at >= end)],
            [np.int8(0), np.int8(1), np.int8(2)],
            np.int8(-1),
        )

    def _roll_overs(self, positions: pa.Table, is_moved: np.ndarray, origin: dict[str, str]) -> pd.DataFrame:
        """A note per device of a page that has positions of the day under dates that are 1,024 weeks off."""
        rows = positions.select(["device_id", "recorded_at", "row_number"]).filter(pa.array(is_moved)).to_pandas()
        rows = rows.drop_duplicates("device_id")
        found = rows["recorded_at"].astype("str") + " (equipamento " + rows["device_id"].astype("str") + ")"
        notes = rows.rename(columns={"device_id": "plate"}).assign(
            note_code="gps_week_rollover", date=self._day, expected=self._day.isoformat(), found=found
        )
        return conform_notes(notes, origin["source_kind"], origin["file_sha256"], origin["file_name"])

    def _named(self, conflicts: pd.DataFrame) -> pd.DataFrame:
        """The conflicts with names of pages for their numbers, which rows carry to move 175 bytes less each."""
        is_page = conflicts["source_kind"] == "api"
        paths = [self._pages[int(number)] for number in conflicts.loc[is_page, "file_sha256"]]
        conflicts.loc[is_page, "file_name"] = paths
        conflicts.loc[is_page, "file_sha256"] = [page_sha256(path) for path in paths]
        return conflicts

    def _reject(self, rows: pd.DataFrame) -> None:
        if len(rows):
            self.counts.rejected += len(rows.drop_duplicates(["file_sha256", "row_number"]))
            self.rejected.append(rows)

    def _staged(self, unique: pd.DataFrame) -> pa.Table:
        """The rows in the table's schema; rows of the API name no page."""
        is_file = (unique["source"] == "file").to_numpy()
        stored = unique.assign(
            **{name: unique[name].where(is_file) for name in ("file_sha256", "file_name", "row_number")}
        )
        schema = arrow_schema(STAGING_POSITIONS)
        arrays = [
            pa.repeat(pa.scalar(self._day, pa.date32()), len(stored))
            if name == STAGING_POSITIONS.partition
            else pa.array(stored[name], schema.field(name).type, from_pandas=True)
            for name in schema.names
        ]
        return pa.Table.from_arrays(
            [one.combine_chunks() if isinstance(one, pa.ChunkedArray) else one for one in arrays], schema=schema
        )


def _written(path: Path, rows: pa.Table, origin: dict[str, str] | None) -> _Run:
    """Writes the rows sorted by device, within a device in their own order, and returns them as a run."""
    codes = rows.column("device_id").combine_chunks().dictionary_encode()
    codes = codes.combine_chunks() if isinstance(codes, pa.ChunkedArray) else codes
    names = np.array(codes.dictionary.to_pylist(), dtype=object)
    rank = np.empty(len(names), dtype=np.int64)
    by_name = np.argsort(names, kind="stable")
    rank[by_name] = np.arange(len(names))
    ranked = rank[codes.indices.to_numpy()] if len(rows) else np.empty(0, dtype=np.int64)
    order = np.argsort(ranked, kind="stable")
    kept = rows.take(pa.array(order))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, kept.schema) as writer:
        writer.write_table(kept)
    bounds = np.searchsorted(ranked[order], np.arange(len(names) + 1))
    return _Run(path, origin, names[by_name], bounds)


def _shares(runs: Sequence[_Run]) -> Iterator[np.ndarray]:
    """All devices in order, in neighbouring groups of about `ROWS_AT_ONCE` rows; a device is in one group."""
    counts: dict[str, int] = {}
    for run in runs:
        for device, rows in zip(run.devices, np.diff(run.bounds), strict=True):
            counts[device] = counts.get(device, 0) + int(rows)
    devices = np.array(sorted(counts), dtype=object)
    share = np.cumsum([counts[device] for device in devices]) // ROWS_AT_ONCE
    edges = [0, *(np.flatnonzero(np.diff(share)) + 1), len(devices)]
    yield from (devices[first:end] for first, end in pairwise(edges) if end > first)
