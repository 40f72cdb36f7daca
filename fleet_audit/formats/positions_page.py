"""Reads positions from the pages of a telemetry API, by the names and units of the vendor's adapter.

Requests belong in `sources`, the JSON of a page in `page_json`, rows of one device and instant in `positions_merge`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from fleet_audit.formats import values
from fleet_audit.formats.adapter import CONTRACT, NUMBERS, UNITS, Adapter, Field
from fleet_audit.formats.drivers import as_reference, identify
from fleet_audit.formats.page_json import decode_page, items_of_page, value_at
from fleet_audit.formats.quarantine import Quarantine
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.reference import DRIVERS

_BOUNDS = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "speed_kmh": (0.0, math.inf),
    "odometer_km": (0.0, math.inf),
    "passengers": (0.0, 10.0**6),
}
_UTC_SECOND = len(
    "2025-06-10T09:04:35Z"
)  # Arrow casts this form in 1 ms per page; other forms are read as the texts of files are
_YEARS = (pa.scalar(946_684_800_000_000), pa.scalar(4_102_444_799_999_999))  # 2000-2099 in µs, as `values.instants`
_PER_SECOND = {"s": 1e6, "ms": 1e3}
_WRONG_BOOLEAN = pa.scalar(None, pa.bool_())
_NO_DRIVER = pa.array(["", "unknown"])
_NO_NAMES = empty_frame(DRIVERS)


@dataclass(frozen=True)
class ParsedPage:
    """One page, read: `rows` items = positions + rejected items, a rejected one counted once.

    Attributes:
        positions: device_id, recorded_at, the facts and row_number (1 = first item), in the page's order.
        rejected: row_number, reason_code, reason, raw.
        drivers: rows of `ref.drivers` of the drivers that the page names, when it was read with a key.
    """

    positions: pa.Table
    rejected: pd.DataFrame
    rows: int
    drivers: pd.DataFrame


def parse_page(payload: bytes, adapter: Adapter = CONTRACT, driver_key: bytes | None = None) -> ParsedPage:
    """Positions of one page.

    A field of the wrong type, or a number that cannot be (a negative odometer), counts as absent. A position without a
    fix keeps its row and loses its place: coordinates 0/0, out of range, or only one of the two. An item without a
    device or a legible instant is rejected.

    Args:
        payload: bytes that `page_json.outline` accepts.
        adapter: the vendor's names and units.
        driver_key: key of the drivers' pseudonyms; None keeps the texts as written, for readers that store nothing.

    Raises RejectedFile: the payload is not a page of this adapter.
    """
    columns, is_object = _columns(payload, adapter)
    device, written = columns["device_id"], columns["recorded_at"]
    instants = _instants(written, adapter.fields["recorded_at"].unit)
    numbers = {name: _bounded(columns[name], name, adapter) for name in _BOUNDS}
    driver, drivers = _driver(columns["driver_id"], driver_key)
    positions = pa.table(
        {
            "device_id": device,
            "recorded_at": instants,
            **numbers,
            **_fixes(numbers["latitude"], numbers["longitude"]),
            "ignition": columns["ignition"],
            "driver_id": driver,
            "row_number": pa.array(np.arange(1, len(device) + 1, dtype=np.int64)),
        }
    )
    is_bad = pc.or_(pc.equal(device, ""), pc.is_null(instants))
    if not pc.any(is_bad).as_py():
        return ParsedPage(positions, Quarantine([], []).frame(), len(device), drivers)
    items = items_of_page(decode_page(payload), adapter)
    raws = [json.dumps(_with_driver(item, adapter, text)) for item, text in zip(items, driver.to_pylist(), strict=True)]
    rejected = _rejected(raws, adapter, device, written, instants, is_object)
    return ParsedPage(positions.filter(pc.invert(is_bad)), rejected, len(device), drivers)


def items_of(payload: bytes, adapter: Adapter = CONTRACT) -> list[Any]:
    """The items of a page without their drivers' texts. Raises RejectedFile: the payload is not a page."""
    return [_with_driver(item, adapter, None) for item in items_of_page(decode_page(payload), adapter)]


def _with_driver(item: Any, adapter: Adapter, text: str | None) -> Any:
    """The item with `text` where it names its driver, so that no name is stored beside a pseudonym."""
    path = adapter.fields["driver_id"].path if "driver_id" in adapter.fields else ()
    if not path or not isinstance(value_at(item, path), str):
        return item
    copy: Any = text
    for depth in range(len(path) - 1, -1, -1):
        copy = {**value_at(item, path[:depth]), path[depth]: copy}
    return copy


def _rejected(
    raws: list[str], adapter: Adapter, device: pa.Array, written: pa.Array, instants: pa.Array, is_object: np.ndarray
) -> pd.DataFrame:
    """The items without a device or a legible instant: row_number, reason_code, reason, raw."""
    quarantine = Quarantine(list(range(1, len(raws) + 1)), raws)
    stamp = pd.Series(pc.fill_null(written.cast(pa.string()), "").to_pandas(), dtype="str")
    device_path, stamp_path = (".".join(adapter.fields[name].path) for name in ("device_id", "recorded_at"))
    quarantine.refuse(~is_object, "bad_item", "The item is not an object.")
    quarantine.refuse(
        pc.equal(device, "").to_numpy(zero_copy_only=False),
        "missing_value",
        f"{device_path} is absent or of a wrong type.",
    )
    quarantine.refuse(stamp.eq(""), "missing_value", f"{stamp_path} is absent or of a wrong type.")
    quarantine.refuse_illegible(
        "bad_timestamp",
        stamp_path,
        stamp,
        pd.Series(instants.to_pandas()),
        "an ISO 8601 instant with an offset (or the adapter's epoch), of this century",
    )
    return quarantine.frame()


def _columns(payload: bytes, adapter: Adapter) -> tuple[dict[str, pa.Array], np.ndarray]:
    """Each field's column, of its own type or null, texts stripped and never null; and which items are objects.

    Arrow reads a page in half of the time of `json.loads`, beside other threads, but refuses all of it for one value
    of another type: then each value is read on its own.
    """
    table = _read_with_arrow(payload, adapter, _schema(adapter))
    if table is not None:
        lists = _column_at(table, adapter.items)
        if lists.null_count == 0 and lists.values.null_count == 0:
            columns = {name: _item_column(lists.values, adapter.fields.get(name), name) for name in _TYPES}
            return columns, np.ones(len(lists.values), dtype=bool)
    items = items_of_page(decode_page(payload), adapter)
    columns = {
        name: _READ_BY_VALUE[name]([value_at(item, one.path) for item in items], one)
        if (one := adapter.fields.get(name))
        else _finished(pa.nulls(len(items), _TYPES[name]), None)
        for name in _TYPES
    }
    return columns, np.array([isinstance(item, dict) for item in items], dtype=bool)


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


def _instants(written: pa.Array, unit: str) -> pa.Array:
    """Instants in UTC, µs; null where the text or number is not one, or lies outside 2000-2099."""
    to_type = pa.timestamp("us", tz="UTC")
    if unit != "iso":
        micros = pc.round(pc.multiply(written, _PER_SECOND[unit]))
        low, high = (bound.cast(pa.float64()) for bound in _YEARS)
        inside = pc.and_(pc.greater_equal(micros, low), pc.less_equal(micros, high))
        return pc.if_else(inside, micros, None).cast(pa.int64()).cast(to_type)
    lengths = pc.min_max(pc.utf8_length(written))
    if lengths["min"].as_py() == lengths["max"].as_py() == _UTC_SECOND:
        try:
            instants = written.cast(to_type)
        except pa.ArrowInvalid:
            pass
        else:
            micros = instants.cast(pa.int64())
            inside = pc.and_(pc.greater_equal(micros, _YEARS[0]), pc.less_equal(micros, _YEARS[1]))
            return pc.if_else(inside, instants, None)
    return pa.array(values.instants(pd.Series(written.to_pandas(), dtype="str")), to_type, from_pandas=True)


def _bounded(column: pa.Array, name: str, adapter: Adapter) -> pa.Array:
    """Numbers in our unit; null where not finite, outside their bounds, or (passengers) not whole."""
    mapped = adapter.fields.get(name)
    factor = UNITS.get(name, {}).get(mapped.unit, 1.0) if mapped else 1.0
    numbers = column if factor == 1.0 else pc.multiply(column, factor)
    low, high = _BOUNDS[name]
    is_valid = pc.and_(pc.is_finite(numbers), pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high)))
    if name != "passengers":
        return pc.if_else(is_valid, numbers, None)
    is_whole = pc.and_(is_valid, pc.equal(pc.floor(numbers), numbers))
    return pc.if_else(is_whole, numbers, None).cast(pa.int64())


def _fixes(latitude: pa.Array, longitude: pa.Array) -> dict[str, pa.Array]:
    """Both coordinates, or neither: what has only one of them, or stands at 0/0, is a receiver without a fix."""
    is_null_island = pc.and_(pc.equal(latitude, 0.0), pc.equal(longitude, 0.0))
    has_fix = pc.and_(pc.is_valid(latitude), pc.is_valid(longitude))
    has_fix = pc.and_(has_fix, pc.invert(pc.fill_null(is_null_island, False)))
    return {
        name: pc.if_else(has_fix, column, pa.scalar(None, pa.float64()))
        for name, column in (("latitude", latitude), ("longitude", longitude))
    }


def _driver(text: pa.Array, key: bytes | None) -> tuple[pa.Array, pd.DataFrame]:
    """Each row's driver, as a pseudonym where there is a key; and the rows of `ref.drivers` that explain them."""
    if key is None:
        return pc.if_else(pc.is_in(pc.utf8_lower(text), _NO_DRIVER), pa.scalar(None, pa.string()), text), _NO_NAMES
    encoded = text.dictionary_encode()
    identified = identify(pd.Series(encoded.dictionary.to_pylist(), dtype="str"), key)
    known = pa.array(identified["driver_id"], pa.string(), from_pandas=True)
    return known.take(encoded.indices), as_reference(identified)


def _read_with_arrow(payload: bytes, adapter: Adapter, schema: pa.Schema) -> pa.Table | None:
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
