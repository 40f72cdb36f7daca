"""Kilometres that a vehicle's odometer counted while its positions stood, over given intervals.

What such kilometres prove belongs to each rule; how they are found to `trips.dwells`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.intervals import intervals, overlaps
from fleet_audit.schema.frames import DwellCountsFrame


def counted_in_dwells(between: pd.DataFrame, dwells: DwellCountsFrame) -> np.ndarray:
    """km counted in each interval (`intervals(...)`); NaN where two readings contradict each other.

    A step from reading to reading counts whole where it meets the interval, because nothing shows when in the step the
    vehicle was driven.
    """
    met = overlaps(between, intervals(dwells))
    km = dwells["counted_km"].to_numpy(dtype="float64", na_value=np.nan)[met["right"].to_numpy()]
    return np.bincount(met["left"].to_numpy(), weights=km, minlength=len(between))
