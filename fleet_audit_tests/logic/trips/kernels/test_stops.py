"""Medians of stretches of points."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.trips.kernels.stops import medians


@settings(deadline=None)  # compiled on first use
@given(st.lists(st.lists(st.sampled_from([-1.5, 0.0, 0.25, 3.0]) | st.floats(-90, 90), min_size=1, max_size=60)))
def test_medians_of_stretches_are_those_of_numpy(stretches: list[list[float]]) -> None:
    values = np.array([value for stretch in stretches for value in stretch])
    size = np.array([len(stretch) for stretch in stretches], dtype=np.int64)
    last = np.cumsum(size) - 1
    assert medians(values, last - size + 1, last).tolist() == [float(np.median(stretch)) for stretch in stretches]
