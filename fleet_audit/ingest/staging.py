"""The staging tables of a day, built from everything archived that covers it: files in force, and API pages.

They depend on what is archived and on nothing else: two runs that rebuild a day write the same bytes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, lru_cache

import numpy as np
import pandas as pd

from fleet_audit.formats.adapter import CONTRACT, Adapter
from fleet_audit.formats.bulletin import RUN_IDENTITY
from fleet_audit.ingest.api.arrivals import ListedPages, PositionArrivals
from fleet_audit.ingest.api.pages import asked_rows, set_aside_page
from fleet_audit.ingest.api.staged_positions import StagedPositions, StagePositions
from fleet_audit.ingest.driver_names import remember_drivers
from fleet_audit.ingest.files import parsed_path
from fleet_audit.ingest.late_positions import record_hours
from fleet_audit.ingest.versions import first_of_each, respelled_runs, rows_in_force
from fleet_audit.logic.primitives.cycles import as_days, dates
from fleet_audit.logic.primitives.identity import fold, stable_ids
from fleet_audit.logic.primitives.wall_clock import local_days, to_utc
from fleet_audit.logic.reference.plate_forms import registered_forms, to_registered
from fleet_audit.logic.reference.validity import valid_on, vehicle_zones
from fleet_audit.logic.trips.reported.movements import copied_movements, counted_movements
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.facts import REJECTED_ROWS, STAGE_COUNTS
from fleet_audit.schema.lake import (
    PARSED_COVERAGE,
    PARSED_DECLARED_RUNS,
    PARSED_NOTES,
    PARSED_POSITIONS,
    PARSED_VISIT_LEGS,
    STAGING_DECLARED_RUNS,
    STAGING_NOTES,
    STAGING_VISIT_LEGS,
)
from fleet_audit.schema.model import Table
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.schema.reference import CARRIERS, DEVICES, UNITS, VEHICLES
from fleet_audit.storage.lake import EncodedDay, Lake
from fleet_audit.storage.warehouse import Warehouse

MARGIN = dt.timedelta(days=1)  # a file's days are local to its units, an address in the lake is São Paulo's
_NONE = dt.timedelta(0)

KEPT_FILES = 512  # parsed files kept for the next day: a daily file is read for three days, 10-50 kB each


class Stage:
    """Sources of staging; inputs of several days are read once."""

    def __init__(
        self,
        lake: Lake,
        warehouse: Warehouse,
        run_id: str,
        driver_key: bytes,
        adapter: Adapter = CONTRACT,
        read_parsed: Callable[[Table, str], pd.DataFrame] | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            lake: archive and staging; warehouse: what was recorded of them.
            run_id: goes into the rows that the building of a day records.
            driver_key: key of the pseudonyms of the drivers that the API's pages name.
            adapter: names and units of the API's pages.
            read_parsed: returns the parsed rows of a file by its SHA-256; without it a lost file is an error.
        """
        self.lake, self.warehouse, self.run_id = lake, warehouse, run_id
        self.driver_key, self.adapter = driver_key, adapter
        self._parsed = read_parsed or self._read_parsed
        self._of_file = lru_cache(maxsize=KEPT_FILES)(self._read_file)

    def visit_legs(self, day: dt.date) -> pd.DataFrame:
        """`staging.visit_legs` of a local day; a movement that several reports contain is one row.

        The days beside it are looked at too: one report may begin at midnight with what another reports whole.
        """
        read_at = pd.Timestamp.now("UTC")
        files = self._files("visit_report", day)
        parsed = self._read(PARSED_VISIT_LEGS, files)
        parsed["reported_until"] = parsed.groupby(["file_sha256", "plate"])["arrived_local"].transform("max")
        days = [day + offset for offset in (-MARGIN, _NONE, MARGIN)]
        rows = self._in_force(parsed, files, "plate", dates(as_days(parsed["departed_local"])), days)
        is_of_day = (rows["date"] == day).to_numpy(bool)
        is_copy = copied_movements(rows)
        is_counted = np.zeros(len(rows), dtype=bool)
        is_counted[~is_copy] = counted_movements(rows[~is_copy])
        unique = rows[is_counted & is_of_day]
        zones = self._zones(unique["plate"], day)
        self._count(day, "visit_legs", int(is_of_day.sum()), len(unique), read_at)
        return conform(
            unique.assign(
                started_at=to_utc(unique["departed_local"], zones),
                ended_at=to_utc(unique["arrived_local"], zones),
                next_departure_at=to_utc(unique["next_departure_local"], zones),
            ),
            STAGING_VISIT_LEGS,
        )

    def declared_runs(self, day: dt.date) -> pd.DataFrame:
        """`staging.declared_runs` of a DATA; the same row in two bulletins is one run. EMPRESA becomes its code."""
        read_at = pd.Timestamp.now("UTC")
        files = self._files("bulletin", day)
        parsed = self._read(PARSED_DECLARED_RUNS, files)
        rows = self._in_force(parsed, files, "plate", parsed["declared_date"], [day])
        unique = first_of_each(rows, ["declared_run_id"])
        unique = unique.assign(carrier_code=self._carrier_codes(unique["carrier_code"]))
        unique = unique[~respelled_runs(unique)]
        zones = self._zones(unique["plate"], day)
        self._count(day, "declared_runs", len(rows), len(unique), read_at)
        return conform(
            unique.assign(
                started_at=to_utc(unique["departed_local"], zones),
                ended_at=to_utc(unique["arrived_local"], zones),
            ),
            STAGING_DECLARED_RUNS,
        )

    def source_notes(self, day: dt.date) -> pd.DataFrame:
        """`staging.source_notes` of a local day, of the versions in force."""
        frames = [empty_frame(STAGING_NOTES)]
        for kind in ("visit_report", "bulletin"):
            files = self._files(kind, day)
            notes = self._read(PARSED_NOTES, files)
            coverage = self._coverage(files)
            if "written_plate" in coverage:
                notes = pd.concat([notes, _other_forms(kind, coverage)], ignore_index=True)
            frames.append(rows_in_force(notes[notes["date"] == day], coverage, "plate", "date"))
        frames.append(self._position_notes(day))
        return conform(pd.concat(frames, ignore_index=True), STAGING_NOTES)

    def _position_notes(self, day: dt.date) -> pd.DataFrame:
        """Notes of the newest version of each telemetry file and of the day's pages, without a plate where a device has
        none.
        """
        notes = self._read(PARSED_NOTES, self._files("telemetry", day).drop_duplicates("file_name", keep="last"))
        if self.lake.exists(page_notes_path(day)):
            notes = pd.concat([notes, self.lake.read_table(page_notes_path(day), PARSED_NOTES)], ignore_index=True)
        notes = notes[notes["date"] == day].drop_duplicates(["source_kind", "plate", "note_code"])
        devices = valid_on(self._reference(DEVICES), day).drop_duplicates("device_id", keep="last")
        return notes.assign(plate=notes["plate"].map(devices.set_index("device_id")["plate"]))

    def position_arrivals(self, day: dt.date, listed: ListedPages | None = None) -> PositionArrivals:
        """What `staging.positions` of a day of America/Sao_Paulo is made of: pages, and rows of files in force.

        Pages are listed now where `listed` does not have them.
        """
        listed = listed or ListedPages.of_day(self.lake, day)
        return PositionArrivals(day, listed, self._positions_in_force(self._files("telemetry", day), day))

    def staged_positions(self, day: dt.date) -> EncodedDay:
        """`staging.positions` of a day, made and recorded: one row per device and instant."""
        staged = StagePositions(self.lake, self.adapter, self.driver_key)(self.position_arrivals(day))
        self.record_positions(day, staged)
        return staged.file

    def record_positions(self, day: dt.date, staged: StagedPositions) -> None:
        """Record the counts, rejected rows, notes, drivers and hours of a staged day.

        A damaged page is set aside: its window becomes a gap of the day, and the next run requests it again.
        """
        if staged.rejected:
            refused = pd.concat(staged.rejected, ignore_index=True)
            self.warehouse.upsert(REJECTED_ROWS, refused.assign(run_id=self.run_id))
        self._keep_page_notes(day, staged.notes)
        for page, reason in staged.damaged.items():
            set_aside_page(self.lake, self.warehouse, page, reason, self.run_id)
        remember_drivers(self.warehouse, staged.drivers)
        counts = staged.counts
        # what the requests counted, so that a page that was lost since, or is read otherwise now, is missed (Q03)
        expected = staged.rows_of_pages | asked_rows(self.warehouse, day)
        pages_read = sum(expected.values())
        legible = sum(staged.rows_of_pages.values()) - counts.illegible
        self._record(day, "pages", "api", (pages_read, legible, counts.illegible, 0), staged.read_at)
        read = staged.read + pages_read
        of_day = (read, counts.accepted, counts.rejected, counts.duplicate)
        self._record(day, "staging", "positions", of_day, staged.read_at)
        record_hours(self.warehouse, day, staged.hours, self.run_id)

    def position_inputs(self, day: dt.date, versions: str, pages: Mapping[str, dt.datetime]) -> str:
        """SHA-256 over all that `staging.positions` of a day follows from, with those of the code and its libraries.

        `pages` are listed before the day is made: what arrives meanwhile then makes it differ the next time.
        """
        return _sha256(
            self.parsing(versions),
            self._files("telemetry", day).to_csv(index=False),
            sorted(pages.items()),
            sorted(asked_rows(self.warehouse, day).items()),
        )

    def parsing(self, versions: str) -> str:
        """SHA-256 over all that the parsed rows of a page follow from beside its bytes."""
        adapter = {**vars(self.adapter), "fields": sorted(self.adapter.fields.items())}
        return _sha256(versions, hashlib.sha256(self.driver_key).hexdigest(), sorted(adapter.items()))

    def _keep_page_notes(self, day: dt.date, notes: list[pd.DataFrame]) -> None:
        """Put the notes on a day's pages where `source_notes` finds them; of a day without any nothing stays."""
        if any(len(some) for some in notes):
            self.lake.write_table(page_notes_path(day), pd.concat(notes, ignore_index=True), PARSED_NOTES)
        elif self.lake.exists(page_notes_path(day)):
            self.lake.delete(page_notes_path(day))

    def _files(self, kind: str, day: dt.date) -> pd.DataFrame:
        return self.warehouse.read(
            "select file_sha256, file_name, received_at from ops.ingested_files where kind = :kind "
            "and status in ('accepted', 'partial') and first_date <= :last and last_date >= :first "
            "order by received_at, file_name",
            {"kind": kind, "first": day - MARGIN, "last": day + MARGIN},
        )

    def _read(self, table: Table, files: pd.DataFrame) -> pd.DataFrame:
        columns = (files[name] for name in ("file_sha256", "file_name", "received_at"))
        frames = [self._of_file(table, *file) for file in zip(*columns, strict=True)]
        if frames:
            return pd.concat(frames, ignore_index=True)
        received_at = pd.Series(dtype="datetime64[us, UTC]")
        return empty_frame(table).assign(
            file_sha256=pd.Series(dtype="str"), file_name=pd.Series(dtype="str"), received_at=received_at
        )

    def _read_file(self, table: Table, sha256: str, name: str, received_at: pd.Timestamp) -> pd.DataFrame:
        rows = self._registered(table, sha256)
        return rows.assign(file_sha256=sha256, file_name=name, received_at=received_at)

    def _registered(self, table: Table, sha256: str) -> pd.DataFrame:
        """The parsed rows of a file, with registered plates; the id of a declared run follows from its plate."""
        rows = self._parsed(table, sha256)
        column = next((name for name in ("plate", "owner") if name in rows), None)
        if column is None or not rows[column].isin(self._forms).any():
            return rows
        renamed = rows.assign(**{column: to_registered(rows[column], self._forms), "written_plate": rows[column]})
        if "declared_run_id" in rows:
            is_renamed = rows[column].isin(self._forms)
            renamed.loc[is_renamed, "declared_run_id"] = stable_ids(renamed[is_renamed], RUN_IDENTITY)
        return renamed

    @cached_property
    def _forms(self) -> dict[str, str]:
        return registered_forms(self._reference(VEHICLES))

    def _read_parsed(self, table: Table, sha256: str) -> pd.DataFrame:
        return self.lake.read_table(parsed_path(table, sha256), table)

    def _coverage(self, files: pd.DataFrame) -> pd.DataFrame:
        return self._read(PARSED_COVERAGE, files)

    def _in_force(
        self, rows: pd.DataFrame, files: pd.DataFrame, owner: str, date: object, days: Sequence[dt.date]
    ) -> pd.DataFrame:
        """The rows of these days, of the versions in force, with their `date`."""
        rows = rows.assign(date=date)
        return rows_in_force(rows[rows["date"].isin(days)], self._coverage(files), owner, "date")

    def _positions_in_force(self, files: pd.DataFrame, day: dt.date) -> pd.DataFrame:
        """The same for telemetry files: a row covers the day of its instant in America/Sao_Paulo, not its local day."""
        rows = self._read(PARSED_POSITIONS, files)
        rows = rows.assign(date=_partition_dates(rows))
        rows = rows[rows["date"] == day]
        columns = ["owner", "date", "file_sha256", "file_name", "received_at"]
        coverage = rows.rename(columns={"device_id": "owner"})[columns].drop_duplicates()
        return rows_in_force(rows, coverage, "device_id", "date")

    def _zones(self, plates: pd.Series, day: dt.date) -> pd.Series:
        return vehicle_zones(plates, self._reference(VEHICLES), self._reference(UNITS), day)

    @cache  # noqa: B019  a Stage lives as long as one asset's run
    def _reference(self, table: Table) -> pd.DataFrame:
        return self.warehouse.read_table(table)

    def _carrier_codes(self, written: pd.Series) -> pd.Series:
        """Carriers write their code or their name."""
        carriers = self._reference(CARRIERS)
        named = carriers[carriers["name"].notna()]
        known = {fold(name): code for name, code in zip(named["name"], named["carrier_code"], strict=True)}
        known |= {fold(code): code for code in carriers["carrier_code"]}
        return written.map(lambda text: known.get(fold(text), text), na_action="ignore")

    def _count(self, day: dt.date, source: str, read: int, accepted: int, read_at: pd.Timestamp) -> None:
        self._record(day, "staging", source, (read, accepted, 0, read - accepted), read_at)

    def _record(
        self, day: dt.date, stage: str, source: str, counts: tuple[int, int, int, int], read_at: pd.Timestamp
    ) -> None:
        """Record the rows read, accepted, rejected and duplicate of what had arrived at `read_at`.

        Processes take days ahead: written as of now, a day would seem to hold a file that came while it was computed.
        """
        names = ("rows_read", "rows_accepted", "rows_rejected", "rows_duplicate")
        row = {"partition_date": day, "stage": stage, "source": source, **dict(zip(names, counts, strict=True))}
        self.warehouse.upsert(STAGE_COUNTS, pd.DataFrame([row | {"run_id": self.run_id}]), updated_at=read_at)


def _sha256(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()


def page_notes_path(day: dt.date) -> str:
    """Path of the notes on a day's pages, inside the lake."""
    return parsed_path(PARSED_NOTES, f"positions-{day}")


def _other_forms(kind: str, coverage: pd.DataFrame) -> pd.DataFrame:
    """A note per file and vehicle-day whose plate is written in the form that is not registered."""
    found = coverage[coverage["written_plate"].notna() & (coverage["written_plate"] != coverage["owner"])]
    renamed = found.rename(columns={"owner": "plate", "written_plate": "found"})
    return renamed.assign(source_kind=kind, note_code="plate_form", expected=renamed["plate"], row_number=1)


def _partition_dates(rows: pd.DataFrame) -> object:
    zone = pd.Series(PARTITION_ZONE, index=rows.index)
    return dates(local_days(rows["recorded_at"], zone))
