"""Merges the positions of many pages and files into one per device and instant, whatever their order.

Reading pages is in `api_page.positions`, files in `telemetry_file`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.sphere import is_null_island

KEY = ["device_id", "recorded_at", "trip_key"]
# Two rows are compared by these columns; the first three decide which of two equally full rows wins.
_FIX = ["latitude", "longitude"]
_FACTS = [*_FIX, "odometer_km", "speed_kmh", "passengers", "ignition", "driver_id"]
_ORIGIN = ["source", "file_sha256", "file_name", "row_number"]
CONFLICT_COLUMNS = ("file_sha256", "row_number", "reason_code", "reason", "raw", "source_kind", "file_name")


def merge_positions(frames: pd.DataFrame | Iterable[pd.DataFrame]) -> tuple[pd.DataFrame, int, pd.DataFrame]:
    """One position per (device_id, recorded_at, trip_key), whatever the order of the rows.

    Equal facts are duplicates. Of unequal rows the fuller wins, then the greater (latitude, longitude, odometer_km);
    each other version is a conflict, once.

    Args:
        frames: rows of `parsed.positions`, of any number of pages and files.

    Returns:
        unique rows by key; number of duplicates; conflicts (`CONFLICT_COLUMNS`). Rows in = unique + duplicates +
        conflicts.
    """
    rows = frames if isinstance(frames, pd.DataFrame) else pd.concat(frames, ignore_index=True)
    rows, contested = _sorted(rows)
    if not contested.any():
        return rows, 0, _conflicts(rows[:0])
    versions, disputed = _sorted(_versions(rows[contested]))
    ranked = _ranked(versions[disputed])
    is_winner = ~ranked.duplicated(KEY)
    unique = pd.concat([rows[~contested], versions[~disputed], ranked.loc[is_winner, rows.columns]], ignore_index=True)
    return _sorted(unique)[0], int(contested.sum()) - len(versions), _conflicts(ranked[~is_winner])


def _sorted(rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows by key, null first, and which of them share it with another row."""
    keys = [_codes(rows[name]) for name in KEY]
    order = np.lexsort(keys[::-1])
    is_same = _same_as_before([key[order] for key in keys])
    return rows.take(order).reset_index(drop=True), is_same | np.append(is_same[1:], False)


def _codes(column: pd.Series) -> np.ndarray:
    """Whole numbers that sort and compare like the values, null first."""
    if column.dtype == "str" or column.dtype == object:
        return pd.factorize(column, sort=True)[0]
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.astype("int64").to_numpy()
    return column.to_numpy(dtype="float64", na_value=-np.inf)


def _same_as_before(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Which rows, sorted by the columns, have all of them in common with the row before."""
    is_same = np.zeros(len(columns[0]), dtype=bool)
    is_same[1:] = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
    return is_same


def _versions(rows: pd.DataFrame) -> pd.DataFrame:
    """The first row by origin of each set of equal rows.

    A day that was asked for three times is nearly all copies: comparing codes takes a tenth of ranking them.
    """
    columns = [_codes(rows[name]) for name in (*KEY, *_FACTS)]
    order = np.lexsort([*[_codes(rows[name]) for name in _ORIGIN][::-1], *columns[::-1]])
    return rows.take(order[~_same_as_before([column[order] for column in columns])])


def _ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the winner of each key first; facts beyond the rule, and the origin, only break ties.

    Coordinates (0, 0) count as absent: they are no fix, and would be greater than any latitude in Brazil.
    """
    is_placed = pd.Series(~is_null_island(*rows[_FIX].to_numpy(dtype="float64", na_value=np.nan).T), index=rows.index)
    place = rows[_FIX].where(is_placed).add_prefix("ranked_")
    facts = [*place, *_FACTS]
    ranked = rows.assign(**place)
    ranked["fullness"] = ranked[[*place, *_FACTS[2:]]].notna().sum(axis=1)
    by = [*KEY, "fullness", *facts, *_ORIGIN]
    is_ascending = [*[True] * len(KEY), *[False] * (1 + len(facts)), *[True] * len(_ORIGIN)]
    return ranked.sort_values(by, ascending=is_ascending, na_position="last", kind="stable")


def _conflicts(losers: pd.DataFrame) -> pd.DataFrame:
    facts = losers[[*KEY, *_FACTS]]
    lines = facts.to_json(orient="records", lines=True, date_format="iso", date_unit="us") if len(facts) else ""
    return pd.DataFrame(
        {
            "file_sha256": losers["file_sha256"],
            "row_number": losers["row_number"],
            "reason_code": "conflict",
            "reason": "Another row of this device and instant was used, being fuller or greater: check the device.",
            "raw": pd.Series(lines.splitlines(), index=losers.index, dtype="str"),
            "source_kind": losers["source"].map({"api": "api", "file": "telemetry"}),
            "file_name": losers["file_name"],
        },
        columns=list(CONFLICT_COLUMNS),
    ).reset_index(drop=True)
