"""Columns of one length by name: what a frame holds, without the time that a frame of each step costs.

Constants of columns of tables are in `schema`; frames that a reader gets are made of columns here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

Columns = Mapping[str, Any]  # arrays of numpy or pandas, or a frame


def columns_of(frame: pd.DataFrame) -> dict[str, Any]:
    """The arrays of a frame by name."""
    return {
        str(name): values.to_numpy() if isinstance(values.dtype, np.dtype) else values.array
        for name, values in frame.items()
    }


def frame_of(columns: Columns) -> pd.DataFrame:
    """A frame that takes the arrays over as they are; arrays of objects stay objects."""
    index = pd.RangeIndex(len(next(iter(columns.values()))) if columns else 0)
    kept = {
        name: pd.Series(values, index, dtype=object, copy=False) if values.dtype == object else values
        for name, values in columns.items()
    }
    return pd.DataFrame(kept, index, copy=False)


def as_floats(values: Any) -> np.ndarray:
    """A column of numbers as floats; missing ones are NaN."""
    if isinstance(values, np.ndarray):
        return values.astype(float, copy=False)
    numbers: np.ndarray = values.to_numpy(dtype=float, na_value=np.nan)
    return numbers


def as_objects(values: Any) -> np.ndarray:
    """A column as objects, missing ones None; an array of objects has None there already."""
    objects: np.ndarray = values if isinstance(values, np.ndarray) else values.to_numpy(dtype=object, na_value=None)
    return objects
