"""Positions as plain arrays: the columns of `staging.positions` that tracks are made of, without an object per row.

Which of them belong to which vehicle is decided in `tracks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.logic.primitives.workers.threads import run_in_threads
from fleet_audit.logic.trips.kernels.order import any_beyond

NUMBER_COLUMNS = ("latitude", "longitude", "odometer_km", "speed_kmh", "passengers")
CODED_TEXTS = {"device": "device_id", "driver": "driver_id", "trip_key": "trip_key"}
TEXT_COLUMNS = [*CODED_TEXTS.values()]
POSITION_COLUMNS = ["recorded_at", *TEXT_COLUMNS, *NUMBER_COLUMNS, "ignition"]  # of staging.positions
_MOST = {"odometer_km": 1e9}  # a greater number cannot be a reading, whatever its unit, and fits no column of km


@dataclass(frozen=True)
class PositionArrays:
    """Positions as plain arrays, in any order: 60 bytes per row, where a frame with its texts takes 83.

    `micros` are since 1970; `ignition` is 1 on, 0 off, -1 unknown; `device`, `driver` and `trip_key` hold codes (-1:
    none) into the texts of `names`.
    """

    micros: np.ndarray
    device: np.ndarray
    driver: np.ndarray
    trip_key: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    odometer_km: np.ndarray
    speed_kmh: np.ndarray
    passengers: np.ndarray
    ignition: np.ndarray
    names: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, positions: pa.Table) -> PositionArrays:
        """The rows of `staging.positions`, its texts best as dictionaries: each is decoded once."""
        works: dict[str, Callable[[], Any]] = {
            name: partial(_encoded, positions[column]) for name, column in CODED_TEXTS.items()
        }
        works |= {name: partial(_measurable, positions[name], _MOST.get(name, np.inf)) for name in NUMBER_COLUMNS}
        works["micros"] = partial(_filled, positions["recorded_at"], np.int64, _micros)
        works["ignition"] = partial(_filled, positions["ignition"], np.int8, _flags)
        arrays: dict[str, Any] = dict(zip(works, run_in_threads(*works.values()), strict=True))
        names = {}
        for name in CODED_TEXTS:
            arrays[name], names[name] = arrays[name]
        return cls(names=names, **arrays)

    @property
    def devices_with_ignition(self) -> np.ndarray:
        """The devices that state in any position whether the ignition is on."""
        devices = np.unique(self.device[self.ignition >= 0])
        return self.names["device"][devices[devices >= 0]]

    @classmethod
    def of_frame(cls, positions: pd.DataFrame) -> PositionArrays:
        """The rows of a frame of `staging.positions`."""
        return cls.of(pa.Table.from_pandas(positions[POSITION_COLUMNS], preserve_index=False))


def _encoded(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Codes (-1: none) into the distinct texts of a column, and these."""
    if column.null_count == len(column):
        return np.full(len(column), -1, dtype=np.int32), np.empty(0, dtype=object)
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    chunks = encoded.unify_dictionaries().chunks
    codes = _filled(pa.chunked_array([chunk.indices for chunk in chunks]), np.int32, lambda chunk: chunk.fill_null(-1))
    return codes, chunks[0].dictionary.to_numpy(zero_copy_only=False).astype(object)


def _filled(column: pa.ChunkedArray, dtype: type, convert: Callable[[pa.Array], pa.Array]) -> np.ndarray:
    """The converted chunks as one array; missing numbers are NaN.

    Chunk by chunk, so that what a conversion allocates is small and used again: of the segmentation of 3 million rows
    31 % of the processor time went into clearing pages of new memory.
    """
    values: np.ndarray = np.empty(len(column), dtype=dtype)
    end = 0
    for chunk in column.chunks:
        start, end = end, end + len(chunk)
        values[start:end] = convert(chunk).to_numpy(zero_copy_only=False)
    return values


def _micros(chunk: pa.Array) -> pa.Array:
    return chunk.cast(pa.timestamp("us", "UTC"), safe=False).view(pa.int64())


def _flags(chunk: pa.Array) -> pa.Array:
    """Booleans as 1, 0 and -1 (null)."""
    return pc.fill_null(chunk.cast(pa.bool_()).cast(pa.int8()), -1)


def _measurable(column: pa.ChunkedArray, most: float) -> np.ndarray:
    """The numbers, NaN where there is none, or an infinite one, or one beyond `most` either way."""
    numbers = _filled(column, np.float64, lambda chunk: chunk.cast(pa.float64(), safe=False))
    if any_beyond(numbers, most):
        numbers[np.abs(numbers) >= most] = np.nan
    return numbers
