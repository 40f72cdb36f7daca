"""Medians of stretches of points."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleet_audit.logic.trips.kernels.stops import medians


@given(st.lists(st.lists(st.sampled_from([-1.5, 0.0, 0.25, 3.0]) | st.floats(-90, 90), min_size=1, max_size=60)))
def test_medians_of_stretches_are_those_of_numpy(stretches: list[list[float]]) -> None:
    values = np.array([value for stretch in stretches for value in stretch])
    size = np.array([len(stretch) for stretch in stretches], dtype=np.int64)
    last = np.cumsum(size) - 1
    assert medians(values, last - size + 1, last).tolist() == [float(np.median(stretch)) for stretch in stretches]


def test_the_median_of_unknown_values_is_unknown() -> None:
    """Tracks without places have stops too: of partly unknown values any median will do, but one must be found."""
    values = np.array([np.nan] * 4 + [1.0, np.nan, 0.5])
    assert np.isnan(medians(values, np.array([0]), np.array([3]))).all()
    assert len(medians(values, np.array([2, 0]), np.array([6, 6]))) == 2
