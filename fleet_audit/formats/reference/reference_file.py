"""Reference tables (`reference/<table>.csv`, `.xlsx`): types and domains as in `schema/reference.py`, no overlaps.

The history of a table is kept in `ingest.reference`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import shapely

from fleet_audit.formats import numbers, values
from fleet_audit.formats.numbers import NumberStyle, Reading
from fleet_audit.formats.parsed import Limits, ParsedFile, RejectedFile
from fleet_audit.formats.plates import plates
from fleet_audit.formats.quarantine import Quarantine
from fleet_audit.formats.reference.content_rules import refuse_by_content
from fleet_audit.formats.reference.validity import refuse_conflicts
from fleet_audit.formats.table.text_table import TableFormat, TextTable, read_table
from fleet_audit.logic.primitives.identity import fold
from fleet_audit.schema.derive import conform, pandas_dtype
from fleet_audit.schema.model import Column, Table, Type
from fleet_audit.schema.reference import BY_NAME

_PLATES = ("plate", "titular_plate")
_ID_ENDINGS = ("_id", "_code", "_number", "plate")
_WEEKDAYS = r"^[1-7](-[1-7])?([,;/][1-7](-[1-7])?)*$"
# The parser calls itself for each nested collection, and 300,000 of them end the process: none is passed to it.
_POLYGON = r"^(?i:(multi)?polygon)[ (]"
_EARLIEST_YEAR = 1900  # a garage or a contract may be older than every position
# How an ERP writes a period without end. It is a spelling of "no day" and shows nothing of how days are written: judged
# as a day, 31/12/2099 beside 05/16/2025 made a month-first file day first, and a tariff valid five months early.
_OPEN_END = r"^(31[/.-]12[/.-](2099|2999|9999)|(2099|2999|9999)-12-31)([ T]00:00(:00)?)?$"
_PERIODS = (("valid_from", "valid_to"), ("date_from", "date_to"))
# Empty means "any" here; a column that is not there at all is an error in the file, not a tariff for everything.
_MATCHED = {"tariffs": ("route_code", "vehicle_class", "area", "regime")}
# The amounts distinguish credit notes from one another; a carrier that bills no fixed cost has no such column.
_AMOUNTS = {"invoices": ("billed_km", "variable_brl", "fixed_brl")}
_CENTS_WITH_POINT = replace(numbers.POINT_ONLY, point_before_three=Reading.AMBIGUOUS)
_EXACT = (Type.BRL, Type.RATE)  # money is never rounded on the way in
# What no bus costs: a price in centavos (490 for R$ 4.90) was paid a hundred times over. An invoice's are claims that
# K01 judges, so they are read as written.
_LARGEST_BRL = {("tariffs", "rate_brl_per_km"): 100.0, ("fixed_costs", "amount_brl_per_month"): 500_000.0}
_PERCENT_SIGN = r" ?%$"


def parse_reference(table_name: str, file_name: str, content: bytes, limits: Limits) -> ParsedFile:
    """Rows of a reference table (CSV or XLSX), as the table's columns and types.

    A row that repeats another in everything is a duplicate; one that contradicts an earlier row of the same key, or is
    valid while that one is, is rejected and names both.

    Raises:
        RejectedFile: no such table, unreadable, too large, or a column that may not be empty is missing.
    """
    table = BY_NAME.get(table_name)
    if table is None:
        raise RejectedFile(
            f"The name {table_name[:60]!r} is not a reference table ({file_name[:100]}); name the file after one of: "
            f"{', '.join(sorted(BY_NAME))}.",
            "unknown_table",
        )
    keys = {*table.key, *_MATCHED.get(table_name, ())} - {*_AMOUNTS.get(table_name, ())}
    required = [column.name for column in table.columns if not column.nullable or column.name in keys]
    text = read_table(content, limits, TableFormat(table.column_names, required))
    days = [_without_open_ends(text.column(column.name)) for column in table.columns if column.type is Type.DATE]
    is_month_first = bool(days) and values.writes_month_first(*days)
    frame = pd.DataFrame(
        {column.name: _parsed(text, column, is_month_first=is_month_first) for column in table.columns}
    )
    _refuse_amounts_in_centavos(frame, table, text)
    _refuse_fractions(frame, table, text)
    _refuse_empty_periods(frame, text.quarantine)
    refuse_by_content(table_name, frame, text)
    good = frame[~text.quarantine.is_bad]
    repeated = good.duplicated()
    kept = good[~repeated]
    refuse_conflicts(table, kept, text.quarantine)
    kept = kept[~text.quarantine.is_bad[kept.index]]
    return ParsedFile(
        "reference",
        conform(kept, table),
        len(frame),
        text.quarantine.frame(_without_names(text, table)),
        rows_duplicate=int(repeated.sum()),
        rows_ignored=text.rows_ignored,
        warnings=(*text.warnings, *_absences(text, table)),
    )


def _absences(text: TextTable, table: Table) -> list[str]:
    absent = [name for name in table.column_names if name not in text.text]
    return [f"Columns that are not there were read as empty: {', '.join(absent)}."] if absent else []


def _parsed(table: TextTable, column: Column, *, is_month_first: bool) -> pd.Series:
    """The typed column; rows with an empty, illegible or impossible value go to quarantine."""
    text, quarantine = table.column(column.name), table.quarantine
    if not column.nullable:
        quarantine.refuse_missing(column.name, text)
    if column.type is Type.TEXT:
        return _text(quarantine, column, text)
    if column.type is Type.DATE:
        text = _without_open_ends(text) if column.name == "valid_to" else text
        earliest = [_EARLIEST_YEAR] if column.name == "valid_from" else []
        days = values.dates(text, table.serials_from, *earliest, is_month_first=is_month_first)
        quarantine.refuse_illegible_days(column.name, text, days, "a day written YYYY-MM-DD")
        return days.astype(pandas_dtype(column))
    if column.type is Type.BOOLEAN:
        flags = values.flags(text)
        quarantine.refuse_illegible("bad_flag", column.name, text, flags, "true or false")
        return flags
    return _number(table, column, text)


def _refuse_amounts_in_centavos(frame: pd.DataFrame, table: Table, text: TextTable) -> None:
    for (table_name, name), largest in _LARGEST_BRL.items():
        if table_name == table.name:
            is_within = numbers.within(frame[name].astype("Float64"), None, largest)
            problem = f"above R$ {largest:,.2f}: write reais, not centavos"
            text.quarantine.refuse_value(~is_within, "out_of_range", name, text.column(name), problem)


def _refuse_fractions(frame: pd.DataFrame, table: Table, text: TextTable) -> None:
    """Refuse rows whose percentages are all below 1 and have no sign: a spreadsheet keeps 10 % as 0.1.

    Read as 0.1 %, the tolerances of a contract made findings of every difference.
    """
    names = [column.name for column in table.columns if column.type is Type.PERCENT and column.name in text.text]
    if not names:
        return
    given = frame[names].astype("Float64").astype("float64")
    has_sign = pd.DataFrame({name: numbers.matches(text.column(name), _PERCENT_SIGN) for name in names})
    is_fraction = given.gt(0) & given.lt(1) & ~has_sign.set_axis(given.index)
    is_refused = (is_fraction | ~given.gt(0)).all(axis="columns") & is_fraction.any(axis="columns")
    for name in names:
        text.quarantine.refuse_value(
            (is_refused & is_fraction[name]).to_numpy(),
            "ambiguous_number",
            name,
            text.column(name),
            "ambiguous: write ten per cent as 10, and a tenth of one per cent as 0.1%",
        )


def _without_open_ends(text: pd.Series) -> pd.Series:
    return text.mask(numbers.matches(text, _OPEN_END), "")


def _number(table: TextTable, column: Column, text: pd.Series) -> pd.Series:
    quarantine = table.quarantine
    if column.type is Type.INTEGER:
        number = numbers.wholes(text)
        quarantine.refuse_illegible("bad_number", column.name, text, number, "a whole number")
    else:
        if column.type is Type.PERCENT:
            text = text.str.replace(_PERCENT_SIGN, "", regex=True)
        found = numbers.plain_numbers(text, _style(table, column), column.maximum)
        quarantine.refuse_ambiguous(column.name, text, found.is_ambiguous)
        if column.type is Type.FLOAT:
            number = numbers.floats(found.plain)
        else:
            number = numbers.decimals(found.plain, pandas_dtype(column))
        if column.type in _EXACT:
            scale = pandas_dtype(column).pyarrow_dtype.scale
            quarantine.refuse_value(
                numbers.is_finer_than(found.plain, scale),
                "bad_number",
                column.name,
                text,
                f"more than {scale} decimals",
            )
        is_other = text.mask(found.is_ambiguous, "")
        quarantine.refuse_illegible("bad_number", column.name, is_other, number, "a number with a decimal point")
    if column.minimum == 0 or column.type is Type.PERCENT:
        quarantine.refuse_negative(column.name, text, number)
    elif column.minimum is not None or column.maximum is not None:
        quarantine.refuse_value(
            ~numbers.within(number, column.minimum, column.maximum),
            "out_of_range",
            column.name,
            text,
            f"outside of {column.minimum} to {column.maximum}",
        )
    return number


def _style(table: TextTable, column: Column) -> NumberStyle:
    """How the column writes numbers: whoever separates by commas writes decimals with a point.

    Three digits after one mark are never cents: 18.500 is 18500 or 18.50, and the difference is paid every month.
    A radius of 1.200 m is 1200 m where all decimals of the file have commas; km, rates and percentages stay ambiguous.
    """
    if table.separator == ",":
        return numbers.POINT_ONLY if column.type is not Type.BRL else _CENTS_WITH_POINT
    if column.type is Type.BRL:
        return numbers.TWO_DECIMALS
    is_grouped = column.type is Type.FLOAT and bool(table.separator) and numbers.writes_decimal_commas(table.text)
    return numbers.BRAZILIAN_GROUPED if is_grouped else numbers.BRAZILIAN


def _text(quarantine: Quarantine, column: Column, text: pd.Series) -> pd.Series:
    """A text of the column's domain; codes keep their case, a value of a closed list takes the list's spelling."""
    name = column.name
    if name.endswith(_ID_ENDINGS):
        text = numbers.without_text_guard(text)
        quarantine.refuse_spoilt_ids(name, text)
        text = numbers.identifiers(text) if column.values is None else text
    if name in _PLATES:
        return values.nullable(plates(quarantine, name, text, is_required=False))
    if column.values:
        spelled = {fold(value): value for value in column.values}
        known = text.map({value: spelled.get(fold(value), "") for value in text.unique()}).astype("str")
        quarantine.refuse_value(
            known.eq("") & text.ne(""), "bad_value", name, text, f"not one of {', '.join(column.values)}"
        )
        return values.nullable(known)
    if name in ("start_local", "end_local"):
        seconds = values.times(text.mask(text.eq("24:00"), "00:00"))
        quarantine.refuse_illegible("bad_time", name, text, seconds, "a time written HH:MM")
        return values.nullable(values.hours_and_minutes(seconds))
    if name == "weekdays":
        compact = text.str.replace(" ", "", regex=False)
        quarantine.refuse_value(
            text.ne("") & ~numbers.matches(compact, _WEEKDAYS),
            "bad_value",
            name,
            text,
            "not ISO weekdays such as 1-5 or 1,3,5",
        )
        return values.nullable(compact.str.replace(r"[;/]", ",", regex=True))
    if name == "rule_id":
        return values.nullable(text.str.upper())
    if name == "timezone":
        is_zone = text.map({zone: _is_zone(zone) for zone in text.unique()}).astype(bool)
        quarantine.refuse_value(
            text.ne("") & ~is_zone, "bad_value", name, text, "not an IANA time zone such as America/Sao_Paulo"
        )
    if name == "polygon_wkt":
        _refuse_polygons(quarantine, text)
    return values.nullable(text)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return re.fullmatch(r"[A-Za-z0-9_+\-/]+", name) is not None


def _refuse_polygons(quarantine: Quarantine, text: pd.Series) -> None:
    polygons = text.where(numbers.matches(text, _POLYGON), "")
    with np.errstate(all="ignore"):  # a coordinate of 400 digits overflows, and is then no sound polygon
        array = np.asarray(shapely.from_wkt([value or None for value in polygons], on_invalid="ignore"), dtype=object)
    is_area = (shapely.get_type_id(array) == 3) | (shapely.get_type_id(array) == 6)
    is_sound = is_area & shapely.is_valid(array) & ~shapely.is_empty(array)
    quarantine.refuse_value(
        text.ne("") & ~is_sound,
        "bad_polygon",
        "polygon_wkt",
        text,
        "not a sound POLYGON or MULTIPOLYGON in WKT (longitude latitude)",
    )
    low_x, low_y, high_x, high_y = shapely.bounds(array).T
    is_outside = is_sound & ((low_x < -180) | (high_x > 180) | (low_y < -90) | (high_y > 90))
    quarantine.refuse_value(is_outside, "out_of_range", "polygon_wkt", text, "not in degrees (longitude latitude)")


def _refuse_empty_periods(frame: pd.DataFrame, quarantine: Quarantine) -> None:
    for first, last in _PERIODS:
        if first in frame and last in frame:
            is_reversed = (frame[last] < frame[first]).fillna(False).astype(bool)
            quarantine.refuse(is_reversed, "bad_period", f"{last} lies before {first}.")


def _without_names(text: TextTable, table: Table) -> pd.Series | None:
    """Raw rows of `drivers` without the name, which is stored in `ref.drivers` alone."""
    if table.name != "drivers":
        return None
    return pd.Series(
        [
            raw.replace(name, "(name)") if name else raw
            for raw, name in zip(text.quarantine.raw, text.column("name"), strict=True)
        ],
        dtype=object,
    )
