"""MEOS, the compiled library of MobilityDB: a sequence of points per device, and the stops that it finds in it."""

from __future__ import annotations

import datetime as dt

import cffi
import numpy as np
import pyarrow.parquet as pq
from harness import run
from joining import join, of_stops
from pymeos import TGeogPointSeq, pymeos_initialize
from pymeos_cffi import InterpolationType, tpointseq_make_coords

WITHIN_M, LEAST = 150.0, dt.timedelta(seconds=180)
EPOCH_US = 946_684_800_000_000  # MEOS counts µs from 2000 on
FFI = cffi.FFI()


def trips(positions: str, places: str) -> dict:
    table = pq.read_table(
        positions, columns=["device_id", "recorded_at", "latitude", "longitude"], read_dictionary=["device_id"]
    ).combine_chunks()
    names = table["device_id"].chunk(0).dictionary.to_numpy(zero_copy_only=False)
    device = table["device_id"].chunk(0).indices.to_numpy()
    micros = table["recorded_at"].to_numpy().astype("datetime64[us]").astype(np.int64) - EPOCH_US
    lat, lon = table["latitude"].to_numpy(), table["longitude"].to_numpy()
    order = np.lexsort((micros, device))
    device, micros, lat, lon = device[order], micros[order], lat[order], lon[order]
    keep = ~np.isnan(lat)
    keep[1:] &= (device[1:] != device[:-1]) | (micros[1:] != micros[:-1])
    device, micros, lat, lon = device[keep], micros[keep], lat[keep], lon[keep]
    begins = np.flatnonzero(np.diff(device, prepend=-1))
    ends = np.append(begins[1:], len(device))
    found = [_stops(low, high, micros, lat, lon) for low, high in zip(begins.tolist(), ends.tolist(), strict=True)]
    stops = np.concatenate(found)
    owner = np.repeat(names[device[begins]], [len(each) for each in found])
    return join(of_stops(owner, *stops.T), places)


def _stops(low: int, high: int, micros: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Arrival, departure (s since 1970) and median place of each stop of the device whose rows are low:high."""
    track = TGeogPointSeq(
        _inner=tpointseq_make_coords(
            _pointer(lon[low:high]), _pointer(lat[low:high]), FFI.NULL, _pointer(micros[low:high]), high - low, 4326,
            True, True, True, InterpolationType.LINEAR, False,
        )
    )  # fmt: skip
    stops = track.stops(WITHIN_M, LEAST)
    if stops is None:
        return np.empty((0, 4))
    edges = [(stop.start_timestamp(), stop.end_timestamp()) for stop in stops.sequences()]
    spans = np.array([(arrived.timestamp(), left.timestamp()) for arrived, left in edges])
    at = (micros[low:high] + EPOCH_US) / 1e6
    first, last = low + np.searchsorted(at, spans[:, 0]), low + np.searchsorted(at, spans[:, 1], side="right")
    middles = [(np.median(lat[a:b]), np.median(lon[a:b])) for a, b in zip(first, last, strict=True)]
    return np.column_stack([spans, middles])


def _pointer(values: np.ndarray) -> cffi.FFI.CData:
    return FFI.cast("void *", FFI.from_buffer(np.ascontiguousarray(values)))


if __name__ == "__main__":
    pymeos_initialize()
    run(trips)
