"""Characters that are not visible: no-break spaces, zero-width characters, line breaks inside a header.

What a text means is decided by the format of each kind of file.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.formats.numbers import typed_series
from fleet_audit.logic.primitives.identity import fold

_SPACES = "\u00a0\u2007\u202f"  # no-break, figure and narrow no-break space: web tables and Excel's thousands
_INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"
_CHARACTERS = str.maketrans(dict.fromkeys(_SPACES, " ") | dict.fromkeys(_INVISIBLE, ""))


def clean(cell: str) -> str:
    """A cell's text without outer white space and invisible characters, ordinary spaces for no-break ones."""
    return cell.strip() if cell.isascii() else cell.translate(_CHARACTERS).strip()


def is_blank(cell: str) -> bool:
    """Whether a cell has no visible character."""
    return not clean(cell)


@lru_cache(maxsize=4096)  # a long report repeats its header thousands of times
def header_name(cell: str) -> str:
    """A header as it is compared: without case, accents, line breaks, outer and invisible characters."""
    return fold(cell.translate(_CHARACTERS)).strip(" :.*")


def stripped(values: Iterable[str]) -> pd.Series:
    """Texts as `clean` gives them, as a `str` column."""
    array = pa.array(list(values), type=pa.large_string())
    if not pc.all(pc.string_is_ascii(array)).as_py():
        array = pc.replace_substring_regex(array, f"[{_SPACES}]", " ")
        array = pc.replace_substring_regex(array, f"[{_INVISIBLE}]", "")
    return typed_series(pc.utf8_trim_whitespace(array), pd.RangeIndex(len(array)), "str")
