"""The rules in numpy: whole columns, one packed sort, no loop."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
from harness import run
from joining import EARTH_RADIUS_M, join

COLUMNS = ["device_id", "recorded_at", "latitude", "longitude", "odometer_km"]


def trips(positions: str, places: str) -> dict:
    table = pq.read_table(positions, columns=COLUMNS, read_dictionary=["device_id"]).combine_chunks()
    names = table["device_id"].chunk(0).dictionary.to_numpy(zero_copy_only=False)
    device = table["device_id"].chunk(0).indices.to_numpy()
    seconds = table["recorded_at"].to_numpy().astype("datetime64[us]").astype(np.int64) // 1_000_000
    order = _order(device, seconds)
    device, seconds = device[order], seconds[order]
    lat, lon, odometer = (table[name].to_numpy()[order] for name in COLUMNS[2:])
    keep = ~_repeats(device, seconds) & ~np.isnan(lat)
    device, seconds, lat, lon, odometer = (values[keep] for values in (device, seconds, lat, lon, odometer))
    metres = _steps(lat, lon, slice(None, -1), slice(1, None))
    keep = ~_outliers(device, lat, lon, odometer, metres)
    device, seconds, lat, lon, odometer = (values[keep] for values in (device, seconds, lat, lon, odometer))
    if not keep.all():
        metres = _steps(lat, lon, slice(None, -1), slice(1, None))
    same = device[1:] == device[:-1]
    elapsed = seconds[1:] - seconds[:-1]
    splits = ~same | ((elapsed > 3600) & (metres > 150))
    standing = ~splits & (metres * 3.6 < 5 * elapsed)
    path = np.append(0, np.cumsum(np.where(same, metres, 0))) / 1000
    part = np.append(0, np.cumsum(splits))
    edge = np.diff(np.concatenate([[False], standing, [False]]).astype(np.int8))
    first, last = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
    middle = (first + last) // 2
    return join(
        {
            "device_id": names[device[first]], "part": part[first], "first_at": seconds[first].astype(float),
            "last_at": seconds[last].astype(float), "standing_s": (seconds[last] - seconds[first]).astype(float),
            "latitude": lat[middle], "longitude": lon[middle], "path_first": path[first], "path_last": path[last],
            "odometer_first": odometer[first], "odometer_last": odometer[last],
        },
        places,
    )  # fmt: skip


def _order(device: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Device, time and row in one number: sorting values is twice as fast as finding their order."""
    rows, span = max(len(device), 2), int(seconds.max() - seconds.min()) + 1
    bits = int(rows - 1).bit_length()
    packed = ((device.astype(np.int64) * span + (seconds - seconds.min())) << bits) | np.arange(rows)
    packed.sort()
    return packed & ((1 << bits) - 1)


def _repeats(device: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    return np.append(False, (device[1:] == device[:-1]) & (seconds[1:] == seconds[:-1]))


def _steps(lat: np.ndarray, lon: np.ndarray, a: slice | np.ndarray, b: slice | np.ndarray) -> np.ndarray:
    lat, lon = np.radians(lat), np.radians(lon)
    cos = np.cos(lat)
    chord = np.sin((lat[b] - lat[a]) / 2) ** 2 + cos[a] * cos[b] * np.sin((lon[b] - lon[a]) / 2) ** 2
    return 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(chord))


def _outliers(device, lat, lon, odometer, metres) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Points whose neighbours agree while they lie off, and the odometer did not count the way."""
    is_off = np.zeros(len(device), dtype=bool)
    at = np.flatnonzero((metres[:-1] > 150) & (device[:-2] == device[2:])) + 1
    back = _steps(lat, lon, at - 1, at + 1) <= 150
    counted = (odometer[at + 1] - odometer[at - 1]) * 1000
    is_off[at[back & ~(counted >= metres[at - 1])]] = True
    return is_off


if __name__ == "__main__":
    run(trips)
