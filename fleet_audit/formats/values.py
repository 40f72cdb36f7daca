"""Dates, times of day, durations, instants and flags from texts: a whole column at a time.

Every function gives null where a text is empty or not legible; what a null means is decided by its caller. Numbers are
read in `numbers`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.formats.numbers import as_array, floats, is_filled, matches, matching, typed_series

SERIALS_FROM_1900, SERIALS_FROM_1904 = "1899-12-30", "1904-01-01"  # day 0 of the two date systems of spreadsheets
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
# A typed cell of a day may carry a time, and one of a time may carry a day.
_DATE_BR = rf"^(?P<d>[0-9]{{1,2}})/(?P<m>[0-9]{{1,2}})/(?P<y>[0-9]{{4}})(?: {_CLOCK})?$"
_DATE_MARKED = rf"^(?P<d>[0-9]{{1,2}})[-.](?P<m>[0-9]{{1,2}})[-.](?P<y>[0-9]{{4}})(?: {_CLOCK})?$"
_DATE_ISO = rf"^(?P<y>[0-9]{{4}})-(?P<m>[0-9]{{2}})-(?P<d>[0-9]{{2}})(?:[ T]{_CLOCK})?$"
_DATE_CONVERTED = rf"^(?P<y>[0-9]{{4}})-(?P<d>[0-9]{{2}})-(?P<m>[0-9]{{2}})(?:[ T]{_CLOCK})?$"
_DAY_FIRST = rf"^(?P<d>[0-9]{{1,2}})[-/.](?P<m>[0-9]{{1,2}})[-/.](?P<y>[0-9]{{4}})(?: {_CLOCK})?$"
_MONTH_FIRST = rf"^(?P<m>[0-9]{{1,2}})[-/.](?P<d>[0-9]{{1,2}})[-/.](?P<y>[0-9]{{4}})(?: {_CLOCK})?$"
_BEYOND_MONTHS = r"^(0?[1-9]|1[0-2])[-/.](1[3-9]|2[0-9]|3[01])[-/.]"
_FEWEST_MONTH_FIRST, _MONTH_FIRST_SHARE = 3, 0.1  # of a file's days: fewer are typing errors
_MONTHS = 12
_SHARE_OF_FEW = 0.25  # of the days of a file that has few
_TIME = (
    r"^(?:[0-9]{1,2}/[0-9]{1,2}/[0-9]{4} |[0-9]{4}-[0-9]{2}-[0-9]{2}[ T])?"
    r"(?P<h>[0-9]{1,2}):(?P<m>[0-9]{2})(?::(?P<s>[0-9]{2})(?:[.,][0-9]{1,9})?)? ?(?:[hH](?:rs|s)?)?$"
)
_TIME_WITH_H = r"^(?P<h>[0-9]{1,2}) ?[hH](?: ?(?P<m>[0-9]{2}))?(?: ?(?:m|min))?(?: ?(?P<s>[0-9]{2}) ?(?:s|seg)?)?$"
_TIME_OF_HALF_DAY = (
    r"^(?P<h>[0-9]{1,2}):(?P<m>[0-9]{2})(?::(?P<s>[0-9]{2}))? ?(?P<half>[aApP])[.]?[mM][.]?$"  # 6:30 PM, 12:10 a.m.
)
_DURATION = r"^(?P<h>[0-9]{1,4}):(?P<m>[0-9]{2}):(?P<s>[0-9]{2})$"
_DATE_TIME_BR = rf"^(?P<date>[0-9]{{1,2}}/[0-9]{{1,2}}/[0-9]{{4}}) (?P<time>{_CLOCK})$"
_INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
    r"([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$"
)
_SERIAL = r"^[0-9]{1,5}(,[0-9]{1,10})?$"  # what a workbook holds behind a day or time whose cell lost its format
_TRUE = ["true", "1", "1.0", "1,0", "sim", "s", "yes", "verdadeiro", "on", "ligado", "ligada"]
_FALSE = ["false", "0", "0.0", "0,0", "nao", "não", "n", "no", "falso", "off", "desligado", "desligada"]
_FIRST_YEAR = 1900  # of what two numbers beside a year may mean
_EARLIEST_YEAR, _LATEST_YEAR = 2000, 2099  # a device without a clock reports 1970; 2099 bounds a mistyped year


def _groups(text: pd.Series, pattern: str, *names: str) -> list[pa.Array]:
    struct = pc.extract_regex(as_array(text), pattern)
    return [pc.struct_field(struct, name) for name in names]


def _whole(array: pa.Array) -> pa.Array:
    return pc.cast(pc.if_else(pc.equal(array, ""), "0", array), pa.int64())


def dates(
    text: pd.Series,
    serials_from: str | None = None,
    earliest_year: int = _EARLIEST_YEAR,
    *,
    is_month_first: bool = False,
) -> pd.Series:
    """dd/mm/aaaa (or with - or .) or YYYY-MM-DD as midnights, `datetime64[us]`; a day that does not exist is null.

    So is a day of two readings where the file `is_month_first`, and there a typed day of a workbook that may be a
    converted one. `serials_from` is day 0 of unformatted day numbers, which only workbooks hold.
    """
    parsed = _calendar(text, _DATE_BR, earliest_year)
    if _is_left(text, parsed):
        for pattern in (_DATE_ISO, _DATE_MARKED):
            parsed = parsed.fillna(_calendar(text, pattern, earliest_year))
        if serials_from is not None:
            serials = _serials(text)
            days = np.floor(serials.where(serials >= _first_serial(serials_from)))
            parsed = parsed.fillna(pd.to_datetime(days, unit="D", origin=serials_from).astype("datetime64[us]"))
    if not is_month_first:
        return parsed
    in_doubt = has_two_readings(text)
    return parsed.mask(in_doubt if serials_from is None else in_doubt | may_be_converted(text))


def writes_month_first(*columns: pd.Series) -> bool:
    """Whether a file writes its days month first: 06/05/2025 beside 05/28, 05/29 and 05/30 was a run of May.

    So it does where at least 3 of its days, a tenth of them, and as many as are days with the month second only, exist
    with the month first only; or a quarter of them, beside none with the month second only. All columns of days of a
    file are judged together; a typed day of a workbook, which is YYYY-MM-DD here, has one reading and shows nothing.
    """
    if not any(matches(text, _BEYOND_MONTHS).any() for text in columns):
        return False
    day_first, month_first = _both_readings(pd.concat(columns, ignore_index=True))
    days = (day_first.notna() | month_first.notna()).sum()
    only_second = (day_first.notna() & month_first.isna()).sum()
    only_first = (day_first.isna() & month_first.notna()).sum()
    if only_second == 0 and only_first >= max(1, _SHARE_OF_FEW * days):
        return True
    return bool(only_first >= max(_FEWEST_MONTH_FIRST, _MONTH_FIRST_SHARE * days, only_second))


def has_two_readings(text: pd.Series) -> np.ndarray:
    """Which texts are one day with the month second and another one with the month first."""
    day_first, month_first = _both_readings(text)
    return (day_first.notna() & month_first.notna() & (day_first != month_first)).to_numpy()


def may_be_converted(text: pd.Series) -> np.ndarray:
    """Which typed days a spreadsheet program may have made of texts with the month first.

    A Brazilian Excel that opens such a CSV types 05/06/2025 as the fifth of June and leaves 05/28/2025 a text: none of
    the days that it typed is beyond the twelfth.
    """
    typed = _calendar(text, _DATE_ISO, _FIRST_YEAR)
    is_convertible = (typed.dt.day <= _MONTHS) & (typed.dt.day != typed.dt.month)
    return (is_convertible & ~(typed.dt.day > _MONTHS).any()).to_numpy(dtype=bool)


def is_month_first_only(text: pd.Series) -> np.ndarray:
    """Which texts are a day with the month first alone."""
    day_first, month_first = _both_readings(text)
    return (day_first.isna() & month_first.notna()).to_numpy()


def month_first_dates(text: pd.Series) -> pd.Series:
    """The days of texts read with the month first, and of typed days as if they were converted from such texts."""
    return _both_readings(text)[1].fillna(_calendar(text, _DATE_CONVERTED, _EARLIEST_YEAR))


def days_by_order(text: pd.Series, *, is_month_first: bool, is_typed: bool) -> pd.Series:
    """The most likely day of each text of a file in which nothing is accepted: read in the order that the file has.

    Only what a workbook `is_typed` may be converted: YYYY-MM-DD of a text file has one reading.
    """
    if not is_month_first:
        return dates(text)
    converted = month_first_dates(text.where(may_be_converted(text) & is_typed, ""))
    return _both_readings(text)[1].fillna(converted).fillna(dates(text))


def _both_readings(text: pd.Series) -> tuple[pd.Series, pd.Series]:
    return _calendar(text, _DAY_FIRST, _FIRST_YEAR), _calendar(text, _MONTH_FIRST, _FIRST_YEAR)


def _is_left(text: pd.Series, parsed: pd.Series) -> bool:
    """Whether a text has no value yet; most files write a column in one way, and another pattern costs 1 ms."""
    return bool((parsed.isna().to_numpy() & is_filled(text)).any())


def _first_serial(serials_from: str) -> int:
    return (pd.Timestamp(_EARLIEST_YEAR, 1, 1) - pd.Timestamp(serials_from)).days


def _serials(text: pd.Series) -> pd.Series:
    return floats(text.where(matches(text, _SERIAL), "").str.replace(",", ".", regex=False))


def _calendar(text: pd.Series, pattern: str, earliest_year: int) -> pd.Series:
    year, month, day = _groups(text, pattern, "y", "m", "d")
    padded = [pc.utf8_lpad(part, width=2, padding="0") for part in (month, day)]
    iso = typed_series(pc.binary_join_element_wise(year, *padded, pa.scalar("-", pa.large_string())), text.index, "str")
    parsed = pd.to_datetime(iso, format="%Y-%m-%d", errors="coerce").astype("datetime64[us]")
    return parsed.where(parsed.dt.year.between(earliest_year, _LATEST_YEAR))


def times(text: pd.Series, serials_from: str | None = None) -> pd.Series:
    """HH:MM, HH:MM:SS, 6h04 or 6:04 PM as seconds since midnight, `Int64`; 24:00 is the midnight that ends the day.

    With `serials_from` also the fraction of a day of a workbook's cell.
    """
    parsed = _seconds(text, _TIME, 86_400)
    if _is_left(text, parsed):
        parsed = parsed.fillna(_seconds(text, _TIME_WITH_H, 86_400)).fillna(_seconds_of_half_days(text))
    if serials_from is None or not _is_left(text, parsed):
        return parsed
    serials = _serials(text)
    is_time = (serials < 1) | (serials >= _first_serial(serials_from))  # 7,5 is more likely hours than days
    return parsed.fillna((serials.where(is_time) % 1 * 86_400).round().mod(86_400).astype("Int64"))


def durations(text: pd.Series, *, is_serial_accepted: bool = False) -> pd.Series:
    """hh:mm:ss as seconds, `Int64`; more than 24 hours are fine; where accepted also a number of days."""
    parsed = _seconds(text, _DURATION, 10_000 * 3600 - 1)
    return parsed.fillna((_serials(text) * 86_400).round().astype("Int64")) if is_serial_accepted else parsed


def _seconds(text: pd.Series, pattern: str, largest: int) -> pd.Series:
    hours, minutes, seconds = (_whole(part) for part in _groups(text, pattern, "h", "m", "s"))
    total = pc.add(pc.add(pc.multiply(hours, 3600), pc.multiply(minutes, 60)), seconds)
    valid = pc.and_(pc.and_(pc.less(minutes, 60), pc.less(seconds, 60)), pc.less_equal(total, largest))
    return typed_series(pc.if_else(valid, total, None), text.index, "Int64")


def _seconds_of_half_days(text: pd.Series) -> pd.Series:
    """Times of 12 hours with AM or PM as seconds since midnight; 12:10 AM is ten past midnight."""
    seconds = _seconds(text, _TIME_OF_HALF_DAY, 13 * 3600 - 1)
    (half,) = _groups(text, _TIME_OF_HALF_DAY, "half")
    is_afternoon = typed_series(half, text.index, "str").str.lower().eq("p")
    return seconds.where(seconds >= 3600).mod(43_200) + is_afternoon.astype("Int64") * 43_200


def local_times(text: pd.Series, serials_from: str | None = None, *, is_month_first: bool = False) -> pd.Series:
    """dd/mm/aaaa HH:MM[:SS] as wall clock, `datetime64[us]`; with `serials_from` also a day number with a fraction.

    Null of a day of two readings where the file `is_month_first`.
    """
    day, time = (typed_series(part, text.index, "str") for part in _groups(text, _DATE_TIME_BR, "date", "time"))
    parsed = clock(dates(day, is_month_first=is_month_first), times(time))
    if serials_from is None:
        return parsed
    typed = dates(text, serials_from, is_month_first=is_month_first)
    return parsed.fillna(clock(typed, times(text, serials_from)))


def hours_and_minutes(seconds: pd.Series) -> pd.Series:
    """Seconds since midnight as HH:MM; null as empty text."""
    legible = pd.to_timedelta(seconds.fillna(0).astype("int64"), unit="s")
    text = (pd.Timestamp(2000, 1, 1) + legible).dt.strftime("%H:%M")
    return text.where(seconds.notna(), "").astype("str")


def clock(day: pd.Series, seconds: pd.Series) -> pd.Series:
    """A midnight plus whole seconds: the wall clock, `datetime64[us]`."""
    given = seconds.to_numpy(dtype="float64", na_value=np.nan)
    is_missing = np.isnan(given)
    wall = day.to_numpy(dtype="datetime64[us]") + np.where(is_missing, 0, given).astype("timedelta64[s]")
    wall[is_missing] = np.datetime64("NaT")
    return pd.Series(wall, index=day.index)


def instants(text: pd.Series) -> pd.Series:
    """ISO 8601 with an offset as UTC, `datetime64[us, UTC]`; null without an offset or outside 2000-2099."""
    legible = typed_series(pc.utf8_upper(matching(text, _INSTANT)), text.index, "str")
    parsed = pd.to_datetime(legible, format="ISO8601", utc=True, errors="coerce").astype("datetime64[us, UTC]")
    return parsed.where(parsed.dt.year.between(_EARLIEST_YEAR, _LATEST_YEAR))


def flags(text: pd.Series) -> pd.Series:
    """true/false, 1/0, sim/não as `boolean`, case ignored."""
    lower = text.str.strip().str.lower()
    result = pd.Series(pd.array([pd.NA] * len(text), dtype="boolean"), index=text.index)
    result[lower.isin(_TRUE).to_numpy(dtype=bool)] = True
    result[lower.isin(_FALSE).to_numpy(dtype=bool)] = False
    return result


def nullable(text: pd.Series) -> pd.Series:
    """Texts with the empty ones as null."""
    array = as_array(text)
    return typed_series(pc.if_else(pc.equal(array, ""), None, array), text.index, "str")
