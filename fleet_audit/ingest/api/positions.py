"""The positions of a day, merged from all its pages and files in the memory of some pages.

Which files are in force is decided in `staging`; where pages lie in `pages`.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
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
from fleet_audit.ingest.api.arrivals import PositionArrivals
from fleet_audit.ingest.api.pages import DamagedPageError, page_sha256, read_page
from fleet_audit.ingest.api.parsed_pages import KeptPages, ParsedPagesFile
from fleet_audit.ingest.api.wrong_types import WrongTypes
from fleet_audit.logic.primitives.window import partition_day_bounds
from fleet_audit.logic.primitives.workers.threads import map_ahead_in_threads
from fleet_audit.schema.derive import arrow_schema, from_arrow, to_arrow
from fleet_audit.schema.lake import PARSED_POSITIONS, STAGING_POSITIONS
from fleet_audit.storage.lake import Lake

# Rows merged at once, of whole devices: a fleet's day takes as many rounds as it has that many rows. Smaller rounds
# cost more of them, each with a look into every page.
ROWS_AT_ONCE = 150_000
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
    """The rows of one page or of files, sorted by device, in a temporary file that is memory-mapped for reading.

    `page` is the page's number in the order of paths, None of files, whose rows have their origin.
    """

    path: Path
    page: int | None
    devices: np.ndarray
    bounds: np.ndarray

    def rows(self, devices: np.ndarray) -> pa.Table | None:
        """The rows of devices that are neighbours in the order; None without any."""
        first, last = np.searchsorted(self.devices, [devices[0], devices[-1]], side="left")
        end = last + (last < len(self.devices) and self.devices[last] == devices[-1])
        if first >= end:
            return None
        with pa.memory_map(str(self.path)) as source:
            rows = pa.ipc.open_file(source).read_all()
            return rows.slice(self.bounds[first], self.bounds[end] - self.bounds[first])


@dataclass(frozen=True)
class _ReadPage:
    """A page of the day: its rows, and as `parsed` all of them where they were parsed now and are to be kept."""

    path: str
    run: _Run
    parsed: pa.Table | None


class PositionsOfDay:
    """Iterates over the staging rows of a day, sorted, part by part.

    Args:
        lake: where the pages are.
        adapter: the vendor's names and units.
        driver_key: key of the drivers' pseudonyms.
        arrivals: what the day is made of.
        folder: where sorted pages are kept meanwhile; the system's temporary folder without it.

    Attributes, complete after the last part:
        counts: rows of the day.
        rejected: rows of `ops.rejected_rows`.
        notes: a row of `parsed.source_notes` per page and device whose dates the GPS week counter moved, and per
            device whose values mostly have a wrong type; `plate` holds the device.
        drivers: driver_id and name of each driver that pages name, in all spellings.
        damaged: path of each page that could not be read, with the reason.
        rows_of_pages: path of each page that was read, with its number of items.
        parsed: where the arrivals say so, pages that were parsed without a rejected item, whose raw text can hold a
            driver's name, and without a value of a wrong type, which the day notes.
    """

    def __init__(
        self, lake: Lake, adapter: Adapter, driver_key: bytes, arrivals: PositionArrivals, folder: Path | None
    ) -> None:
        self._lake, self._adapter, self._driver_key, self._folder = lake, adapter, driver_key, folder
        self._day, self._listed, self._file_rows = arrivals.day, arrivals.listed, arrivals.file_rows
        self._pages = sorted(arrivals.listed.pages)
        self.counts = DayCounts()
        self.rejected: list[pd.DataFrame] = []
        self.notes: list[pd.DataFrame] = []
        self.drivers: set[tuple[str, str]] = set()
        self.damaged: dict[str, str] = {}
        self.rows_of_pages: dict[str, int] = {}
        self.parsed = ParsedPagesFile()
        self._wrong = WrongTypes()
        self._kept = KeptPages(lake, arrivals.listed.kept)
        self._parsing = threading.Lock()

    def __iter__(self) -> Iterator[pa.Table]:
        with tempfile.TemporaryDirectory(prefix="positions", dir=self._folder) as folder:
            runs = list(self._runs(Path(folder)))
            for devices in _shares(runs):
                parts = [(run, part) for run in runs if (part := run.rows(devices)) is not None]
                unique, duplicates, conflicts = merge_positions(from_arrow(_with_origins(parts), PARSED_POSITIONS))
                self.counts.accepted += len(unique)
                self.counts.duplicate += duplicates
                self._reject(self._named(conflicts))
                self._wrong.stage(unique, self._pages)
                yield self._staged(unique)
            self.notes.append(self._wrong.notes(self._day))

    def _runs(self, folder: Path) -> Iterator[_Run]:
        for page in map_ahead_in_threads(partial(self._read_page, folder), enumerate(self._pages)):
            if page is None:
                continue
            if page.parsed is not None:  # in the order of pages, so that the file has the same bytes in any process
                self.parsed.add(page.path, page.parsed)
            yield page.run
        if len(self._file_rows):
            yield _written(folder / "files", _by_device(to_arrow(self._file_rows, PARSED_POSITIONS)), None)

    def _read_page(self, folder: Path, numbered: tuple[int, str]) -> _ReadPage | None:
        """One page; None when its bytes are damaged, and `damaged` then names it."""
        number, path = numbered
        try:
            rows, parsed = self._rows_of_page(path)
        except (DamagedPageError, BrokenPageError) as error:
            self.damaged[path] = str(error)
            return None
        except RejectedFile as error:
            raise PermanentError(
                f"{self._lake.url(path)} is not a page of the adapter {self._adapter.name}: {error} "
                "Set FLEET_API_ADAPTER to the one that it was fetched with."
            ) from error
        origin = _origin(path)
        reasons = self._excluded(rows.column("recorded_at"), self._listed.pages[path])
        if (is_excluded := reasons >= 0).any():
            codes = np.array(_EXCLUDED)[reasons[is_excluded]]
            excluded = pd.DataFrame({"row_number": rows["row_number"].to_numpy()[is_excluded], "reason_code": codes})
            with self._parsing:
                self._reject(excluded.assign(raw="", reason=excluded["reason_code"].map(_REASONS), **origin))
                if (is_moved := reasons == _EXCLUDED.index("gps_week_rollover")).any():
                    self.notes.append(self._roll_overs(rows, is_moved, origin))
            rows = rows.filter(pa.array(~is_excluded))
        return _ReadPage(path, _written(folder / f"{number}", rows, number), parsed)

    def _rows_of_page(self, path: str) -> tuple[pa.Table, pa.Table | None]:
        """The positions of a page, by device; and the same again, if they were parsed now and are to be kept.

        Raises DamagedPageError: kept or not, a page that is damaged is requested again.
        """
        body, kept = read_page(self._lake, path), self._kept.rows(path)
        if kept is not None:
            with self._parsing:
                self.rows_of_pages[path] = kept.num_rows
            return kept, None
        page = parse_page(body, self._adapter, self._driver_key)
        rows = _by_device(page.positions)
        with self._parsing:
            if len(page.rejected):
                self._reject(page.rejected.assign(**_origin(path)))
            self.drivers |= page.drivers
            self.rows_of_pages[path] = page.rows
            self._wrong.add(path, page)
            self.counts.illegible += page.rows - rows.num_rows
        is_kept = self._listed.keeps_parsed and rows.num_rows and not len(page.rejected) and not len(page.wrong)
        return rows, rows if is_kept else None

    def _excluded(self, instants: pa.ChunkedArray, arrived_at: dt.datetime) -> np.ndarray:
        """Which of `_EXCLUDED` each position is that cannot be one of this window and page, -1 for the others."""
        at = instants.to_numpy()
        start, end = (bound.tz_convert(None).to_datetime64() for bound in partition_day_bounds(self._day))
        weeks, latest = np.timedelta64(GPS_WEEKS), np.datetime64((arrived_at + FUTURE_SLACK).replace(tzinfo=None))
        is_rolled_over = np.zeros(len(at), dtype=bool)
        for shift in (-2 * weeks, -weeks, weeks):
            is_rolled_over |= (at + shift >= start) & (at + shift < end)
        return np.select(
            [is_rolled_over, at > latest, (at < start) | (at >= end)], [np.int8(0), np.int8(1), np.int8(2)], np.int8(-1)
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


def _origin(page: str) -> dict[str, str]:
    """What rows of a page that are rejected or noted name as their source."""
    return {"source_kind": "positions", "file_sha256": page_sha256(page), "file_name": page}


def _devices(rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The devices of the rows in the order in which they first come, and the number of each row's."""
    codes = rows.column("device_id").combine_chunks().dictionary_encode()
    codes = codes.combine_chunks() if isinstance(codes, pa.ChunkedArray) else codes
    return np.array(codes.dictionary.to_pylist(), dtype=object), codes.indices.to_numpy()


def _by_device(rows: pa.Table) -> pa.Table:
    """The rows sorted by device, within a device in their own order."""
    names, numbers = _devices(rows)
    rank = np.empty(len(names), dtype=np.int64)
    rank[np.argsort(names, kind="stable")] = np.arange(len(names))
    ranked = rank[numbers] if len(rows) else np.empty(0, dtype=np.int64)
    return rows.take(pa.array(np.argsort(ranked, kind="stable")))


def _written(path: Path, rows: pa.Table, page: int | None) -> _Run:
    """Writes the rows, which are sorted by device, and returns them as a run."""
    names, numbers = _devices(rows)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    return _Run(path, page, names, np.searchsorted(numbers, np.arange(len(names) + 1)))


def _with_origins(parts: Sequence[tuple[_Run, pa.Table]]) -> pa.Table:
    """Rows of runs as `parsed.positions`; those of a page have its number for its SHA-256, 56 bytes less each."""
    schema = arrow_schema(PARSED_POSITIONS)
    numbers = [run.page for run, _ in parts if run.page is not None]
    tables = [part.select(schema.names).cast(schema) for run, part in parts if run.page is None]
    if numbers:
        of_pages = [part for run, part in parts if run.page is not None]
        rows = pa.concat_tables(of_pages)
        page = pa.array(np.repeat(np.arange(len(numbers)), [part.num_rows for part in of_pages]))
        origin = {
            "trip_key": pa.nulls(rows.num_rows, pa.string()),
            "source": pa.repeat(pa.scalar("api", pa.string()), rows.num_rows),
            "file_sha256": pa.array([f"{number:08}" for number in numbers], pa.string()).take(page),
            "file_name": pa.repeat(pa.scalar("", pa.string()), rows.num_rows),
        }
        for name, values in origin.items():
            rows = rows.append_column(name, values)
        tables.insert(0, rows.select(schema.names).cast(schema))
    return pa.concat_tables(tables)


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
