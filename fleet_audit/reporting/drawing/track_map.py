"""The map of one vehicle's movement, in a box that fits the movement.

Its points and marked periods are in `track`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.reporting.drawing.charts import BLUE, GREY, INK, MUTED, ORANGE
from fleet_audit.reporting.drawing.label_boxes import LabelBoxes
from fleet_audit.reporting.drawing.track import Track, line, picture, text, thinned

_WIDEST, _NARROWEST, _HIGHEST, _LOWEST = 520, 300, 400, 240  # pixels of the box: beside the chart on A4
_HEAD, _FOOT, _SIDE = 34, 34, 60  # free for heading, ruler, and names beside the movement
_CAPTIONED, _CAPTIONED_HIGHEST = 400, 300  # least width and greatest height of a map with captions: three in a row
_CAPTION, _LETTER = 16, 6.6  # height of a line of captions, and mean width of its letters
_KM_PER_DEGREE = 111.195
_LEAST_KM = 0.3  # a parked vehicle is not magnified further: its drift would look like a journey
_NEAR = 26  # pixels from the movement's ends within which a place is named where no stop is

Projection = Callable[[Any, Any], tuple[Any, Any]]


def track_map(
    track: Track,
    *,
    heading: str = "Mapa",
    captions: Sequence[str] = (),
    declared: Sequence[Mapping[str, Any]] = (),
) -> str | None:
    """Accepted points as a line, thick inside the marked periods; rejected points as crosses. None without any.

    `captions` stand below the heading; `declared` are places (name, latitude, longitude) that a carrier declared.
    """
    points = track.points.dropna(subset=["latitude", "longitude"])
    seen = points[~points["is_rejected"]]
    if seen.empty:
        return None
    to_pixels, width, height, scale, lines = _box(seen, declared, captions)
    top = _HEAD + len(lines) * _CAPTION
    marked = track.is_marked(seen["recorded_at"])
    x, y = to_pixels(seen["longitude"].to_numpy(dtype=float), seen["latitude"].to_numpy(dtype=float))
    thin = thinned(len(seen))
    labels = LabelBoxes(width, height, top)
    labels.take(0, height - 26, 190, height)  # the ruler
    parts = [text(12, _HEAD + 2 + index * _CAPTION, words, MUTED) for index, words in enumerate(lines)]
    parts += [line(x[thin], y[thin], GREY, 1.4)]
    stretches = _runs(marked)
    parts += [line(x[start:end], y[start:end], BLUE, 2.6) for start, end in stretches]
    ends = _ends(stretches, x, y)
    if not stretches:
        parts += [_dot(a, b, BLUE, 2) for a, b in zip(x[thin], y[thin], strict=True)]
    rejected = points[points["is_rejected"]]
    parts += [_cross(*to_pixels(row.longitude, row.latitude), width, height, top) for row in rejected.itertuples()]
    for (a, b), colour, word in zip(ends, (BLUE, ORANGE), ("início", "fim"), strict=False):
        parts += [_dot(a, b, colour, 5), labels.label(a, b, word, colour)]
    for place in declared:
        a, b = to_pixels(place["longitude"], place["latitude"])
        parts += [_ring(a, b), labels.label(a, b, f"declarado: {place['name']}", ORANGE)]
    parts += [*_places(track, to_pixels, ends, labels, (width, height, top)), _ruler(scale, height)]
    words = " ".join((f"Mapa dos pontos do veículo no período. {heading}", *captions))
    return picture(words, heading, width, height, parts)


def _box(
    seen: pd.DataFrame, declared: Sequence[Mapping[str, Any]], captions: Sequence[str]
) -> tuple[Projection, float, float, float, list[str]]:
    """Projection, width, height, pixels per km, and the captions in lines that fit the width.

    The box holds the movement and the declared places, and is filled by them as far as limits allow.
    """
    longitudes = [seen["longitude"].min(), seen["longitude"].max(), *(place["longitude"] for place in declared)]
    latitudes = [seen["latitude"].min(), seen["latitude"].max(), *(place["latitude"] for place in declared)]
    longitude, latitude = (min(longitudes) + max(longitudes)) / 2, (min(latitudes) + max(latitudes)) / 2
    east = _KM_PER_DEGREE * math.cos(math.radians(latitude))
    wide = max((max(longitudes) - min(longitudes)) * east, _LEAST_KM)
    high = max((max(latitudes) - min(latitudes)) * _KM_PER_DEGREE, _LEAST_KM)
    highest = _CAPTIONED_HIGHEST if captions else _HIGHEST
    scale = min((_WIDEST - 2 * _SIDE) / wide, (highest - _HEAD - _FOOT) / high)
    width = min(max(wide * scale + 2 * _SIDE, _CAPTIONED if captions else _NARROWEST), _WIDEST)
    lines = [part for caption in captions for part in textwrap.wrap(caption, int((width - 24) / _LETTER))]
    top = _HEAD + len(lines) * _CAPTION
    height = min(max(high * scale + _HEAD + _FOOT, _LOWEST), highest) + top - _HEAD
    middle = (top + height - _FOOT) / 2

    def to_pixels(lon: Any, lat: Any) -> tuple[Any, Any]:
        return width / 2 + (lon - longitude) * east * scale, middle - (lat - latitude) * _KM_PER_DEGREE * scale

    return to_pixels, width, height, scale, lines


def _runs(marked: np.ndarray) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _ends(stretches: list[tuple[int, int]], x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    """Start of the first marked stretch and end of the last; none without any."""
    if not stretches:
        return []
    first, last = stretches[0][0], stretches[-1][1] - 1
    return [(float(x[first]), float(y[first])), (float(x[last]), float(y[last]))]


def _places(
    track: Track,
    to_pixels: Projection,
    ends: list[tuple[float, float]],
    labels: LabelBoxes,
    size: tuple[float, float, float],
) -> list[str]:
    """Every place as a small ring; by name the stops of the movement, else the place nearest to each of its ends."""

    def seen(places: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, float]]:
        at = [(str(place["name"] or place["poi_id"]), *to_pixels(place["longitude"], place["latitude"]))
              for place in places]  # fmt: skip
        return [(name, x, y) for name, x, y in at if 8 < x < size[0] - 8 and size[2] < y < size[1] - 8]

    at = seen(track.places)
    parts = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="none" stroke="{MUTED}"/>' for _, x, y in at]
    named = seen(track.stops)
    for end in [] if named else ends:
        nearest = min(at, key=lambda entry: math.dist(end, entry[1:]), default=None)
        if nearest is not None and math.dist(end, nearest[1:]) <= _NEAR:
            named.append(nearest)
    for name, x, y in dict.fromkeys(named):
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{INK}"/>', labels.label(x, y, name, INK, 7)]
    return parts


def _ruler(scale: float, height: float) -> str:
    km = next((length for length in (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2) if length * scale <= 120), 0.1)
    x, y = 14, height - 12
    return f'<path d="M{x} {y - 4}v4h{km * scale:.1f}v-4" fill="none" stroke="{MUTED}"/>' + text(
        x + km * scale + 7, y + 1, f"{str(km).replace('.', ',')} km", MUTED
    )


def _dot(x: float, y: float, colour: str, radius: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'


def _ring(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="{ORANGE}" stroke-width="2.5"/>'


def _cross(x: float, y: float, width: float, height: float, top: float) -> str:
    if not (0 < x < width and top < y < height):
        return ""
    return f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="{ORANGE}" stroke-width="1.5"/>'
