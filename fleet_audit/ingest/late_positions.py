"""Digests of each staged hour, and the computed days that are outdated because an hour of their window changed since.

Which runs follow is decided in `defs`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.logic.primitives.window import days_that_read, partition_window, window_days
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import POSITION_HOURS
from fleet_audit.storage.warehouse import Warehouse

_HOUR_US = 3_600_000_000
_FACTS = (
    "device_id",
    "recorded_at",
    "trip_key",
    "latitude",
    "longitude",
    "odometer_km",
    "speed_kmh",
    "passengers",
    "ignition",
    "driver_id",
)
_MIXER = np.uint64(0x9E3779B97F4A7C15)  # odd: multiplying by it loses nothing


class HourDigests:
    """Sums of the rows' hashes per hour, equal for equal rows in any order and of any origin."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.sums: dict[int, int] = {}

    def add(self, part: pa.Table) -> None:
        """Adds rows of `staging.positions`."""
        if not part.num_rows:
            return
        hashes = np.zeros(part.num_rows, dtype=np.uint64)
        for name in _FACTS:
            hashes = (hashes ^ _hashed(part.column(name))) * _MIXER
            hashes ^= hashes >> np.uint64(29)
        hours = part.column("recorded_at").cast(pa.int64()).to_numpy() // _HOUR_US
        values, inverse = np.unique(hours, return_inverse=True)
        sums = np.zeros(len(values), dtype=np.uint64)
        np.add.at(sums, inverse, hashes)
        for hour, count, total in zip(values.tolist(), np.bincount(inverse).tolist(), sums.tolist(), strict=True):
            self.rows[hour] = self.rows.get(hour, 0) + count
            self.sums[hour] = (self.sums.get(hour, 0) + total) % 2**64

    def frame(self, day: dt.date) -> pd.DataFrame:
        """hour_at, partition_date, rows_accepted, digest."""
        hours = sorted(self.rows)
        return pd.DataFrame(
            {
                "hour_at": pd.to_datetime([hour * 3600 for hour in hours], unit="s", utc=True),
                "partition_date": [day] * len(hours),
                "rows_accepted": [self.rows[hour] for hour in hours],
                "digest": pd.Series([f"{self.sums[hour]:016x}" for hour in hours], dtype="str"),
            }
        )


def _hashed(column: pa.ChunkedArray) -> np.ndarray:
    """One number per value, equal for equal values; null is a value too."""
    if pa.types.is_string(column.type):
        encoded = column.combine_chunks().dictionary_encode()
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        words = pd.util.hash_array(np.array([*encoded.dictionary.to_pylist(), None], dtype=object))
        return words[pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy(zero_copy_only=False)]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    numbers = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
    return pd.util.hash_array(numbers + 0.0)  # -0.0 is 0.0


def record_hours(warehouse: Warehouse, day: dt.date, found: HourDigests, run_id: str) -> None:
    """Records when the rows of each hour of a day last changed; an hour that lost all rows is empty since then."""
    known = warehouse.read(
        "select hour_at, digest as known_digest from ops.position_hours where partition_date = :day", {"day": day}
    )
    hours = found.frame(day).merge(known, on="hour_at", how="outer")
    hours = hours.assign(
        partition_date=day, rows_accepted=hours["rows_accepted"].fillna(0), digest=hours["digest"].fillna("")
    )
    changed = hours[hours["digest"] != hours["known_digest"].fillna("unknown")]
    if len(changed):
        stamped = changed.assign(changed_at=pd.Timestamp.now("UTC"), run_id=run_id)
        warehouse.upsert(POSITION_HOURS, stamped.drop(columns="known_digest"))


def changed_hours(warehouse: Warehouse, since: dt.datetime) -> pd.DataFrame:
    """Rows of `ops.position_hours` that changed after an instant, in order of their hours."""
    sql = "select * from ops.position_hours where changed_at > :since order by hour_at"
    return conform(warehouse.read(sql, {"since": since}), POSITION_HOURS)


def window_hours(warehouse: Warehouse, days: Iterable[dt.date]) -> pd.DataFrame:
    """Rows of `ops.position_hours` in the windows of days, in order of their hours."""
    read = sorted({one for day in days for one in window_days(day)})
    sql = "select * from ops.position_hours where partition_date = any(:days) order by hour_at"
    return conform(warehouse.read(sql, {"days": read}), POSITION_HOURS)


@dataclass(frozen=True)
class Computed:
    """When and by which run a day was last computed."""

    run_id: str
    started_at: pd.Timestamp


def touched_days(hours: pd.DataFrame) -> list[dt.date]:
    """Days whose window holds one of the hours."""
    return sorted(
        {
            reader
            for day in set(hours["partition_date"])
            for reader in days_that_read(day)
            if _in_window(hours[hours["partition_date"] == day], reader).any()
        }
    )


def outdating_hours(hours: pd.DataFrame, computed: Mapping[dt.date, Computed]) -> dict[dt.date, pd.DataFrame]:
    """The outdated ones of the computed days in order, with their hours that had passed by then and changed since.

    An hour that was still in the future is not late: each day's own run reads it.

    Args:
        hours: rows of `ops.position_hours`.
        computed: the days that were computed; other days cannot be outdated.
    """
    late = {
        day: hours[
            _in_window(hours, day)
            & (hours["hour_at"] + pd.Timedelta(hours=1) <= run.started_at)
            & (hours["changed_at"] > run.started_at)
            & (hours["run_id"] != run.run_id)  # what a run staged itself it has also read
        ]
        for day, run in sorted(computed.items())
    }
    return {day: rows for day, rows in late.items() if len(rows)}


def hours_digest(hours: pd.DataFrame) -> str:
    """24 hex digits, the same for the same content of the same hours, left by the same runs."""
    rows = hours.drop_duplicates("hour_at").sort_values("hour_at")
    content = zip(rows["hour_at"].astype("str"), rows["digest"], rows["run_id"], strict=True)
    return hashlib.sha256("\n".join(map(" ".join, content)).encode()).hexdigest()[:24]


def _in_window(hours: pd.DataFrame, day: dt.date) -> pd.Series:
    window = partition_window(day)
    return (hours["hour_at"] >= window.start) & (hours["hour_at"] < window.end)
