"""Vehicles and days of which rows were refused one by one, while the rest of their file or page stands.

Where nothing of such a vehicle and day was accepted, or a movement of a visit report was refused, its source is missing
by no fault of the carrier's (RULES 4.2): `logic.audit` decides that. Files of which nothing was accepted are in
`refused_files`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.formats import values
from fleet_audit.formats.legible import BETWEEN_CELLS, split_rows
from fleet_audit.formats.plates import is_plate, normalised
from fleet_audit.formats.reasons import REASONS
from fleet_audit.ingest.api.pages import archived_pages, page_sha256
from fleet_audit.ingest.incomplete.days import NO_LATER_VERSION, stated_days
from fleet_audit.logic.reference.plate_forms import registered_forms, to_registered
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.validity import valid_on
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

_COLUMNS = ["operational_date", "source", "plate", "reason_pt"]
_BETWEEN_VALUES = r"[\s,;|\"{}:]+"
_DECLARED = ("bulletin", "visit_report")
_MISREAD = ("bad_date", "future_date")  # of a day that may have been written with the month first
# Files of which rows were refused and that can hold one of the days. Files in which no day could be read hold any, and
# so do those of the time with a day that may be read in two ways: it is not among the days that the file is known by.
_FILES = f"""
select distinct refused.file_sha256, refused.file_name, refused.received_at, refused.first_date, refused.last_date
from ops.ingested_files as refused
left join ops.file_days as of_day using (file_sha256, file_name)
where refused.kind in ('telemetry', 'bulletin', 'visit_report') and refused.rows_rejected > 0
    and (refused.last_date is null or (refused.last_date >= :first and refused.first_date <= :last)
        or of_day.date between :first and :last
        or (refused.received_at >= :first and refused.kind <> 'telemetry' and exists (
            select from ops.rejected_rows as misread
            where misread.file_sha256 = refused.file_sha256 and misread.reason_code in {_MISREAD}
        )))
    and {NO_LATER_VERSION}
"""  # noqa: S608
# By the key: rows of years are not read. Those that lost against another row of the same device and instant were not
# refused for what they are.
_ROWS = """
select file_sha256, file_name, source_kind, reason_code, raw
from ops.rejected_rows
where file_sha256 = any(string_to_array(:hashes, ','))
    and source_kind in ('positions', 'telemetry', 'bulletin', 'visit_report') and reason_code <> 'conflict'
"""


def refused_vehicles(lake: Lake, warehouse: Warehouse, reference: Reference, days: Sequence[dt.date]) -> pd.DataFrame:
    """operational_date, source (`telemetry`, `api`, `bulletin` or `visit_report`), plate, reason_pt of refused rows.

    A position is of the day of its page, or of its instant; of each day of its file where that cannot be read. A run
    and a movement name their day and their plate, in any spelling that is accepted. The plate of rows that name none of
    the day's vehicles is empty.
    """
    pages = {path: day for day in days for path in archived_pages(lake, day)}
    rows = _refused_rows(warehouse, pages, min(days), max(days))
    if rows.empty:
        return pd.DataFrame(columns=_COLUMNS)
    is_declared = rows["source_kind"].isin(_DECLARED)
    devices = split_rows(rows.loc[~is_declared, "raw"], _BETWEEN_VALUES)
    positions = _PositionDays.of(rows, pages, {PARTITION_ZONE, *reference.units["timezone"].dropna()})
    cells = split_rows(rows.loc[is_declared, "raw"], BETWEEN_CELLS)
    named_days, plates = _named_days(cells, rows), named_plates(cells, registered_forms(reference.vehicles))
    found = []
    for day in days:
        registered = valid_on(reference.devices, day).drop_duplicates("device_id", keep="last")
        of_day = rows.loc[sorted(positions.rows_of(day))]
        found.append(_named(devices, of_day, registered["device_id"], registered["plate"]).assign(operational_date=day))
        of_day = rows.loc[sorted(set(named_days.loc[named_days["date"] == pd.Timestamp(day), "row"]))]
        vehicles = reference.vehicles_on(day)["plate"]
        found.append(_named(plates, of_day, vehicles, vehicles).assign(operational_date=day))
    return pd.concat(found, ignore_index=True)[_COLUMNS]


def _refused_rows(warehouse: Warehouse, pages: Collection[str], first: dt.date, last: dt.date) -> pd.DataFrame:
    """source_kind, file_name, reason_code, raw of refused rows of these pages, and of files with days first to last.

    Rows of files with received_at, first_date, last_date of their file.
    """
    files = warehouse.read(_FILES, {"first": first, "last": last})
    hashes = sorted({*files["file_sha256"], *map(page_sha256, pages)})
    rows = warehouse.read(_ROWS, {"hashes": ",".join(hashes)})
    rows = rows.merge(files, on=["file_sha256", "file_name"], how="left", indicator="of_file")
    is_asked = rows["of_file"].eq("both") | rows["file_name"].isin(list(pages))
    return rows[is_asked].reset_index(drop=True)


def _named_days(cells: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """row, date: the first day of each row of a bulletin or visit report; both readings of one that may be misread."""
    texts = cells["value"].drop_duplicates()
    day_first, month_first = values.dates(texts), values.month_first_dates(texts)
    read = pd.DataFrame({"value": texts, "date": day_first, "month_first": month_first})
    first = cells.merge(read[day_first.notna() | month_first.notna()], on="value").sort_values("row", kind="stable")
    first = first.drop_duplicates("row")
    is_misread = rows["reason_code"].isin(_MISREAD).reindex(first["row"]).to_numpy(dtype=bool)
    other = first.loc[is_misread, ["row", "month_first"]].rename(columns={"month_first": "date"})
    return pd.concat([first[["row", "date"]], other], ignore_index=True).dropna()


def named_plates(cells: pd.DataFrame, forms: dict[str, str]) -> pd.DataFrame:
    """row, value: the plates that each row holds, normalised, in their registered form."""
    plates = to_registered(normalised(cells["value"]), forms)
    return cells.assign(value=plates)[is_plate(plates).to_numpy(dtype=bool)]


@dataclass(frozen=True)
class _PositionDays:
    """Which refused positions are of which day.

    Attributes:
        rows: `_refused_rows`; pages: the day of each page.
        days_of_file: the days that each file of telemetry should contain.
        dated: row, date of the rows whose own instant can be read and lies on one of the days of their file; a row near
            midnight may have two, of different zones. One unreadable number once hid D06 and Q02 for 31 days.
    """

    rows: pd.DataFrame
    pages: dict[str, dt.date]
    days_of_file: dict[str, set[dt.date]]
    dated: pd.DataFrame

    @classmethod
    def of(cls, rows: pd.DataFrame, pages: dict[str, dt.date], zones: Collection[str]) -> _PositionDays:
        """The refused positions of these pages and of files; zones are those of the fleet."""
        of_files = rows[rows["source_kind"].eq("telemetry")]
        files = of_files.drop_duplicates("file_name")
        days_of_file = {str(file.file_name): stated_days(file) for file in files.itertuples()}
        cells = split_rows(of_files["raw"], BETWEEN_CELLS)
        read = cells.assign(at=values.instants(cells["value"])).dropna().drop_duplicates("row")
        days = [read.assign(date=read["at"].dt.tz_convert(zone).dt.date)[["row", "date"]] for zone in sorted(zones)]
        dated = pd.concat(days, ignore_index=True).drop_duplicates()
        names = rows["file_name"].reindex(dated["row"])
        is_of_file = [day in days_of_file[name] for day, name in zip(dated["date"], names, strict=True)]
        return cls(rows, pages, days_of_file, dated[np.array(is_of_file, dtype=bool)])

    def rows_of(self, day: dt.date) -> set[int]:
        """Numbers of the refused positions of a day: of its pages, and of the files that should contain it."""
        kind, name = self.rows["source_kind"], self.rows["file_name"]
        of_page = name.map(self.pages).eq(day) & kind.eq("positions")
        files = [file for file, days in self.days_of_file.items() if day in days]
        is_undated = ~self.rows.index.isin(self.dated["row"])
        undated = kind.eq("telemetry") & name.isin(files) & is_undated
        return {*self.rows.index[of_page | undated], *self.dated.loc[self.dated["date"] == day, "row"]}


def _named(held_values: pd.DataFrame, of_day: pd.DataFrame, ids: pd.Series, plates: pd.Series) -> pd.DataFrame:
    """source, plate, reason_pt of these rows by the id that each holds: the first, for 18 may be passengers, too."""
    plate_of = dict(zip(ids.astype(str), plates, strict=True))
    held = held_values[held_values["value"].isin(list(plate_of))].drop_duplicates("row").set_index("row")["value"]
    reason = of_day["reason_code"].map({code: one.meaning_pt for code, one in REASONS.items()}).astype(object)
    found = pd.DataFrame({
        "source": of_day["source_kind"].replace({"positions": "api"}),
        "plate": held.map(plate_of).reindex(of_day.index).astype(object).fillna(""),
        "reason_pt": "linhas do dia foram recusadas (" + reason + ")",
    })  # fmt: skip
    return found.drop_duplicates(["source", "plate"])
