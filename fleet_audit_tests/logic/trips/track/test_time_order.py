"""Positions in order of track and time, whatever order and parts they came in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleet_audit.logic.trips.track.time_order import TrackOrder, TrackSpans

TIMES = st.integers(-(2**40), 2**40) | st.integers(0, 3) | st.integers(0, 400_000).map(lambda second: second * 10**6)
ROWS = st.lists(st.tuples(st.integers(-1, 4), TIMES), max_size=200)
SPANS = st.lists(st.tuples(st.integers(-1, 4), TIMES, TIMES), max_size=8)
EVER = [(device, -(2**50), 2**50) for device in range(5)]


def arranged(parts: list[list[tuple[int, int]]], spans: list[tuple[int, int, int]]) -> TrackOrder:
    device, low, high = (np.array([span[part] for span in spans], dtype=np.int64) for part in range(3))
    return TrackOrder.of(
        [np.array([row[0] for row in rows], dtype=np.int32) for rows in parts],
        [np.array([row[1] for row in rows], dtype=np.int64) for rows in parts],
        TrackSpans.of(device, low, high, 5),
    )


def expected(said: list[tuple[int, int]], spans: list[tuple[int, int, int]]) -> list[list[tuple[int, int]]]:
    """Time and number of the rows of each track."""
    return [
        sorted((time, row) for row, (device, time) in enumerate(said) if device == owner >= 0 and low <= time < high)
        for owner, low, high in spans
    ]


@given(ROWS, SPANS | st.just(EVER), st.integers(0, 200))
def test_rows_are_ordered_by_track_then_time_and_equal_ones_as_they_came(
    said: list[tuple[int, int]], spans: list[tuple[int, int, int]], cut: int
) -> None:
    found = arranged([said[:cut], said[cut:]], spans)
    numbers = np.arange(len(said))
    parts = [numbers[:cut], numbers[cut:]]
    tracks = expected(said, spans)
    flat = [row for track in tracks for row in track]
    assert found.sorted_column(parts, found.scratch()).tolist() == [row for _, row in flat]
    assert found.times.tolist() == [time for time, _ in flat]
    assert np.diff(found.offsets).tolist() == [len(track) for track in tracks]
    asked = np.arange(len(flat))[::-2]
    rows, where = found.rows_at(asked)
    came = np.concatenate([part[chosen] for part, chosen in zip(parts, rows, strict=True)])[where]
    assert came.tolist() == [flat[at][1] for at in asked]


@given(ROWS, st.randoms(use_true_random=False))
def test_only_the_rows_that_are_kept_are_settled(said: list[tuple[int, int]], chance: object) -> None:
    found = arranged([said], EVER)
    is_kept = np.array([chance.random() < 0.5 for _ in found.times], dtype=bool)  # type: ignore[attr-defined]
    numbers, scratch = [np.arange(len(said))], found.scratch()
    assert (
        found.sorted_column(numbers, scratch, is_kept).tolist()
        == found.sorted_column(numbers, scratch)[is_kept].tolist()
    )
    assert found.seconds(is_kept).tolist() == found.seconds(None)[is_kept].tolist()


def test_times_too_far_apart_for_one_number_are_sorted_all_the_same() -> None:
    far = [(0, 2**61), (0, -(2**61)), (0, 5), (0, 5)]
    found = arranged([far], [(0, -(2**62), 2**62)])
    assert found.sorted_column([np.arange(4)], found.scratch()).tolist() == [1, 2, 3, 0]


def test_no_rows_and_no_tracks() -> None:
    found = arranged([], [])
    assert (found.offsets.tolist(), found.times.tolist()) == ([0], [])
