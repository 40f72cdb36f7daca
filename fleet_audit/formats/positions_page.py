"""Pages of a telemetry API to positions, by the names and units of the vendor's adapter.

Asking for pages belongs in `sources`; one position of many rows of a device and instant in `positions_merge`.
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
from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.formats.quarantine import Quarantine

_BOUNDS = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "speed_kmh": (0.0, math.inf),
    "odometer_km": (0.0, math.inf),
    "passengers": (0.0, 10.0**6),
}
_UTC_SECOND = len("2025-06-10T09:04:35Z")  # this form Arrow casts in 1 ms a page; any other is read as files' texts are
_YEARS = (pa.scalar(946_684_800_000_000), pa.scalar(4_102_444_799_999_999))  # 2000-2099 in µs, as `values.instants`
_PER_SECOND = {"s": 1e6, "ms": 1e3}
_WRONG_BOOLEAN = pa.scalar(None, pa.bool_())


@dataclass(frozen=True)
class ParsedPage:
    """One page, read: `rows` items = positions + rejected items, a rejected one counted once.

    Attributes:
        positions: device_id, recorded_at, the facts and row_number (1 = first item), in the page's order.
        rejected: row_number, reason_code, reason, raw.
    """

    positions: pa.Table
    rejected: pd.DataFrame
    rows: int


def outline(payload: bytes, adapter: Adapter = CONTRACT) -> tuple[int, str | None]:
    """Number of items, and next cursor (None on the last page).

    Raises RejectedFile: the payload is no page (not whole JSON: a connection cut mid-body; or without its list).
    """
    table = _by_arrow(payload, adapter, _outline_schema(adapter))
    if table is not None:
        items = _at(table, adapter.items)
        if items.null_count == 0:
            more = _at(table, adapter.has_more)[0].as_py() if adapter.has_more else True
            cursor = _at(table, adapter.next_cursor)[0].as_py()
            return len(items.values), (cursor or None) if more else None
    page = _by_python(payload)
    items = _listed(page, adapter)
    cursor = _get(page, adapter.next_cursor)
    if cursor is not None and not isinstance(cursor, str):
        raise RejectedFile(
            f"The page's {'.'.join(adapter.next_cursor)} is no text; the pages after it are out of reach."
        )
    is_last = bool(adapter.has_more) and _get(page, adapter.has_more) is not True
    return len(items), None if is_last else cursor or None


def parse_page(payload: bytes, adapter: Adapter = CONTRACT) -> ParsedPage:
    """Positions of one page.

    A field of the wrong type, or a number that cannot be (a latitude of 91, a negative odometer), counts as absent; an
    item without a device or a legible instant is rejected.

    Raises RejectedFile: the payload is no page.
    """
    columns, is_object = _columns(payload, adapter)
    device, written = columns["device_id"], columns["recorded_at"]
    instants = _instants(written, adapter.fields["recorded_at"].unit)
    number = pa.array(np.arange(1, len(device) + 1, dtype=np.int64))
    positions = pa.table(
        {
            "device_id": device,
            "recorded_at": instants,
            **{name: _bounded(columns[name], name, adapter) for name in _BOUNDS},
            "ignition": columns["ignition"],
            "driver_id": _driver(columns["driver_id"]),
            "row_number": number,
        }
    )
    is_bad = pc.or_(pc.equal(device, ""), pc.is_null(instants))
    if not pc.any(is_bad).as_py():
        return ParsedPage(positions, Quarantine([], []).frame(), len(device))
    rejected = _rejected(payload, adapter, device, written, instants, is_object)
    return ParsedPage(positions.filter(pc.invert(is_bad)), rejected, len(device))


def items_of(payload: bytes, adapter: Adapter = CONTRACT) -> list[Any]:
    """The items of a page as they are. Raises RejectedFile: the payload is no page."""
    return _listed(_by_python(payload), adapter)


def _rejected(
    payload: bytes, adapter: Adapter, device: pa.Array, written: pa.Array, instants: pa.Array, is_object: np.ndarray
) -> pd.DataFrame:
    items = _listed(_by_python(payload), adapter)
    quarantine = Quarantine(list(range(1, len(items) + 1)), [json.dumps(item) for item in items])
    stamp = pd.Series(pc.fill_null(written.cast(pa.string()), "").to_pandas(), dtype="str")
    device_path, stamp_path = (".".join(adapter.fields[name].path) for name in ("device_id", "recorded_at"))
    quarantine.refuse(~is_object, "bad_item", "The item is no object.")
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
    """Each field's column, of its own type or null, texts stripped and never null; which items are objects.

    Arrow reads a page in half of the time of `json.loads`, beside other threads, but refuses it whole for one value of
    another type: then each value is looked at.
    """
    table = _by_arrow(payload, adapter, _schema(adapter))
    if table is not None:
        lists = _at(table, adapter.items)
        if lists.null_count == 0 and lists.values.null_count == 0:
            columns = {name: _item_column(lists.values, adapter.fields.get(name), name) for name in _TYPES}
            return columns, np.ones(len(lists.values), dtype=bool)
    items = _listed(_by_python(payload), adapter)
    columns = {
        name: _READ_SLOWLY[name]([_get(item, one.path) for item in items], one)
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
    """Ids as text, words of a flag as booleans, texts stripped and empty where null."""
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
    """UTC in µs; null where the text or number is none, or outside of 2000-2099."""
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
    """In our unit; null where the number is not finite, outside of its bounds, or (passengers) not whole."""
    mapped = adapter.fields.get(name)
    factor = UNITS.get(name, {}).get(mapped.unit, 1.0) if mapped else 1.0
    numbers = column if factor == 1.0 else pc.multiply(column, factor)
    low, high = _BOUNDS[name]
    is_valid = pc.and_(pc.is_finite(numbers), pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high)))
    if name != "passengers":
        return pc.if_else(is_valid, numbers, None)
    is_whole = pc.and_(is_valid, pc.equal(pc.floor(numbers), numbers))
    return pc.if_else(is_whole, numbers, None).cast(pa.int64())


def _driver(text: pa.Array) -> pa.Array:
    is_none = pc.is_in(pc.utf8_lower(text), pa.array(["", "unknown"]))
    return pc.if_else(is_none, pa.scalar(None, pa.string()), text)


def _by_arrow(payload: bytes, adapter: Adapter, schema: pa.Schema) -> pa.Table | None:
    """The page as one row of the schema; None when it is not exactly that: it is for Python to say what it is then."""
    if b"\n" in payload or b"\r" in payload:  # for Arrow the end of a document; inside of a JSON text it is escaped
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


def _at(table: pa.Table, path: Sequence[str]) -> pa.Array:
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


@cache
def _outline_schema(adapter: Adapter) -> pa.Schema:
    """Without the items' fields: counting them takes a third of reading them."""
    return _answer_schema(adapter, pa.struct([]))


def _answer_schema(adapter: Adapter, item: pa.DataType) -> pa.Schema:
    paths: dict[tuple[str, ...], pa.DataType] = {adapter.items: pa.list_(item), adapter.next_cursor: pa.string()}
    if adapter.has_more:
        paths[adapter.has_more] = pa.bool_()
    return pa.schema(list(_nested(paths)))


def _nested(paths: Mapping[tuple[str, ...], pa.DataType]) -> pa.StructType:
    """The struct whose leaves stand at the paths."""
    fields = []
    for name in dict.fromkeys(path[0] for path in paths):
        below = {path[1:]: kind for path, kind in paths.items() if path[0] == name}
        fields.append(pa.field(name, below[()] if () in below else _nested(below)))
    return pa.struct(fields)


def _by_python(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise RejectedFile("The page is not whole JSON; ask for it again.") from error


def _listed(page: Any, adapter: Adapter) -> list[Any]:
    items = _get(page, adapter.items)
    if not isinstance(items, list):
        raise RejectedFile(f"The page has no list '{'.'.join(adapter.items)}'; check FLEET_API_URL and the adapter.")
    return items


def _get(item: Any, path: Sequence[str]) -> Any:
    for name in path:
        item = item.get(name) if isinstance(item, dict) else None
    return item


def _texts(column: Sequence[Any], mapped: Field) -> pa.Array:
    """Texts, or the numbers of an integer id; else empty, as what UTF-8 cannot hold (half a surrogate pair)."""
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


_READ_SLOWLY: dict[str, Callable[[Sequence[Any], Field], pa.Array]] = {
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
