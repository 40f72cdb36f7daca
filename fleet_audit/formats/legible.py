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

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.formats import values
from fleet_audit.formats.numbers import matches
from fleet_audit.formats.parsed import Limits, RejectedFile
from fleet_audit.formats.plates import normalised
from fleet_audit.formats.table.cells import read_cells
from fleet_audit.formats.workbook.worksheets import is_workbook
from fleet_audit.schema.partition import PARTITION_ZONE

BETWEEN_CELLS = r"[,;|\t]"
_DATE_LIKE = r"^[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}"
_PLATE_LIKE = r"^[A-Za-z]{3}[\s.\-]{0,3}[0-9][0-9A-Za-z]{3}$"
_EPOCH = r"^1[0-9]{9}(?:[0-9]{3})?$"  # seconds or milliseconds since 1970, of 2001 to 2033
_BEYOND_SECONDS = r"(:[0-9]{2})(?:[.,][0-9]+)?(?: ?[aApP][.]?[mM][.]?)?$"
_MOST_MEMBERS = 100  # of a ZIP archive: a bundle of a month has one file per day


@dataclass(frozen=True)
class LegibleText:
    """Days and names of a file that was not accepted.

    Attributes:
        named: the distinct (date, name) of rows that hold both a day and a known name.
        days: days of all rows, none after the arrival.
        names: known names of all rows.
    """

    named: frozenset[tuple[dt.date, str]] = frozenset()
    days: frozenset[dt.date] = frozenset()
    names: frozenset[str] = frozenset()


def read_legible(kind: str, content: bytes, today: dt.date, limits: Limits, known: Mapping[str, str]) -> LegibleText:
    """The days and known names of a file, by the first day and the first name of each row.

    A time without a zone is local. Days are read with the month first where the file writes them so. A number can be an
    instant (seconds or milliseconds since 1970) where its row has no other day. The tables inside a ZIP archive are
    read too, as far as they unpack to no more than the size limit.

    Args:
        kind: of telemetry the names are devices, of other files plates in any spelling.
        content: the bytes as received; today: the day on which they arrived.
        limits: largest size; a larger file has nothing legible.
        known: spelling → name: device ids, or plates without separators in either form.
    """
    cells = _cells(content, limits)
    days = _days(cells["value"], today, known)
    # a stable sort: of cells alike the first of the row counts, 18 may be passengers, too
    dated = cells.merge(days, on="value").sort_values(["row", "rank"], kind="stable").drop_duplicates("row")
    spelled = cells["value"] if kind == "telemetry" else _plates(cells["value"])
    named = cells.assign(name=spelled.map(dict(known))).dropna(subset=["name"]).drop_duplicates("row")
    both = dated[["row", "date"]].merge(named[["row", "name"]], on="row").drop_duplicates(["date", "name"])
    return LegibleText(
        frozenset(zip(both["date"].dt.date, both["name"], strict=True)),
        frozenset(dated["date"].dt.date),
        frozenset(named["name"]),
    )


def _cells(content: bytes, limits: Limits) -> pd.DataFrame:
    """row, value: each cell of each row, whatever separates them."""
    rows: list[str] = []
    for table in _tables(content, limits):
        try:
            rows += read_cells(table, limits, set()).raws
        except RejectedFile:
            continue
    return split_rows(pd.Series(rows, dtype=object), BETWEEN_CELLS)


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


def _days(texts: pd.Series, today: dt.date, known: Mapping[str, str]) -> pd.DataFrame:
    """value, date, rank of the distinct texts that are a day up to today; of rank 1 where only a number may be one."""
    written = texts[matches(texts, _DATE_LIKE)]
    is_month_first = values.writes_month_first(written.str.replace(_BEYOND_SECONDS, r"\1", regex=True))
    texts, written = texts.drop_duplicates(), written.drop_duplicates()
    bare = written.str.replace(_BEYOND_SECONDS, r"\1", regex=True)
    day = values.days_by_order(bare, is_month_first=is_month_first)
    day = day.fillna(_local_days(values.instants(written)))
    number = texts[matches(texts, _EPOCH) & ~texts.isin(list(known)).to_numpy()]
    seconds = number.str[:10].astype("int64")
    of_number = _local_days(pd.to_datetime(seconds, unit="s", utc=True))
    found = pd.concat(
        [
            pd.DataFrame({"value": written, "date": day, "rank": 0}),
            pd.DataFrame({"value": number, "date": of_number, "rank": 1}),
        ],
        ignore_index=True,
    )
    return found[(found["date"] <= pd.Timestamp(today)).fillna(False).to_numpy(dtype=bool)]


def _local_days(instants: pd.Series) -> pd.Series:
    return instants.dt.tz_convert(PARTITION_ZONE).dt.tz_localize(None).dt.normalize().astype("datetime64[us]")


def _plates(texts: pd.Series) -> pd.Series:
    """The texts that can be a plate, normalised; null for all others."""
    return normalised(texts[matches(texts, _PLATE_LIKE)]).reindex(texts.index)
