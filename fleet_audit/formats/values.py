"""Texts to values, a whole column at a time: dates, times, durations, numbers, flags, instants.

Every function gives null where the text is empty or not legible; what a null means is for the caller to say.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_DATE_BR = r"^(?P<d>[0-9]{1,2})/(?P<m>[0-9]{1,2})/(?P<y>[0-9]{4})(?: 00:00(?::00)?)?$"
_DATE_ISO = r"^(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})$"
# A typed XLSX cell may carry a date before the time of day.
_TIME = r"^(?:[0-9]{1,2}/[0-9]{1,2}/[0-9]{4} )?(?P<h>[0-9]{1,2}):(?P<m>[0-9]{2})(?::(?P<s>[0-9]{2}))?$"
_DURATION = r"^(?P<h>[0-9]{1,4}):(?P<m>[0-9]{2}):(?P<s>[0-9]{2})$"
_DATE_TIME_BR = r"^(?P<date>[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}) (?P<time>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)$"
_INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
    r"([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$"
)
# What a spreadsheet holds behind a date or a time of day whose cell lost its format: days since 30/12/1899.
_SERIAL = r"^[0-9]{1,5}(,[0-9]{1,10})?$"
_SERIAL_ORIGIN, _FIRST_SERIAL = "1899-12-30", 36_526  # 1 January 2000
_POINT = r"^-?[0-9]{1,18}([.][0-9]{1,10})?$"
_FLOAT = r"^-?[0-9]{1,18}([.][0-9]{1,20})?([eE][+-]?[0-9]{1,2})?$"
_COMMA = r"^-?([0-9]{1,18}|[0-9]{1,3}([.][0-9]{3}){1,5})(,[0-9]{1,10})?$"
# In a Brazilian report a point before three digits groups thousands (117.279 is 117279). A comma before exactly three
# digits is refused: 30,500 may be 30.5 or, from an English export, 30500.
_BRAZILIAN = (
    r"^-?([0-9]{1,18}|[0-9]{1,3}([.][0-9]{3}){1,5})(,([0-9]{1,2}|[0-9]{4,10}))?$"
    r"|^-?[0-9]{1,18}[.]([0-9]{1,2}|[0-9]{4,10})$"
)
_GROUPED = r"^(-?[0-9]{1,3})([.][0-9]{3})+(,|$)"
_TRUE, _FALSE = ["true", "1", "sim", "s", "yes", "verdadeiro"], ["false", "0", "nao", "não", "n", "no", "falso"]
_EARLIEST_YEAR, _LATEST_YEAR = 2000, 2099  # a device without a clock says 1970; 2099 bounds a mistyped year


def as_array(text: pd.Series) -> pa.Array:
    """The texts as one Arrow array of strings."""
    array = pa.array(text, type=pa.large_string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def matches(text: pd.Series, pattern: str) -> pd.Series:
    """Which texts match a regular expression (RE2, so no text can make it slow)."""
    mask = pc.fill_null(pc.match_substring_regex(as_array(text), pattern), False)
    return pd.Series(mask.to_numpy(zero_copy_only=False), index=text.index)


def _groups(text: pd.Series, pattern: str, *names: str) -> list[pa.Array]:
    struct = pc.extract_regex(as_array(text), pattern)
    return [pc.struct_field(struct, name) for name in names]


def _series(array: pa.Array, index: pd.Index, dtype: str) -> pd.Series:
    return pd.Series(pd.array(array, dtype=pd.ArrowDtype(array.type)), index=index).astype(dtype)


def _whole(array: pa.Array) -> pa.Array:
    return pc.cast(pc.if_else(pc.equal(array, ""), "0", array), pa.int64())


def dates(text: pd.Series, *, is_iso_accepted: bool = False, is_serial_accepted: bool = False) -> pd.Series:
    """dd/mm/aaaa as midnights, `datetime64[us]`; a day that does not exist is null.

    Where accepted also YYYY-MM-DD, and the serial number of a day as spreadsheets count them.
    """
    parsed = _calendar(text, _DATE_BR)
    if is_iso_accepted:
        parsed = parsed.fillna(_calendar(text, _DATE_ISO))
    if is_serial_accepted:
        serials = _serials(text)
        days = np.floor(serials.where(serials >= _FIRST_SERIAL))
        parsed = parsed.fillna(pd.to_datetime(days, unit="D", origin=_SERIAL_ORIGIN).astype("datetime64[us]"))
    return parsed


def _serials(text: pd.Series) -> pd.Series:
    return floats(decimal_points(text.where(matches(text, _SERIAL), "")))


def _calendar(text: pd.Series, pattern: str) -> pd.Series:
    year, month, day = _groups(text, pattern, "y", "m", "d")
    padded = [pc.utf8_lpad(part, width=2, padding="0") for part in (month, day)]
    iso = _series(pc.binary_join_element_wise(year, *padded, pa.scalar("-", pa.large_string())), text.index, "str")
    parsed = pd.to_datetime(iso, format="%Y-%m-%d", errors="coerce").astype("datetime64[us]")
    return parsed.where(parsed.dt.year.between(_EARLIEST_YEAR, _LATEST_YEAR))


def times(text: pd.Series, *, is_serial_accepted: bool = False) -> pd.Series:
    """HH:MM or HH:MM:SS as seconds since midnight, `Int64`; where accepted also the fraction of a day."""
    parsed = _seconds(text, _TIME, 23)
    if not is_serial_accepted:
        return parsed
    serials = _serials(text)
    of_day = serials.where((serials < 1) | (serials >= _FIRST_SERIAL)) % 1  # 7,5 is more likely hours than days
    return parsed.fillna((of_day * 86_400).round().mod(86_400).astype("Int64"))


def durations(text: pd.Series, *, is_serial_accepted: bool = False) -> pd.Series:
    """hh:mm:ss as seconds, `Int64`; more than 24 hours are fine; where accepted also a number of days."""
    parsed = _seconds(text, _DURATION, 9999)
    return parsed.fillna((_serials(text) * 86_400).round().astype("Int64")) if is_serial_accepted else parsed


def _seconds(text: pd.Series, pattern: str, last_hour: int) -> pd.Series:
    hours, minutes, seconds = (_whole(part) for part in _groups(text, pattern, "h", "m", "s"))
    total = pc.add(pc.add(pc.multiply(hours, 3600), pc.multiply(minutes, 60)), seconds)
    valid = pc.and_(pc.less_equal(hours, last_hour), pc.and_(pc.less(minutes, 60), pc.less(seconds, 60)))
    return _series(pc.if_else(valid, total, None), text.index, "Int64")


def local_times(text: pd.Series, *, is_serial_accepted: bool = False) -> pd.Series:
    """dd/mm/aaaa HH:MM[:SS] as wall clock, `datetime64[us]`; where accepted also a day's serial with its fraction."""
    day, time = (_series(part, text.index, "str") for part in _groups(text, _DATE_TIME_BR, "date", "time"))
    parsed = clock(dates(day), times(time))
    if not is_serial_accepted:
        return parsed
    return parsed.fillna(clock(dates(text, is_serial_accepted=True), times(text, is_serial_accepted=True)))


def hours_and_minutes(seconds: pd.Series) -> pd.Series:
    """Seconds since midnight as HH:MM; null as empty text."""
    legible = pd.to_timedelta(seconds.fillna(0).astype("int64"), unit="s")
    text = (pd.Timestamp(2000, 1, 1) + legible).dt.strftime("%H:%M")
    return text.where(seconds.notna(), "").astype("str")


def clock(day: pd.Series, seconds: pd.Series) -> pd.Series:
    """A midnight plus seconds: the wall clock, `datetime64[us]`."""
    return (day + pd.to_timedelta(seconds.astype("float64"), unit="s")).astype("datetime64[us]")


def instants(text: pd.Series) -> pd.Series:
    """ISO 8601 with an offset as UTC, `datetime64[us, UTC]`; null without an offset or outside 2000-2099."""
    legible = text.where(matches(text, _INSTANT))
    parsed = pd.to_datetime(legible, format="ISO8601", utc=True, errors="coerce").astype("datetime64[us, UTC]")
    return parsed.where(parsed.dt.year.between(_EARLIEST_YEAR, _LATEST_YEAR))


def floats(text: pd.Series) -> pd.Series:
    """Numbers with a decimal point, `float64`."""
    legible = text.where(matches(text, _FLOAT))
    return pd.to_numeric(legible, errors="coerce").astype("float64")


def brazilian_decimals(text: pd.Series, dtype: pd.ArrowDtype) -> pd.Series:
    """Decimal comma, thousands grouped by points (see `_BRAZILIAN`), rounded half-up to the type's scale."""
    grouped = matches(text, _GROUPED)
    return _decimals(_plain(text, grouped).where(matches(text, _BRAZILIAN)), dtype)


def point_decimals(text: pd.Series, dtype: pd.ArrowDtype, *, is_comma_accepted: bool = False) -> pd.Series:
    """Decimal point, and a decimal comma where accepted, rounded half-up to the type's scale."""
    plain = decimal_points(text) if is_comma_accepted else text
    return _decimals(plain.where(matches(plain, _POINT)), dtype)


def decimal_points(text: pd.Series) -> pd.Series:
    """Numbers with a decimal comma rewritten with a point; other texts stay."""
    return _plain(text, matches(text, _COMMA) & text.str.contains(",", regex=False).fillna(False).astype(bool))


def _plain(text: pd.Series, grouped: pd.Series) -> pd.Series:
    """Points that group thousands taken out of the chosen texts, and commas made points in all that match."""
    without_points = text.str.replace(".", "", regex=False)
    return text.where(~grouped, without_points).str.replace(r"^(-?[0-9]+),([0-9]+)$", r"\1.\2", regex=True)


def _decimals(text: pd.Series, dtype: pd.ArrowDtype) -> pd.Series:
    target = dtype.pyarrow_dtype
    exact = pc.cast(as_array(text), pa.decimal128(30, 10))
    rounded = pc.round(exact, target.scale, round_mode="half_towards_infinity")
    largest = pa.scalar(10 ** (target.precision - target.scale), pa.decimal128(30, 10))
    fitting = pc.if_else(pc.less(pc.abs(rounded), largest), rounded, None)
    return pd.Series(pd.array(pc.cast(fitting, target), dtype=dtype), index=text.index)


def is_finer_than(text: pd.Series, scale: int) -> pd.Series:
    """Which texts have more decimals than the scale, not counting zeros at the end."""
    return matches(text, rf"[.,][0-9]{{{scale}}}[0-9]*[1-9]0*$")


def wholes(text: pd.Series, *, largest: int = 10**9) -> pd.Series:
    """Whole numbers, `Int64`; `18,0` and `18.0`, as spreadsheets write them, count as whole."""
    plain = identifiers(text)
    array = as_array(plain.where(matches(plain, r"^-?[0-9]{1,18}$")))
    parsed = _series(pc.cast(array, pa.int64()), text.index, "Int64")
    return parsed.where(parsed.abs() <= largest)


def identifiers(text: pd.Series) -> pd.Series:
    """Codes as text: a number that a spreadsheet wrote as `23.0` or `23,0` is `23`."""
    return text.str.replace(r"^([0-9]+)[.,]0+$", r"\1", regex=True)


def flags(text: pd.Series) -> pd.Series:
    """true/false, 1/0, sim/não as `boolean`, case ignored."""
    lower = text.str.strip().str.lower()
    result = pd.Series(pd.array([pd.NA] * len(text), dtype="boolean"), index=text.index)
    result[lower.isin(_TRUE).to_numpy(dtype=bool)] = True
    result[lower.isin(_FALSE).to_numpy(dtype=bool)] = False
    return result


def nullable(text: pd.Series) -> pd.Series:
    """Texts with the empty ones as null."""
    return text.where(text.ne("")).astype("str")


def within(values: pd.Series, minimum: float | None, maximum: float | None) -> np.ndarray:
    """Which values lie in the closed range; nulls do."""
    inside = values.isna().to_numpy(dtype=bool)
    numbers = values.astype("float64").to_numpy()
    low = -np.inf if minimum is None else minimum
    high = np.inf if maximum is None else maximum
    with np.errstate(invalid="ignore"):
        return inside | ((numbers >= low) & (numbers <= high))
