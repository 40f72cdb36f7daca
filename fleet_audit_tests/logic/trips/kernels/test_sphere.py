"""Distances: as exact as the haversine formula with all its trigonometry, and thresholds decided as it would."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_audit.logic.trips.kernels.sphere import EARTH_RADIUS_M, arc_m, distance_m, is_within, measure_steps

PLACES = st.tuples(st.floats(-89, 89), st.floats(-180, 180))
NEAR = st.floats(-0.01, 0.01) | st.floats(-1, 1) | st.floats(-80, 80)


def haversine(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    half_lat, half_lon = math.radians(lat_b - lat_a) / 2, math.radians(lon_b - lon_a) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(math.radians(lat_a)) * math.cos(math.radians(lat_b)) * (
        math.sin(half_lon) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


def cosine(degrees: float) -> float:
    return math.cos(math.radians(degrees))


@given(PLACES, NEAR, NEAR)
def test_a_distance_is_the_haversine_one_to_the_last_digits(
    place: tuple[float, float], north: float, east: float
) -> None:
    (lat, lon), (other_lat, other_lon) = place, (max(-89.9, min(89.9, place[0] + north)), place[1] + east)
    found = distance_m(lat, lon, other_lat, other_lon)
    assert found == pytest.approx(haversine(lat, lon, other_lat, other_lon), rel=1e-13, abs=1e-9)


@given(PLACES, st.lists(st.tuples(NEAR, NEAR) | st.tuples(st.floats(-0.01, 0.01), st.floats(-0.01, 0.01)), max_size=40))
def test_steps_measured_together_are_those_measured_alone_to_the_last_bit(
    place: tuple[float, float], steps: list[tuple[float, float]]
) -> None:
    lat, lon = np.cumsum([place, *steps], axis=0).T.copy()
    cosines, metres = np.cos(np.radians(lat)), np.full(len(lat), -1.0)
    measure_steps(lat, lon, cosines, metres)
    points = list(zip(lat, lon, cosines, strict=True))
    assert metres.tolist() == [0.0, *(arc_m(*a, *b) for a, b in pairwise(points))]


@given(PLACES, NEAR, NEAR, st.floats(0.9, 1.1) | st.floats(0.99999, 1.00001))
def test_within_is_decided_as_by_the_distance(
    place: tuple[float, float], north: float, east: float, share: float
) -> None:
    (lat, lon), (other_lat, other_lon) = place, (max(-89.9, min(89.9, place[0] + north)), place[1] + east)
    metres = arc_m(lat, lon, cosine(lat), other_lat, other_lon, cosine(other_lat))
    border = max(metres * share, 0.001)
    assert is_within(lat, lon, cosine(lat), other_lat, other_lon, border) == (metres <= border)


def test_within_holds_across_the_date_line_and_never_for_an_unknown_point() -> None:
    assert is_within(-17.0, 179.9999, cosine(-17.0), -17.0, -179.9999, 150.0)
    assert not is_within(-17.0, 179.9999, cosine(-17.0), np.nan, np.nan, 150.0)
