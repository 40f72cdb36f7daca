"""Values of a page of a type or a unit that is not their field's: they count as absent, and a reader must find out.

What counts as absent is decided in `columns`; when it is worth a note of the day is decided in `ingest.api.positions`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fleet_audit.formats.adapter import NUMBERS, Adapter, Field
from fleet_audit.formats.api_page.decoding import value_at
from fleet_audit.formats.numbers import ODOMETER_RANGE_PT

COLUMNS = ("row_number", "field", "expected", "found")
_MAX_LETTERS = 40
_KINDS_PT = {str: "um texto", bool: "verdadeiro ou falso", int: "um número", float: "um número", list: "uma lista",
             dict: "um objeto"}  # fmt: skip


def no_wrong_types() -> pd.DataFrame:
    """The values of a page that has none of a wrong type."""
    return pd.DataFrame(columns=list(COLUMNS))


def wrong_types(items: Sequence[Any], adapter: Adapter) -> pd.DataFrame:
    """row_number (1 = first item), field (as the vendor names it), expected and found (pt-BR) of each such value.

    Without the device and the instant: an item that lacks either is rejected with a reason of its own.
    """
    found = []
    for name in (*NUMBERS, "ignition", "driver_id"):
        if (mapped := adapter.fields.get(name)) is None:
            continue
        path, (is_of_type, expected) = ".".join(mapped.path), _type_of(name, mapped)
        values = enumerate((value_at(item, mapped.path) for item in items), 1)
        found += [
            (number, path, expected, _shown(value, has_value=name != "driver_id"))
            for number, value in values
            if not _is_absent(value) and not is_of_type(value)
        ]
    return pd.DataFrame(found, columns=list(COLUMNS))


def impossible_odometers(sent: pa.Array, kept: pa.Array, adapter: Adapter) -> pd.DataFrame:
    """As `wrong_types`, of the readings that were sent and not kept because no dial shows them: metres, most likely.

    Without it a day of odometers in metres looks like a day without odometers.
    """
    if sent.null_count == kept.null_count:
        return no_wrong_types()
    values = sent.to_numpy(zero_copy_only=False).astype(float)
    rows = np.flatnonzero(np.isfinite(values) & np.isnan(kept.to_numpy(zero_copy_only=False).astype(float)))
    shown = [f"{_KINDS_PT[float]}, '{value:.15g}'" for value in values[rows]]
    path = ".".join(adapter.fields["odometer_km"].path)
    columns = (rows + 1, path, ODOMETER_RANGE_PT, shown)
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def _type_of(name: str, mapped: Field) -> tuple[Callable[[Any], bool], str]:
    if name in NUMBERS:
        return _is_number, _KINDS_PT[float]
    if name == "ignition" and not (mapped.on or mapped.off):
        return lambda value: isinstance(value, bool), _KINDS_PT[bool]
    if mapped.is_integer:
        return lambda value: isinstance(value, int) and not isinstance(value, bool), _KINDS_PT[int]
    return lambda value: isinstance(value, str), _KINDS_PT[str]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_absent(value: Any) -> bool:
    """Null, or the NaN that some writers use for it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _shown(value: Any, *, has_value: bool) -> str:
    """The kind of a value, and the value of a plain one; never that of a driver, which may be a name."""
    kind = _KINDS_PT[type(value)]
    if not has_value or isinstance(value, (list, dict)):
        return kind
    text = value if isinstance(value, str) else str(value).lower()
    return f"{kind}, {''.join(one for one in text if one.isprintable())[:_MAX_LETTERS]!r}"
