"""Positions in order of device and time, whatever order they came in."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.ordering import by_device_and_time

ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(-(2**40), 2**40) | st.integers(0, 3)), max_size=200)


@settings(deadline=None)  # compiled on first use
@given(ROWS)
def test_rows_are_ordered_by_device_then_time_and_equal_ones_as_they_came(said: list[tuple[int, int]]) -> None:
    device, micros = (np.array([row[part] for row in said], dtype=np.int64) for part in (0, 1))
    rows, starts, times = by_device_and_time(device, micros, 5)
    assert rows.tolist() == sorted(range(len(said)), key=lambda row: (said[row], row))
    assert times.tolist() == micros[rows].tolist()
    assert starts.tolist() == [int((device < code).sum()) for code in range(6)]


def test_no_rows_and_no_devices() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert [len(found) for found in by_device_and_time(nothing, nothing, 0)] == [0, 1, 0]
