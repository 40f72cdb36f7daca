"""Pages of the telemetry API to positions, and positions of many pages and files to one a device and instant.

Asking for pages belongs in `sources`; files of positions are read in `telemetry_file`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fleet_audit.formats import values
from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.formats.quarantine import Quarantine
from fleet_audit.schema.derive import conform
from fleet_audit.schema.lake import PARSED_POSITIONS, STAGING_POSITIONS

_NUMBERS = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "speed_kmh": (0.0, None),
    "odometer_km": (0.0, None),
}
_KEY = ["device_id", "recorded_at", "trip_key"]
# What two rows are compared by; the first three decide which of two equally full rows wins.
_FACTS = ["latitude", "longitude", "odometer_km", "speed_kmh", "passengers", "ignition", "driver_id"]
_ORIGIN = ["source", "file_sha256", "file_name", "row_number"]
_MOST_PASSENGERS = 10**6
CONFLICT_COLUMNS = ("file_sha256", "row_number", "reason_code", "reason", "raw", "source_kind", "file_name")


def parse_page(payload: bytes, sha256: str, page_name: str) -> tuple[pd.DataFrame, pd.DataFrame, str | None]:
    """Positions of one page of the telemetry API.

    A field of the wrong type, or a number that cannot be (a latitude of 91, a negative odometer), counts as absent; an
    item without a device or a legible instant is rejected.

    Returns:
        positions (`parsed.positions`), rejected items (row_number, reason_code, reason, raw), next cursor.

    Raises:
        RejectedFile: the payload is no page: not JSON (a connection cut mid-body), or without `data`.
    """
    items, cursor = _page(payload)
    rows = [item if isinstance(item, dict) else {} for item in items]
    column: dict[str, list[Any]] = {
        name: [row.get(name) for row in rows]
        for name in ("device_id", "timestamp", "ignition", "driver_id", "passengers", *_NUMBERS)
    }
    quarantine = Quarantine(list(range(1, len(items) + 1)), [])
    device, written = _texts(column["device_id"]), _texts(column["timestamp"])
    instants = values.instants(written)
    quarantine.refuse([not isinstance(item, dict) for item in items], "bad_item", "The item is no object.")
    quarantine.refuse(device.eq(""), "missing_value", "device_id is absent or no text.")
    quarantine.refuse(written.eq(""), "missing_value", "timestamp is absent or no text.")
    quarantine.refuse_illegible(
        "bad_timestamp", "timestamp", written, instants, "an ISO 8601 instant with an offset, of this century"
    )
    driver = _texts(column["driver_id"])
    frame = pd.DataFrame(
        {
            "device_id": device,
            "recorded_at": instants,
            **{name: _numbers(column[name], *bounds) for name, bounds in _NUMBERS.items()},
            "ignition": pd.array(
                [value if isinstance(value, bool) else None for value in column["ignition"]], dtype="boolean"
            ),
            "driver_id": values.nullable(driver.mask(driver.str.lower().eq("unknown"), "")),
            "passengers": _counts(column["passengers"]),
            "trip_key": pd.Series([None] * len(rows), dtype="str"),
            "source": "api",
            "file_sha256": sha256,
            "file_name": page_name,
            "row_number": quarantine.row_number,
        }
    )
    raws = pd.Series(
        [json.dumps(item) if is_bad else "" for item, is_bad in zip(items, quarantine.is_bad, strict=True)],
        dtype=object,
    )
    return conform(frame[~quarantine.is_bad], PARSED_POSITIONS), quarantine.frame(raws), cursor


def _page(payload: bytes) -> tuple[list[object], str | None]:
    try:
        page = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise RejectedFile("The page is not whole JSON; ask for it again.") from error
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        raise RejectedFile("The page has no list 'data'; check the base URL of the telemetry API.")
    cursor = page.get("next_cursor")
    if cursor is not None and not isinstance(cursor, str):
        raise RejectedFile("The page's next_cursor is no text; the pages after it cannot be asked for.")
    return page["data"], cursor or None


def _texts(column: list[Any]) -> pd.Series:
    """Stripped texts; anything else is empty, and so is a text that UTF-8 cannot hold (half a surrogate pair)."""
    try:
        array = pa.array(column, type=pa.large_string())
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        array = pa.array(
            [value if isinstance(value, str) and _is_encodable(value) else None for value in column],
            type=pa.large_string(),
        )
    return pd.Series(array.to_pandas(), dtype="str").fillna("").str.replace("\x00", "", regex=False).str.strip()


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _numbers(column: list[Any], minimum: float, maximum: float | None) -> pd.Series:
    """Finite numbers inside the bounds as `float64`; anything else is absent."""
    parsed = _typed(column, lambda value: isinstance(value, (int, float)) and not isinstance(value, bool))
    numbers = pd.Series(parsed, dtype="float64")
    return numbers.where(np.isfinite(numbers) & values.within(numbers, minimum, maximum))


def _counts(column: list[Any]) -> pd.Series:
    """Whole numbers from zero as `Int64`; anything else is absent."""
    numbers = _numbers(column, 0, _MOST_PASSENGERS)
    return numbers.where(numbers.mod(1).eq(0)).astype("Int64")


def _typed(column: list[Any], is_typed: Callable[[Any], bool]) -> np.ndarray:
    """The column as floats: in one pass when every value is a number, value by value when one is not."""
    try:
        array = pa.array(column)
        if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_null(array.type):
            return array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass
    return np.array([_as_float(value) if is_typed(value) else math.nan for value in column], dtype="float64")


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.nan


def merge_positions(frames: pd.DataFrame | Iterable[pd.DataFrame]) -> tuple[pd.DataFrame, int, pd.DataFrame]:
    """One position a (device_id, recorded_at, trip_key), whatever the order in which rows come.

    Equal facts are duplicates. Of unequal rows the fuller wins, then the greater (latitude, longitude, odometer_km);
    each other version is a conflict, once.

    Args:
        frames: rows of `parsed.positions`, of any number of pages and files.

    Returns:
        unique rows by key; number of duplicates; conflicts (`CONFLICT_COLUMNS`). Rows in = unique + duplicates +
        conflicts.
    """
    rows = frames if isinstance(frames, pd.DataFrame) else pd.concat(frames, ignore_index=True)
    contested = rows.duplicated(_KEY, keep=False).to_numpy()
    ranked = _ranked(rows[contested])
    versions = ranked[~ranked.duplicated([*_KEY, *_FACTS])]
    is_winner = ~versions.duplicated(_KEY)
    unique = pd.concat([rows[~contested], versions.loc[is_winner, rows.columns]], ignore_index=True)
    unique = unique.sort_values(list(STAGING_POSITIONS.sort), kind="stable", na_position="first", ignore_index=True)
    return unique, len(ranked) - len(versions), _conflicts(versions[~is_winner])


def _ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the winner of each key first; the facts beyond the rule and the origin only settle ties."""
    fullness = rows[_FACTS].notna().sum(axis=1)
    by = [*_KEY, "fullness", *_FACTS, *_ORIGIN]
    is_ascending = [*[True] * len(_KEY), *[False] * (1 + len(_FACTS)), *[True] * len(_ORIGIN)]
    return rows.assign(fullness=fullness).sort_values(by, ascending=is_ascending, na_position="last", kind="stable")


def _conflicts(losers: pd.DataFrame) -> pd.DataFrame:
    said = losers[[*_KEY, *_FACTS]]
    lines = said.to_json(orient="records", lines=True, date_format="iso", date_unit="us") if len(said) else ""
    return pd.DataFrame(
        {
            "file_sha256": losers["file_sha256"],
            "row_number": losers["row_number"],
            "reason_code": "conflict",
            "reason": "Another row of this device and instant was taken, being fuller or greater: check the device.",
            "raw": pd.Series(lines.splitlines(), index=losers.index, dtype="str"),
            "source_kind": losers["source"].map({"api": "api", "file": "telemetry"}),
            "file_name": losers["file_name"],
        },
        columns=list(CONFLICT_COLUMNS),
    ).reset_index(drop=True)
