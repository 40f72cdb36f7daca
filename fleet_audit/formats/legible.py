"""What can be read in a file of which no row was accepted: days, and the vehicles or devices beside them.

Nothing of it is measured, declared or paid. It only shows of which vehicles and days a source is missing by our own
fault, whatever the header, the zone of its times or the number format of the other cells is.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.formats import values
from fleet_audit.formats.numbers import matches
from fleet_audit.formats.parsed import Limits, RejectedFile
from fleet_audit.formats.plates import normalised
from fleet_audit.formats.table.cells import read_cells
from fleet_audit.formats.workbook.worksheets import is_workbook
from fleet_audit.logic.primitives.identity import fold
from fleet_audit.schema.partition import PARTITION_ZONE

BETWEEN_CELLS = r"[,;|\t]"
_DATE_LIKE = r"^[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}"
_PLATE_LIKE = r"^[A-Za-z]{3}[\s.\-]{0,3}[0-9][0-9A-Za-z]{3}$"
_EPOCH = r"^1[0-9]{9}(?:[0-9]{3})?$"  # seconds or milliseconds since 1970, of 2001 to 2033
_BEYOND_SECONDS = r"(:[0-9]{2})(?:[.,][0-9]+)?(?: ?[aApP][.]?[mM][.]?)?$"
_EPOCH_DAYS = 62  # before the arrival: other numbers look alike, and positions count up to two months back
_SPREAD_DAYS = 31  # between the days of one row: driven, received, issued at the end of a month
_NO_CARRIERS: Mapping[str, str] = {}
_MOST_MEMBERS = 100  # of a ZIP archive: a bundle of a month has one file per day


@dataclass(frozen=True)
class LegibleText:
    """Days and names of a file that was not accepted.

    Attributes:
        named: the distinct (date, name) of rows that hold both a day and a known name.
        unnamed: days of rows like these that hold no known name: of a spoilt id, a number of the fleet.
        days: days of all rows, none after the arrival.
        names: known names of all rows.
        carriers: codes of the carriers that its cells name.
    """

    named: frozenset[tuple[dt.date, str]] = frozenset()
    unnamed: frozenset[dt.date] = frozenset()
    days: frozenset[dt.date] = frozenset()
    names: frozenset[str] = frozenset()
    carriers: frozenset[str] = frozenset()


def read_legible(
    kind: str,
    content: bytes,
    today: dt.date,
    limits: Limits,
    known: Mapping[str, str],
    carriers: Mapping[str, str] = _NO_CARRIERS,
) -> LegibleText:
    """The days and known names of a file, by all days and the first name of each row.

    Of several days of a row none shows which one is driven: the first may be that of issue or receipt. Those more than
    _SPREAD_DAYS before the last are of something else. A time without a zone is local. Days are read with the month
    first where the rows from the first known name on write them so: the stamp of an export above may do otherwise.
    A number of telemetry can be an instant (seconds or milliseconds since 1970). The tables inside a ZIP archive are
    read too, as far as they unpack to no more than the size limit.

    Args:
        kind: of telemetry the names are devices, of other files plates in any spelling.
        content: the bytes as received; today: the day on which they arrived.
        limits: largest size; a larger file has nothing legible.
        known: spelling → name: device ids, or plates without separators in either form.
        carriers: folded code or name → code of each carrier.
    """
    cells = _cells(content, limits)
    spelled = cells["value"] if kind == "telemetry" else _plates(cells["value"])
    # the first of a row: 18 may be passengers, too
    named = cells.assign(name=spelled.map(dict(known))).dropna(subset=["name"]).drop_duplicates("row")
    days = _written_days(cells, named["row"], today)
    if kind == "telemetry":
        days = pd.concat([days, _days_of_numbers(cells["value"], today, known)], ignore_index=True)
    dated = cells.merge(days, on="value")
    dated = dated[dated.groupby("row")["date"].transform("max") - dated["date"] <= pd.Timedelta(days=_SPREAD_DAYS)]
    both = dated[["row", "date"]].merge(named[["row", "name"]], on="row")
    # the plate of a visit report stands above its rows
    unnamed = dated.iloc[:0] if kind == "visit_report" else _rows_like(both["row"], cells, dated)
    return LegibleText(
        frozenset(zip(both["date"].dt.date, both["name"], strict=True)),
        frozenset(unnamed["date"].dt.date),
        frozenset(dated["date"].dt.date),
        frozenset(named["name"]),
        frozenset(carriers[one] for one in map(fold, cells["value"].unique() if carriers else ()) if one in carriers),
    )


def _cells(content: bytes, limits: Limits) -> pd.DataFrame:
    """row, value, is_typed: each cell of each row, whatever separates them; a workbook may have typed it."""
    rows: list[str] = []
    typed: list[bool] = []
    for table in _tables(content, limits):
        try:
            read = read_cells(table, limits, set())
        except RejectedFile:
            continue
        rows += read.raws
        typed += [read.serials_from is not None] * len(read.raws)
    cells = split_rows(pd.Series(rows, dtype=object), BETWEEN_CELLS)
    return cells.assign(is_typed=np.array(typed, dtype=bool)[cells["row"].to_numpy(dtype=int)])


def split_rows(raws: pd.Series, separators: str) -> pd.DataFrame:
    """row, value: the values that each raw row holds, without quotes; `row` is the index of raws."""
    parts = pc.split_pattern_regex(pa.array(raws.astype(object), pa.large_string()), separators)
    trimmed = pc.utf8_trim(pc.list_flatten(parts), ' "\r\n')
    rows = raws.index.to_numpy()[pc.list_parent_indices(parts).to_numpy()]
    return pd.DataFrame({"row": rows, "value": trimmed.to_pandas().astype("str")})


def _tables(content: bytes, limits: Limits) -> Iterator[bytes]:
    """The file, or the files of a ZIP archive, but not of a workbook."""
    if not is_workbook(content):
        yield content
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if any(member.filename.startswith("xl/") for member in members):
                yield content
            elif len(members) <= _MOST_MEMBERS and sum(member.file_size for member in members) <= limits.max_bytes:
                for member in members:
                    yield archive.read(member)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
        return


def _rows_like(rows: pd.Series, cells: pd.DataFrame, dated: pd.DataFrame) -> pd.DataFrame:
    """What of `dated` is in other rows than these, with at least half as many filled cells: a title has fewer."""
    filled = cells[cells["value"] != ""].groupby("row").size()
    is_like = 2 * filled.reindex(dated["row"]).to_numpy() >= filled.reindex(rows).min()
    return dated[is_like & ~dated["row"].isin(rows).to_numpy()]


def _written_days(cells: pd.DataFrame, named_rows: pd.Series, today: dt.date) -> pd.DataFrame:
    """value, date of the distinct texts that are a day or an instant up to today.

    Rows above the first known name decide their order only where no other row holds a day. Those below it do although
    they lack a name: the plate of a visit report stands above its rows, and most plates of a bulletin may be misspelt.
    """
    written = cells[matches(cells["value"], _DATE_LIKE)]
    bare = written["value"].str.replace(_BEYOND_SECONDS, r"\1", regex=True)
    is_below = (written["row"] >= named_rows.min()).to_numpy()
    is_month_first = values.writes_month_first(bare[is_below] if is_below.any() else bare)
    is_typed = bool(written["is_typed"].all())
    distinct = written["value"].drop_duplicates()
    day = values.days_by_order(bare[distinct.index], is_month_first=is_month_first, is_typed=is_typed)
    found = pd.DataFrame({"value": distinct, "date": day.fillna(_local_days(values.instants(distinct)))})
    return found[(found["date"] <= pd.Timestamp(today)).fillna(False).to_numpy(dtype=bool)]


def _days_of_numbers(texts: pd.Series, today: dt.date, known: Mapping[str, str]) -> pd.DataFrame:
    """value, date of the distinct numbers that are an instant of the last _EPOCH_DAYS up to today, and no known id."""
    numbers = texts[matches(texts, _EPOCH) & ~texts.isin(list(known)).to_numpy()].drop_duplicates()
    day = _local_days(pd.to_datetime(numbers.str[:10].astype("int64"), unit="s", utc=True))
    is_near = day.between(pd.Timestamp(today) - pd.Timedelta(days=_EPOCH_DAYS), pd.Timestamp(today))
    return pd.DataFrame({"value": numbers, "date": day})[is_near]


def _local_days(instants: pd.Series) -> pd.Series:
    return instants.dt.tz_convert(PARTITION_ZONE).dt.tz_localize(None).dt.normalize().astype("datetime64[us]")


def _plates(texts: pd.Series) -> pd.Series:
    """The texts that can be a plate, normalised; null for all others."""
    return normalised(texts[matches(texts, _PLATE_LIKE)]).reindex(texts.index)
