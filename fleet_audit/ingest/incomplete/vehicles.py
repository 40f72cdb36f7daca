"""Vehicles and days of which rows were refused one by one, while the rest of their file or page stands.

Where nothing of such a vehicle and day was accepted, its source is missing by no fault of the carrier's (RULES 4.2):
`logic.audit` decides that. Files that were refused whole are in `days`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.formats.reasons import REASONS
from fleet_audit.ingest.api.pages import archived_pages, page_sha256
from fleet_audit.ingest.incomplete.days import NO_LATER_VERSION, refused_days
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.validity import valid_on
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

_COLUMNS = ["operational_date", "source", "plate", "reason_pt"]
_BETWEEN_VALUES = r"[\s,;|\"{}:]+"
# Files of which rows were refused and that can hold one of the days; files in which no day could be read hold any.
_FILES = f"""
select distinct refused.file_sha256, refused.file_name, refused.received_at, refused.first_date, refused.last_date
from ops.ingested_files as refused
left join ops.file_days as of_day using (file_sha256, file_name)
where refused.kind in ('telemetry', 'bulletin') and refused.rows_rejected > 0
    and (refused.last_date is null or (refused.last_date >= :first and refused.first_date <= :last)
        or of_day.date between :first and :last)
    and {NO_LATER_VERSION}
"""  # noqa: S608
# By the key: rows of years are not read. Those that lost against another row of the same device and instant were not
# refused for what they are.
_ROWS = """
select file_sha256, file_name, source_kind, reason_code, raw
from ops.rejected_rows
where file_sha256 = any(string_to_array(:hashes, ',')) and source_kind in ('positions', 'telemetry', 'bulletin')
    and reason_code <> 'conflict'
"""


def refused_vehicles(lake: Lake, warehouse: Warehouse, reference: Reference, days: Sequence[dt.date]) -> pd.DataFrame:
    """operational_date, source (`telemetry`, `api` or `bulletin`), plate, reason_pt of rows that were refused.

    A position is of the day of its page, or of each day of its file: its own instant is what could not be read. A row
    of a bulletin names its day and its plate.
    """
    pages = {path: day for day in days for path in archived_pages(lake, day)}
    rows = _refused_rows(warehouse, pages, min(days), max(days))
    if rows.empty:
        return pd.DataFrame(columns=_COLUMNS)
    values = _values(rows["raw"])
    found = []
    for day in days:
        devices = valid_on(reference.devices, day).drop_duplicates("device_id", keep="last")
        plates = reference.vehicles_on(day)["plate"]
        of_day = values[values["row"].isin(_positions_of(rows, day, pages))]
        found.append(_named(of_day, rows, devices["device_id"], devices["plate"]).assign(operational_date=day))
        dated = values.loc[values["value"].isin([f"{day:%d/%m/%Y}", day.isoformat()]), "row"]
        of_day = values[
            values["row"].isin(dated) & rows["source_kind"].eq("bulletin").reindex(values["row"]).to_numpy()
        ]
        found.append(_named(of_day, rows, plates, plates).assign(operational_date=day))
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


def _values(raws: pd.Series) -> pd.DataFrame:
    """row, value: the values that each refused row holds, whichever its form."""
    parts = pc.split_pattern_regex(pa.array(raws.astype(object), pa.string()), _BETWEEN_VALUES)
    return pd.DataFrame({"row": pc.list_parent_indices(parts).to_numpy(), "value": pc.list_flatten(parts).to_pandas()})


def _positions_of(rows: pd.DataFrame, day: dt.date, pages: dict[str, dt.date]) -> set[int]:
    """Numbers of the refused positions of a day: of its pages, and of the files that should contain it."""
    of_page = rows["file_name"].map(pages).eq(day) & rows["source_kind"].eq("positions")
    files = rows[rows["source_kind"].eq("telemetry")].drop_duplicates("file_name")
    names = [file.file_name for file in files.itertuples() if day in refused_days(file)]
    return set(rows.index[of_page | (rows["source_kind"].eq("telemetry") & rows["file_name"].isin(names))])


def _named(values: pd.DataFrame, rows: pd.DataFrame, ids: pd.Series, plates: pd.Series) -> pd.DataFrame:
    """source, plate, reason_pt of the rows that hold one of these ids; the first counts: 18 may be passengers, too."""
    plate_of = dict(zip(ids.astype(str), plates, strict=True))
    held = values[values["value"].isin(list(plate_of))].drop_duplicates("row")
    of = rows.loc[held["row"]]
    reason = of["reason_code"].map({code: one.meaning_pt for code, one in REASONS.items()}).to_numpy()
    found = pd.DataFrame({
        "source": of["source_kind"].replace({"positions": "api"}).to_numpy(),
        "plate": held["value"].map(plate_of).to_numpy(dtype=object),
        "reason_pt": "todas as suas linhas do dia foram recusadas (" + pd.Series(reason, dtype=object) + ")",
    })  # fmt: skip
    return found.drop_duplicates(["source", "plate"])
