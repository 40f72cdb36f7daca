"""Decimal arithmetic of kilometres and reais: half-up rounding and exact products over whole columns.

The kilometres and the rate are decided in `tariffs` and `fixed_costs`.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

KM = pd.ArrowDtype(pa.decimal128(12, 2))
BRL = pd.ArrowDtype(pa.decimal128(14, 2))
RATE = pd.ArrowDtype(pa.decimal128(12, 4))
HALF_UP = "half_towards_infinity"  # ties away from zero, as Python's ROUND_HALF_UP
_NANO_PER_HUNDREDTH = 10_000_000
_HUNDREDTH = Decimal("0.01")
_LARGEST_KM = 9e9  # beyond it a billionth of a km does not fit 64 bits; the column holds less than 1e10


def round_km(values: pd.Series) -> pd.Series:
    """Kilometres half-up to 0.01, as decimal(12,2); nulls stay null. Decimals are rounded exactly.

    Binary numbers are read to a billionth of a km first: sums of odometer steps miss a tie by up to 1e-10 km, and
    0.285 (0.28499999999999998 in binary) is meant as 0.285. Raises ValueError for a value that cannot be a distance.
    """
    if isinstance(values.dtype, pd.ArrowDtype) and pa.types.is_decimal(values.dtype.pyarrow_dtype):
        rounded = pc.round(pa.array(values, type=values.dtype.pyarrow_dtype), 2, HALF_UP)
        return _series(rounded, KM, values.index)
    numbers = pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan)
    missing = np.isnan(numbers)
    if (np.abs(numbers[~missing]) > _LARGEST_KM).any():
        raise ValueError(f"{np.nanmax(np.abs(numbers)):.0f} km is not a distance: look for a wrong reading")
    nano = np.rint(np.where(missing, 0.0, np.abs(numbers)) * 1e9).astype(np.int64)
    hundredths = (nano + _NANO_PER_HUNDREDTH // 2) // _NANO_PER_HUNDREDTH
    return from_hundredths(np.where(numbers < 0, -hundredths, hundredths), KM, values.index, missing)


def multiply_brl(km: pd.Series, rate: pd.Series) -> pd.Series:
    """km (decimal 12,2) × BRL/km (decimal 12,4), exact, then half-up to cents; null where either is."""
    product = pc.multiply(_array(km, KM), _array(rate, RATE))
    return _series(pc.round(product, 2, HALF_UP), BRL, km.index)


def half_up(value: Decimal | float) -> Decimal:
    """One value half-up to 0.01; a float is read as it is printed."""
    return Decimal(str(value)).quantize(_HUNDREDTH, ROUND_HALF_UP)


def known_sum(values: Iterable[Decimal | None]) -> Decimal | None:
    """Exact sum of the known values; None when there are none: no data is not zero."""
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if known else None


def sum_decimal(values: pd.Series) -> Decimal | None:
    """Exact sum of a decimal column without its nulls; None when there are no values: no data is not zero."""
    return pc.sum(pa.array(values, from_pandas=True)).as_py()


def to_hundredths(values: pd.Series) -> np.ndarray:
    """km or BRL of two decimals as whole hundredths (int64); nulls as 0."""
    whole = pc.multiply(pa.array(values, type=pa.decimal128(18, 2), from_pandas=True), pa.scalar(Decimal(100)))
    return pc.fill_null(whole.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)


def from_hundredths(
    values: np.ndarray, dtype: pd.ArrowDtype, index: pd.Index, missing: np.ndarray | None = None
) -> pd.Series:
    """Whole hundredths as a decimal column (`KM` or `BRL`), null where `missing`."""
    whole = pa.array(values.astype(np.int64), mask=missing).cast(pa.decimal128(19, 0))
    return _series(pc.multiply(whole, pa.scalar(Decimal("0.01"))), dtype, index)


def divide_half_up(numerators: np.ndarray, denominators: np.ndarray | int) -> np.ndarray:
    """Whole quotients by positive whole numbers, half-up with ties away from zero: exact, no floating point."""
    magnitude = (2 * np.abs(numerators) + denominators) // (2 * np.asarray(denominators))
    return np.sign(numerators) * magnitude


def _array(values: pd.Series, dtype: pd.ArrowDtype) -> pa.Array:
    return pa.array(values.astype(dtype), type=dtype.pyarrow_dtype)


def _series(values: pa.Array, dtype: pd.ArrowDtype, index: pd.Index) -> pd.Series:
    return pd.Series(pd.array(values.cast(dtype.pyarrow_dtype), dtype=dtype), index=index)
