"""Numbers, and codes that look like numbers, as people and spreadsheets write them: a whole column at a time.

Every function gives null where a text is empty or not legible; what a null means is decided by its caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_POINT = r"^-?[0-9]{1,18}([.][0-9]{1,10})?$"
_FLOAT = r"^-?[0-9]{1,18}([.][0-9]{1,20})?([eE][+-]?[0-9]{1,2})?$"
# Seven digits, more than a dial shows: above it are metres and error values (the CAN bus's is 21,055,406 km).
LARGEST_ODOMETER_KM = 10_000_000
ODOMETER_RANGE_PT = "um número de 0 a 10.000.000 km"
_LARGEST_WHOLE = 10**9
_PLAIN = r"^(-?[0-9]{1,18}([.]([0-9]{1,2}|[0-9]{4,20}))?)?$"  # what every style reads alike
_DECIMAL_COMMA = r"^-?[0-9]{1,18},[0-9]{1,10}$"
# The mark after which three digits stand begins decimals when another mark groups before it.
_GROUPED_BY_POINTS = r"^-?[1-9][0-9]{0,2}([.][0-9]{3})+,[0-9]{1,10}$|^-?[1-9][0-9]{0,2}([.][0-9]{3}){2,5}$"
_GROUPED_BY_COMMAS = r"^-?[1-9][0-9]{0,2}(,[0-9]{3})+[.][0-9]{1,10}$|^-?[1-9][0-9]{0,2}(,[0-9]{3}){2,5}$"
_GROUPED_BY_SPACES = r"^-?[1-9][0-9]{0,2}( [0-9]{3})+([.,][0-9]{1,10})?$"
_POINT_BEFORE_THREE = r"^-?[1-9][0-9]{0,2}[.][0-9]{3}$"
_COMMA_BEFORE_THREE = r"^-?[1-9][0-9]{0,2},[0-9]{3}$"
_TEXT_GUARD = r"^(?:'|=\")([0-9A-Za-z_ -]+)\"?$"  # how people keep a spreadsheet from rounding an id: '351… or ="351…"
_SPOILT_ID = r"^[0-9]+[.,][0-9]+[eE][+]?[0-9]{1,3}$|^[0-9]+[eE][+][0-9]{1,3}$"


class Reading(Enum):
    """What a mark means that stands before exactly three digits: `40.314` may be 40314 or 40.314."""

    DECIMALS = "decimals"
    THOUSANDS = "thousands"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True)
class NumberStyle:
    """How a column writes numbers; with both marks, or one mark twice, a number has one reading in every style."""

    point_before_three: Reading
    comma_before_three: Reading
    is_decimal_comma: bool = True


# CONTRACTS 1.3: KM columns of bulletins are whole numbers as a driver reads them, so a point groups thousands; a comma
# before three digits is 30.5 km from one carrier and 30500 km from another one's English export.
WHOLE_KM = NumberStyle(Reading.THOUSANDS, Reading.AMBIGUOUS)
BRAZILIAN = NumberStyle(Reading.AMBIGUOUS, Reading.DECIMALS)
BRAZILIAN_GROUPED = NumberStyle(Reading.THOUSANDS, Reading.DECIMALS)
TWO_DECIMALS = NumberStyle(Reading.AMBIGUOUS, Reading.AMBIGUOUS)
POINT_ONLY = NumberStyle(Reading.DECIMALS, Reading.AMBIGUOUS, is_decimal_comma=False)


@dataclass(frozen=True)
class Numbers:
    """A column's numbers as plain text with a decimal point, and which rows have two readings (their text is empty)."""

    plain: pd.Series
    is_ambiguous: np.ndarray


def as_array(text: pd.Series) -> pa.Array:
    """The texts as one Arrow array of strings."""
    array = pa.array(text, type=pa.large_string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def matches(text: pd.Series, pattern: str) -> pd.Series:
    """Which texts match a regular expression (RE2, so no text can make it slow)."""
    return pd.Series(_mask(as_array(text), pattern).to_numpy(zero_copy_only=False), index=text.index)


def matching(text: pd.Series, pattern: str) -> pa.Array:
    """The texts that match, null for all others."""
    array = as_array(text)
    return pc.if_else(_mask(array, pattern), array, pa.scalar(None, array.type))


def _mask(array: pa.Array, pattern: str) -> pa.Array:
    return pc.fill_null(pc.match_substring_regex(array, pattern), False)


def typed_series(array: pa.Array, index: pd.Index, dtype: str | pd.ArrowDtype) -> pd.Series:
    """An Arrow array as a column of a pandas type.

    By the type itself: `pd.array` and `astype` take ten times as long, and a small file has sixty such columns.
    """
    return pd.Series(pd.api.types.pandas_dtype(dtype).__from_arrow__(array), index=index)


def is_filled(text: pd.Series) -> np.ndarray:
    """Which texts are neither empty nor null."""
    filled = pc.not_equal(as_array(text), pa.scalar("", pa.large_string()))
    return pc.fill_null(filled, False).to_numpy(zero_copy_only=False)


def plain_numbers(text: pd.Series, style: NumberStyle, largest: float | None = None) -> Numbers:
    """Grouping marks removed and decimals with a point; texts that are not numbers stay as they are.

    Args:
        text: stripped texts; `R$` before a number is ignored.
        style: what one mark before three digits means.
        largest: greatest absolute value that the column holds: above it a number has no second reading, as -22.531°.
    """
    if matches(text, _PLAIN).all():
        return Numbers(text, np.zeros(len(text), dtype=bool))
    plain = text.str.replace(r"^R\$ ?", "", regex=True)
    plain = plain.mask(matches(plain, _GROUPED_BY_SPACES), plain.str.replace(" ", "", regex=False))
    by_points, by_commas = matches(plain, _GROUPED_BY_POINTS), matches(plain, _GROUPED_BY_COMMAS)
    without_points = plain.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    without_commas = plain.str.replace(",", "", regex=False)
    is_ambiguous = pd.Series(False, index=text.index)
    for pattern, reading, grouped in (
        (_POINT_BEFORE_THREE, style.point_before_three, without_points),
        (_COMMA_BEFORE_THREE, style.comma_before_three, without_commas),
    ):
        is_short = matches(plain, pattern)
        if largest is not None:
            is_short &= pd.to_numeric(grouped.where(is_short), errors="coerce").abs().le(largest)
        if reading is Reading.THOUSANDS:
            plain = plain.mask(is_short, grouped)
        elif reading is Reading.AMBIGUOUS:
            is_ambiguous |= is_short
    plain = plain.mask(by_points, without_points).mask(by_commas, without_commas)
    if style.is_decimal_comma:
        plain = plain.mask(matches(plain, _DECIMAL_COMMA), plain.str.replace(",", ".", regex=False))
    return Numbers(plain.mask(is_ambiguous, "").astype("str"), is_ambiguous.to_numpy(dtype=bool))


def has_point_before_three(text: pd.Series) -> pd.Series:
    """Which texts are one to three digits, a point and three digits: 40.314."""
    return matches(text, _POINT_BEFORE_THREE)


def writes_decimal_commas(texts: pd.DataFrame) -> bool:
    """Whether a table has numbers whose comma can only begin decimals, and none with a decimal point."""
    columns = [texts[name] for name in texts]
    has_comma = any(matches(text, r"^-?[0-9]+,([0-9]{1,2}|[0-9]{4,10})$").any() for text in columns)
    return has_comma and not any(matches(text, r"^-?[0-9]+[.]([0-9]{1,2}|[0-9]{4,10})$").any() for text in columns)


def floats(plain: pd.Series) -> pd.Series:
    """Numbers with a decimal point, `float64`."""
    legible = typed_series(matching(plain, _FLOAT), plain.index, "str")
    return pd.to_numeric(legible, errors="coerce").astype("float64")


def decimals(plain: pd.Series, dtype: pd.ArrowDtype) -> pd.Series:
    """Numbers with a decimal point as decimals, rounded half-up to the type's scale; null beyond its precision."""
    target = dtype.pyarrow_dtype
    exact = pc.cast(matching(plain, _POINT), pa.decimal128(30, 10))
    rounded = pc.round(exact, target.scale, round_mode="half_towards_infinity")
    greatest = pa.scalar(10 ** (target.precision - target.scale), pa.decimal128(30, 10))
    fitting = pc.if_else(pc.less(pc.abs(rounded), greatest), rounded, None)
    return typed_series(pc.cast(fitting, target), plain.index, dtype)


def is_finer_than(plain: pd.Series, scale: int) -> pd.Series:
    """Which numbers have more decimals than the scale, not counting zeros at the end."""
    return matches(plain, rf"[.][0-9]{{{scale}}}[0-9]*[1-9]0*$")


def wholes(text: pd.Series) -> pd.Series:
    """Whole numbers, `Int64`; `18,0` and `18.0`, as spreadsheets write them, count as whole."""
    whole = pc.cast(matching(identifiers(text), r"^-?[0-9]{1,18}$"), pa.int64())
    return typed_series(pc.if_else(pc.less_equal(pc.abs(whole), _LARGEST_WHOLE), whole, None), text.index, "Int64")


def identifiers(text: pd.Series) -> pd.Series:
    """Codes as text: a number that a spreadsheet wrote as `23.0` or `23,0` is `23`."""
    return typed_series(pc.replace_substring_regex(as_array(text), r"^([0-9]+)[.,]0+$", r"\1"), text.index, "str")


def without_text_guard(text: pd.Series) -> pd.Series:
    """Codes without the apostrophe or formula that keeps a spreadsheet from changing them."""
    return typed_series(pc.replace_substring_regex(as_array(text), _TEXT_GUARD, r"\1"), text.index, "str")


def is_spoilt_id(text: pd.Series) -> pd.Series:
    """Which codes a spreadsheet turned into a rounded number: `3,51E+14` was an id of 15 digits."""
    return matches(text, _SPOILT_ID)


def within(numbers: pd.Series, minimum: float | None, maximum: float | None) -> np.ndarray:
    """Which numbers lie in the closed range; nulls do."""
    inside = numbers.isna().to_numpy(dtype=bool)
    given = numbers.astype("float64").to_numpy()
    low = -np.inf if minimum is None else minimum
    high = np.inf if maximum is None else maximum
    with np.errstate(invalid="ignore"):
        return inside | ((given >= low) & (given <= high))
