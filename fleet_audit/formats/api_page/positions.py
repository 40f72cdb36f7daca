"""Reads positions from the pages of a telemetry API, by the names and units of the vendor's adapter.

Requests belong in `sources`, the JSON of a page in `decoding`, rows of one device and instant in `positions_merge`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.formats import values
from fleet_audit.formats.adapter import CONTRACT, UNITS, Adapter
from fleet_audit.formats.api_page.columns import columns_of_page
from fleet_audit.formats.api_page.decoding import decode_page, items_of_page, value_at
from fleet_audit.formats.api_page.wrong_types import impossible_odometers
from fleet_audit.formats.drivers import identify_text
from fleet_audit.formats.numbers import LARGEST_ODOMETER_KM
from fleet_audit.formats.parsed import empty_rejected
from fleet_audit.formats.quarantine import Quarantine

_BOUNDS = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "speed_kmh": (0.0, math.inf),
    "odometer_km": (0.0, LARGEST_ODOMETER_KM),
    "passengers": (0.0, 10.0**6),
}
# Arrow casts these forms in 1 ms per page of 10,000; other forms are read as the texts of files are, in 23 ms
_UTC_FORMS = pa.array([len(form) for form in ("2025-06-10T09:04:35Z", "2025-06-10T09:04:35.250Z",
                                              "2025-06-10T09:04:35.250000Z")], pa.int32())  # fmt: skip
_YEARS = (pa.scalar(946_684_800_000_000), pa.scalar(4_102_444_799_999_999))  # 2000-2099 in µs, as `values.instants`
_PER_SECOND = {"s": 1e6, "ms": 1e3}
_NO_DRIVER = pa.array(["", "unknown"])


@dataclass(frozen=True)
class ParsedPage:
    """One page, read: `rows` items = positions + rejected items, a rejected one counted once.

    Attributes:
        positions: device_id, recorded_at, the facts and row_number (1 = first item), in the page's order.
        rejected: row_number, reason_code, reason, raw.
        drivers: driver_id and name of each driver that the page names, when it was read with a key; one with several
            spellings has them all.
        wrong: values of positions that count as absent for their type, or as no odometer's (`wrong_types`).
    """

    positions: pa.Table
    rejected: pd.DataFrame
    rows: int
    drivers: frozenset[tuple[str, str]]
    wrong: pd.DataFrame


def parse_page(payload: bytes, adapter: Adapter = CONTRACT, driver_key: bytes | None = None) -> ParsedPage:
    """Positions of one page.

    A field of the wrong type, or a number that cannot be (an odometer below 0 or beyond any dial), counts as absent. A
    position without a fix keeps its row and loses its place: coordinates out of range, or only one of the two, become
    0/0, which is not a place. An item without a device or a legible instant is rejected.

    Args:
        payload: bytes that `decoding.outline` accepts.
        adapter: the vendor's names and units.
        driver_key: key of the drivers' pseudonyms; None keeps the texts as written, for readers that store nothing.

    Raises RejectedFile: the payload is not a page of this adapter.
    """
    columns, is_object, wrong = columns_of_page(payload, adapter)
    device, written = columns["device_id"], columns["recorded_at"]
    instants = _instants(written, adapter.fields["recorded_at"].unit)
    numbers = {name: _bounded(columns[name], name, adapter) for name in _BOUNDS}
    impossible = impossible_odometers(columns["odometer_km"], numbers["odometer_km"], adapter)
    wrong = pd.concat([wrong, impossible], ignore_index=True) if len(impossible) else wrong
    driver, drivers = _driver(columns["driver_id"], driver_key)
    positions = pa.table(
        {
            "device_id": device,
            "recorded_at": instants,
            **numbers,
            **_fixes(columns, numbers),
            "ignition": columns["ignition"],
            "driver_id": driver,
            "row_number": pa.array(np.arange(1, len(device) + 1, dtype=np.int64)),
        }
    )
    is_bad = pc.or_(pc.equal(device, ""), pc.is_null(instants))
    if not pc.any(is_bad).as_py():
        return ParsedPage(positions, empty_rejected(), len(device), drivers, wrong)
    items = items_of_page(decode_page(payload), adapter)
    raws = [json.dumps(_with_driver(item, adapter, text)) for item, text in zip(items, driver.to_pylist(), strict=True)]
    rejected = _rejected(raws, adapter, device, written, instants, is_object)
    wrong = wrong[~wrong["row_number"].isin(rejected["row_number"])]
    return ParsedPage(positions.filter(pc.invert(is_bad)), rejected, len(device), drivers, wrong)


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


def _instants(written: pa.Array, unit: str) -> pa.Array:
    """Instants in UTC, µs; null where the text or number is not one, or lies outside 2000-2099."""
    to_type = pa.timestamp("us", tz="UTC")
    if unit != "iso":
        micros = pc.round(pc.multiply(written, _PER_SECOND[unit]))
        low, high = (bound.cast(pa.float64()) for bound in _YEARS)
        inside = pc.and_(pc.greater_equal(micros, low), pc.less_equal(micros, high))
        return pc.if_else(inside, micros, None).cast(pa.int64()).cast(to_type)
    if pc.all(pc.and_(pc.is_in(pc.utf8_length(written), _UTC_FORMS), pc.ends_with(written, "Z"))).as_py():
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


def _fixes(sent: dict[str, pa.Array], numbers: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Latitude and longitude: both, or (0, 0) where the device sent what is not a fix, or neither where it sent none.

    No fix are 0/0, coordinates out of range, and only one of the two. A device that sends such pairs for a whole day
    is driven by its odometer; one that never sends a place reports events, whose readings alone count. NaN and Infinity
    are null as other writers put it: nothing was sent.
    """
    latitude, longitude = numbers["latitude"], numbers["longitude"]
    has_fix = pc.and_(pc.is_valid(latitude), pc.is_valid(longitude))
    is_sent = pc.or_(*(pc.fill_null(pc.is_finite(sent[name]), False) for name in ("latitude", "longitude")))
    no_fix = pc.if_else(is_sent, pa.scalar(0.0), pa.scalar(None, pa.float64()))
    return {name: pc.if_else(has_fix, numbers[name], no_fix) for name in ("latitude", "longitude")}


def _driver(text: pa.Array, key: bytes | None) -> tuple[pa.Array, frozenset[tuple[str, str]]]:
    """Each row's driver, as a pseudonym where there is a key; and the pseudonyms with their names.

    No frame is made: each page of a fleet names the same drivers, and pandas took a third of what a page costs.
    """
    if key is None:
        return pc.if_else(pc.is_in(pc.utf8_lower(text), _NO_DRIVER), pa.scalar(None, pa.string()), text), frozenset()
    encoded = text.dictionary_encode()
    identified = [identify_text(one, key)[:2] for one in encoded.dictionary.to_pylist()]
    known = pa.array([driver_id for driver_id, _ in identified], pa.string())
    names = frozenset((driver_id, name) for driver_id, name in identified if driver_id is not None and name is not None)
    return known.take(encoded.indices), names
