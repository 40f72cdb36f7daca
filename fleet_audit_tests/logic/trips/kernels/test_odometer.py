"""The readings around points: the nearest one of the point's own track, in whatever order the points are asked."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleet_audit.logic.trips.kernels.odometer import readings_from, readings_until

TRACKS = st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=4)


@given(TRACKS, st.lists(st.integers(0, 99), max_size=12), st.booleans())
def test_the_nearest_reading_before_and_after_a_point_is_of_its_track(
    tracks: list[list[bool]], asked: list[int], is_sorted: bool
) -> None:
    has_reading = np.concatenate(tracks)
    odometer_km = np.where(has_reading, 100.0, np.nan)
    offsets = np.append(0, np.cumsum([len(track) for track in tracks]))
    points = np.array(asked, dtype=np.int64) % len(has_reading)
    points = np.sort(points) if is_sorted else points
    owner = np.searchsorted(offsets, points, side="right") - 1
    before, after = [], []
    for point, track in zip(points, owner, strict=True):
        own = [at for at in range(offsets[track], offsets[track + 1]) if has_reading[at]]
        before.append(max((at for at in own if at <= point), default=-1))
        after.append(min((at for at in own if at >= point), default=-1))
    assert readings_until(odometer_km, offsets, owner, points).tolist() == before
    assert readings_from(odometer_km, offsets, owner, points).tolist() == after
