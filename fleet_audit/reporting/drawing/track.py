"""Pictures of one vehicle's movement: its points on a map, and what odometer and GPS counted over time.

The caller chooses the points and the marked periods.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.logic.reference.places import distance_m
from fleet_audit.reporting.drawing.charts import BLUE, FONT, GREY, INK, MUTED, ORANGE
from fleet_audit.reporting.locale import REPORT_ZONE

_WIDTH, _HEIGHT, _PAD, _LEFT = 1040, 300, 34, 64
_KM_PER_DEGREE = 111.195
_MOST_POINTS = 1500  # more are thinned: the eye sees no difference, a PDF of 10,000 takes seconds
_NEAR = 26  # pixels from an end of the movement within which a place is named
_MOST_NAMES = 6  # more periods than this are shaded without their names


@dataclass(frozen=True)
class Track:
    """Points of one vehicle in order of time: recorded_at, latitude, longitude, odometer_km, is_rejected.

    `spans` are periods to mark: (name, start, end, declared km or None), instants in UTC; `zone` is the reader's.
    """

    points: pd.DataFrame
    spans: Sequence[tuple[str, dt.datetime, dt.datetime, float | None]] = ()
    zone: str = REPORT_ZONE
    places: Sequence[Mapping[str, Any]] = field(default=())


def track_map(track: Track) -> str | None:
    """Accepted points as a line, thick inside the marked periods; rejected points as crosses. None without any."""
    points = track.points.dropna(subset=["latitude", "longitude"])
    seen = points[~points["is_rejected"]]
    if seen.empty:
        return None
    to_pixels = _projection(seen)
    marked = _marked(seen["recorded_at"], track.spans)
    x, y = to_pixels(seen["longitude"].to_numpy(), seen["latitude"].to_numpy())
    thin = _thinned(len(seen))
    parts = [_frame("Mapa: pontos do veículo"), _path(x[thin], y[thin], GREY, 1.4)]
    stretches = _runs(marked)
    for start, end in stretches:
        parts.append(_path(x[start:end], y[start:end], BLUE, 2.6))
    if stretches:
        first, last = stretches[0][0], stretches[-1][1] - 1
        ends = [(x[first], y[first]), (x[last], y[last])]
        parts += [_dot(*ends[0], BLUE, "início", -8), _dot(*ends[1], ORANGE, "fim", 16)]
    else:
        ends = []
    if not marked.any():
        parts += [_dot(a, b, BLUE) for a, b in zip(x[thin], y[thin], strict=True)]
    parts += [_cross(*to_pixels(row.longitude, row.latitude)) for row in points[points["is_rejected"]].itertuples()]
    parts += _places(track.places, to_pixels, ends)
    return _svg("Mapa dos pontos do veículo no período", [*parts, _ruler(to_pixels, seen)])


def odometer_chart(track: Track) -> str | None:
    """Km since the first reading by odometer and by GPS, and what each marked run declares. None without any."""
    seen = track.points[~track.points["is_rejected"]]
    times = seen["recorded_at"]
    gps = _gps_km(seen)
    odometer = seen["odometer_km"].dropna()
    if seen.empty or (odometer.empty and not len(gps)):
        return None
    series = []
    if len(gps):
        series.append(("GPS", BLUE, times[gps.index], gps.to_numpy()))
    if len(odometer):
        series.append(("hodômetro", ORANGE, times[odometer.index], (odometer - odometer.iloc[0]).to_numpy(dtype=float)))
    first = min([times.min(), *(span[1] for span in track.spans)])
    last = max([times.max(), *(span[2] for span in track.spans)])
    seconds = max((last - first).total_seconds(), 1.0)
    declared = [_declared(span, series[-1]) for span in track.spans if span[3] is not None]
    top = max([1.0, *(float(values.max()) for *_, values in series), *(end for _, _, end in declared)])

    def x_of(instant: Any) -> float:
        return _LEFT + (instant - first).total_seconds() / seconds * (_WIDTH - _LEFT - _PAD)

    def y_of(km: float) -> float:
        return _HEIGHT - _PAD - km / top * (_HEIGHT - 3 * _PAD)

    parts = [_frame("Km desde a primeira leitura do período"), *_axes(first, seconds, top, track.zone, x_of, y_of)]
    for index, (name, start, end, _) in enumerate(track.spans):
        left, wide = x_of(start), x_of(end) - x_of(start)
        parts.append(f'<rect x="{left:.1f}" y="{_PAD}" width="{max(wide, 1):.1f}" height="{_HEIGHT - 2 * _PAD}" '
                     f'fill="{BLUE}" fill-opacity="0.07"/>')  # fmt: skip
        if len(track.spans) <= _MOST_NAMES:
            parts.append(_text(left + 4, _PAD + 14 + 14 * index, name, MUTED))
    for index, (name, colour, at, values) in enumerate(series):
        thin = _thinned(len(values))
        x = np.array([x_of(instant) for instant in at.iloc[thin]])
        parts.append(_path(x, np.array([y_of(float(km)) for km in values[thin]]), colour, 2))
        parts.append(_text(_LEFT + 320 + 130 * index, 20, f"— {name}", colour))
    for (_, start, end, _), (begins, _, ends) in zip(
        [span for span in track.spans if span[3] is not None], declared, strict=True
    ):
        parts.append(f'<path d="M{x_of(start):.1f} {y_of(begins):.1f}L{x_of(end):.1f} {y_of(ends):.1f}" '
                     f'stroke="{INK}" stroke-width="1.6" stroke-dasharray="6 4" fill="none"/>')  # fmt: skip
    if declared:
        parts.append(_text(_LEFT + 320 + 130 * len(series), 20, "- - declarado", INK))
    return _svg("Hodômetro e GPS ao longo do tempo", parts)


def _declared(span: tuple[str, Any, Any, float | None], series: tuple[Any, ...]) -> tuple[float, float, float]:
    """Where a run's line starts (what was counted by then), its km, and where it ends."""
    _, _, at, values = series
    before = int((at <= span[1]).sum()) - 1
    begins = float(values[before]) if before >= 0 else 0.0
    return begins, float(span[3] or 0), begins + float(span[3] or 0)


def _gps_km(seen: pd.DataFrame) -> pd.Series:
    """Path over the points so far, on their index."""
    at = seen.dropna(subset=["latitude", "longitude"])
    if at.empty:
        return pd.Series(dtype=float)
    latitude, longitude = at["latitude"].to_numpy(dtype=float), at["longitude"].to_numpy(dtype=float)
    steps = distance_m(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:])
    return pd.Series(np.concatenate([[0.0], np.cumsum(steps) / 1000]), index=at.index)


def _marked(times: pd.Series, spans: Sequence[tuple[str, dt.datetime, dt.datetime, float | None]]) -> np.ndarray:
    result = np.zeros(len(times), dtype=bool)
    for _, start, end, _ in spans:
        result |= ((times >= start) & (times <= end)).to_numpy()
    return result


def _runs(marked: np.ndarray) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _thinned(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(int))


def _projection(seen: pd.DataFrame):  # type: ignore[no-untyped-def]
    longitude = (seen["longitude"].min() + seen["longitude"].max()) / 2
    latitude = (seen["latitude"].min() + seen["latitude"].max()) / 2
    east = _KM_PER_DEGREE * math.cos(math.radians(latitude))
    wide = max((seen["longitude"].max() - seen["longitude"].min()) * east, 0.3)
    high = max((seen["latitude"].max() - seen["latitude"].min()) * _KM_PER_DEGREE, 0.3)
    scale = min((_WIDTH - 6 * _PAD) / wide, (_HEIGHT - 3.4 * _PAD) / high)

    def to_pixels(lon: Any, lat: Any) -> tuple[Any, Any]:
        return (
            _WIDTH / 2 + (lon - longitude) * east * scale,
            _HEIGHT / 2 + 10 - (lat - latitude) * _KM_PER_DEGREE * scale,
        )

    return to_pixels


def _ruler(to_pixels: Any, seen: pd.DataFrame) -> str:
    north = to_pixels(0.0, float(seen["latitude"].iloc[0]))[1] - to_pixels(0.0, float(seen["latitude"].iloc[0]) + 1)[1]
    scale = north / _KM_PER_DEGREE
    km = next((length for length in (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2) if length * scale <= 160), 0.1)
    x, y = 14, _HEIGHT - 14
    return f'<path d="M{x} {y - 4}v4h{km * scale:.1f}v-4" fill="none" stroke="{MUTED}"/>' + _text(
        x + km * scale + 7, y + 1, f"{str(km).replace('.', ',')} km", MUTED
    )


def _axes(first: Any, seconds: float, top: float, zone: str, x_of: Any, y_of: Any) -> list[str]:
    parts = []
    size = _tick(top)
    for step in range(int(top / size) + 1):
        km = step * size
        parts.append(f'<path d="M{_LEFT} {y_of(km):.1f}H{_WIDTH - _PAD}" stroke="{GREY}" stroke-width="0.5"/>')
        parts.append(_text(_LEFT - 6, y_of(km) + 4, f"{km:g}".replace(".", ","), MUTED, "end"))
    for step in range(7):
        instant = first + pd.Timedelta(seconds=seconds * step / 6)
        local = instant.astimezone(ZoneInfo(zone))
        parts.append(
            _text(x_of(instant), _HEIGHT - 12, f"{local:%d/%m %H:%M}", MUTED, "end" if step == 6 else "middle")
        )
    return parts


def _tick(top: float) -> float:
    """The smallest of 1, 2, 5 × a power of ten that divides the axis into at most six."""
    power = 10.0 ** math.floor(math.log10(top / 6))
    return next(size * power for size in (1, 2, 5, 10) if top / (size * power) <= 6)


def _places(places: Sequence[Mapping[str, Any]], to_pixels: Any, ends: Sequence[tuple[float, float]]) -> list[str]:
    """Every place as a small ring; by name the one nearest to each end of the movement, for names would overlap."""
    at = [(place, *to_pixels(place["longitude"], place["latitude"])) for place in places]
    at = [(place, x, y) for place, x, y in at if 8 < x < _WIDTH - 8 and 30 < y < _HEIGHT - 8]
    parts = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="none" stroke="{MUTED}"/>' for _, x, y in at]
    named = set()
    for end in ends:
        near = min(at, key=lambda entry: math.dist(end, entry[1:]), default=None)
        if near is not None and math.dist(end, near[1:]) <= _NEAR:
            named.add((str(near[0]["name"] or near[0]["poi_id"]), near[1], near[2]))
    for name, x, y in sorted(named):
        is_left = x < _WIDTH * 0.7
        parts.append(_text(x + (12 if is_left else -12), y + 4, name, INK, "start" if is_left else "end"))
    return parts


def _dot(x: float, y: float, colour: str, word: str = "", drop: float = 0) -> str:
    mark = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5 if word else 2}" fill="{colour}"/>'
    return mark + (_text(x, y + drop, word, colour, "middle") if word else "")


def _cross(x: float, y: float) -> str:
    if not (0 < x < _WIDTH and 0 < y < _HEIGHT):
        return ""
    return f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="{ORANGE}" stroke-width="1.5"/>'


def _path(x: np.ndarray, y: np.ndarray, colour: str, width: float) -> str:
    line = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
    return f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'


def _frame(title: str) -> str:
    box = f'<rect x="0" y="0" width="{_WIDTH}" height="{_HEIGHT}" fill="#F6F7F8"/>'
    return box + f'<text x="12" y="20" fill="{INK}" font-weight="600">{escape(title)}</text>'


def _text(x: float, y: float, content: str, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{escape(content)}</text>'


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" aria-label="{escape(title)}" font-family="{FONT}" font-size="12">'
        f"{''.join(parts)}</svg>"
    )
