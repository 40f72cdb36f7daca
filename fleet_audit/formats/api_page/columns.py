"""Columns of a page: each mapped field of all items, of its own type or null.

What the values mean is decided in `positions`; whether the bytes are a page is decided in `decoding`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from fleet_audit.formats.adapter import NUMBERS, Adapter, Field
from fleet_audit.formats.api_page.decoding import decode_page, items_of_page, value_at
from fleet_audit.formats.api_page.wrong_types import no_wrong_types, wrong_types

_WRONG_BOOLEAN = pa.scalar(None, pa.bool_())


def columns_of_page(payload: bytes, adapter: Adapter) -> tuple[dict[str, pa.Array], np.ndarray, pd.DataFrame]:
    """Each field's column, of its own type or null, texts stripped and never null; which items are objects; and
    `wrong_types`, the values that are null for their type.

    Arrow reads a page in half of the time of `json.loads`, beside other threads, but refuses all of it for one value
    of another type: then each value is read on its own.
    """
    table = _read_with_arrow(payload, _schema(adapter))
    if table is not None:
        lists = _column_at(table, adapter.items)
        if lists.null_count == 0 and lists.values.null_count == 0:
            columns = {name: _item_column(lists.values, adapter.fields.get(name), name) for name in _TYPES}
            return columns, np.ones(len(lists.values), dtype=bool), no_wrong_types()
    items = items_of_page(decode_page(payload), adapter)
    columns = {
        name: _READ_BY_VALUE[name]([value_at(item, one.path) for item in items], one)
        if (one := adapter.fields.get(name))
        else _finished(pa.nulls(len(items), _TYPES[name]), None)
        for name in _TYPES
    }
    is_object = np.array([isinstance(item, dict) for item in items], dtype=bool)
    return columns, is_object, wrong_types(items, adapter)


def _item_column(items: pa.StructArray, mapped: Field | None, name: str) -> pa.Array:
    if mapped is None:
        return _finished(pa.nulls(len(items), _TYPES[name]), None)
    return _finished(pc.struct_field(items, list(mapped.path)), mapped)


def _finished(column: pa.Array, mapped: Field | None) -> pa.Array:
    """Ids as texts, words of a flag as booleans, texts stripped and empty where null."""
    if mapped is not None and (mapped.on or mapped.off):
        is_on = pc.is_in(column, pa.array(mapped.on, pa.string()))
        is_known = pc.or_(is_on, pc.is_in(column, pa.array(mapped.off, pa.string())))
        return pc.if_else(is_known, is_on, _WRONG_BOOLEAN)
    if mapped is not None and mapped.is_integer:
        column = column.cast(pa.string())
    if not pa.types.is_string(column.type):
        return column
    return pc.utf8_trim_whitespace(pc.replace_substring(pc.fill_null(column, ""), "\x00", ""))


def _read_with_arrow(payload: bytes, schema: pa.Schema) -> pa.Table | None:
    """The page as one row of the schema; None when it does not have exactly this form, or is not whole."""
    if payload.lstrip()[:1] != b"{":  # Arrow 26 ends the process with SIGSEGV on a page that is `null`
        return None
    if b"\n" in payload or b"\r" in payload:  # Arrow ends a document there; inside a JSON text they are escaped
        payload = payload.replace(b"\n", b" ").replace(b"\r", b" ")
    try:
        table = pj.read_json(
            pa.BufferReader(payload),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(payload) + 1),
            parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
        table.validate(full=True)
    except (pa.ArrowException, ValueError, IndexError):
        return None
    return table if table.num_rows == 1 else None


def _column_at(table: pa.Table, path: Sequence[str]) -> pa.Array:
    column = table.column(path[0]).combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    return pc.struct_field(column, list(path[1:])) if len(path) > 1 else column


@cache
def _schema(adapter: Adapter) -> pa.Schema:
    item: dict[tuple[str, ...], pa.DataType] = {}
    for name, one in adapter.fields.items():
        is_number = name == "recorded_at" and one.unit != "iso"
        has_words = bool(one.on or one.off)
        item[one.path] = (
            pa.int64() if one.is_integer else pa.float64() if is_number else pa.string() if has_words else _TYPES[name]
        )
    return _answer_schema(adapter, _nested(item))


def _answer_schema(adapter: Adapter, item: pa.DataType) -> pa.Schema:
    paths: dict[tuple[str, ...], pa.DataType] = {adapter.items: pa.list_(item), adapter.next_cursor: pa.string()}
    if adapter.has_more:
        paths[adapter.has_more] = pa.bool_()
    return pa.schema(list(_nested(paths)))


def _nested(paths: Mapping[tuple[str, ...], pa.DataType]) -> pa.StructType:
    """The struct type with a leaf at each path."""
    fields = []
    for name in dict.fromkeys(path[0] for path in paths):
        below = {path[1:]: kind for path, kind in paths.items() if path[0] == name}
        fields.append(pa.field(name, below[()] if () in below else _nested(below)))
    return pa.struct(fields)


def _texts(column: Sequence[Any], mapped: Field) -> pa.Array:
    """Texts, or integer ids as texts; empty where the value is neither, or holds half a surrogate pair."""
    if mapped.is_integer:
        column = [str(value) if isinstance(value, int) and not isinstance(value, bool) else None for value in column]
    kept = [value if isinstance(value, str) and _is_encodable(value) else None for value in column]
    return pc.utf8_trim_whitespace(pc.replace_substring(pc.fill_null(pa.array(kept, pa.string()), ""), "\x00", ""))


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _stamps(column: Sequence[Any], mapped: Field) -> pa.Array:
    return _texts(column, mapped) if mapped.unit == "iso" else _numbers(column, mapped)


def _numbers(column: Sequence[Any], mapped: Field) -> pa.Array:
    return pa.array([_as_float(value) for value in column], pa.float64())


def _as_float(value: Any) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _flags(column: Sequence[Any], mapped: Field) -> pa.Array:
    if mapped.on or mapped.off:
        return _finished(_texts(column, Field(mapped.path)), mapped)
    return pa.array([value if isinstance(value, bool) else None for value in column], pa.bool_())


_READ_BY_VALUE: dict[str, Callable[[Sequence[Any], Field], pa.Array]] = {
    "device_id": _texts,
    "recorded_at": _stamps,
    **dict.fromkeys(NUMBERS, _numbers),
    "ignition": _flags,
    "driver_id": _texts,
}


_TYPES = {
    "device_id": pa.string(),
    "recorded_at": pa.string(),
    **dict.fromkeys(NUMBERS, pa.float64()),
    "ignition": pa.bool_(),
    "driver_id": pa.string(),
}
