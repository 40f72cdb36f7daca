"""Movements and their readings."""

import numpy as np
import pytest

from fleet_audit.logic.trips.kernels.movements import longest_unread_m


@pytest.mark.parametrize(
    ("first", "last", "unread_m"),
    [(12, 19, 2), (10, 16, 4), (90, 3, 0), (5, 40, 0), (30, 40, 10)],
    ids=["at the start", "at the end", "none inside or after", "around", "after"],
)
def test_the_way_without_a_reading_never_leaves_the_movement(first: int, last: int, unread_m: float) -> None:
    """A movement of 10 m from point 10 to point 20 of 100, 1 m apart."""
    numbers = (np.array([number]) for number in (10, 20, first, last))
    assert longest_unread_m(np.ones(100), *numbers).tolist() == [unread_m]
