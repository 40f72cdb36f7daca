"""Distances on the mean sphere, of whole arrays.

The compiled form for one pair of points at a time is in `trips.kernels.sphere`: this one imports without a compiler.
"""

from __future__ import annotations

import numpy as np

EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG
_NULL_ISLAND_DEGREES = 0.001  # 111 m around (0, 0): no land is near


def is_null_island(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Whether each pair of degrees is (0, 0), which receivers without a fix report."""
    with np.errstate(invalid="ignore"):
        is_near: np.ndarray = (np.abs(latitude) < _NULL_ISLAND_DEGREES) & (np.abs(longitude) < _NULL_ISLAND_DEGREES)
    return is_near


def distance_m(
    latitude: np.ndarray, longitude: np.ndarray, other_latitude: np.ndarray, other_longitude: np.ndarray
) -> np.ndarray:
    """Great-circle distance (m) between points in degrees, by haversine on the mean sphere."""
    south, north = np.radians(latitude), np.radians(other_latitude)
    half_chord = (
        np.sin((north - south) / 2) ** 2
        + np.cos(south) * np.cos(north) * np.sin(np.radians(other_longitude - longitude) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(half_chord, 1)))
